"""Lets one writer at a time work on a project, by files of this machine. A lock goes with its holder's process."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from dagctl_common.cancelling import Canceller
from dagctl_common.channel import Channel
from dagctl_common.jobs import Job

POLL_SECONDS = 0.5


class Waiter(Protocol):
    """What a wait needs of a step."""

    job: Job
    channel: Channel
    canceller: Canceller


def lock_key(*parts: str) -> int:
    """Number of an advisory lock: 63 bits of a hash, so that projects sharing a database do not meet."""
    digest = hashlib.sha256("\x00".join(("dagctl", *parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def lock_file(step: Waiter, name: str, shared: bool = False) -> Callable[[], None]:
    """Hold a file lock, waiting for it with progress lines.

    :param step: Names the project and the folder of lock files.
    :param name: What is locked inside the project.
    :param shared: Whether other shared holders are welcome.
    :return: Gives the lock back.
    """
    folder = Path(step.job["locks"])
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{lock_key(str(step.job['project_id']), name):016x}.lock"
    descriptor = os.open(str(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX

    def attempt() -> bool:
        try:
            fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    wait(step, attempt)
    return lambda: os.close(descriptor)


def wait(step: Waiter, attempt: Callable[[], bool]) -> None:
    """Try until it works, saying so, and no longer than the step is wanted.

    :param step: Is told, and cancels.
    :param attempt: Answers whether it worked.
    """
    started = time.monotonic()
    said: float | None = None
    while not attempt():
        step.canceller.check()
        now = time.monotonic()
        if said is None or now - said > 15:
            said = now
            step.channel.line(f"waiting for another step of this project to finish ({now - started:.0f} s)")
            step.channel.event("waiting_for_lock", seconds=round(now - started))
        time.sleep(POLL_SECONDS)
