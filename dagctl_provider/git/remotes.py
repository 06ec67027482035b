"""Questions to remote repositories: where a branch stands, what a commit is, what a file says.

This is the package's front: services and the controller know `RemoteGit`, the errors and the credentials, nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from dagctl_provider.domain.repository import RepositoryAddress, check_branch
from dagctl_provider.git.access import AccessRules, open_access
from dagctl_provider.git.commits import CommitCache, CommitFacts
from dagctl_provider.git.environment import GitCredentials, GitEnvironment
from dagctl_provider.git.errors import BranchNotFound, GitError, RepositoryEmpty, RepositoryUnreachable, machine_told, recognise
from dagctl_provider.git.processes import Deadline, Outcome, run_git

DEFAULT_MAX_BYTES = 512 * 1024 * 1024
DEFAULT_MAX_FILE_BYTES = 1_000_000

_LINE = re.compile(r"([0-9a-f]{40}|[0-9a-f]{64})\t(\S+)")

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class HeadRequest:
    """One branch whose newest commit is wanted; equal requests are one question."""

    address: RepositoryAddress
    branch: str
    credentials: GitCredentials | None = None


class RemoteGit:
    """Asks remote repositories; safe to share between threads.

    :param cache_dir: where commit histories are kept between questions; may be shared by the processes of a machine.
    :param allow_local: talk to repositories that are directories of this machine.
    :param allow_private: talk to hosts that are not on the public internet.
    :param timeout_seconds: for one `head`.
    :param fetch_timeout_seconds: for one `facts` or `read_files`, whose first call fetches the history.
    :param max_bytes: largest pack that git may write.
    """

    def __init__(
        self,
        cache_dir: str | Path,
        *,
        allow_local: bool = False,
        allow_private: bool = False,
        timeout_seconds: float = 30,
        fetch_timeout_seconds: float = 120,
        max_bytes: int = DEFAULT_MAX_BYTES,
    ) -> None:
        self._rules = AccessRules(allow_local=allow_local, allow_private=allow_private)
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes
        self._commits = CommitCache(Path(cache_dir), self._rules, timeout_seconds=fetch_timeout_seconds, max_bytes=max_bytes)

    def head(self, address: RepositoryAddress, branch: str, credentials: GitCredentials | None = None) -> str:
        """Return the full object name of a branch's newest commit.

        :raises BranchNotFound: the repository has other branches, not this one.
        :raises RepositoryEmpty: the repository has no branches.
        :raises InvalidRepository: the branch name is not one.
        :raises GitError: see the other types; all are possible.
        """
        reference = "refs/heads/" + check_branch(branch)
        deadline = Deadline(self._timeout_seconds)
        with machine_told(), open_access(address, credentials, self._rules, deadline) as environment:
            # HEAD comes along to tell a missing branch from an empty repository without asking twice.
            found = self._list(address, environment, deadline, reference, "HEAD")
            if reference in found:
                return found[reference]
            if found or self._list(address, environment, deadline):
                raise BranchNotFound
        raise RepositoryEmpty

    def heads(self, wanted: Mapping[K, HeadRequest], max_workers: int = 8) -> Iterator[tuple[K, str | GitError]]:
        """Yield the newest commit of many branches, or what went wrong, with the caller's own keys, as the answers come.

        Each distinct branch is asked for once, however many keys want it; several are asked for at a time. Nobody waits
        for one that hangs.
        """
        keys: dict[HeadRequest, list[K]] = {}
        for key, request in wanted.items():
            keys.setdefault(request, []).append(key)
        if not keys:
            return
        pool = ThreadPoolExecutor(min(max_workers, len(keys)), thread_name_prefix="dagctl-heads")
        try:
            asked = {pool.submit(self._head_or_error, request): request for request in keys}
            for answer in as_completed(asked):
                for key in keys[asked[answer]]:
                    yield key, answer.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def facts(
        self,
        address: RepositoryAddress,
        branch: str,
        sha: str,
        base_sha: str | None = None,
        credentials: GitCredentials | None = None,
    ) -> CommitFacts:
        """Return what a commit says about itself and how far it is ahead of a base; see `CommitCache.facts`."""
        return self._commits.facts(address, check_branch(branch), sha, base_sha, credentials)

    def read_files(
        self,
        address: RepositoryAddress,
        branch: str,
        sha: str,
        paths: Iterable[str],
        *,
        max_bytes: int = DEFAULT_MAX_FILE_BYTES,
        credentials: GitCredentials | None = None,
    ) -> dict[str, str]:
        """Return the text of those of the files that exist at a commit; see `CommitCache.read_files`."""
        return self._commits.read_files(address, check_branch(branch), sha, paths, max_bytes=max_bytes, credentials=credentials)

    def _head_or_error(self, request: HeadRequest) -> str | GitError:
        try:
            return self.head(request.address, request.branch, request.credentials)
        except GitError as error:
            return error
        except ValueError as error:
            # A stored branch name from before the rules: this project's trouble, not the round's.
            return GitError(detail=str(error))

    def _list(
        self, address: RepositoryAddress, environment: GitEnvironment, deadline: Deadline, *patterns: str
    ) -> dict[str, str]:
        outcome = run_git(
            ["ls-remote", "--quiet", "--", address.url, *patterns],
            environment,
            deadline,
            max_file_bytes=self._max_bytes,
        )
        if outcome.status != 0:
            _fail(outcome)
        lines = (_LINE.fullmatch(line) for line in outcome.stdout.decode(errors="replace").splitlines())
        return {line[2]: line[1] for line in lines if line is not None}


def _fail(outcome: Outcome) -> None:
    raise (recognise(outcome.stderr) or RepositoryUnreachable)(detail=outcome.stderr)
