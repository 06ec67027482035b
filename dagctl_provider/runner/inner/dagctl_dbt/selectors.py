"""What a plain `dbt build` of the project would build: its default selector (`selectors.yml`) may leave nodes out on purpose."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed

from dagctl_dbt.differ_types import ADDED, DIRECT, INDIRECT, Changes, Manifest, built_nodes, name_of, project_of

if TYPE_CHECKING:
    from dbt.task.build import BuildTask

_NAMED = 10


@dataclass(frozen=True)
class DefaultSelector:
    """The project's default selector.

    :param name: Its name.
    :param nodes: Unique ids that it selects, tests among them.
    """

    name: str
    nodes: frozenset[str]

    def left_out(self, manifest: Manifest) -> list[str]:
        """Unique ids of models, seeds, snapshots and functions that it does not select.

        :param manifest: Of the commit.
        """
        return sorted(set(built_nodes(manifest)) - self.nodes)


def default_selector(task: BuildTask) -> DefaultSelector | None:
    """The default selector as dbt evaluates it; ``None`` when the project has none.

    :param task: dbt's task; the project is parsed.
    :raises StepFailed: ``plan_failed``.
    """
    name = task.config.get_default_selector_name()
    if not name:
        return None
    try:
        nodes = task.get_node_selector().get_selected(task.get_selection_spec())
    except Exception as error:
        told = " ".join(str(error).split())[:300]
        raise StepFailed("plan_failed", f"The default selector '{name}' (selectors.yml) cannot be evaluated: {told}") from error
    return DefaultSelector(name, frozenset(nodes))


def warnings_of_selector(selector: DefaultSelector | None, changes: Changes, manifest: Manifest) -> list[str]:
    """What changes, or would be built first, and is left out.

    :param selector: Of :func:`default_selector`.
    :param changes: Between what is deployed and the commit.
    :param manifest: Of the commit.
    """
    if selector is None:
        return []
    left, project, nodes = selector.left_out(manifest), project_of(manifest), built_nodes(manifest)
    if changes.full_reason:
        names = [name_of(nodes[key], project) for key in left]
        return [f"The project's default selector '{selector.name}' leaves out {_few(names)}: not built."] if names else []
    touched = changes.ids(ADDED, DIRECT, INDIRECT)
    names = [name_of(nodes[key], project) for key in left if key in touched]
    if not names:
        return []
    return [f"Changed, but left out by the project's default selector '{selector.name}', and so not built: {_few(names)}."]


def _few(names: Collection[str]) -> str:
    return ", ".join(sorted(names)[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
