"""What a commit says about itself, and the few files needed to recognise a project, without ever checking one out.

The history is fetched without trees and files (`--filter=tree:0`), which takes a fraction of a clone and cannot run
anything. A tree and files that are asked for are fetched when they are needed, by name. Git could do that by itself,
but a server that speaks the old "dumb" protocol then makes it start processes without end; so that is switched off.
Servers that do not know filters send everything; the limits on time and size hold all the same.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TypeVar

from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.git.access import AccessRules, open_access
from dagctl_provider.git.caches import Caches, discard, is_worn, tidy
from dagctl_provider.git.environment import GitCredentials, GitEnvironment
from dagctl_provider.git.errors import (
    BranchNotFound,
    CommitNotFound,
    FileTooLarge,
    GitError,
    RepositoryTooLarge,
    RepositoryUnreachable,
    kind_here,
    machine_told,
    recognise,
)
from dagctl_provider.git.processes import MAX_OUTPUT_BYTES, Deadline, Outcome, run_git

MAX_MESSAGE_LENGTH = 500
MAX_FULL_MESSAGE_LENGTH = 10_000
MAX_EMAIL_LENGTH = 320
MAX_FILES = 100

_SHA = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_FORMAT = "%H%x00%an%x00%ae%x00%ct%x00%B"
_REGULAR_FILES = (b"100644", b"100755")

T = TypeVar("T")


@dataclass(frozen=True)
class CommitFacts:
    """What a commit says about itself; all text is free of control characters.

    :param message: first line, at most 500 characters.
    :param full_message: everything, at most 10 000 characters; line breaks are kept.
    :param committed_at: in UTC.
    :param commits_behind: how many commits lead from the base to this one; absent without a base, or when the
        repository no longer has it.
    """

    sha: str
    message: str
    full_message: str
    author_name: str
    committed_at: datetime
    commits_behind: int | None = None
    author_email: str | None = None


class _CacheDamaged(Exception):
    """Git failed on the cache itself, as far as can be told."""


@dataclass(frozen=True)
class _Session:
    """One question being answered: a locked cache and the means to run git on it."""

    path: Path
    environment: GitEnvironment
    deadline: Deadline
    max_bytes: int

    def run(self, *arguments: str, network: bool = False, max_output: int = MAX_OUTPUT_BYTES, stdin: bytes = b"") -> Outcome:
        return run_git(
            arguments,
            self.environment if network else self.environment.offline(),
            self.deadline,
            max_file_bytes=self.max_bytes,
            max_output=max_output,
            standard_input=stdin,
        )

    def run_here(self, *arguments: str, max_output: int = MAX_OUTPUT_BYTES, stdin: bytes = b"") -> bytes:
        """Run what must succeed on an intact cache, and return what it says.

        :raises _CacheDamaged: it failed.
        """
        outcome = self.run(*arguments, max_output=max_output, stdin=stdin)
        if outcome.status != 0:
            raise _CacheDamaged(outcome.stderr)
        return outcome.stdout


class CommitCache:
    """Answers questions about single commits from caches that it keeps up to date.

    :param directory: where the caches are.
    :param timeout_seconds: for one question, including waiting for others that use the same cache.
    :param max_bytes: largest pack or file that git may write.
    """

    def __init__(self, directory: Path, rules: AccessRules, *, timeout_seconds: float, max_bytes: int) -> None:
        self._caches = Caches(directory)
        self._rules = rules
        self._timeout_seconds = timeout_seconds
        self._max_bytes = max_bytes

    def facts(
        self,
        address: RepositoryAddress,
        branch: str,
        sha: str,
        base_sha: str | None = None,
        credentials: GitCredentials | None = None,
    ) -> CommitFacts:
        """Return what a commit says about itself and how far it is ahead of a base.

        :param branch: fetched when the commit is not known here yet.
        :param sha: full object name of the commit.
        :param base_sha: full object name of the commit that is deployed.
        :raises CommitNotFound: neither the branch nor the server has the commit.
        :raises GitError: see the other types; all are possible.
        """
        _check_sha(sha)

        def work(session: _Session) -> CommitFacts:
            _ensure_commit(session, branch, sha)
            behind = _commits_behind(session, base_sha, sha) if base_sha else None
            return _read_facts(session, sha, behind)

        return self._answer(address, credentials, sha, work)

    def read_files(
        self,
        address: RepositoryAddress,
        branch: str,
        sha: str,
        paths: Iterable[str],
        *,
        max_bytes: int,
        credentials: GitCredentials | None = None,
    ) -> dict[str, str]:
        """Return the text of those of the files that exist at a commit; symbolic links count as absent.

        :param paths: from the root of the repository, as `check_git_path` returns them.
        :param max_bytes: largest file to read.
        :raises FileTooLarge: one of them is larger.
        :raises GitError: as for `facts`.
        """
        _check_sha(sha)
        wanted = tuple(dict.fromkeys(paths))
        if len(wanted) > MAX_FILES:
            raise ValueError(f"more than {MAX_FILES} files asked for")

        def work(session: _Session) -> dict[str, str]:
            _ensure_commit(session, branch, sha)
            return _read_blobs(session, _find_blobs(session, sha, wanted), max_bytes)

        return self._answer(address, credentials, sha, work) if wanted else {}

    def _answer(
        self,
        address: RepositoryAddress,
        credentials: GitCredentials | None,
        sha: str,
        work: Callable[[_Session], T],
    ) -> T:
        deadline = Deadline(self._timeout_seconds)
        with (
            machine_told(),
            self._caches.locked(address, credentials, deadline) as path,
            open_access(address, credentials, self._rules, deadline, git_dir=path) as environment,
        ):
            tidy(path)
            try:
                return self._ask(_Session(path, environment, deadline, self._max_bytes), sha, work)
            finally:
                tidy(path)

    def _ask(self, session: _Session, sha: str, work: Callable[[_Session], T]) -> T:
        """Do the work on the cache that there is, or else on a new one."""
        path = session.path
        if path.exists() and not is_worn(path):
            try:
                return work(session)
            except _CacheDamaged:
                # The next attempt starts from nothing, and tells a broken cache from a broken repository.
                pass
        else:
            self._caches.prune()
        _make_anew(session, sha)
        try:
            return work(session)
        except _CacheDamaged as damage:
            discard(path)
            kind = recognise(str(damage)) or kind_here(self._caches.directory) or RepositoryUnreachable
            raise kind(detail=str(damage)) from None


def _check_sha(sha: str) -> None:
    if not _SHA.fullmatch(sha):
        raise CommitNotFound(detail="not a full object name")


def _make_anew(session: _Session, sha: str) -> None:
    discard(session.path)
    object_format = "sha256" if len(sha) == 64 else "sha1"
    made = session.run("init", "--bare", "--quiet", "--template=", f"--object-format={object_format}")
    if made.status != 0:
        raise (recognise(made.stderr) or kind_here(session.path.parent) or GitError)(detail=made.stderr)


def _ensure_commit(session: _Session, branch: str, sha: str) -> None:
    if _has_commit(session, sha):
        return
    try:
        # A name of our own for the branch: `a` and `a/b` cannot both be branches, not even one after the other.
        own_name = hashlib.sha256(branch.encode()).hexdigest()[:20]
        _fetch(session, f"+refs/heads/{branch}:refs/dagctl/branches/{own_name}")
    except BranchNotFound:
        # Deleted meanwhile; the commit may still be there.
        pass
    if _has_commit(session, sha):
        return
    _fetch(session, f"+{sha}:refs/dagctl/commits/{sha}")
    session.run_here("cat-file", "-e", f"{sha}^{{commit}}")


def _has_commit(session: _Session, sha: str) -> bool:
    return session.run("cat-file", "-e", f"{sha}^{{commit}}").status == 0


def _fetch(session: _Session, *refspecs: str, filter_by: str = "tree:0", missing_objects: bool = False) -> None:
    """Fetch, leaving out what the filter names.

    :param missing_objects: the refspecs are objects missing from commits that are here; without this, git tells the
        server that it has those commits and gets nothing.
    """
    fetched = session.run(
        *(("-c", "fetch.negotiationAlgorithm=noop") if missing_objects else ()),
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-recurse-submodules",
        "--no-auto-maintenance",
        f"--filter={filter_by}",
        "origin",
        *refspecs,
        network=True,
    )
    if fetched.status != 0:
        _fail(fetched)


def _fail(outcome: Outcome) -> None:
    kind = recognise(outcome.stderr)
    if kind is None:
        raise _CacheDamaged(outcome.stderr)
    raise kind(detail=outcome.stderr)


def _commits_behind(session: _Session, base_sha: str, sha: str) -> int | None:
    if not _SHA.fullmatch(base_sha):
        return None
    if not _has_commit(session, base_sha):
        try:
            _fetch(session, f"+{base_sha}:refs/dagctl/commits/{base_sha}")
        except CommitNotFound:
            return None
    return int(session.run_here("rev-list", "--count", f"{base_sha}..{sha}", "--"))


def _read_facts(session: _Session, sha: str, behind: int | None) -> CommitFacts:
    shown = session.run_here("log", "-1", "--no-notes", "--encoding=UTF-8", f"--format={_FORMAT}", sha, "--")
    parts = shown.decode(errors="replace").split("\0", 4)
    full_message = _clean(parts[4], keep_lines=True).strip()
    return CommitFacts(
        sha=parts[0],
        message=full_message.partition("\n")[0].strip()[:MAX_MESSAGE_LENGTH],
        full_message=full_message[:MAX_FULL_MESSAGE_LENGTH],
        author_name=_clean(parts[1])[:MAX_MESSAGE_LENGTH],
        committed_at=_moment(parts[3]),
        commits_behind=behind,
        author_email=_clean(parts[2]).strip()[:MAX_EMAIL_LENGTH] or None,
    )


def _clean(text: str, *, keep_lines: bool = False) -> str:
    return "".join(character if character.isprintable() or (keep_lines and character in "\n\t") else "" for character in text)


def _moment(seconds: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(seconds), timezone.utc)
    except (ValueError, OverflowError, OSError):
        # Anybody can write any number into a commit.
        return datetime.fromtimestamp(0, timezone.utc)


def _find_blobs(session: _Session, sha: str, paths: tuple[str, ...]) -> dict[str, str]:
    """Object names by path, for those paths that are regular files."""
    tree = session.run_here("log", "-1", "--format=%T", sha, "--").decode().strip()
    if session.run("cat-file", "-e", tree).status != 0:
        # A tree brings all trees below it along, in this one answer.
        _fetch(session, tree, filter_by="blob:none", missing_objects=True)
    listed = session.run_here("ls-tree", "-z", "--full-tree", sha, "--", *paths)
    blobs = {}
    for entry in listed.split(b"\0")[:-1]:
        meta, _, path = entry.partition(b"\t")
        mode, kind, name = meta.split(b" ")
        if kind == b"blob" and mode in _REGULAR_FILES:
            blobs[path.decode(errors="replace")] = name.decode()
    return {path: blobs[path] for path in paths if path in blobs}


def _read_blobs(session: _Session, blobs: dict[str, str], max_bytes: int) -> dict[str, str]:
    if not blobs:
        return {}
    names = "".join(f"{name}\n" for name in blobs.values()).encode()
    if session.run("cat-file", "--batch-check", stdin=names).status != 0:
        _fetch(session, *dict.fromkeys(blobs.values()), missing_objects=True)
    try:
        read = session.run_here("cat-file", "--batch", stdin=names, max_output=len(blobs) * (max_bytes + 200))
    except RepositoryTooLarge:
        raise FileTooLarge from None
    texts = {}
    position = 0
    for path in blobs:
        header_end = read.index(b"\n", position)
        size = int(read[position:header_end].rsplit(b" ", 1)[1])
        if size > max_bytes:
            raise FileTooLarge
        position = header_end + 1 + size + 1
        texts[path] = read[header_end + 1 : position - 1].decode(errors="replace")
    return texts
