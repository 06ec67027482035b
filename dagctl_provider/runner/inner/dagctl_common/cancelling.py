"""Makes a cancel take effect at once: running statements are interrupted, nothing new starts, and a hung process dies.

A signal handler alone is not enough: Python runs it only between two steps of the main thread, which may sit in a driver's
C code for hours. So the signal also writes to a pipe that a thread of its own reads. The same thread notices when the outer
program died, and ends the whole process group after the grace.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time

POLL_SECONDS = 0.5


class Cancelled(Exception):
    """Raised where new work would start after a cancel."""


class Canceller:
    """Knows whether the step is cancelled, and ends what is running when it is; each tool has one of its own.

    :param alive_fd: Pipe whose end tells that the outer program died.
    :param grace: Seconds from a cancel to the end of the whole process group.
    """

    def __init__(self, alive_fd: int | None, grace: float) -> None:
        self.flag = threading.Event()
        self.interruptible = True
        self.cancelled_at = 0.0
        self._alive_fd = alive_fd
        self._grace = grace
        self._signalled = False

    def is_set(self) -> bool:
        """Whether the step is cancelled; the form that ``circuit_breaker`` wants."""
        return self.flag.is_set()

    def check(self) -> None:
        """Raise when the step is cancelled."""
        if self.flag.is_set():
            raise Cancelled("the step was cancelled")

    def start(self) -> None:
        """Listen to SIGTERM, SIGINT and the end of the outer program."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        os.register_at_fork(after_in_child=_forget_signals)
        watched = [fd for fd in (wake_read, self._alive_fd) if fd is not None]
        threading.Thread(target=self._watch, args=(watched,), name="cancel-watch", daemon=True).start()

    def _on_signal(self, _number: int, _frame: object) -> None:
        # The flag does not tell whether this is the first: the watching thread may have set it already.
        first, self._signalled = not self._signalled, True
        self.flag.set()
        if first and self.interruptible:
            raise KeyboardInterrupt

    def _watch(self, watched: list[int]) -> None:
        while True:
            ready, _, _ = select.select(watched, [], [])
            if self._alive_fd in ready:
                # The handler must run as well, to get the main thread out of whatever it waits for.
                os.kill(os.getpid(), signal.SIGTERM)
                break
            numbers = os.read(watched[0], 64)
            if bytes([signal.SIGTERM]) in numbers or bytes([signal.SIGINT]) in numbers:
                break
        self.cancelled_at = time.monotonic()
        self.flag.set()
        # In a thread of its own: a warehouse that does not answer must not put the kill off.
        threading.Thread(target=self._interrupt, name="cancel-interrupt", daemon=True).start()
        time.sleep(self._grace)
        os.killpg(os.getpgid(0), signal.SIGKILL)

    def _interrupt(self) -> None:
        while True:
            # Publishing is quick and better not torn; but it gets no more than half of the grace.
            if self.interruptible or time.monotonic() > self.cancelled_at + self._grace / 2:
                with contextlib.suppress(Exception):
                    self.interrupt_statements()
            time.sleep(POLL_SECONDS)

    def interrupt_statements(self) -> None:
        """Interrupt whatever is executing, which is asked for again and again until the process ends."""
        raise NotImplementedError


def _forget_signals() -> None:
    """In a forked loader: die of signals, and do not report them through the pipe that is shared with the parent."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
