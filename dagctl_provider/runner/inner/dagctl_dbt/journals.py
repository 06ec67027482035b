"""What every part of a dbt step needs at hand, and what dbt's events tell about its nodes while they run."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from dagctl_common import frames
from dagctl_common.channel import Channel, plain
from dagctl_common.jobs import Job

from dagctl_dbt.differ_types import BUILT, TESTS
from dagctl_dbt.warehouses import Canceller

SUCCEEDED = {"success", "pass", "warn", "no-op"}
_STATUS = {"skipped": "skipped", **dict.fromkeys(SUCCEEDED, "succeeded")}
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
        return row if self.rows is None else {**row, "rows": self.rows}


class Journal:
    """Collects what happens to nodes; dbt calls it from the threads that run them.

    :param channel: Gets an event per change.
    :param on_success: Called with all that succeeded so far whenever a node did.
    """

    def __init__(self, channel: Channel, canceller: Canceller) -> None:
        self.channel = channel
        self._canceller = canceller
        self.nodes: dict[str, NodeRun] = {}
        self.names: dict[str, str] = {}
        self.on_success: Callable[[list[str]], None] | None = None
        self._lock = threading.RLock()

    def expect(self, names: dict[str, str]) -> None:
        """Names of the nodes about to run, by unique id."""
        self.names = names

    def begin(self, nodes: Iterable[str]) -> None:
        """dbt is about to run these.

        :param nodes: Unique ids; what is no test and cannot be built, an exposure for example, does not count.
        """
        kinds = Counter(key.partition(".")[0] for key in nodes)
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

    def _node(self, info: NodeInfo) -> NodeRun:
        name = self.names.get(info.unique_id, info.node_name)
        return self.nodes.setdefault(info.unique_id, NodeRun(info.unique_id, name, info.resource_type))

    def _start(self, info: NodeInfo) -> None:
        with self._lock:
            node = self._node(info)
            self.channel.event("model_start", **node.identity())

    def _finish(self, data: NodeFinished) -> None:
        result = data.run_result
        with self._lock:
            node = self._node(data.node_info)
            failed = "cancelled" if self._canceller.is_set() else "failed"
            node.status = _STATUS.get(result.status or data.node_info.node_status, failed)
            node.duration = float(result.execution_time or 0.0)
            node.message = plain(result.message)[:4000] or None
            node.rows = _rows(result)
            # First: whatever hears of it may be the last thing that happens.
            if node.status == "succeeded" and self.on_success:
                self.on_success(self.succeeded())
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

    def failed(self) -> list[NodeRun]:
        """What went wrong, models before tests."""
        with self._lock:
            failed = [node for node in self.nodes.values() if node.status == "failed"]
        return sorted(failed, key=lambda node: node.resource_type in TESTS)

    def answer(self) -> dict[str, object]:
        """What belongs into the step's answer, however it ended."""
        return {"models": self.results(), "tests": self.tests()} if self.nodes else {}

    def results(self) -> list[dict[str, object]]:
        """One row per model, seed, snapshot or function."""
        with self._lock:
            return [node.as_json() for node in self.nodes.values() if node.resource_type not in TESTS]

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

    def hide(self, text: str) -> str:
        """A manifest's text without the secrets that were given to the step, in case the project wrote one into a model."""
        for secret in self.job["secrets"]:
            text = text.replace(json.dumps(secret)[1:-1], "***")
        return text
