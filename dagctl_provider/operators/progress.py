"""Tells the API server how far a step has got while it goes on, so that people see it move, and a killed worker loses nothing
that is known.

What the runner's events add up to goes into the task's XCom ``progress`` (docs/runner.md). A retry of the plan is told what is
finished and does not do it again.
"""

from __future__ import annotations

import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

log = logging.getLogger(__name__)

_LOOK_SECONDS = 0.1
# What has not been told when a worker dies is done again on the next one, so it is told at once. But each telling is the whole
# state, and no step may keep the API server busy: it is followed by a rest of so many times its duration, and of this at least.
_REST_TIMES = 20
_REST_SECONDS = 0.2
_REST_AFTER_FAILURE = 2.0
_ENDS = ("model_finished", "model_failed", "model_skipped")
_COUNTS = ("models", "batches", "tests")
_TOLD = ("unique_id", "kind", "status", "duration", "batch", "batches", "rows")


class HowFar:
    """What the events of a step add up to."""

    def __init__(self) -> None:
        self.version = 0
        self._stage: str | None = None
        self._expected: dict[str, int] = {}
        self._models: dict[str, dict[str, Any]] = {}
        self._batches: dict[str, dict[str, list[Any]]] = {}

    def take(self, event: Any) -> None:
        """Take in one event; what is none, or none that is known, changes nothing.

        :param event: One decoded line of the event file (docs/runner.md).
        """
        kind = event.get("event") if isinstance(event, dict) else None
        if kind == "stage":
            self._stage = str(event.get("stage"))
        elif kind == "expected":
            self._expected = {name: event[name] for name in _COUNTS if isinstance(event.get(name), int)}
        elif kind in ("model_start", "model_batch", *_ENDS):
            self._model(event)
        else:
            return
        self.version += 1

    def _model(self, event: dict[str, Any]) -> None:
        name = str(event.get("model"))
        row = self._models.setdefault(str(event.get("unique_id") or name), {"name": name, "status": "running"})
        row.update({key: event[key] for key in _TOLD if key in event})
        if event["event"] == "model_start":
            row["started"] = event.get("ts")
        named = event.get("done_batches")
        if isinstance(named, dict) and "unique_id" in row:
            known = self._batches.setdefault(str(row["unique_id"]), {"all": [], "done": []})
            for name, batches in known.items():
                batches += [batch for batch in named.get(name) or [] if batch not in batches]

    def as_json(self) -> dict[str, Any]:
        """The state so far. ``succeeded`` has the ``unique_id`` of what a retry leaves out, ``batches`` what of others."""
        rows = self._models.values()
        succeeded = [row["unique_id"] for row in rows if row["status"] == "succeeded" and "unique_id" in row]
        told = {"stage": self._stage, "expected": self._expected, "models": list(rows), "succeeded": succeeded}
        return {**told, "batches": self._batches} if self._batches else told


class ProgressTeller:
    """Follows a runner's event file in a thread and tells as soon as something happened; the newest state wins.

    :param events: The event file, which need not exist yet.
    :param tell: Gets the state so far, see :meth:`HowFar.as_json`.
    """

    def __init__(self, events: Path, tell: Callable[[dict[str, Any]], None]) -> None:
        self._events = events
        self._tell = tell
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="dagctl-progress", daemon=True)
        self._offset = 0
        self._state = HowFar()
        self._told = 0
        self._rest = 0.0

    def __enter__(self) -> ProgressTeller:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        while not self._ended.wait(max(_LOOK_SECONDS, self._rest)):
            self._look()
        self._look()

    def _look(self) -> None:
        self._rest = 0.0
        started = time.monotonic()
        try:
            self._read()
            if self._state.version > self._told:
                self._tell(self._state.as_json())
                self._told = self._state.version
                self._rest = max(_REST_SECONDS, _REST_TIMES * (time.monotonic() - started))
        except Exception:
            self._rest = _REST_AFTER_FAILURE
            # A step is not worth less because nobody can be told how far it is; the next look tells all again.
            log.warning("The progress of the step could not be told", exc_info=True)

    def _read(self) -> None:
        try:
            with self._events.open("rb") as file:
                file.seek(self._offset)
                text = file.read()
        except FileNotFoundError:
            return
        # The last line may still be being written.
        whole = text[: text.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):
                self._state.take(json.loads(line))
