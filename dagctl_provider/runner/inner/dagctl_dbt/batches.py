"""Batches of microbatch models: which of them are in the warehouse, and how a retry runs those that are not.

dbt tells of a microbatch model as of any other node, and of each of its batches in the same words: a model that is over and one
batch of it cannot be told apart by events. So the batches are written down where dbt makes the result of one, which has the same
name in every version from 1.9 on, and a retry gives dbt those that are missing, as `dbt retry` does it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dbt.artifacts.schemas.batch_results import BatchResults, BatchType
    from dbt.contracts.graph.nodes import ModelNode
    from dbt.task.build import BuildTask

Batch = str
"""Start and end of a batch, as ISO 8601 writes an interval."""
Told = Callable[[str, Batch, list[Batch], int], None]

_RUNNERS = ("MicrobatchBatchRunner", "MicrobatchModelRunner")
_RESULT = "_build_succesful_run_batch_result"
_MERGE = "merge_batch_results"


def microbatch_models(task: BuildTask) -> set[str]:
    """Unique ids of the models that dbt builds batch by batch.

    :param task: dbt's task, with its manifest.
    """
    nodes = task.manifest.nodes
    return {key for key, node in nodes.items() if getattr(node.config, "incremental_strategy", None) == "microbatch"}


class BatchRunner(Protocol):
    """What dbt runs a batch with."""

    node: ModelNode
    batches: Mapping[int, BatchType]
    batch_idx: int


class Batches:
    """What is known of the batches of a plan.

    :param before: Of earlier attempts: ``all`` and ``done`` by unique id.
    """

    def __init__(self, before: Mapping[str, Any] | None = None) -> None:
        self.known: dict[str, dict[str, set[Batch]]] = {}
        self._lock = threading.Lock()
        for key, lists in (before or {}).items():
            with contextlib.suppress(AttributeError, TypeError, ValueError):
                self.known[key] = {name: {_named(_times(batch)) for batch in lists.get(name) or ()} for name in ("all", "done")}

    def note(self, key: str, batch: Batch, every: Iterable[Batch]) -> None:
        """A batch is in the warehouse.

        :param key: Unique id of the model.
        :param batch: Its start and end.
        :param every: All batches of this attempt.
        """
        with self._lock:
            lists = self.known.setdefault(key, {"all": set(), "done": set()})
            lists["all"] |= {*every, batch}
            lists["done"].add(batch)

    def as_json(self) -> dict[str, dict[str, list[Batch]]]:
        """For the next attempt."""
        with self._lock:
            return {key: {name: sorted(batches) for name, batches in lists.items()} for key, lists in sorted(self.known.items())}

    def begun(self) -> set[str]:
        """Unique ids of models of which some batches are done and others are not."""
        return {key for key, lists in self.known.items() if lists["done"] and lists["all"] - lists["done"]}

    def resume(self, task: BuildTask, nodes: Iterable[str]) -> dict[str, tuple[int, int]]:
        """Have dbt run only what is missing of the models that an earlier attempt began.

        A model of which no batch is done, or all are, begins anew: what dbt is told here keeps it from making the table.

        :param task: dbt's task, with its manifest.
        :param nodes: Unique ids of what is about to run.
        :return: How many batches are missing, and of how many, by unique id.
        """
        resumed = {}
        for key in sorted(self.begun().intersection(nodes)):
            node: Any = task.manifest.nodes.get(key)
            if not hasattr(node, "previous_batch_results"):
                continue
            lists = self.known[key]
            missing = sorted(lists["all"] - lists["done"])
            node.previous_batch_results = _batch_results(sorted(lists["done"]), [*missing, *_since(node, lists["all"])])
            # A full refresh has begun already: a second one would throw away the batches that are done.
            node.config.full_refresh = False
            resumed[key] = (len(missing), len(lists["all"]))
        return resumed

    @contextlib.contextmanager
    def watched(self, told: Told, over: Callable[[str, Any], None]) -> Iterator[None]:
        """While dbt runs, write down every batch that is done.

        :param told: Called with model, batch and all batches, after it was written down.
        :param over: Called with the model's unique id and dbt's result once all its batches have been tried.
        """
        from dbt.task import run

        kinds = [getattr(run, name) for name in _RUNNERS if hasattr(run, name)]
        with contextlib.ExitStack() as stack:
            for kind in kinds:
                if _RESULT in vars(kind):
                    stack.enter_context(_after(kind, _RESULT, lambda runner, result: self._done(runner, told)))
                if _MERGE in vars(kind):
                    stack.enter_context(_after(kind, _MERGE, lambda runner, result: over(runner.node.unique_id, result)))
            yield

    def _done(self, runner: BatchRunner, told: Told) -> None:
        every = [_named(batch) for batch in runner.batches.values()]
        batch = every[runner.batch_idx]
        self.note(runner.node.unique_id, batch, every)
        told(runner.node.unique_id, batch, every, len(self.known[runner.node.unique_id]["done"]))


@contextlib.contextmanager
def _after(kind: type, name: str, call: Callable[[Any, Any], None]) -> Iterator[None]:
    """Have something called after a method, with the object and the method's first argument."""
    original = vars(kind)[name]

    def wrapped(runner: Any, *args: Any, **kwargs: Any) -> Any:
        answer = original(runner, *args, **kwargs)
        call(runner, args[0] if args else None)
        return answer

    setattr(kind, name, wrapped)
    try:
        yield
    finally:
        setattr(kind, name, original)


def _named(batch: BatchType) -> Batch:
    return f"{batch[0].isoformat()}/{batch[1].isoformat()}"


def _times(batch: Batch) -> BatchType:
    start, _, end = batch.partition("/")
    return datetime.fromisoformat(start), datetime.fromisoformat(end)


def _batch_results(done: list[Batch], missing: list[Batch]) -> BatchResults:
    from dbt.artifacts.schemas.batch_results import BatchResults

    return BatchResults(successful=[_times(batch) for batch in done], failed=[_times(batch) for batch in missing])


def _since(node: ModelNode, every: set[Batch]) -> list[Batch]:
    """Batches that have come due after the first attempt: nobody else would make them."""
    from dbt.materializations.incremental.microbatch import MicrobatchBuilder

    builder = MicrobatchBuilder(model=node, is_incremental=True, event_time_start=None, event_time_end=None)
    last, now = max(_times(batch)[1] for batch in every), builder.build_end_time()
    if now <= last:
        return []
    return [batch for batch in map(_named, builder.build_batches(last, now)) if batch not in every]
