"""Tells the API server how far an execution has got while it runs, so that a killed worker loses nothing that is known.

What the runner reports as finished goes into the task's XCom ``progress``. A retry of the plan is told and does not do it again.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

log = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0


def finished_node(event: Any) -> str | None:
    """The ``unique_id`` of a node that an event of the runner says was finished well.

    :param event: One decoded line of the event file (docs/runner.md).
    """
    if not isinstance(event, dict) or event.get("event") != "model_finished" or event.get("status") != "succeeded":
        return None
    unique_id = event.get("unique_id")
    return unique_id if isinstance(unique_id, str) else None


class ProgressTeller:
    """Follows a runner's event file in a thread and tells each time that more is finished; the newest state wins.

    :param events: The event file, which need not exist yet.
    :param tell: Gets all that is finished so far, in the order in which it was finished.
    """

    def __init__(self, events: Path, tell: Callable[[list[str]], None]) -> None:
        self._events = events
        self._tell = tell
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="dagctl-progress", daemon=True)
        self._offset = 0
        self._finished: dict[str, None] = {}
        self._told = 0

    def __enter__(self) -> ProgressTeller:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._ended.set()
        self._thread.join(timeout=30)

    def _follow(self) -> None:
        while not self._ended.wait(_PAUSE_SECONDS):
            self._look()
        self._look()

    def _look(self) -> None:
        try:
            self._read()
            if len(self._finished) > self._told:
                known = list(self._finished)
                self._tell(known)
                self._told = len(known)
        except Exception:
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
            try:
                unique_id = finished_node(json.loads(line))
            except ValueError:
                continue
            if unique_id is not None:
                self._finished[unique_id] = None
