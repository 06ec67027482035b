"""The human side of a step: log lines with secrets masked, a bounded amount of them, and how long each part took."""

from __future__ import annotations

import contextlib
import re
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import TextIO

from dagctl_provider.runner.masking import Masker

LINE_LIMIT = 4_000
OUTPUT_LIMIT = 8 * 1024 * 1024
EVENT_MARK = "::dagctl-event:: "
"""Begins the lines of the log that are for the launcher of a pod, which has no file of it to read."""
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def clean(text: str) -> str:
    """Remove colours and other control characters, which a log page would show as rubbish.

    :param text: Any text.
    """
    return _CONTROL.sub("", text)


class Progress:
    """Writes the log of a step.

    :param stream: Where lines go; standard output by default.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.masker = Masker()
        self.timings: dict[str, float] = {}
        self.tail: deque[str] = deque(maxlen=60)
        self.tool_began = False
        self._stream = stream or sys.stdout
        self._written = 0

    def line(self, text: str) -> None:
        """Write one line at once.

        :param text: The line; cut when very long.
        """
        masked = self.masker.text(clean(text.rstrip("\n")))
        if len(masked) > LINE_LIMIT:
            masked = masked[:LINE_LIMIT] + " … (cut)"
        self.tail.append(masked)
        if self._written > OUTPUT_LIMIT:
            return
        self._written += len(masked) + 1
        if self._written > OUTPUT_LIMIT:
            masked = "(the log is longer than 8 MiB; the rest is left out)"
        # A reader that went away must not end the step.
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(masked + "\n")
            self._stream.flush()

    def mark(self, event: str) -> None:
        """Write a line for the launcher; what a person reads has a limit, this has none.

        :param event: One JSON object on one line, masked.
        """
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(f"{EVENT_MARK}{event}\n")
            self._stream.flush()

    @contextlib.contextmanager
    def timed(self, part: str) -> Iterator[None]:
        """Measure a part of the step.

        :param part: Key in the result's ``timings``.
        """
        started = time.monotonic()
        try:
            yield
        finally:
            self.timings[part] = round(time.monotonic() - started, 3)


class Ticker:
    """Says now and then that something is still going on.

    :param progress: The log.
    :param text: What is going on.
    :param every: Seconds between two lines.
    """

    def __init__(self, progress: Progress, text: str, every: float = 2.0) -> None:
        self._progress = progress
        self._every = every
        self.restart(text)

    def restart(self, text: str) -> None:
        """Something else goes on from now on.

        :param text: What it is.
        """
        self._text = text
        self._wait = self._every
        self._started = self._last = time.monotonic()

    def spoken(self) -> None:
        """Somebody else wrote a line, so none is due for a while."""
        self._last = time.monotonic()

    def tick(self) -> None:
        """Call often; writes a line only when one is due, at growing distances."""
        now = time.monotonic()
        if now - self._last >= self._wait:
            self._last = now
            self._wait = min(self._wait * 2, 60.0)
            self._progress.line(f"{self._text} ({now - self._started:.0f} s)")
