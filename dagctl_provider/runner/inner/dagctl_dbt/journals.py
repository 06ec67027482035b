"""What every part of a dbt step needs at hand, and what dbt's events tell about its nodes while they run."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from dagctl_common import frames
from dagctl_common.channel import Channel, moment, plain
from dagctl_common.jobs import Job

from dagctl_dbt.batches import Batch
from dagctl_dbt.differ_types import BUILT, TESTS
from dagctl_dbt.warehouses import Canceller

SUCCEEDED = {"success", "pass", "warn", "no-op"}
REMAINING_LIMIT = 5_000
ERROR_LIMIT = 500
_STATUS = {"skipped": "skipped", **dict.fromkeys(SUCCEEDED, "succeeded")}
_ON_THREAD = "Exception on worker thread. "
_EVENT = {"succeeded": "model_finished", "skipped": "model_skipped"}


class NodeInfo(Protocol):
    """What dbt says of a node in its events."""

    unique_id: str
    node_name: str
    node_status: str
    resource_type: str


class RunResult(Protocol):
    """What came of a node."""

    status: str
    message: str
    execution_time: float
    adapter_response: Mapping[str, Any]


class NodeFinished(Protocol):
    """The event that tells that a node is over."""

    node_info: NodeInfo
    run_result: RunResult


class EventInfo(Protocol):
    """Which event it is."""

    name: str


class Event(Protocol):
    """Any event; what its data are depends on which it is."""

    info: EventInfo
    data: Any


class NodeRun:
    """What happened to one node."""

    def __init__(self, unique_id: str, name: str, resource_type: str) -> None:
        self.unique_id = unique_id
        self.name = name
        self.resource_type = resource_type
        self.status = "running"
        self.duration = 0.0
        self.message: str | None = None
        self.rows: int | None = None
        self.warned = False
        self.begun_at: float | None = None
        self.ended_at: float | None = None
        self.batches: list[Batch] = []

    def identity(self) -> dict[str, str]:
        """What its events say of it."""
        return {"model": self.name, "unique_id": self.unique_id, "kind": self.resource_type}

    def as_json(self) -> dict[str, object]:
        """The row of the result; what still ran at the end was cancelled."""
        status = "cancelled" if self.status == "running" else self.status
        row: dict[str, object] = {
            "name": self.name,
            "unique_id": self.unique_id,
            "kind": self.resource_type,
            "status": status,
            "duration": round(self.duration, 3),
        }
        known: dict[str, object] = {
            "rows": self.rows,
            "batches": len(self.batches) or None,
            "started": moment(self.begun_at),
            "ended": moment(self.ended_at),
            "interval": self._interval(),
            "error": " ".join((self.message or "").split())[:ERROR_LIMIT] or None if status == "failed" else None,
        }
        return {**row, **{key: value for key, value in known.items() if value is not None}}

    def _interval(self) -> list[str | None] | None:
        """From the first batch's start to the last one's end."""
        times = [datetime.fromisoformat(text).timestamp() for batch in self.batches for text in batch.split("/")]
        return [moment(min(times)), moment(max(times))] if times else None


class Journal:
    """Collects what happens to nodes; dbt calls it from the threads that run them.

    :param channel: Gets an event per change.
    :param on_change: Called whenever a node begins or succeeds, or a batch of one does.
    :param leaves: Makes rows of what dbt began to build, for the case that the execute does not end well.
    :param in_batches: Unique ids of models that dbt builds batch by batch; what its events say of them may be said of one batch.
    :param runs_nodes: False when nodes are only compiled or asked how old they are, which is no figure of theirs.
    :param retried: The command whose nodes a retry would run again.
    :param chosen: Unique ids of what dbt was about to run.
    """

    def __init__(self, channel: Channel, canceller: Canceller) -> None:
        self.channel = channel
        self._canceller = canceller
        self.nodes: dict[str, NodeRun] = {}
        self.names: dict[str, str] = {}
        self.on_change: Callable[[], None] | None = None
        self.leaves: Callable[[list[str]], list[dict[str, Any]]] | None = None
        self.in_batches: set[str] = set()
        self.runs_nodes = True
        self.retried: str | None = None
        self.chosen: list[str] = []
        self._causes: dict[str, str] = {}
        self._lock = threading.RLock()

    def expect(self, names: dict[str, str]) -> None:
        """Names of the nodes about to run, by unique id."""
        self.names = names

    def begin(self, nodes: Iterable[str]) -> None:
        """dbt is about to run these.

        :param nodes: Unique ids; what is no test and cannot be built, an exposure for example, does not count.
        """
        self.chosen = sorted(key for key in nodes if key.partition(".")[0] in (*BUILT, *TESTS))
        kinds = Counter(key.partition(".")[0] for key in self.chosen)
        tests = sum(kinds[kind] for kind in TESTS)
        self.channel.event("expected", models=sum(kinds[kind] for kind in BUILT), tests=tests)

    def on_event(self, message: Event) -> None:
        """dbt's callback; one event of any kind.

        :param message: ``EventMsg``: a protobuf message with ``info`` and ``data``.
        """
        kind = message.info.name
        if kind == "NodeStart":
            self._start(message.data.node_info)
        elif kind == "NodeFinished":
            self._finish(message.data)
        elif kind == "GenericExceptionOnRun" and message.data.unique_id in self.in_batches:
            # Of a failed batch the result has no cause.
            with self._lock:
                self._causes.setdefault(message.data.unique_id, plain(message.data.exc).removeprefix(_ON_THREAD))

    def _node(self, info: NodeInfo) -> NodeRun:
        name = self.names.get(info.unique_id, info.node_name)
        return self.nodes.setdefault(info.unique_id, NodeRun(info.unique_id, name, info.resource_type))

    def _start(self, info: NodeInfo) -> None:
        with self._lock:
            begun = info.unique_id in self.nodes
            node = self._node(info)
            node.begun_at = node.begun_at or time.time()
            if not begun and self.on_change:
                self.on_change()
            if not begun or info.unique_id not in self.in_batches:
                self.channel.event("model_start", **node.identity())

    def _finish(self, data: NodeFinished) -> None:
        if data.node_info.unique_id not in self.in_batches:
            with self._lock:
                self._end(self._node(data.node_info), data.run_result, data.node_info.node_status)

    def batch(self, key: str, batch: Batch, every: list[Batch], done: int) -> None:
        """One batch of a model is in the warehouse.

        :param key: Unique id of the model.
        :param batch: Its start and end.
        :param every: All batches of this attempt.
        :param done: How many batches of the model are done.
        """
        with self._lock:
            if self.on_change:
                self.on_change()
            node = self.nodes[key]
            node.batches.append(batch)
            told = {"done": [batch], "all": every if done == 1 else [batch]}
            self.channel.event("model_batch", **node.identity(), batch=done, batches=len(every), done_batches=told)

    def over(self, key: str, result: RunResult) -> None:
        """All batches of a model have been tried.

        :param result: dbt's, of the whole model.
        """
        with self._lock:
            if key in self.nodes:
                self._end(self.nodes[key], result, "")

    def settle(self, results: Iterable[Any]) -> None:
        """At the end: what no event told.

        :param results: dbt's, one per node.
        """
        with self._lock:
            for result in results:
                # dbt before 1.9 gives one without a node when a hook failed.
                of = getattr(result, "node", None)
                node = self.nodes.get(of.unique_id) if of is not None else None
                if node is not None and node.status == "running":
                    self._end(node, result, "")

    def _end(self, node: NodeRun, result: RunResult, fallback: str) -> None:
        failed = "cancelled" if self._canceller.is_set() else "failed"
        node.status = _STATUS.get(str(result.status or fallback), failed)
        node.warned = result.status == "warn"
        node.ended_at = time.time() if node.begun_at is not None else None
        node.duration = float(result.execution_time or 0.0)
        told = [plain(result.message) if result.message else "", self._causes.get(node.unique_id, "")]
        node.message = ": ".join(filter(None, told))[:4000] or None
        node.rows = _rows(result)
        # First: whatever hears of it may be the last thing that happens.
        if node.status == "succeeded" and self.on_change:
            self.on_change()
        event = _EVENT.get(node.status, "model_failed")
        reason = " ".join((node.message or "").split())[:500] if event == "model_failed" else None
        self.channel.event(
            event, **node.identity(), status=node.status, rows=node.rows,
            duration=round(node.duration, 3), message=reason,
        )  # fmt: skip

    def succeeded(self) -> list[str]:
        """Unique ids of what is done, in order of completion or thereabouts."""
        with self._lock:
            return [node.unique_id for node in self.nodes.values() if node.status == "succeeded"]

    def touched(self) -> list[str]:
        """Unique ids of what dbt began to build, whatever came of it; tests leave nothing that anybody reads."""
        with self._lock:
            nodes = list(self.nodes.values())
        return [node.unique_id for node in nodes if node.resource_type in BUILT and node.status != "skipped"]

    def failed(self) -> list[NodeRun]:
        """What went wrong, models before tests."""
        with self._lock:
            failed = [node for node in self.nodes.values() if node.status == "failed"]
        return sorted(failed, key=lambda node: node.resource_type in TESTS)

    def answer(self) -> dict[str, object]:
        """What belongs into the step's answer, however it ended."""
        left: dict[str, object] = {"left": self.leaves(self.touched())} if self.leaves else {}
        if self.retried is not None and self.chosen:
            left.update(command=self.retried, remaining=self.remaining())
        if not self.nodes or not self.runs_nodes:
            return left
        warnings = self.warnings()
        return {"models": self.results(), "tests": self.tests(), **({"warnings": warnings} if warnings else {}), **left}

    def remaining(self) -> list[str]:
        """Unique ids of what dbt was to run and did not succeed; a retry runs these."""
        done = set(self.succeeded())
        return [key for key in self.chosen if key not in done][:REMAINING_LIMIT]

    def warnings(self) -> list[str]:
        """What tests found that only warn."""
        with self._lock:
            return [f"{node.name}: {node.message or 'it found rows'}" for node in self.nodes.values() if node.warned]

    def results(self) -> list[dict[str, object]]:
        """One row per model, seed, snapshot or function."""
        with self._lock:
            return [node.as_json() for node in self.nodes.values() if node.resource_type in BUILT]

    def tests(self) -> dict[str, object] | None:
        """What the tests said; ``None`` when none ran."""
        with self._lock:
            tests = [node for node in self.nodes.values() if node.resource_type in TESTS]
        if not tests:
            return None
        counts = {status: sum(node.status == status for node in tests) for status in ("succeeded", "failed", "skipped")}
        return {
            "run": counts["succeeded"] + counts["failed"],
            "passed": counts["succeeded"],
            "failed": counts["failed"],
            "skipped": counts["skipped"],
            "names": [node.name for node in tests if node.status == "failed"],
        }


def _rows(result: RunResult) -> int | None:
    """Rows where the adapter tells."""
    try:
        rows = int(dict(result.adapter_response)["rows_affected"])
    except (KeyError, TypeError, ValueError):
        return None
    return rows if rows >= 0 else None


class Step(frames.Step):
    """One step.

    :param job: The request plus what the outer program prepared.
    """

    journal: Journal

    def __init__(self, job: Job) -> None:
        super().__init__(job, Canceller)
        self.journal = Journal(self.channel, self.canceller)
        if job.get("command") == "execute":
            # Until the plan stands, nothing is begun.
            self.journal.leaves = lambda touched: []

    def hide(self, text: str) -> str:
        """A manifest's text without the secrets that were given to the step, in case the project wrote one into a model."""
        for secret in self.job["secrets"]:
            text = text.replace(json.dumps(secret)[1:-1], "***")
        return text
