"""Compiles changed models in an explain, for diffs and columns: an addition that must not cost much and may fail.

Most models compile without a connection. One that asks the warehouse something, an incremental one or a macro with a query,
needs it; the first that is refused ends the attempt, since the next would wait for the same time-out. The thread that
compiles is left behind when its time is over: the process ends soon.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from dagctl_dbt.failures import cause, is_refusal
from dagctl_dbt.journals import Step

if TYPE_CHECKING:
    from dbt.contracts.graph.nodes import ManifestNode
    from dbt.task.build import BuildTask

COMPILED = ("model", "snapshot")


class Compilation:
    """SQL of changed models.

    :param code: By unique id.
    :param reason: Why some are missing.
    """

    def __init__(self) -> None:
        self.code: dict[str, str] = {}
        self.reason: str | None = None


def compile_nodes(step: Step, task: BuildTask, wanted: Sequence[str], seconds: float) -> Compilation:
    """Compile nodes, the first ones first.

    :param step: The step.
    :param task: dbt's task; the project is parsed.
    :param wanted: Unique ids.
    :param seconds: Time limit for all of them.
    """
    found = Compilation()
    nodes = [task.manifest.nodes[key] for key in wanted if key in task.manifest.nodes]
    nodes = [node for node in nodes if str(node.resource_type) in COMPILED and getattr(node, "language", "sql") == "sql"]
    if not nodes:
        return found
    deadline = time.monotonic() + seconds
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=context.run, args=(_compile, step, task, nodes, deadline, found), name="compile", daemon=True
    )
    thread.start()
    thread.join(seconds)
    if thread.is_alive() or (found.reason is None and len(found.code) < len(nodes)):
        found = _snapshot(found)
        found.reason = (
            f"{len(found.code)} of {len(nodes)} models were compiled in the {seconds:.0f} s that an explain takes for it."
        )
    return found


def _snapshot(found: Compilation) -> Compilation:
    copy = Compilation()
    copy.code = dict(found.code)
    return copy


def _compile(step: Step, task: BuildTask, nodes: list[ManifestNode], deadline: float, found: Compilation) -> None:
    from dbt.adapters.factory import get_adapter
    from dbt.compilation import Compiler

    adapter, compiler = get_adapter(task.config), Compiler(task.config)
    for node in nodes:
        if time.monotonic() > deadline:
            return
        try:
            with adapter.connection_named(node.unique_id):
                compiled = compiler.compile_node(node, task.manifest, {}, write=False)
            found.code[node.unique_id] = step.hide(compiled.compiled_code or "")
        except Exception as error:
            found.reason = f"{node.name}: {cause(step, error, 300) or type(error).__name__}"
            if is_refusal(error):
                return
