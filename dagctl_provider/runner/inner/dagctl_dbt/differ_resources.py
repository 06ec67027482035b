"""What is not built in the warehouse but changes too: tests, macros, sources, exposures, groups, hooks, packages, the project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagctl_dbt.differ_hooks import compare_hooks
from dagctl_dbt.differ_macros import changed_macros
from dagctl_dbt.differ_nodes import NOT_CONFIG, TEST_REASONS, Sides, differing_keys, reasons
from dagctl_dbt.differ_told import told
from dagctl_dbt.differ_types import (
    ADDED,
    DIRECT,
    INDIRECT,
    Changes,
    Manifest,
    Node,
    NodeChange,
    ResourceChange,
    name_of,
    parents_of,
    test_nodes,
)

#: Folder of the manifest -> type, and the fields whose difference counts.
DESCRIBED: dict[str, tuple[str, tuple[str, ...]]] = {
    "exposures": ("exposure", ("type", "owner", "maturity", "url", "description", "label", "depends_on")),
    "groups": ("group", ("owner", "description")),
    "semantic_models": ("semantic_model", ("model", "description", "defaults", "entities", "dimensions", "measures")),
    "metrics": ("metric", ("description", "label", "filter", "type", "type_params")),
    "saved_queries": ("saved_query", ("query_params", "exports", "description", "label")),
}
#: Fields of a source that lead to other data; and those that do not.
SOURCE_PLACE = ("identifier", "quoting", "external", "fqn")
SOURCE_FRESHNESS = ("freshness", "loaded_at_field", "loaded_at_query")
SOURCE_TOLD = ("database", "schema", *SOURCE_PLACE, *SOURCE_FRESHNESS, "unrendered_config", "description", "source_description")


def compare_resources(sides: Sides, models: list[NodeChange]) -> list[ResourceChange]:
    """Everything beside models.

    :param sides: Both manifests.
    :param models: Changed models so far, to say which of them a macro explains.
    """
    found = [
        *_tests(sides),
        *_sources(sides),
        *_macros(sides, models),
        *_described(sides),
        *compare_hooks(sides),
        *_packages(sides),
    ]
    return sorted(found, key=lambda change: (change.type, change.name, change.change))


def _keyed(old: Mapping[str, Node], new: Mapping[str, Node]) -> list[tuple[str, str, Node]]:
    """Keys on one side only, with the change and the node."""
    gone = [(key, "removed", old[key]) for key in old.keys() - new.keys()]
    return [(key, "added", new[key]) for key in new.keys() - old.keys()] + gone


def _resource(
    sides: Sides, kind: str, node: Node, change: str, why: list[str] | None = None, details: list[str] | None = None
) -> ResourceChange:
    name = name_of(node, sides.new_reach.project)
    return ResourceChange(kind, name, node["unique_id"], change, why or [], details=details or [])


def _tests(sides: Sides) -> list[ResourceChange]:
    old, new = test_nodes(sides.old), test_nodes(sides.new)
    found = [_resource(sides, _test_type(node), node, change) for _, change, node in _keyed(old, new)]
    for key in old.keys() & new.keys():
        why, details = _why_test(sides, old[key], new[key])
        if why:
            found.append(_resource(sides, _test_type(new[key]), new[key], "modified", why, details))
    return found


def _test_type(node: Node) -> str:
    return "test" if node["resource_type"] == "test" else "unit_test"


def _why_test(sides: Sides, old: Node, new: Node) -> tuple[list[str], list[str]]:
    if _test_type(new) == "test":
        return reasons(sides, old, new, TEST_REASONS)
    fields = ("model", "given", "expect", "overrides")
    details = [field for field in fields if old.get(field) != new.get(field)]
    # dbt's own checksum, over everything but the description; computed another way by another version.
    changed = old.get("checksum") != new.get("checksum") if sides.same_version else bool(details)
    return (["body"], details) if changed else ([], [])


def _sources(sides: Sides) -> list[ResourceChange]:
    old, new = sides.old.get("sources") or {}, sides.new.get("sources") or {}
    found = [_resource(sides, "source", node, change) for _, change, node in _keyed(old, new)]
    for change in found:
        # As for dbt: a source that is declared anew leads its readers somewhere they did not read before.
        change.rebuilds = change.change == "added"
    for key in old.keys() & new.keys():
        why = _why_source(sides, old[key], new[key])
        if why:
            details = [text for name in SOURCE_TOLD for text in _told(old[key], new[key], name)]
            found.append(_resource(sides, "source", new[key], "modified", why, details))
            found[-1].rebuilds = bool({"relation", "config"} & set(why))
    return found


def _why_source(sides: Sides, old: Node, new: Node) -> list[str]:
    why = []
    if any(_differs(old, new, key) for key in SOURCE_PLACE) or _source_moved(sides, old, new):
        why.append("relation")
    if sides.same_version and differing_keys(
        old.get("unrendered_config") or {}, new.get("unrendered_config") or {}, {*NOT_CONFIG, *SOURCE_FRESHNESS}
    ):
        why.append("config")
    if any(_differs(old, new, key) for key in SOURCE_FRESHNESS):
        why.append("freshness")
    if any((old.get(key) or "") != (new.get(key) or "") for key in ("description", "source_description")):
        why.append("description")
    return why


def _differs(old: Mapping[str, object], new: Mapping[str, object], key: str) -> bool:
    return key in old and key in new and _plain(old[key]) != _plain(new[key])


def _plain(value: object) -> object:
    """Without keys that have no value: versions of dbt write different ones down."""
    if isinstance(value, Mapping):
        return {key: kept for key, item in value.items() if (kept := _plain(item)) not in (None, {}, [])}
    return value or None


def _source_moved(sides: Sides, old: Mapping[str, object], new: Mapping[str, object]) -> bool:
    """Database and schema: as written where both versions of dbt tell, as they came out where the target is the same."""
    for key in ("database", "schema"):
        written = f"unrendered_{key}"
        if sides.same_target and old.get(key) != new.get(key):
            return True
        if written in old and written in new and old[written] != new[written]:
            return True
    if sides.same_target or "unrendered_schema" in old.keys() & new.keys():
        return False
    return bool(old.get("schema") != new.get("schema"))


def _macros(sides: Sides, models: list[NodeChange]) -> list[ResourceChange]:
    found = []
    for key, change in changed_macros(sides.old_reach, sides.new_reach).items():
        node = sides.new_reach.macros.get(key) or sides.old_reach.macros[key]
        resource = _resource(sides, "macro", node, change)
        resource.affects = sorted(model.name for model in models if f"macro: {resource.name}" in model.details)
        found.append(resource)
    return found


def _described(sides: Sides) -> list[ResourceChange]:
    found = []
    for folder, (kind, fields) in DESCRIBED.items():
        old, new = _folder(sides.old, folder), _folder(sides.new, folder)
        found += [_resource(sides, kind, node, change) for _, change, node in _keyed(old, new)]
        for key in old.keys() & new.keys():
            why = [field for field in fields if _differs(old[key], new[key], field)]
            if why:
                details = [text for field in why for text in _told(old[key], new[key], field)]
                found.append(_resource(sides, kind, new[key], "modified", why, details))
    return found


def _told(old: Mapping[str, object], new: Mapping[str, object], key: str) -> list[str]:
    return told(key, _plain(old[key]), _plain(new[key])) if _differs(old, new, key) else []


def _folder(manifest: Manifest, name: str) -> dict[str, Node]:
    folders: Mapping[str, Any] = {**manifest}
    found: dict[str, Node] = folders.get(name) or {}
    return found


def _packages(sides: Sides) -> list[ResourceChange]:
    """Packages, and the root project among them, by their version."""
    old, new = sides.old_facts.packages, sides.new_facts.packages
    found = []
    for name in sorted(old.keys() | new.keys()) if old and new else ():
        if old.get(name) == new.get(name):
            continue
        change = "added" if name not in old else "removed" if name not in new else "modified"
        why = [f"version: {old[name]} -> {new[name]}"] if change == "modified" else []
        kind = "project" if name == sides.new_reach.project else "package"
        found.append(ResourceChange(kind, name, f"{kind}.{name}", change, why))
    return found


def exposures_affected(sides: Sides, changes: Changes) -> list[dict[str, object]]:
    """Dashboards and the like that read something that changes.

    :param sides: Both manifests.
    :param changes: With models complete.
    """
    names = {change.unique_id: change.name for change in changes.of(ADDED, DIRECT, INDIRECT)}
    names |= {change.unique_id: change.name for change in changes.resources if change.type == "source" and change.rebuilds}
    found = []
    for _, node in sorted((sides.new.get("exposures") or {}).items()):
        reads = sorted(names[parent] for parent in parents_of(node) if parent in names)
        if reads:
            owner = node.get("owner") or {}
            row = {
                "name": node["name"],
                "type": node.get("type"),
                "owner": owner.get("name") or owner.get("email"),
                "reads": reads,
            }
            found.append({key: value for key, value in row.items() if value})
    return found
