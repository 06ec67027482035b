"""Lets dbt run the hooks of the project, `on-run-start` and `on-run-end`, when there is no node left to run.

dbt ends a build without nodes before its hooks. A commit that changes only those, or a retry after the last hook failed, has no
nodes, and its hooks were what was approved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dbt.task.build import BuildTask


class _NoNodes(list[Any]):
    """An empty list that is not taken for nothing to do."""

    def __len__(self) -> int:
        return 1


@contextlib.contextmanager
def hooks_alone(wanted: Callable[[], bool]) -> Iterator[None]:
    """Make dbt go on without nodes: connection, hooks and results are its own.

    :param wanted: Asked once it is known what is to run.
    """
    from dbt.task.build import BuildTask

    original = BuildTask._runtime_initialize
    inherited = "_runtime_initialize" not in vars(BuildTask)

    def initialize(task: BuildTask) -> None:
        original(task)
        if wanted() and not list(task._flattened_nodes or ()):
            task._flattened_nodes = _NoNodes()

    BuildTask._runtime_initialize = initialize
    try:
        yield
    finally:
        if inherited:
            del BuildTask._runtime_initialize
        else:
            BuildTask._runtime_initialize = original
