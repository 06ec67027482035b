"""The last check before a host is contacted: where its name leads to right now.

A public name may resolve to a private address, by mistake or by design. So a name is resolved here, every address is
judged, and git is told to use just the judged addresses (`http.curloptResolve`, ssh `HostName`), so that a second
answer of the name server cannot lead it elsewhere. Git before 2.37 does not know `http.curloptResolve` and asks the
name server again; redirects are off in any case. Behind an http proxy the proxy resolves, and its own rules hold.
"""

from __future__ import annotations

import socket
import threading
from urllib.request import getproxies, proxy_bypass

from dagctl_provider.domain.hosts import is_public_address
from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.git.errors import HostNotAllowed, RepositoryUnreachable
from dagctl_provider.git.processes import Deadline

MAX_ADDRESSES = 8


def resolve_and_check_host(address: RepositoryAddress, *, allow_private: bool, timeout: float) -> tuple[str, ...]:
    """Resolve a repository's host and refuse it unless every address it has is public.

    :param allow_private: judge nothing; the name is not even resolved.
    :param timeout: seconds to wait for the name server.
    :return: the addresses to contact; empty when there is nothing to pin: local repositories, address literals,
        private hosts allowed, a proxy in between.
    :raises HostNotAllowed: when one of the addresses is not public.
    :raises RepositoryUnreachable: when the name leads nowhere.
    :raises GitTimeout: when the name server does not answer in time.
    """
    host = address.host
    if host is None or allow_private:
        return ()
    if is_public_address(host.strip("[]")):
        return ()
    proxied = address.scheme == "https" and is_proxied(host)
    try:
        found = _resolve(host.strip("[]"), Deadline(timeout))
    except OSError as error:
        if proxied:
            return ()
        raise RepositoryUnreachable(detail=str(error)) from None
    if not found or not all(is_public_address(one) for one in found):
        raise HostNotAllowed(detail=f"resolves to {', '.join(found)}")
    return () if proxied else found[:MAX_ADDRESSES]


def is_proxied(host: str) -> bool:
    """Whether https to this host goes through a proxy named in the API server's environment."""
    proxies = getproxies()
    return bool(proxies.get("https") or proxies.get("all")) and not proxy_bypass(host)


def _resolve(host: str, deadline: Deadline) -> tuple[str, ...]:
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
        thread.join(deadline.soon())
    if isinstance(answer[0], OSError):
        raise answer[0]
    return answer[0]
