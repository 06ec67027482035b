"""What a dbt build will not do about a change, and does not say."""

from __future__ import annotations

from collections.abc import Iterator

from dagctl_dbt.differ_nodes import Sides, relation_of
from dagctl_dbt.differ_types import ADDED, DIRECT, INDIRECT, REMOVED, Changes, Node, NodeChange, built_nodes, kind_of

#: Reasons after which an incremental model's older rows are not what its code would make now.
OF_ROWS = {"body", "macro", "vars", "ref", "config"}


def warnings_of(sides: Sides, changes: Changes) -> list[str]:
    """Texts for people, one per thing they may have to do by hand.

    :param sides: Both manifests.
    :param changes: Complete but for these.
    """
    old, new = built_nodes(sides.old), built_nodes(sides.new)
    found = [text for change in changes.of(REMOVED) for text in _left_behind(old[change.unique_id], change)]
    if changes.full_reason:
        found.append("Tables and views of what was deployed before stay where they are; dbt drops nothing.")
    else:
        for change in changes.of(DIRECT, INDIRECT):
            found += _of_change(sides, old[change.unique_id], new[change.unique_id], change)
    found += [text for change in changes.of(ADDED) for text in _of_seed_size(sides, new[change.unique_id], change)]
    return [*found, *_of_sides(sides)]


def _left_behind(node: Node, change: NodeChange) -> Iterator[str]:
    if kind_of(node) != "ephemeral" and relation_of(node):
        why = "disabled" if "disabled" in change.reasons else "removed from the project"
        yield f"{change.name} is {why}; dbt drops nothing: {_thing(node)} {relation_of(node)} stays in the warehouse."


def _thing(node: Node) -> str:
    return "the view" if kind_of(node) == "view" else "the table"


def _of_change(sides: Sides, old: Node, new: Node, change: NodeChange) -> Iterator[str]:
    if relation_of(old) and relation_of(new) != relation_of(old) and (sides.same_target or kind_of(new) == "ephemeral"):
        yield f"{change.name} no longer lies at {relation_of(old)}; dbt drops nothing: {_thing(old)} stays there."
        return
    if new["unique_id"] in sides.anew:
        return
    if kind_of(new) == "incremental" and kind_of(old) == "incremental":
        yield from _of_incremental(new, change)
    if kind_of(new) == "snapshot" and change.change == DIRECT:
        yield f"{change.name}: rows the snapshot has already recorded stay as they are; the change counts from the next run on."
    if kind_of(new) == "seed" and change.change == DIRECT:
        yield from _of_seed(sides, old, new, change)
        yield from _of_seed_size(sides, new, change)


def _of_incremental(new: Node, change: NodeChange) -> Iterator[str]:
    if (new.get("config") or {}).get("full_refresh") is True:
        return
    again = f"plan again with `full_refresh: [{change.name}]` to make them anew"
    if change.change == INDIRECT:
        yield f"{change.name} is incremental and reads what changes: rows it already has stay as they are; {again}."
    elif OF_ROWS & set(change.reasons):
        yield f"{change.name} is incremental: rows it already has stay as the old code made them; {again}."


def _of_seed(sides: Sides, old: Node, new: Node, change: NodeChange) -> Iterator[str]:
    before, after = (facts.seeds.get(change.unique_id, {}).get("columns") for facts in (sides.old_facts, sides.new_facts))
    types = [(node.get("config") or {}).get("column_types") or {} for node in (old, new)]
    again = f"dbt fills the existing table: plan again with `full_refresh: [{change.name}]`"
    if before is not None and after is not None and list(before) != list(after):
        came = [f"+{name}" for name in after if name not in before] + [f"-{name}" for name in before if name not in after]
        yield f"{change.name}: the seed's columns change ({', '.join(came) or 'their order'}); {again}."
    elif types[0] != types[1]:
        yield f"{change.name}: the seed's column types change; {again}."


def _of_seed_size(sides: Sides, new: Node, change: NodeChange) -> Iterator[str]:
    if (new.get("checksum") or {}).get("name") == "path" and "sha256" not in sides.new_facts.seeds.get(change.unique_id, {}):
        yield f"{change.name}: the seed is larger than 1 MiB, dbt compares only its path: later changes of its rows go unnoticed."


def _of_sides(sides: Sides) -> Iterator[str]:
    versions = [str((side.get("metadata") or {}).get("dbt_version")) for side in (sides.old, sides.new)]
    if versions[0] != versions[1]:
        yield f"Deployed with dbt {versions[0]}, this is {versions[1]}: its own macros may differ, which rebuilds nothing."
    if not sides.knows_variables:
        yield "What variables were deployed is not known: a changed value of a variable goes unnoticed this time."
