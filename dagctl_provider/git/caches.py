"""Bare repositories kept between questions, one per repository and credentials, and the locks that guard them.

A cache is never more than a convenience: whatever is wrong with one, it is thrown away and fetched again. Credentials
are part of its name, so that nobody is answered from what somebody else was allowed to fetch.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.git.environment import GitCredentials
from dagctl_provider.git.processes import Deadline

MAX_PACKS = 100
KEEP_UNUSED_SECONDS = 30 * 24 * 3600
_POLL_SECONDS = 0.02


class Caches:
    """The directory of caches, shared by all processes of this machine.

    :param directory: made, for this user only, when it is first needed.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @contextmanager
    def locked(self, address: RepositoryAddress, credentials: GitCredentials | None, deadline: Deadline) -> Iterator[Path]:
        """Yield the path of a repository's cache, which nobody else uses meanwhile; there may be nothing there yet.

        :raises GitTimeout: somebody else used it until the deadline.
        """
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        fingerprint = credentials.fingerprint if credentials else ""
        name = hashlib.sha256(f"{address.url}\0{fingerprint}".encode()).hexdigest()[:40]
        lock = os.open(self.directory / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            _lock(lock, deadline)
            os.utime(lock)
            yield self.directory / f"{name}.git"
        finally:
            os.close(lock)

    def prune(self) -> None:
        """Throw away caches that nobody asked for in a month, such as those of credentials that were replaced."""
        for lock_path in self.directory.glob("*.lock"):
            try:
                lock = os.open(lock_path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # The lock file stays: who waits for it would otherwise hold a lock that nobody else can see.
                if time.time() - os.fstat(lock).st_mtime > KEEP_UNUSED_SECONDS:
                    discard(lock_path.with_suffix(".git"))
            except BlockingIOError:
                continue
            finally:
                os.close(lock)


def discard(path: Path) -> None:
    """Remove a cache."""
    shutil.rmtree(path, ignore_errors=True)


def tidy(path: Path) -> None:
    """Remove what a fetch that failed, or was killed, left of its pack: git would keep it for good, and it may fill the disk."""
    for left in (*path.glob("objects/pack/tmp_*"), *path.glob("objects/pack/.tmp-*"), *path.glob("objects/incoming-*")):
        if left.is_dir():
            discard(left)
        else:
            left.unlink(missing_ok=True)


def is_worn(path: Path) -> bool:
    """Whether a cache was fetched into so often that fetching it anew is cheaper than searching all its packs."""
    return sum(1 for _ in (path / "objects" / "pack").glob("*.pack")) > MAX_PACKS


def _lock(lock: int, deadline: Deadline) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            time.sleep(min(_POLL_SECONDS, deadline.remaining()))
