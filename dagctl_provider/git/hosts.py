"""The check of where a host's name leads to right now, in the words of this room.

The rule is the runner's too, and stands there: :mod:`dagctl_provider.runner.addresses`. Redirects are off in any case. Behind an
http proxy the proxy resolves, and its own rules hold.
"""

from __future__ import annotations

from dagctl_provider.domain.hosts import HostRefused
from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.git.errors import HostNotAllowed, RepositoryUnreachable
from dagctl_provider.git.processes import Deadline
from dagctl_provider.runner.addresses import addresses_to_contact


def resolve_and_check_host(address: RepositoryAddress, *, allow_private: bool, timeout: float) -> tuple[str, ...]:
    """Resolve a repository's host and refuse it unless every address it has is public.

    :param allow_private: judge nothing; the name is not even resolved.
    :param timeout: seconds to wait for the name server.
    :return: the addresses to contact; empty when there is nothing to pin: local repositories, address literals,
        private hosts allowed, a name that only a proxy can resolve.
    :raises HostNotAllowed: when one of the addresses is not public.
    :raises RepositoryUnreachable: when the name leads nowhere.
    :raises GitTimeout: when the name server does not answer in time.
    """
    try:
        return addresses_to_contact(address, allow_private=allow_private, soon=Deadline(timeout).soon)
    except HostRefused as refused:
        raise HostNotAllowed(detail=str(refused)) from None
    except OSError as error:
        raise RepositoryUnreachable(detail=str(error)) from None
