"""The plan as the reviewer sees it: the counts and lists that SQLMesh plans have too, and what only dbt has."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from dagctl_dbt.columns import ColumnReport
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
    name_of,
    parents_of,
    project_of,
)
from dagctl_dbt.leftovers import Leftovers, described
from dagctl_dbt.selection import NONE, Selection

DIFF_LIMIT = 20_000
ALL_DIFFS_LIMIT = 400_000
NOT_STORED = ("view", "ephemeral")
RESOURCES_LIMIT = 2_000


@dataclass
class Plan:
    """What an explain found, and an execute finds again.

    :param manifest: Of the commit.
    :param facts: Beside it.
    :param old: Manifest of what is deployed, ``None`` before the first.
    :param old_facts: Beside it.
    :param changes: Between the two.
    :param selection: What runs.
    :param parts: Of the digest.
    :param warehouse: Where an execute writes.
    :param leftovers: What plans that did not end well left.
    :param anew: Why something is made from scratch, by unique id.
    :param given: Variables that the plan sets.
    :param unstable: What differs each time, and is not compared.
    """

    manifest: Manifest
    facts: Facts
    old: Manifest | None
    old_facts: Facts
    changes: Changes
    selection: Selection
    parts: dict[str, str]
    warehouse: Mapping[str, str] = field(default_factory=dict)
    leftovers: Leftovers = field(default_factory=Leftovers)
    anew: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Any] = field(default_factory=dict)
    unstable: list[dict[str, str]] = field(default_factory=list)


def describe(plan: Plan) -> dict[str, Any]:
    """``plan_output`` without what needs compiled SQL.

    :param plan: What was found.
    """
    changes, selection = plan.changes, plan.selection
    kinds = {change.unique_id: change.kind for change in changes.models}
    nodes = built_nodes(plan.manifest)
    known = {**(built_nodes(plan.old) if plan.old is not None else {}), **nodes}
    stored = [key for key in selection.nodes if key in nodes and _kind(nodes[key], kinds.get(key)) not in NOT_STORED]
    return {
        "environment": plan.facts.target,
        "is_new_environment": plan.old is None,
        "explain_completed": True,
        "has_changes": changes.any or selection.mode != NONE,
        "modelsAdded": len(changes.of(ADDED)),
        "modelsModified": len(changes.of(DIRECT, INDIRECT)),
        "modelsRemoved": len(changes.of(REMOVED)),
        "modelsNeedingBackfill": len(stored),
        "directly_modified": _names(changes, DIRECT),
        "indirectly_modified": _names(changes, INDIRECT),
        "metadata_modified": _names(changes, METADATA),
        "models_added": _names(changes, ADDED),
        "models_removed": _names(changes, REMOVED),
        "models": [_model(change, known.get(change.unique_id), project_of(plan.manifest)) for change in changes.models],
        "resources": [_resource(change) for change in changes.resources[:RESOURCES_LIMIT]],
        "selection": asdict(selection),
        "tests_to_run": selection.tests,
        "contracts_broken": [asdict(broken) for broken in changes.contracts_broken],
        "exposures_affected": changes.exposures_affected,
        "lineage": _lineage(plan),
        "warnings": [*changes.warnings, *_removed_hooks(plan)],
        "digest_parts": plan.parts,
        "warehouse": dict(plan.warehouse),
        **_only_known(
            unstable=plan.unstable,
            leftovers=described(plan.manifest, plan.leftovers),
            full_refresh=_refreshed(plan, nodes),
            vars={name: json.dumps(value, sort_keys=True) for name, value in sorted(plan.given.items())},
        ),
    }


def _refreshed(plan: Plan, nodes: Mapping[str, Node]) -> list[dict[str, str]]:
    project = project_of(plan.manifest)
    return [{"name": name_of(nodes[key], project), "why": why} for key, why in sorted(plan.anew.items())]


def _only_known(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value}


def _removed_hooks(plan: Plan) -> list[str]:
    """What a hook has done stays when the hook goes."""
    return [
        f"The hook {change.name} is removed: it does not run any more, and what it has done stays."
        for change in plan.changes.resources
        if change.type == "hook" and change.change == "removed"
    ]


def _kind(node: Node, known: str | None) -> str:
    return known or str((node.get("config") or {}).get("materialized") or node["resource_type"])


def _names(changes: Changes, kind: str) -> list[str]:
    return sorted(change.name for change in changes.of(kind))


def _model(change: NodeChange, node: Node | None, project: str | None) -> dict[str, object]:
    row: dict[str, object] = {"name": change.name, "unique_id": change.unique_id, "change": change.change, "kind": change.kind}
    if node is not None:
        # What a package brings lies in no file of the repository.
        if node.get("original_file_path") and node.get("package_name") == project:
            row["path"] = node["original_file_path"].replace("\\", "/")
        row["tags"] = sorted(node.get("tags") or [])
    return {**row, "reasons": change.reasons, **({"details": change.details} if change.details else {})}


def _resource(change: ResourceChange) -> dict[str, object]:
    row = {key: getattr(change, key) for key in ("type", "name", "change", "reasons", "affects")}
    return {**row, **({"details": change.details} if change.details else {})}


def _lineage(plan: Plan) -> dict[str, list[str]]:
    nodes, project = built_nodes(plan.manifest), project_of(plan.manifest)
    return {
        change.name: sorted(name_of(nodes[key], project) for key in parents_of(nodes[change.unique_id]) if key in nodes)
        for change in plan.changes.models
        if change.unique_id in nodes
    }


def add_diffs(output: dict[str, Any], plan: Plan, compiled: Mapping[str, str]) -> None:
    """Add to each changed model a text diff: of the compiled SQL where both sides are known, of what was written otherwise.

    :param output: Of :func:`describe`; its models get ``diff``, ``diff_of`` and ``diff_truncated``.
    :param plan: What was found.
    :param compiled: Compiled SQL of the commit, by unique id.
    """
    before = built_nodes(plan.old) if plan.old is not None else {}
    after = built_nodes(plan.manifest)
    left = ALL_DIFFS_LIMIT
    for row in output["models"]:
        old, new = before.get(row["unique_id"]), after.get(row["unique_id"])
        if row["change"] in (INDIRECT, METADATA) and not compiled.get(row["unique_id"]):
            continue
        kind, text = _diff(old, new, compiled.get(row["unique_id"]))
        if not text:
            continue
        cut = text[: min(DIFF_LIMIT, left)]
        left -= len(cut)
        row.update(diff=cut, diff_of=kind, **({"diff_truncated": True} if len(cut) < len(text) else {}))


def add_columns(output: dict[str, Any], report: ColumnReport) -> None:
    """Add what happens to columns, and who reads those that go.

    :param output: Of :func:`describe`.
    :param report: Of :func:`dagctl_dbt.columns.compare_columns`.
    """
    for row in output["models"]:
        found = report.models.get(row["unique_id"])
        if found is None:
            continue
        if found.same_sql and row["change"] == DIRECT:
            row["details"] = [*row.get("details", ()), "the compiled SQL means the same as before"]
        lists = {"columns_added": found.added, "columns_removed": found.removed, "columns_changed": found.changed}
        row.update(
            {key: names for key, names in lists.items() if names}, **({"category": found.category} if found.category else {})
        )
    if report.missing:
        output["column_impact_missing"] = report.missing
    if report.impact or not report.missing:
        output["column_impact"] = report.impact
    output["warnings"] = [*output["warnings"], *report.warnings]


def _diff(old: Node | None, new: Node | None, compiled: str | None) -> tuple[str, str]:
    sides = (old or {}), (new or {})
    before, after = sides[0].get("compiled_code") if old else "", compiled if new else ""
    candidates: list[tuple[str, tuple[str, str]]] = [
        ("compiled", (before, after) if before is not None and after is not None else ("", "")),
        ("raw", (sides[0].get("raw_code") or "", sides[1].get("raw_code") or "")),
        ("config", (_config(old), _config(new)) if old and new else ("", "")),
    ]
    return next(((kind, text) for kind, texts in candidates if (text := unified(*texts))), ("", ""))


def _config(node: Node | None) -> str:
    return json.dumps((node or {}).get("unrendered_config") or {}, indent=1, sort_keys=True)


def unified(before: str, after: str) -> str:
    """A unified diff without the file names.

    :param before: Old text.
    :param after: New text.
    """
    lines = difflib.unified_diff(before.strip().splitlines(), after.strip().splitlines(), lineterm="")
    return "\n".join(line for number, line in enumerate(lines) if number > 1)


def summary(output: Mapping[str, Any]) -> str:
    """One line for the log."""
    selection = output["selection"]
    return (
        f"plan for {output['environment']}: {output['modelsAdded']} added, {output['modelsModified']} modified, "
        f"{output['modelsRemoved']} removed, {len(output['metadata_modified'])} metadata only; "
        f"to run: {len(selection['models'])} models, {len(selection['tests'])} tests"
    )
