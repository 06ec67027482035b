"""What changed of the project's own hooks, `on-run-start` and `on-run-end`: by their texts, since their names are numbers."""

from __future__ import annotations

from collections.abc import Iterator

from dagctl_dbt.differ_nodes import TEST_REASONS, Sides, reasons
from dagctl_dbt.differ_types import Manifest, Node, ResourceChange, name_of

_WHY = tuple((name, check) for name, check in TEST_REASONS if name in ("body", "macro", "vars"))


def compare_hooks(sides: Sides) -> list[ResourceChange]:
    """Hooks that are new, gone, or do something else.

    :param sides: Both manifests.
    """
    old, new = _hooks(sides.old), _hooks(sides.new)
    return [change for list_ in sorted({*old, *new}) for change in _compare(sides, old.get(list_, []), new.get(list_, []))]


def _hooks(manifest: Manifest) -> dict[str, list[Node]]:
    """Hooks in their order, by package and kind."""
    found: dict[str, list[Node]] = {}
    for node in manifest["nodes"].values():
        if node["resource_type"] == "operation":
            found.setdefault(f"{node['package_name']} {node['name'].rpartition('-')[0]}", []).append(node)
    return {name: sorted(nodes, key=_number) for name, nodes in found.items()}


def _number(node: Node) -> tuple[int, str]:
    last = node["name"].rpartition("-")[2]
    return (int(last) if last.isdigit() else 0, node["name"])


def _compare(sides: Sides, old: list[Node], new: list[Node]) -> Iterator[ResourceChange]:
    left, places = list(old), []
    changed: list[Node] = []
    for node in new:
        same = next((other for other in left if _text(other) == _text(node)), None)
        if same is None:
            changed.append(node)
            continue
        left.remove(same)
        places.append(old.index(same))
        why, details = reasons(sides, same, node, _WHY)
        if not why and places[-1] < max(places):
            why, details = ["order"], ["order: it comes later than it did"]
        if why:
            yield _change(sides, node, "modified", why, details)
    for node in changed:
        before = next((other for other in left if other["unique_id"] == node["unique_id"]), None)
        if before is None:
            yield _change(sides, node, "added", [], [])
            continue
        left.remove(before)
        yield _change(sides, node, "modified", *reasons(sides, before, node, _WHY))
    for node in left:
        yield _change(sides, node, "removed", [], [])


def _text(node: Node) -> str:
    return node.get("raw_code") or ""


def _change(sides: Sides, node: Node, change: str, why: list[str], details: list[str]) -> ResourceChange:
    return ResourceChange("hook", name_of(node, sides.new_reach.project), node["unique_id"], change, why, details=details)
