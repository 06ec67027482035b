"""Turns what SQLMesh tells its console into progress lines, events and one result per model.

SQLMesh's console interface grew with nearly every release. So this one derives from the abstract class of whatever version is
there, answers every method it does not know with silence, and reads arguments by name from the parent's signature.
"""

from __future__ import annotations

import contextlib
import inspect
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import Channel, moment, plain

from dagctl_sqlmesh.cancelling import Canceller
from dagctl_sqlmesh.naming import Names

if TYPE_CHECKING:
    from sqlmesh.core.console import Console
    from sqlmesh.core.model import Model
    from sqlmesh.core.snapshot import Snapshot

WARNINGS_LIMIT = 50
ERROR_LIMIT = 500


class ModelRun:
    """What happened to one model during an execute or a run."""

    def __init__(self, name: str, batches: int) -> None:
        self.name = name
        self.total_batches = batches
        self.batches = 0
        self.rows: int | None = None
        self.started: float | None = None
        self.finished: float | None = None
        self.begun_at: float | None = None
        self.ended_at: float | None = None
        self.error: str | None = None
        self.loaded: tuple[float, float] | None = None
        self.status = "waiting"

    def begin(self) -> None:
        """Its first batch starts."""
        self.started, self.begun_at, self.status = time.monotonic(), time.time(), "running"

    def end(self, status: str) -> None:
        """Its last batch is over."""
        self.finished, self.ended_at, self.status = time.monotonic(), time.time(), status

    def load(self, start: float, end: float) -> None:
        """An interval of it is in the warehouse; SQLMesh's own count of seconds."""
        before = self.loaded or (start, end)
        self.loaded = min(before[0], start), max(before[1], end)

    @property
    def duration(self) -> float:
        """Seconds from the first batch's start to the last one's end."""
        if self.started is None:
            return 0.0
        return round((self.finished or time.monotonic()) - self.started, 3)

    def as_json(self) -> dict[str, object]:
        """The row of the result; a model that waited until the end was skipped, or its signals said that it has to wait."""
        waited = "skipped" if self.total_batches else "not_ready"
        status = {"waiting": waited, "running": "cancelled"}.get(self.status, self.status)
        row: dict[str, object] = {"name": self.name, "status": status, "duration": self.duration, "batches": self.batches}
        known: dict[str, object] = {
            "rows": self.rows,
            "started": moment(self.begun_at),
            "ended": moment(self.ended_at),
            "interval": [moment(when) for when in self.loaded] if self.loaded else None,
            "error": self.error,
        }
        return {**row, **{key: value for key, value in known.items() if value is not None}}


class Journal:
    """Collects models, warnings and failures of a step."""

    def __init__(self, channel: Channel, canceller: Canceller) -> None:
        self.channel = channel
        self.canceller = canceller
        self.names = Names()
        self.models: dict[str, ModelRun] = {}
        self.failures: dict[str, BaseException] = {}
        self.warnings: list[str] = []
        self.left: list[dict[str, object]] = []
        self.may_leave = False
        self.lint: dict[str, set[str]] = {}
        """Models by what a rule of the linter says of them."""
        self.told_before: int | None = None
        self.reason: Callable[[BaseException], str] = str
        self._deaf = False
        self.errors: list[str] = []
        self.lock = threading.RLock()

    def expect(self, batches: Mapping[Snapshot, Sized | int]) -> None:
        """Models about to be evaluated, with their batches."""
        with self.lock:
            for snapshot, intervals in batches.items():
                count = intervals if isinstance(intervals, int) else len(intervals)
                self._model(snapshot.name).total_batches += count
            known = self.models.values()
            self.channel.event("expected", models=len(known), batches=sum(model.total_batches for model in known))

    def begin(self, fqn: str) -> None:
        """A batch of a model starts; refused after a cancel."""
        self.canceller.check()
        with self.lock:
            model = self._model(fqn)
            if model.started is None:
                model.begin()
                self.channel.event("model_start", model=model.name, batches=model.total_batches or None)

    def end(self, fqn: str, duration_ms: int | None, rows: int | None = None, **details: object) -> None:
        """A batch of a model ended; no duration means that it failed."""
        with self.lock:
            model = self._model(fqn)
            if duration_ms is None:
                self.fail(fqn, sys.exc_info()[1])
                return
            model.batches += 1
            if rows is not None:
                model.rows = (model.rows or 0) + rows
            batch = {"batch": model.batches, "batches": model.total_batches or None, "duration_ms": duration_ms}
            self.channel.event("model_batch", model=model.name, **batch, rows=rows, **details)
            if model.batches >= model.total_batches and model.status == "running":
                model.end("succeeded")
                self._tell("model_finished", model, rows=model.rows)
                self._progress(model, f"{model.duration:.1f}s")

    def loaded(self, fqn: str, start: float, end: float) -> None:
        """An interval of a model is in the warehouse."""
        with self.lock:
            self._model(fqn).load(start, end)

    def fail(self, fqn: str, error: BaseException | None) -> None:
        """A model failed; the first error that tells why is kept."""
        with self.lock:
            model = self._model(fqn)
            if error is not None and fqn not in self.failures:
                self.failures[fqn] = error
                model.error = None if self.canceller.is_set() else self.reason(error)[:ERROR_LIMIT]
            if model.status == "failed":
                return
            model.end("cancelled" if self.canceller.is_set() else "failed")
            reason = plain(error).strip().splitlines()[0][:500] if error and str(error).strip() else None
            self._tell("model_failed", model, message=reason)
            self._progress(model, f"{model.status}{': ' + reason if reason else ''}")

    def skip(self, fqn: str) -> None:
        """A model is not evaluated because one above it failed."""
        with self.lock:
            model = self._model(fqn)
            if model.status == "waiting":
                model.status = "skipped"
                self._tell("model_skipped", model)
                self._progress(model, "skipped")

    @contextlib.contextmanager
    def unheard(self) -> Iterator[None]:
        """What is warned of meanwhile is not the project's."""
        self._deaf = True
        try:
            yield
        finally:
            self._deaf = False

    def warn(self, text: object) -> None:
        """Keep and show a warning."""
        if self._deaf:
            return
        line = " ".join(plain(text).split())[:500]
        if line and line not in self.warnings:
            if len(self.warnings) < WARNINGS_LIMIT:
                self.warnings.append(line)
            self.channel.line(f"warning: {line}")

    def applying(self) -> None:
        """What is warned of from now on is about what is done, and belongs into the result."""
        self.told_before = len(self.warnings)

    def results(self) -> list[dict[str, object]]:
        """One row per model."""
        with self.lock:
            return [model.as_json() for model in self.models.values()]

    def answer(self) -> dict[str, object]:
        """What belongs into the step's answer, however it ended."""
        warnings = [] if self.told_before is None else self.warnings[self.told_before :]
        lists = {"models": self.results(), "warnings": warnings}
        found: dict[str, object] = {key: rows for key, rows in lists.items() if rows}
        return {**found, "left": [self._as_left(row) for row in self.left]} if self.may_leave else found

    def _as_left(self, row: dict[str, object]) -> dict[str, object]:
        """Whoever can still say so tells which models were begun at all."""
        model = self.models.get(str(row["node"]))
        begun = model is not None and model.started is not None
        return {key: value for key, value in row.items() if begun or key != "loads"}

    def _model(self, fqn: str) -> ModelRun:
        return self.models.setdefault(fqn, ModelRun(self.names.of(fqn), 0))

    def _tell(self, kind: str, model: ModelRun, **details: object) -> None:
        self.channel.event(kind, model=model.name, status=model.status, duration=model.duration, **details)

    def _progress(self, model: ModelRun, text: str) -> None:
        done = sum(other.status not in ("waiting", "running") for other in self.models.values())
        self.channel.line(f"[{done}/{len(self.models)}] {model.name} {text}")


class _Hooks:
    """The console methods that matter; mixed in before the abstract class."""

    journal: Journal

    def _bind(self, method: str, args: Iterable[object], kwargs: Mapping[str, object]) -> dict[str, Any]:
        parent = inspect.getattr_static(type(self).__mro__[2], method)
        return dict(inspect.signature(parent).bind_partial(self, *args, **kwargs).arguments)

    def start_evaluation_progress(self, *args: object, **kwargs: object) -> None:
        self.journal.canceller.interruptible = True
        batches: Any = args[0] if args else next(iter(kwargs.values()))
        self.journal.expect(batches)

    def start_snapshot_evaluation_progress(self, snapshot: Snapshot, *args: object, **kwargs: object) -> None:
        self.journal.begin(snapshot.name)

    def update_snapshot_evaluation_progress(self, *args: object, **kwargs: object) -> None:
        given = self._bind("update_snapshot_evaluation_progress", args, kwargs)
        stats = given.get("execution_stats")
        self.journal.end(
            given["snapshot"].name,
            given.get("duration_ms"),
            rows=getattr(stats, "total_rows_processed", None),
            audits_passed=given.get("num_audits_passed") or None,
            audits_failed=given.get("num_audits_failed") or None,
        )

    def stop_evaluation_progress(self, *args: object, **kwargs: object) -> None:
        # Publishing what was evaluated is quick and should not be torn.
        self.journal.canceller.interruptible = False

    def log_skipped_models(self, snapshot_names: Iterable[str]) -> None:
        for name in sorted(snapshot_names):
            self.journal.skip(name)

    def log_failed_models(self, errors: Iterable[BaseException]) -> None:
        for error in errors:
            self.journal.fail(failed_node(error), error.__cause__ or error)

    def log_destructive_change(self, *args: object, **kwargs: object) -> None:
        self._log_change("log_destructive_change", "destructive", args, kwargs)

    def log_additive_change(self, *args: object, **kwargs: object) -> None:
        self._log_change("log_additive_change", "additive", args, kwargs)

    def _log_change(self, method: str, kind: str, args: Iterable[object], kwargs: Mapping[str, object]) -> None:
        """SQLMesh raises after telling this, and its error does not name the model."""
        given = self._bind(method, args, kwargs)
        text = f"{self.journal.names.of(given['snapshot_name'])}: {kind} change to a forward-only model"
        if given.get("error", True):
            self.log_error(text)
        else:
            self.log_warning(text)

    def show_linter_violations(
        self, violations: Iterable[object], model: Model, is_error: bool = False, *args: object, **kwargs: object
    ) -> None:
        for violation in violations:
            if is_error:
                self.log_error(f"{self.journal.names.of(model.fqn)}: {plain(violation)}")
            else:
                self.journal.lint.setdefault(plain(violation).strip(), set()).add(model.fqn)

    def log_error(self, message: object, *args: object, **kwargs: object) -> None:
        text = plain(message).strip()
        self.journal.errors.append(text)
        self.journal.channel.line(f"error: {text}")

    def log_warning(self, short_message: object, *args: object, **kwargs: object) -> None:
        self.journal.warn(short_message)

    def log_status_update(self, message: object, *args: object, **kwargs: object) -> None:
        text = plain(message).strip()
        if text:
            self.journal.channel.line(text)

    log_success = log_status_update

    def start_creation_progress(self, *args: object, **kwargs: object) -> None:
        self.journal.channel.event("stage", stage="create_tables")

    def start_promotion_progress(self, *args: object, **kwargs: object) -> None:
        self.journal.channel.event("stage", stage="publish")

    def start_cleanup(self, *args: object, **kwargs: object) -> bool:
        return True

    def start_destroy(self, *args: object, **kwargs: object) -> bool:
        return True

    def loading_start(self, *args: object, **kwargs: object) -> uuid.UUID:
        return uuid.uuid4()


def watch_intervals(journal: Journal) -> None:
    """Learn which interval each batch loads; consoles are told so since SQLMesh 0.190 only.

    :param journal: Of the step.
    """
    from sqlmesh.core.scheduler import Scheduler
    from sqlmesh.utils.date import to_timestamp

    original = Scheduler.evaluate

    def evaluate(scheduler: Scheduler, snapshot: Snapshot, start: Any, end: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(scheduler, snapshot, start, end, *args, **kwargs)
        journal.loaded(snapshot.name, to_timestamp(start) / 1000, to_timestamp(end) / 1000)
        return answer

    Scheduler.evaluate = evaluate


def failed_node(error: object) -> str:
    """Full name of the model that a ``NodeExecutionFailedError`` is about."""
    node = getattr(error, "node", None)
    if isinstance(node, tuple) and node and not hasattr(node, "name"):
        return str(node[0])
    return str(getattr(node, "snapshot_name", None) or getattr(node, "name", node))


def make_console(journal: Journal) -> Console:
    """A console for the SQLMesh that is installed."""
    from sqlmesh.core import console as module

    def silent(*args: object, **kwargs: object) -> None:
        return None

    unknown = {name: silent for name in module.Console.__abstractmethods__ if not hasattr(_Hooks, name)}
    kind = type("JournalConsole", (_Hooks, module.Console), {**unknown, "journal": journal, "dialect": None})
    return kind()
