"""The place where the steps of a project happen: always the same paths, whichever machine, process or pod.

A tool's fingerprint of a model takes in values that the project's code worked out from where it lies (``__file__``, the home
folder, the folder of temporary files). In a folder of its own each step would therefore find another plan, and what one step
deployed would name files that are gone in the next. So the folder's name depends on the project alone, and a step has it to
itself: a second step of the same project on the same machine waits.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.locking import file_lock
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.stopping import Stop

STEPS_FOLDER = "/tmp/dagctl-steps"  # noqa: S108 - a name that is the same everywhere is the point; see _own
VARIABLE = "DAGCTL_STEPS_DIR"


@dataclass(frozen=True)
class Place:
    """A step's folder.

    :param folder: The folder, empty at first and gone at the end.
    :param lock: Descriptor of its lock; a child that inherits it keeps the place after our death, for as long as it lives.
    """

    folder: Path
    lock: int


@contextlib.contextmanager
def project_place(project_id: str, progress: Progress, stop: Stop) -> Iterator[Place]:
    """Have a project's place to oneself.

    :param project_id: The project.
    :param progress: Told when the place is taken.
    :param stop: Ends the wait.
    :raises RunnerError: ``folder_not_writable`` when somebody else owns the folder.
    """
    parent = _parent()
    name = hashlib.sha256(project_id.encode()).hexdigest()[:16]
    _sweep(parent, name)
    with file_lock(parent / f"{name}.lock", "waiting for another step of this project to finish", progress, stop) as lock:
        folder = parent / name
        # What a killed step left.
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir(mode=0o700)
        except FileExistsError:
            raise _foreign(folder) from None
        try:
            yield Place(folder, lock)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _parent() -> Path:
    """The folder of all places; others of this machine may make theirs in it, as in the folder of temporary files."""
    parent = Path(os.environ.get(VARIABLE) or STEPS_FOLDER)
    if not parent.is_dir():
        with contextlib.suppress(FileExistsError):
            parent.mkdir(parents=True, mode=0o700)
    facts = parent.lstat()
    # Whoever owns it, or a link to it, could put another folder under a running step.
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid not in (0, os.geteuid()):
        raise _foreign(parent)
    return parent.resolve()


def _foreign(folder: Path) -> RunnerError:
    return RunnerError(
        "folder_not_writable", f"{folder} belongs to somebody else; set {VARIABLE} to a folder of the step's own user."
    )


def _sweep(parent: Path, own: str) -> None:
    """Remove what killed steps of other projects left, for it may hold credentials."""
    for folder in parent.iterdir():
        if folder.suffix == ".lock" or folder.name == own:
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(folder.with_suffix(".lock"), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(descriptor)
