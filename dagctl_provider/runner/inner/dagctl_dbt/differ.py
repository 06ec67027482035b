"""What changed between the manifest of what is deployed and that of a commit.

Pure functions on manifest dicts (schema v9 to v12, the two may differ): no dbt, no warehouse.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator, Mapping

from dagctl_dbt.differ_contracts import broken
from dagctl_dbt.differ_macros import MacroReach
from dagctl_dbt.differ_nodes import Sides, metadata, reasons, relation_of
from dagctl_dbt.differ_resources import compare_resources, exposures_affected
from dagctl_dbt.differ_texts import skeleton
from dagctl_dbt.differ_types import (
    ADDED,
    DIRECT,
    INDIRECT,
    METADATA,
    REMOVED,
    Changes,
    Facts,
    Manifest,
    Node,
    NodeChange,
    ResourceChange,
    built_nodes,
    kind_of,
    name_of,
    parents_of,
    project_of,
)
from dagctl_dbt.differ_warnings import warnings_of
from dagctl_dbt.leftovers import Leftovers, mark

#: How alike two texts are from which on an added model is taken for a removed one under a new name.
RENAMED = 0.8
#: Pairs and characters that are looked at for that; the comparison of texts is quadratic.
MOST_PAIRS, MOST_TEXT = 400, 2000


def compare(
    old: Manifest | None,
    new: Manifest,
    *,
    old_facts: Facts | None = None,
    new_facts: Facts | None = None,
    leftovers: Leftovers | None = None,
    anew: frozenset[str] = frozenset(),
    unaffected: Collection[str] = (),
) -> Changes:
    """All differences.

    :param old: Manifest of what is deployed; None for a first deployment.
    :param new: Manifest of the commit.
    :param old_facts: What was known beside the old one, see :mod:`dagctl_dbt.differ_facts`.
    :param new_facts: The same for the commit.
    :param leftovers: What plans that did not end well left in the warehouse.
    :param anew: Unique ids of what is made from scratch.
    :param unaffected: Of an earlier answer's `unsure`: those that compile to the same SQL with the old variables and the new.
    """
    changes = Changes(full_reason=full_reason(old, new, old_facts or Facts(), new_facts or Facts()))
    empty: Manifest = {"metadata": new.get("metadata") or {}, "nodes": {}, "sources": {}, "macros": new["macros"]}
    before = old if old is not None else empty
    facts = new_facts or Facts()
    past = (old_facts or Facts()) if old is not None else facts
    reaches = MacroReach(before, past), MacroReach(new, facts)
    sides = Sides(before, new, past, facts, *reaches, anew=anew, unaffected=frozenset(unaffected))
    changes.models = mark(_compare_built(sides), new, leftovers or Leftovers())
    changes.resources = compare_resources(sides, changes.models)
    changes.unsure = sorted(row.unique_id for row in _all(changes) if row.reasons == ["vars"] and row.unique_id in sides.unsure)
    reached = _downstream(sides, changes)
    indirect = {change.unique_id for change in reached}
    changes.models = [change for change in changes.models if change.unique_id not in indirect] + reached
    _name_parents(sides, changes)
    changes.models.sort(key=lambda change: (change.change, change.name))
    changes.contracts_broken = broken(sides, changes)
    changes.exposures_affected = exposures_affected(sides, changes)
    changes.warnings = warnings_of(sides, changes) if old is not None else []
    return changes


def _all(changes: Changes) -> Iterator[NodeChange | ResourceChange]:
    yield from changes.models
    yield from changes.resources


def full_reason(old: Manifest | None, new: Manifest, old_facts: Facts, new_facts: Facts) -> str | None:
    """Why a difference is of no use and everything is built; None when it is."""
    if old is None:
        return "First deployment: nothing is known to be deployed."
    before, after = old.get("metadata") or {}, new.get("metadata") or {}
    if before.get("adapter_type") != after.get("adapter_type"):
        return f"The warehouse is another one: {before.get('adapter_type')} became {after.get('adapter_type')}."
    if None not in (project_of(old), project_of(new)) and project_of(old) != project_of(new):
        return f"The project was renamed from {project_of(old)} to {project_of(new)}: dbt knows its models by that name."
    targets = old_facts.target, new_facts.target
    if None not in targets and targets[0] != targets[1]:
        return f"The deployed state is of target {targets[0]}; this deploys to {targets[1]}."
    if None not in targets and _all_moved(old, new):
        return "Every model moves: the target's database or schema changed."
    return None


def _all_moved(old: Manifest, new: Manifest) -> bool:
    """Whether no model lies where it was. (A snapshot may: its configuration can name the schema.)"""
    before, after = built_nodes(old), built_nodes(new)
    pairs = [(before[key], after[key]) for key in before.keys() & after.keys()]
    pairs = [
        (one, other) for one, other in pairs if other["resource_type"] == "model" and relation_of(one) and relation_of(other)
    ]
    return bool(pairs) and all(_place(one) != _place(other) for one, other in pairs)


def _place(node: Node) -> tuple[object, object]:
    return node.get("database"), node.get("schema")


def _compare_built(sides: Sides) -> list[NodeChange]:
    old, new = built_nodes(sides.old), built_nodes(sides.new)
    found = [_change(sides, new[key], ADDED, *_why_added(sides, key)) for key in sorted(new.keys() - old.keys())]
    found += [_change(sides, old[key], REMOVED, *_why_removed(sides, key)) for key in sorted(old.keys() - new.keys())]
    for key in sorted(old.keys() & new.keys()):
        why, details = reasons(sides, old[key], new[key])
        if why:
            found.append(_change(sides, new[key], DIRECT, why, details))
            continue
        why, details = metadata(sides, old[key], new[key])
        if why:
            found.append(_change(sides, new[key], METADATA, why, details))
    _mark_renames(found, old, new, sides.dialect)
    return found


def _change(sides: Sides, node: Node, change: str, why: list[str], details: list[str]) -> NodeChange:
    name = name_of(node, sides.new_reach.project)
    return NodeChange(name, node["unique_id"], change, kind_of(node), node["resource_type"], why, details)


def _why_added(sides: Sides, key: str) -> tuple[list[str], list[str]]:
    return (["enabled"], ["was disabled"]) if key in (sides.old.get("disabled") or {}) else ([], [])


def _why_removed(sides: Sides, key: str) -> tuple[list[str], list[str]]:
    return (["disabled"], ["is disabled"]) if key in (sides.new.get("disabled") or {}) else ([], [])


def _mark_renames(found: list[NodeChange], old: Mapping[str, Node], new: Mapping[str, Node], dialect: str | None) -> None:
    """Say so where something removed and something added are nearly the same."""
    gone = [change for change in found if change.change == REMOVED and not change.reasons]
    came = [change for change in found if change.change == ADDED and not change.reasons]
    if len(gone) * len(came) > MOST_PAIRS:
        return
    for change in came:
        alike = [(_likeness(old[other.unique_id], new[change.unique_id], dialect), other) for other in gone]
        best = max(alike, key=lambda pair: pair[0], default=None)
        if best is not None and best[0] >= RENAMED:
            gone.remove(best[1])
            change.details.append(f"likely renamed from {best[1].name}")
            best[1].details.append(f"likely renamed to {change.name}")


def _likeness(old: Node, new: Node, dialect: str | None) -> float:
    """From 0 to 1, of the code; seeds by their rows."""
    if old["resource_type"] != new["resource_type"]:
        return 0.0
    if old["resource_type"] == "seed":
        hashes = [node.get("checksum") or {} for node in (old, new)]
        return float(hashes[0] == hashes[1] and hashes[0].get("name") == "sha256")
    languages = [node.get("language") or "sql" for node in (old, new)]
    if languages[0] != languages[1]:
        return 0.0
    one, other = (skeleton(node.get("raw_code") or "", dialect, languages[0])[:MOST_TEXT] for node in (old, new))
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if one and matcher.real_quick_ratio() >= RENAMED and matcher.quick_ratio() >= RENAMED else 0.0


def _downstream(sides: Sides, changes: Changes) -> list[NodeChange]:
    """Everything that reads, over any number of steps, what is added or changed."""
    nodes = built_nodes(sides.new)
    children: dict[str, list[str]] = {}
    for key, node in nodes.items():
        for parent in parents_of(node):
            children.setdefault(parent, []).append(key)
    sources = {change.unique_id: change.name for change in changes.resources if change.type == "source" and change.rebuilds}
    done = changes.ids(ADDED, DIRECT)
    todo, found = [*done, *sources], []
    while todo:
        for key in children.get(todo.pop(), ()):
            if key not in done:
                done.add(key)
                todo.append(key)
                read = [f"source: {sources[parent]}" for parent in parents_of(nodes[key]) if parent in sources]
                found.append(_change(sides, nodes[key], INDIRECT, ["source"] if read else [], read))
    return found


def _name_parents(sides: Sides, changes: Changes) -> None:
    names = {change.unique_id: change.name for change in changes.of(ADDED, DIRECT, INDIRECT)}
    names |= {change.unique_id: change.name for change in changes.resources if change.type == "source"}
    nodes = built_nodes(sides.new)
    for change in changes.models:
        if change.unique_id in nodes:
            change.parents = [names[parent] for parent in parents_of(nodes[change.unique_id]) if parent in names]
