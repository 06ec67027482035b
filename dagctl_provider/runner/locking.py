"""File locks that wait politely: with progress lines, and giving up when the step is cancelled."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from dagctl_provider.runner.progress import Progress, Ticker
from dagctl_provider.runner.stopping import Stop


@contextlib.contextmanager
def file_lock(path: Path, text: str, progress: Progress, stop: Stop) -> Iterator[int]:
    """Hold a lock that all processes of this machine respect and that a dead holder cannot keep.

    :param path: Lock file; it stays, since removing it would let two processes hold "the" lock.
    :param text: What is being waited for.
    :param progress: The log.
    :param stop: Ends the wait.
    :return: The descriptor that holds the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    ticker = Ticker(progress, text)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                stop.check()
                ticker.tick()
                time.sleep(0.1)
        yield descriptor
    finally:
        os.close(descriptor)
