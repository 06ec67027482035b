"""One place that knows whether the step should stop, and why: a signal, a dead parent, or the time limit."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import FrameType

from dagctl_provider.runner.errors import RunnerError


class Stop:
    """A request to stop that loops can poll and selectors can wait for.

    :param timeout: Seconds after which the step stops by itself; ``None`` for no limit.
    """

    def __init__(self, timeout: float | None = None) -> None:
        self.reason: str | None = None
        self._deadline = time.monotonic() + timeout if timeout else None
        self._read_end, self._write_end = os.pipe()
        os.set_blocking(self._write_end, False)

    def fileno(self) -> int:
        """Descriptor that becomes readable once :meth:`request` was called."""
        return self._read_end

    def request(self, reason: str) -> None:
        """Ask the step to stop; the first reason wins.

        :param reason: ``"cancelled"`` or ``"timeout"``.
        """
        if self.reason is None:
            self.reason = reason
            os.write(self._write_end, b"x")

    @property
    def requested(self) -> bool:
        """Whether the step should stop; notices the time limit as well."""
        if self.reason is None and self._deadline is not None and time.monotonic() > self._deadline:
            self.request("timeout")
        return self.reason is not None

    def check(self) -> None:
        """Raise when the step should stop.

        :raises RunnerError: ``cancelled`` or ``timeout``.
        """
        if self.requested:
            raise self.error()

    def error(self) -> RunnerError:
        """The error that tells why the step stopped."""
        if self.reason == "timeout":
            return RunnerError("timeout", "The step took longer than its time limit.")
        return RunnerError("cancelled", "The step was cancelled.")

    def listen_to_signals(self) -> None:
        """Turn SIGTERM and SIGINT into a request to stop."""

        def handle(_signum: int, _frame: FrameType | None) -> None:
            self.request("cancelled")

        signal.signal(signal.SIGTERM, handle)
        signal.signal(signal.SIGINT, handle)

    def listen_to_parent(self, descriptor: int = 0) -> None:
        """Turn the end of standard input into a request to stop: the parent died, however hard.

        :param descriptor: Descriptor whose other end the parent holds.
        """

        def watch() -> None:
            try:
                while os.read(descriptor, 4096):
                    pass
            finally:
                self.request("cancelled")

        threading.Thread(target=watch, name="parent-watch", daemon=True).start()
