"""Works something out a second time, in a forked process that lives at another time and with other luck, while we go on.

It is an addition: whatever goes wrong in the second process, the plan stands, and only says less about itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from dagctl_common.clocks import shift

PATIENCE = 60.0
"""Seconds that are waited for the other process once everything else is done."""


class Twice:
    """A computation that runs beside ours.

    :param work: What to work out; its answer is JSON. Runs in the other process.
    """

    def __init__(self, work: Callable[[], object]) -> None:
        self.failure: str | None = None
        read, write = os.pipe()
        self._started = time.monotonic()
        self._read = read
        self._pid = os.fork()
        if self._pid == 0:
            os.close(read)
            _other(work, write)
        os.close(write)

    def answer(self, patience: float = PATIENCE) -> Any:
        """What the other process found, ``None`` when it did not get to it.

        :param patience: Seconds it may still take.
        """
        data, deadline = b"", time.monotonic() + patience
        while True:
            ready, _, _ = select.select([self._read], [], [], max(0.0, deadline - time.monotonic()))
            if not ready:
                self.failure = f"it took longer than {time.monotonic() - self._started:.0f} s"
                break
            block = os.read(self._read, 1 << 16)
            if not block:
                break
            data += block
        self._end()
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            found = json.loads(data)
            self.failure = self.failure or found.get("failure")
            return found.get("answer")
        self.failure = self.failure or "it ended without an answer"
        return None

    def _end(self) -> None:
        os.close(self._read)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self._pid, 0)


def _other(work: Callable[[], object], write: int) -> None:
    """The other process, to its end; nothing of ours may run in it afterwards."""
    try:
        silent = os.open(os.devnull, os.O_RDWR)
        for descriptor in (0, 1, 2):
            os.dup2(silent, descriptor)
        # What somebody else waits for comes first.
        os.nice(5)
        shift()
        found: dict[str, Any] = {"answer": work()}
    except BaseException as error:
        found = {"failure": f"{type(error).__name__}: {error}"[:300]}
    try:
        data = json.dumps(found, default=str).encode()
        while data:
            data = data[os.write(write, data) :]
    finally:
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        os._exit(0)
