"""What the demo prints: steps with their time, a live line while something is waited for, colour where a terminal shows it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "cyan": "36"}
_EVERY_SECONDS = 5.0


class Terminal:
    """Prints to people; a log file gets plain lines.

    :param stream: Where to.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self._colour = self._live and not os.environ.get("NO_COLOR")
        self._started = time.monotonic()
        self._showing_live = False

    def style(self, text: str, *names: str) -> str:
        """The text in colour, where that shows."""
        if not self._colour:
            return text
        return f"\033[{';'.join(_STYLES[name] for name in names)}m{text}\033[0m"

    def line(self, text: str = "") -> None:
        """Print a line."""
        self._clear_live()
        print(text, file=self._stream, flush=True)

    def heading(self, text: str) -> None:
        """Print the beginning of a part, with the time since the start."""
        self.line()
        self.line(f"{self.style(text, 'bold')}  {self.style(f'({time.monotonic() - self._started:.0f} s)', 'dim')}")

    def done(self, text: str, seconds: float | None = None) -> None:
        """Print that something was reached."""
        took = f"  {self.style(f'{seconds:.1f} s', 'dim')}" if seconds is not None else ""
        self.line(f"  {self.style('✓', 'green')} {text}{took}")

    def detail(self, text: str) -> None:
        """Print something by the way."""
        self.line(f"  {self.style('│', 'dim')} {text}")

    def error(self, text: str, hint: str) -> None:
        """Print what is wrong, and what to do."""
        self._clear_live()
        print(f"{self.style('Error:', 'red')} {text}\nHint: {hint}", file=sys.stderr, flush=True)

    @contextmanager
    def waiting(self, text: str) -> Iterator[Waiting]:
        """Shows that something takes its time, and ends with a tick."""
        waiting = Waiting(self, text)
        yield waiting
        self.done(waiting.text, waiting.elapsed)

    def _show_live(self, text: str) -> None:
        if self._live:
            width = os.get_terminal_size(self._stream.fileno()).columns
            self._stream.write("\r\033[2K" + text[: max(width - 1, 10)])
            self._stream.flush()
            self._showing_live = True

    def _clear_live(self) -> None:
        if self._showing_live:
            self._stream.write("\r\033[2K")
            self._showing_live = False


class Waiting:
    """One thing that is waited for.

    :param terminal: Where it is shown.
    :param text: What is waited for; may change on the way.
    """

    def __init__(self, terminal: Terminal, text: str) -> None:
        self.text = text
        self._terminal = terminal
        self._started = time.monotonic()
        self._said_at = self._started

    @property
    def elapsed(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._started

    def tick(self, note: str = "") -> None:
        """Say that it still goes on; call it as often as you like."""
        text = f"{self.text} ... {self.elapsed:.0f} s{f'  {note}' if note else ''}"
        if self._terminal._live:
            self._terminal._show_live(f"  … {text}")
        elif time.monotonic() - self._said_at >= _EVERY_SECONDS:
            self._said_at = time.monotonic()
            self._terminal.line(f"  … {text}")
