"""Which nodes an execute runs: explicit unique ids, so that what was approved is what runs.

As `dbt build --select state:modified+` means it, over this project's own comparison: what was added or changed directly and all
that reads it, through ephemeral models too; every test and unit test of a node that runs (one parent suffices, dbt's "eager");
and tests that themselves changed. A commit that changes only tests rebuilds nothing and runs just those.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from dagctl_dbt.differ_types import (
    ADDED,
    DIRECT,
    INDIRECT,
    TESTS,
    Changes,
    Manifest,
    Node,
    built_nodes,
    kind_of,
    name_of,
    parents_of,
    project_of,
    test_nodes,
)

NONE, SELECTED, FULL = "none", "selected", "full"
NOTHING = "Nothing that is deployed changes."
LEFT_OUT = "What changed is left out by the project's default selector: nothing is built."
NO_TESTS = "Only tests changed, and no tests run here."
HOOKS_ONLY = "Only hooks of the project changed: on-run-start and on-run-end run, and nothing is built."
HOOKS_REMOVED = "Only a hook of the project was removed: nothing runs."


@dataclass
class Selection:
    """What runs.

    :param mode: none, selected or full.
    :param reason: Why, for people.
    :param arguments: What a person would type after `dbt build` for the same.
    :param nodes: Unique ids in the manifest's order: models, seeds, snapshots, functions, then tests. No ephemeral models.
    :param models: Names of models, seeds, snapshots and functions that run.
    :param tests: Names of tests and unit tests that run.
    """

    mode: str
    reason: str
    arguments: list[str] = field(default_factory=list)
    nodes: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    tests: list[str] = field(default_factory=list)


def select(changes: Changes, manifest: Manifest, run_tests: bool = True, within: Collection[str] | None = None) -> Selection:
    """Nodes to run for what changed.

    :param changes: Of :func:`dagctl_dbt.differ.compare`.
    :param manifest: Of the commit.
    :param run_tests: False leaves tests and unit tests out.
    :param within: Unique ids that the project's default selector selects; nothing else runs.
    """
    built, tests = built_nodes(manifest), test_nodes(manifest)
    if changes.full_reason:
        chosen, checked = set(built), set(tests)
    else:
        touched = changes.ids(ADDED, DIRECT, INDIRECT)
        sources = {change.unique_id for change in changes.resources if change.type == "source" and change.rebuilds}
        chosen = touched
        checked = {key for key, test in tests.items() if not (touched | sources).isdisjoint(parents_of(test))}
        checked |= {change.unique_id for change in changes.resources if change.type in TESTS} & set(tests)
    runnable = [key for key in built if key in chosen and kind_of(built[key]) != "ephemeral"]
    running = [key for key in runnable if within is None or key in within]
    testing = [key for key in tests if key in checked and (within is None or key in within)] if run_tests else []
    found = _described(changes, manifest, running, testing, run_tests)
    if found.reason == NOTHING and (runnable or checked):
        found.reason = LEFT_OUT if runnable or run_tests else NO_TESTS
    if found.arguments and len(running) < len(runnable):
        # Whoever selects by hand does so without the default selector.
        names = Counter(part for node in {**built, **tests}.values() for part in {*node["fqn"], node["name"]})
        found.arguments += ["--exclude", *(_selector(built[key], names) for key in runnable if key not in set(running))]
    return found


def _described(changes: Changes, manifest: Manifest, running: list[str], testing: list[str], run_tests: bool) -> Selection:
    everything = {**built_nodes(manifest), **test_nodes(manifest)}
    project = project_of(manifest)
    names = [name_of(everything[key], project) for key in running]
    tests = [name_of(everything[key], project) for key in testing]
    without = [] if run_tests else ["--exclude", "resource_type:test", "resource_type:unit_test"]
    if changes.full_reason:
        return Selection(FULL, changes.full_reason, without, running + testing, names, tests)
    if not running and not testing:
        return _without_nodes(changes)
    reason = "What changed and what reads it." if running else "Only tests changed: nothing is rebuilt."
    arguments = ["--select", *_typed(changes, everything, testing), *without]
    return Selection(SELECTED, reason, arguments, running + testing, names, tests)


def _without_nodes(changes: Changes) -> Selection:
    """dbt runs no hook when there is no node; here they run, since they are what changed."""
    hooks = [change.change for change in changes.resources if change.type == "hook"]
    if any(change != "removed" for change in hooks):
        return Selection(SELECTED, HOOKS_ONLY)
    return Selection(NONE, HOOKS_REMOVED if hooks else NOTHING)


def _typed(changes: Changes, everything: Mapping[str, Node], testing: Iterable[str]) -> list[str]:
    """Selectors of what changed first, with a plus for what reads it."""
    names = Counter(part for node in everything.values() for part in {*node["fqn"], node["name"]})
    heads = [_selector(everything[change.unique_id], names) + "+" for change in changes.of(ADDED, DIRECT)]
    heads += [f"source:{change.name}+" for change in changes.resources if change.type == "source" and change.rebuilds]
    moved = {change.unique_id for change in changes.resources if change.type in TESTS}
    return heads + [_selector(everything[key], names) for key in testing if key in moved]


def _selector(node: Node, names: Counter[str]) -> str:
    """A node's name, or its full path where something else (a folder, a model of a package) has that name too."""
    if names[node["name"]] > 1:
        return "fqn:" + ".".join(map(str, node["fqn"]))
    return str(node["name"])
