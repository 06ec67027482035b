"""A step's private folder on the worker, which holds credentials: gone when the step is, even when its worker was killed.

A folder carries a lock that its worker and the runner hold for as long as one of them lives. Each step first removes the folders
whose lock nobody holds any more. Folders of other users and of machines that share the disk are left alone.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

_LOCK = ".lock"


def _prefix() -> str:
    # Locks of a shared disk do not always reach from one machine to another, so each sweeps only its own folders.
    return f"dagctl-step-{socket.gethostname()[:64]}-"


@contextlib.contextmanager
def scratch_folder() -> Iterator[tuple[Path, int]]:
    """A private folder for one step, and the descriptor of its lock, which the step's child has to inherit.

    Removed at the end, as far as possible.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent)
    # Under another name until it is locked, so that no other step takes it for one that was left behind.
    made = Path(tempfile.mkdtemp(prefix="dagctl-new-", dir=parent))
    descriptor = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        folder = made.rename(parent / (_prefix() + made.name.removeprefix("dagctl-new-")))
        try:
            yield folder, descriptor
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)


def sweep(parent: Path) -> int:
    """Remove the folders of steps that are dead.

    :param parent: Where steps make their folders.
    :return: How many were removed.
    """
    removed = 0
    for folder in parent.glob(_prefix() + "*"):
        with contextlib.suppress(OSError):
            facts = folder.lstat()
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and _is_left(folder):
                removed += 1
                log.info("Removed %s, which a killed worker had left", folder)
    return removed


def _is_left(folder: Path) -> bool:
    """Take the lock of a folder that nobody holds, and remove the folder under it.

    :raises OSError: when somebody holds it, or the folder is going already.
    """
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
        return not folder.exists()
    finally:
        os.close(descriptor)
