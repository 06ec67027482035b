"""Which hosts a repository may live on.

The API server contacts every address a member types in. A host is therefore judged twice by the rules below: once as
it was written, before anything is stored, and once more as it resolved, before anything is contacted. Both judgements
are pure functions of text, so that they can be tested without a network.
"""

from __future__ import annotations

import ipaddress
import re

MAX_HOST_LENGTH = 253

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)

_PRIVATE_SUFFIXES = (
    "localhost",
    "local",
    "localdomain",
    "internal",
    "intranet",
    "private",
    "corp",
    "home",
    "lan",
    "home.arpa",
    "svc",
    "metadata.goog",
)

# The tables are spelled out because `ipaddress.is_global` changed its answers between patch releases of Python.
_NOT_PUBLIC_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's wire server answers on a public address.
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)
_GLOBAL_UNICAST_V6 = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_V6 = tuple(
    ipaddress.IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2620:4f:8000::/48", "3fff::/20")
)
# Prefixes whose addresses lead to an IPv4 host, and how far right in the 128 bits that host's address ends.
_CARRIES_V4 = (
    (ipaddress.IPv6Network("::ffff:0:0/96"), 0),
    (ipaddress.IPv6Network("64:ff9b::/96"), 0),
    (ipaddress.IPv6Network("2002::/16"), 80),
)


class HostRefused(ValueError):
    """A host that repositories may not live on; `code` says why."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def is_public_address(address: str) -> bool:
    """Tell whether an IP address belongs to the public internet.

    Loopback, private, link-local, carrier-grade NAT, multicast, reserved and cloud metadata addresses do not, nor do
    IPv6 addresses that lead to such an IPv4 host (mapped, NAT64, 6to4). Source: the IANA special-purpose registries.

    :param address: an address as `socket.getaddrinfo` returns it; anything that is no address is not public.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return not any(parsed in network for network in _NOT_PUBLIC_V4)
    if parsed.scope_id is not None:
        return False
    for network, shift in _CARRIES_V4:
        if parsed in network:
            return is_public_address(str(ipaddress.IPv4Address(int(parsed) >> shift & 0xFFFFFFFF)))
    return parsed in _GLOBAL_UNICAST_V6 and not any(parsed in network for network in _NOT_PUBLIC_V6)


_ALLOWED = "[dagctl] allow_private_hosts allows such hosts."


def check_host(host: str, *, allow_private: bool = False) -> str:
    """Return a host in its one canonical spelling, or refuse it.

    :param host: a host name, an IPv4 address, or an IPv6 address in square brackets.
    :param allow_private: accept hosts that are private by their address or by their name.
    :raises HostRefused: with code `invalid_host` for what is no ASCII host name or an address in an unusual spelling,
        `private_host` for hosts that are not on the public internet.
    """
    if not host.isascii():
        raise HostRefused("invalid_host", "The host must be written in ASCII; write international names as xn--.")
    lowered = host.lower()
    if lowered.startswith("["):
        return _check_ipv6(lowered, allow_private)
    if _NUMBER.fullmatch(lowered.rstrip(".").rpartition(".")[2]):
        return _check_ipv4(lowered, allow_private)
    return _check_name(lowered, allow_private)


def _check_name(host: str, allow_private: bool) -> str:
    labels = host.split(".")
    if len(host) > MAX_HOST_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise HostRefused("invalid_host", "The host is not a valid host name.")
    private = len(labels) == 1 or any(host == suffix or host.endswith("." + suffix) for suffix in _PRIVATE_SUFFIXES)
    if private and not allow_private:
        raise HostRefused("private_host", f"The host is a private name; {_ALLOWED}")
    return host


def _check_ipv4(host: str, allow_private: bool) -> str:
    address = _loose_ipv4(host.rstrip("."))
    if address is None:
        raise HostRefused("invalid_host", "The host is not a valid IPv4 address.")
    if not allow_private and not is_public_address(str(address)):
        raise HostRefused("private_host", f"The host is not a public IP address; {_ALLOWED}")
    if str(address) != host:
        raise HostRefused("invalid_host", "An IPv4 address must be written as four decimal numbers.")
    return host


def _check_ipv6(host: str, allow_private: bool) -> str:
    try:
        address = ipaddress.IPv6Address(host[1:-1] if host.endswith("]") else "")
    except ValueError:
        raise HostRefused("invalid_host", "The host is not a valid IPv6 address.") from None
    if address.scope_id is not None:
        raise HostRefused("invalid_host", "An IPv6 address must not name a network interface.")
    if not allow_private and not is_public_address(str(address)):
        raise HostRefused("private_host", f"The host is not a public IP address; {_ALLOWED}")
    return f"[{address}]"


def _loose_ipv4(text: str) -> ipaddress.IPv4Address | None:
    """Read an IPv4 address the way `inet_aton` and browsers do: short, octal and hexadecimal spellings included."""
    parts = text.split(".")
    if len(parts) > 4:
        return None
    numbers = [_loose_number(part) for part in parts]
    last_limit = 256 ** (5 - len(parts))
    value = 0
    for position, number in enumerate(numbers):
        if number is None or number >= (last_limit if position == len(numbers) - 1 else 256):
            return None
        value += number if position == len(numbers) - 1 else number << 8 * (3 - position)
    return ipaddress.IPv4Address(value)


def _loose_number(text: str) -> int | None:
    # The longest spelling that can matter, a zero-padded octal number, is far below this limit.
    if len(text) > 40 or not _NUMBER.fullmatch(text):
        return None
    if text.startswith("0x"):
        return int(text[2:] or "0", 16)
    if len(text) > 1 and text.startswith("0"):
        return int(text, 8) if not set(text) & {"8", "9"} else None
    return int(text)
