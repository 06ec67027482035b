"""Hands the tool's events on while a step runs, and keeps the log alive while nothing else happens."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import BinaryIO

from dagctl_provider.runner.progress import Progress, Ticker


class EventFile:
    """Writes events, masked, one JSON object per line.

    :param path: Event file, when wanted; ``-`` for lines of the log that begin with ``EVENT_MARK``.
    :param progress: The log.
    """

    def __init__(self, path: Path | None, progress: Progress) -> None:
        self._in_log = path is not None and str(path) == "-"
        self._path = None if self._in_log else path
        self._progress = progress
        self._stream: BinaryIO | None = None
        self._stage = "starting"
        self._models: dict[str, None] = {}
        self.ticker = Ticker(progress, "still starting", every=3.0)

    def __enter__(self) -> EventFile:
        if self._path:
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                self._stream = open(self._path, "ab", buffering=0)
            except OSError as error:
                self._give_up(error)
        return self

    def __exit__(self, *exception: object) -> None:
        if self._stream:
            self._stream.close()

    def event(self, line: str) -> None:
        """One event from the tool, as a JSON line; anything else is passed over."""
        try:
            event = json.loads(line)
        except ValueError:
            return
        if not isinstance(event, dict):
            return
        self._tell(event)
        text = json.dumps(self._progress.masker.tree(event))
        if self._in_log:
            self._progress.mark(text)
        if self._stream:
            try:
                self._stream.write(f"{text}\n".encode())
            except OSError as error:
                self._give_up(error)

    def _give_up(self, error: OSError) -> None:
        """A full disk must not end the step: what the events tell is an addition."""
        with contextlib.suppress(OSError):
            if self._stream:
                self._stream.close()
        self._stream = None
        self._progress.line(f"events cannot be written any more: {error.strerror}")

    def _tell(self, event: dict[str, object]) -> None:
        """Let the ticker name what is going on: the stage, and the models that are being computed."""
        kind, model = event.get("event"), str(event.get("model"))
        if kind == "stage":
            self._stage, self._models = str(event.get("stage")), {}
        elif kind == "model_start":
            self._models[model] = None
        elif kind in ("model_finished", "model_failed", "model_skipped"):
            self._models.pop(model, None)
        else:
            return
        doing = ", ".join(list(self._models)[:3])
        self.ticker.restart(f"still at {self._stage}" + (f": {doing}" if doing else ""))

    def line(self, text: str) -> None:
        """One line for people from the tool."""
        self.ticker.spoken()
        self._progress.line(text)
