"""How the inner program talks to the outer one: lines for people, events for machines, one answer at the end."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f]")


def plain(text: object) -> str:
    """Text without colours and control characters."""
    return _CONTROL.sub("", str(text))


def moment(seconds: float | None) -> str | None:
    """A time as RFC 3339 in UTC, with milliseconds.

    :param seconds: Since 1970.
    """
    if seconds is None:
        return None
    milliseconds = round(seconds * 1000)
    told = datetime.datetime.fromtimestamp(milliseconds // 1000, datetime.timezone.utc)
    return told.strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


class StepFailed(Exception):
    """The step's end with a code of the outer program's error table.

    :param code: Stable code.
    :param message: The concrete cause.
    :param answer: What else belongs into the answer.
    """

    def __init__(self, code: str, message: str, **answer: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.answer = answer


class Channel:
    """Writes lines, events and the answer.

    :param events_fd: Descriptor for events; ``None`` drops them.
    """

    def __init__(self, events_fd: int | None = None) -> None:
        self.stage_name = "start"
        self.timings: dict[str, float] = {}
        self._events_fd = events_fd
        self._lock = threading.Lock()
        self._told: set[str] = set()

    def mute(self) -> None:
        """Say nothing any more; a forked process must not speak for its parent."""
        self._events_fd = None
        self._lock = threading.Lock()

    def line(self, text: str) -> None:
        """Write one line for people."""
        with self._lock, contextlib.suppress(OSError, ValueError):
            print(plain(text), flush=True)

    def line_once(self, text: str) -> None:
        """Write one line for people, unless it has been written before: for what is worked out more than once in a step."""
        if text not in self._told:
            self._told.add(text)
            self.line(text)

    def event(self, kind: str, /, **details: object) -> None:
        """Write one event for machines.

        :param kind: ``stage``, ``tests``, ``model_start``, ``model_batch``, ``model_finished``, ``model_failed`` …
        """
        if self._events_fd is None:
            return
        body = {"event": kind, "ts": round(time.time(), 3), **{k: v for k, v in details.items() if v is not None}}
        data = (json.dumps(body, default=str) + "\n").encode()
        with self._lock, contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._events_fd, data) :]

    @contextlib.contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Name and measure a part of the step; errors are judged by the part they happen in."""
        outer, self.stage_name = self.stage_name, name
        started = time.monotonic()
        self.event("stage", stage=name)
        yield
        # Left out on errors: the name must still stand when they are judged.
        self.timings[name] = round(self.timings.get(name, 0.0) + time.monotonic() - started, 3)
        self.stage_name = outer


def write_answer(path: str, answer: Mapping[str, object]) -> None:
    """Hand the answer to the outer program, whole or not at all."""
    temporary = Path(path + ".new")
    temporary.write_text(json.dumps(answer, default=str), encoding="utf-8")
    os.replace(temporary, path)
