"""Compares what nodes compile to with the variables that are deployed and with those of the commit.

A variable that is read by a name which only a run knows may be any. Where all of it shows in the compiled SQL, this tells whether
a changed value matters; where it cannot be told, it does. An execute takes over what the approved plan found out.
"""

from __future__ import annotations

import contextvars
import copy
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dagctl_common.digests import hash_of

from dagctl_dbt.compiling import copied_manifest, one_node
from dagctl_dbt.differ_types import Facts
from dagctl_dbt.guards import Guard
from dagctl_dbt.journals import Step

if TYPE_CHECKING:
    from dbt.config.runtime import RuntimeConfig
    from dbt.task.build import BuildTask

_KIND = "unaffected"


def unaffected_parts(keys: Sequence[str]) -> dict[str, str]:
    """Parts of the digest: an execute reads them from the approved ones.

    :param keys: Unique ids of :func:`same_with_both`.
    """
    return {f"{_KIND}:{key}": hash_of(key) for key in keys}


def unaffected_of(parts: Mapping[str, str] | None) -> frozenset[str]:
    """Unique ids that approved parts name.

    :param parts: Of the approved plan.
    """
    return frozenset(part.partition(":")[2] for part in parts or () if part.startswith(f"{_KIND}:"))


def same_with_both(
    step: Step, task: BuildTask, guard: Guard, keys: Sequence[str], facts: tuple[Facts, Facts], seconds: float
) -> list[str]:
    """Nodes that compile to the same SQL with the old variables and with the new ones.

    :param step: The step.
    :param task: dbt's task; the project is parsed.
    :param guard: Of :func:`dagctl_dbt.compiling.only_reads`.
    :param keys: Unique ids of those in question.
    :param facts: Of what is deployed, and of the commit.
    :param seconds: Time limit for all of them; what was not compared by then is not the same.
    :raises StepFailed: ``explain_writes``.
    """
    found: dict[str, bool] = {}
    deadline = time.monotonic() + seconds

    def compare() -> None:
        sides = [_side(task, one) for one in facts]
        for key in keys:
            if time.monotonic() > deadline or guard.refusal:
                return
            try:
                codes = {one_node(step, compiler, manifest.nodes[key], manifest, guard) for compiler, manifest in sides}
            except Exception as error:
                step.channel.line(f"{key} cannot be compared, and counts as changed: {type(error).__name__}")
                continue
            # What was made from query results is the same today only.
            found[key] = len(codes) == 1 and key not in guard.asked

    thread = threading.Thread(target=contextvars.copy_context().run, args=(compare,), name="compare", daemon=True)
    guard.thread = thread
    thread.start()
    thread.join(seconds)
    if guard.refusal:
        raise guard.refusal
    return sorted(key for key, same in dict(found).items() if same)


def _side(task: BuildTask, facts: Facts) -> tuple[Any, Any]:
    from dbt.compilation import Compiler

    return Compiler(_with_variables(task.config, facts.vars or {})), copied_manifest(task.manifest)


def _with_variables(config: RuntimeConfig, values: Mapping[str, Mapping[str, Any]]) -> RuntimeConfig:
    """A copy of dbt's config with other variables, for the project and its packages."""
    packages = {name: _one_with(project, values) for name, project in config.load_dependencies().items()}
    found = packages.get(config.project_name) or _one_with(config, values)
    packages[config.project_name] = found
    for one in packages.values():
        one.dependencies = packages
    return found


def _one_with(config: RuntimeConfig, values: Mapping[str, Mapping[str, Any]]) -> RuntimeConfig:
    from dbt.config.project import VarProvider

    found = copy.copy(config)
    found.vars = VarProvider(dict(values.get(config.project_name) or {}))
    # Those of `--vars` are among the values of each side; dbt would take the commit's for both.
    found.cli_vars = {}
    return found
