"""The last check before a host is contacted: where its name leads to right now.

A public name may resolve to a private address, by mistake or by design. So a name is resolved here and every address is judged;
git is then told to contact just the judged ones (:mod:`dagctl_provider.runner.git_settings`), so that a second answer of the name
server cannot lead it elsewhere. The API server does this for each question, the runner for each checkout.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from urllib.request import getproxies, proxy_bypass

from dagctl_provider.runner.hosts import HostRefused, is_public_address
from dagctl_provider.runner.repositories import RepositoryAddress

MAX_ADDRESSES = 8


def addresses_to_contact(address: RepositoryAddress, *, allow_private: bool, soon: Callable[[], float]) -> tuple[str, ...]:
    """Resolve a repository's host and refuse it unless every address it has is public.

    :param allow_private: judge nothing; the name is not even resolved.
    :param soon: seconds to wait before it is asked again; it raises when nobody waits for the answer any longer.
    :return: the addresses to contact; empty when there is nothing to hold git to: local repositories, address literals,
        private hosts allowed, a name that only the proxy in between can resolve.
    :raises HostRefused: when one of the addresses is not public.
    :raises OSError: when the name leads nowhere.
    """
    host = address.host
    if host is None or allow_private:
        return ()
    if is_public_address(host.strip("[]")):
        return ()
    try:
        found = _resolve(host.strip("[]"), soon)
    except OSError:
        if address.scheme == "https" and is_proxied(host):
            return ()
        raise
    if not found or not all(is_public_address(one) for one in found):
        raise HostRefused("private_host", f"resolves to {', '.join(found)}")
    return found[:MAX_ADDRESSES]


def is_proxied(host: str) -> bool:
    """Whether https to this host goes through a proxy named in the environment, which resolves names by its own rules."""
    proxies = getproxies()
    return bool(proxies.get("https") or proxies.get("all")) and not proxy_bypass(host)


def _resolve(host: str, soon: Callable[[], float]) -> tuple[str, ...]:
    # The C library's resolver cannot be interrupted; a thread that nobody waits for can be left behind.
    answer: list[tuple[str, ...] | OSError] = []

    def ask() -> None:
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            answer.append(tuple(dict.fromkeys(str(row[4][0]) for row in rows)))
        except OSError as error:
            answer.append(error)
        except UnicodeError as error:
            answer.append(OSError(str(error)))

    thread = threading.Thread(target=ask, name="dagctl-resolve", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(soon())
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]
