"""Full refreshes: models and seeds that a plan makes from scratch, because somebody asked or because wrong rows are in them.

dbt's own `--full-refresh` is for a whole command. Here it is a matter of single nodes: their configuration is set after the
project has been compared, in dbt's memory only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed

from dagctl_dbt.differ_types import Manifest, Node, built_nodes, kind_of, name_of, project_of
from dagctl_dbt.leftovers import Leftovers, refuses, to_refresh

if TYPE_CHECKING:
    from dbt.task.build import BuildTask

ASKED, LEFTOVER = "asked", "leftover"
_KINDS = ("incremental", "seed")


def refreshed(names: Iterable[str], manifest: Manifest, leftovers: Leftovers) -> dict[str, str]:
    """What is made from scratch if the plan builds it, and why, by unique id.

    :param names: As people name models and seeds: by name, `package.name`, `name.v2`, or unique id.
    :param manifest: Of the commit.
    :param leftovers: What earlier plans left.
    :raises StepFailed: ``full_refresh_refused`` for what is not there, or cannot be made from scratch.
    """
    found = dict.fromkeys(sorted(to_refresh(manifest, leftovers)), LEFTOVER)
    found.update({_find(name, manifest): ASKED for name in names})
    return found


def _find(name: str, manifest: Manifest) -> str:
    nodes, project = built_nodes(manifest), project_of(manifest)
    alike = [key for key, node in nodes.items() if name in (key, name_of(node, project))]
    if not alike:
        raise StepFailed("full_refresh_refused", f"A full refresh of {name} was asked for, which the commit does not have.")
    problem = _problem(nodes[alike[0]])
    if problem:
        raise StepFailed("full_refresh_refused", f"{name} cannot be refreshed in full: {problem}")
    return alike[0]


def _problem(node: Node) -> str | None:
    if kind_of(node) not in _KINDS:
        return f"it is no incremental model and no seed, but a {kind_of(node)}."
    return "its configuration says full_refresh: false." if refuses(node) else None


def check_touched(wanted: Mapping[str, str], selected: Iterable[str], manifest: Manifest) -> None:
    """Refuse to refresh what the plan does not build.

    :param wanted: Of :func:`refreshed`.
    :param selected: Unique ids that the plan runs.
    :param manifest: Of the commit.
    :raises StepFailed: ``full_refresh_refused``.
    """
    chosen, nodes = set(selected), built_nodes(manifest)
    asked = [key for key, why in wanted.items() if why == ASKED and key not in chosen]
    strange = sorted(name_of(nodes[key], project_of(manifest)) for key in asked)
    if strange:
        raise StepFailed(
            "full_refresh_refused", f"A full refresh of {', '.join(strange)} was asked for, which this plan does not build."
        )


def refresh(task: BuildTask, keys: Iterable[str]) -> None:
    """Have dbt make these from scratch.

    :param task: dbt's task; its manifest is changed.
    :param keys: Unique ids.
    """
    for key in keys:
        node = task.manifest.nodes.get(key)
        if node is not None:
            node.config.full_refresh = True
