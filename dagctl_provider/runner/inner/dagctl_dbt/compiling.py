"""Compiles changed models in an explain, for diffs and columns: an addition that must not cost much and may fail.

Most models compile without a connection. One that asks the warehouse something, an incremental one or a macro with a query,
needs it; the first that is refused ends the attempt, since the next would wait for the same time-out. The thread that
compiles is left behind when its time is over: the process ends soon.

Nothing that is compiled may write, see :mod:`dagctl_dbt.guards`. SQL that was made from what a query answered is compiled again
by an execute, before its first statement, and compared.
"""

from __future__ import annotations

import contextlib
import contextvars
import copy
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed

from dagctl_dbt.failures import cause, failure_of, is_refusal
from dagctl_dbt.guards import Guard, reading_sessions
from dagctl_dbt.journals import Step

if TYPE_CHECKING:
    from dbt.contracts.graph.manifest import Manifest
    from dbt.task.build import BuildTask

COMPILED = ("model", "snapshot")
_KEPT: list[contextlib.ExitStack] = []
"""What must not be undone any more."""


class Compilation:
    """SQL of changed models.

    :param code: By unique id.
    :param reason: Why some are missing.
    :param asked: Unique ids of those whose SQL was made from what the warehouse answered.
    """

    def __init__(self) -> None:
        self.code: dict[str, str] = {}
        self.reason: str | None = None
        self.asked: set[str] = set()


@contextlib.contextmanager
def only_reads(task: BuildTask) -> Iterator[Guard]:
    """Keep dbt from writing; for as long as this process lives when a thread of it outlives the block.

    :param task: dbt's task.
    """
    from dbt.adapters.factory import get_adapter

    guard = Guard(get_adapter(task.config))
    with contextlib.ExitStack() as stack:
        stack.enter_context(guard.watching())
        stack.enter_context(reading_sessions(guard.adapter))
        yield guard
        if guard.thread is not None and guard.thread.is_alive():
            _KEPT.append(stack.pop_all())


def compile_nodes(step: Step, task: BuildTask, wanted: Sequence[str], seconds: float, guard: Guard) -> Compilation:
    """Compile nodes, the first ones first.

    :param step: The step.
    :param task: dbt's task; the project is parsed.
    :param wanted: Unique ids.
    :param seconds: Time limit for all of them.
    :param guard: Of :func:`only_reads`.
    :raises StepFailed: ``explain_writes``.
    """
    found = Compilation()
    nodes = [task.manifest.nodes[key] for key in wanted if key in task.manifest.nodes]
    nodes = [node for node in nodes if str(node.resource_type) in COMPILED and getattr(node, "language", "sql") == "sql"]
    if not nodes:
        return found
    deadline = time.monotonic() + seconds
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_compile, step, task, nodes, deadline, found, guard), name="compile", daemon=True
    )
    guard.thread = thread
    thread.start()
    thread.join(seconds)
    if guard.refusal:
        raise guard.refusal
    if thread.is_alive() or (found.reason is None and len(found.code) < len(nodes)):
        found = _snapshot(found)
        found.reason = (
            f"{len(found.code)} of {len(nodes)} models were compiled in the {seconds:.0f} s that an explain takes for it."
        )
    found.asked = guard.asked & set(found.code)
    return found


def _snapshot(found: Compilation) -> Compilation:
    taken = Compilation()
    taken.code = dict(found.code)
    return taken


def _compile(step: Step, task: BuildTask, nodes: list[Any], deadline: float, found: Compilation, guard: Guard) -> None:
    from dbt.compilation import Compiler

    compiler = Compiler(task.config)
    for node in nodes:
        if time.monotonic() > deadline:
            return
        try:
            found.code[node.unique_id] = one_node(step, compiler, node, task.manifest, guard)
        except Exception as error:
            if guard.refusal:
                return
            found.reason = f"{node.name}: {cause(step, error, 300) or type(error).__name__}"
            if is_refusal(error):
                return


def _who(node: Any) -> str:
    return f"{node.resource_type} {node.name} ({node.original_file_path})"


def one_node(step: Step, compiler: Any, node: Any, manifest: Manifest, guard: Guard) -> str:
    """Compile one node.

    :param step: The step.
    :param compiler: dbt's.
    :param node: A node of the manifest.
    :param manifest: dbt's; the node and its ephemeral parents keep their SQL in it.
    :param guard: Looks at what is sent meanwhile.
    """
    with guard.speaking_for(node.unique_id, _who(node)), guard.adapter.connection_named(node.unique_id):
        compiled = compiler.compile_node(node, manifest, {}, write=False)
    return step.hide(compiled.compiled_code or "")


def compile_again(step: Step, task: BuildTask, wanted: Iterable[str]) -> dict[str, str]:
    """Compile nodes as the explain did, before an execute's first statement; dbt's own manifest stays as it is.

    :param step: The step.
    :param task: dbt's task.
    :param wanted: Unique ids.
    :return: SQL by unique id; without those that are not in the commit any more.
    :raises StepFailed: When one cannot be compiled now, or would write.
    """
    from dbt.adapters.factory import get_adapter
    from dbt.compilation import Compiler

    manifest = copied_manifest(task.manifest)
    guard, compiler = Guard(get_adapter(task.config)), Compiler(task.config)
    found = {}
    with guard.watching():
        for key in sorted(set(wanted) & set(manifest.nodes)):
            try:
                found[key] = one_node(step, compiler, manifest.nodes[key], manifest, guard)
            except Exception as error:
                raise guard.refusal or _failure(step, key, error) from error
    # What dbt noted of the warehouse's relations meanwhile is not for the build.
    with contextlib.suppress(AttributeError):
        guard.adapter.cache.clear()
    return found


def copied_manifest(manifest: Manifest) -> Manifest:
    """A manifest of copied nodes: what is compiled stays in a node. dbt's own way fails on disabled nodes.

    :param manifest: dbt's.
    """
    found = object.__new__(type(manifest))
    vars(found).update(vars(manifest))
    found.nodes = {key: copy.copy(node) for key, node in manifest.nodes.items()}
    for node in found.nodes.values():
        if "extra_ctes" in vars(node):
            node.extra_ctes = list(node.extra_ctes)
    return found


def _failure(step: Step, key: str, error: Exception) -> StepFailed:
    failure = failure_of(step, error, decided=True)
    return StepFailed(failure.code, f"{key.rpartition('.')[2]}: {failure.message}")
