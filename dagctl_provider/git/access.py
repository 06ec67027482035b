"""The one gate between a repository's address and a git process: rules first, then an environment, then git.

Addresses are stored. Between the day one was accepted and today the rules may have become stricter, or its name may lead
elsewhere; so the rules are applied again for each contact.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.domain.hosts import HostRefused, check_host
from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.git.environment import GitCredentials, GitEnvironment, git_environment
from dagctl_provider.git.errors import HostKeyRejected, HostNotAllowed, RepositoryNotAllowed
from dagctl_provider.git.hosts import resolve_and_check_host
from dagctl_provider.git.processes import Deadline


@dataclass(frozen=True)
class AccessRules:
    """Which repositories this deployment may talk to, whatever their address was judged to be earlier.

    :param allow_local: directories of this machine.
    :param allow_private: hosts that are not on the public internet.
    """

    allow_local: bool = False
    allow_private: bool = False


@contextmanager
def open_access(
    address: RepositoryAddress,
    credentials: GitCredentials | None,
    rules: AccessRules,
    deadline: Deadline,
    *,
    git_dir: Path | None = None,
) -> Iterator[GitEnvironment]:
    """Judge the repository once more and yield the environment for git processes that talk to it.

    :raises RepositoryNotAllowed: a local repository, where these are not allowed.
    :raises HostNotAllowed: the host is private, or its name leads to a private address.
    :raises RepositoryUnreachable: the host's name leads nowhere.
    :raises HostKeyRejected: ssh without known host keys; nothing was contacted.
    :raises GitTimeout: the name server did not answer in time.
    """
    if address.is_local and not rules.allow_local:
        raise RepositoryNotAllowed
    if address.host is not None:
        try:
            check_host(address.host, allow_private=rules.allow_private)
        except HostRefused as refused:
            raise HostNotAllowed(detail=str(refused)) from None
    if address.scheme == "ssh" and not (credentials and credentials.known_hosts and credentials.known_hosts.strip()):
        raise HostKeyRejected(detail="no known_hosts given")
    addresses = resolve_and_check_host(address, allow_private=rules.allow_private, timeout=deadline.remaining())
    with git_environment(address, credentials, addresses=addresses, git_dir=git_dir) as environment:
        yield environment
