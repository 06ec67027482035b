"""The plan as the reviewer sees it: the documented counts and lists, and what each model's change looks like."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from dagctl_sqlmesh.categories import category_of
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.metadata import audit_diff, audits_changed, edited

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.context_diff import ContextDiff
    from sqlmesh.core.node import Node
    from sqlmesh.core.plan import Plan
    from sqlmesh.core.snapshot import Snapshot, SnapshotIntervals

DIFF_LIMIT = 20_000
ALL_DIFFS_LIMIT = 400_000
INTERVALS_LIMIT = 50
LINT_LIMIT = 10


class Row(TypedDict, total=False):
    """One model of the plan."""

    name: str
    change: str | None
    category: str | None
    kind: str
    backfill: list[dict[str, str]]
    diff: str
    diff_truncated: bool
    columns_added: list[str]
    columns_removed: list[str]
    columns_changed: list[dict[str, str]]
    details: list[str]
    path: str
    tags: list[str]


def describe(step: Step, context: Context, plan: Plan) -> dict[str, object]:
    """``plan_output`` of an explain.

    ``modelsModified`` counts direct and indirect changes, as in the published example; models with nothing but changed metadata
    stand in ``metadata_modified``.

    :param step: The step.
    :param context: The context that made the plan.
    :param plan: SQLMesh's plan.
    """
    diff, names = plan.context_diff, step.journal.names
    direct = [name for name in diff.modified_snapshots if diff.directly_modified(name)]
    indirect = [name for name in diff.modified_snapshots if diff.indirectly_modified(name) and name not in direct]
    metadata = [name for name in diff.modified_snapshots if name not in direct and name not in indirect]
    followers = [name for name in metadata if not _is_edited(diff, name)]
    metadata = [name for name in metadata if name not in followers]
    removed = [snapshot_id.name for snapshot_id in diff.removed_snapshots]
    added = [snapshot_id.name for snapshot_id in diff.added]
    backfill = {_interval_owner(item): item.merged_intervals for item in plan.missing_intervals}
    changes = {
        **dict.fromkeys(direct, "directly_modified"),
        **dict.fromkeys(indirect, "indirectly_modified"),
        **dict.fromkeys(metadata, "metadata"),
        **dict.fromkeys(added, "added"),
    }
    models = [_changed_model(step, plan, name, change, backfill) for name, change in sorted(changes.items())]
    models += _removed_models(step, context, diff)
    models += [
        {"name": names.of(name), "change": None, "backfill": _intervals(intervals)}
        for name, intervals in sorted(backfill.items())
        if name not in changes
    ]
    _bound_diffs(models)
    for text in lint_warnings(step, changes):
        step.journal.warn(text)
    loaded_anew = names.sorted(snapshot_id for snapshot_id in plan.restatements)
    return {
        "environment": plan.environment_naming_info.name,
        "is_new_environment": bool(diff.is_new_environment),
        "has_changes": bool(diff.has_changes or plan.requires_backfill),
        "modelsAdded": len(added),
        "modelsModified": len(direct) + len(indirect),
        "modelsRemoved": len(removed),
        "directly_modified": names.sorted(direct),
        "indirectly_modified": names.sorted(indirect),
        "metadata_modified": names.sorted(metadata),
        **({"metadata_followers": names.sorted(followers)} if followers else {}),
        "models_added": names.sorted(added),
        "models_removed": names.sorted(removed),
        "modelsNeedingBackfill": len(backfill),
        "models": models,
        "lineage": _lineage(step, plan, changes),
        "requirements_diff": _requirements_diff(diff),
        "environment_statements_diff": _statements_diff(diff),
        # In a development environment SQLMesh calls so what it loads of a forward-only change to look at.
        "restatements": [] if plan.is_dev else loaded_anew,
        **({"previews": loaded_anew} if plan.is_dev and loaded_anew else {}),
        "warnings": list(step.journal.warnings),
        "explain_completed": True,
    }


def lint_warnings(step: Step, changed: Iterable[str]) -> list[str]:
    """One text for each rule of the linter and what it says, with the models of the plan that it says it of.

    :param step: Its journal has heard the linter.
    :param changed: Full names of models that the plan changes.
    """
    names = set(changed)
    found = {text: step.journal.names.sorted(models & names) for text, models in step.journal.lint.items() if models & names}
    rows = []
    for text, models in sorted(found.items()):
        more = f" and {len(models) - LINT_LIMIT} more" if len(models) > LINT_LIMIT else ""
        rows.append(f"Linter: {text} ({', '.join(models[:LINT_LIMIT])}{more})")
    return rows


def _is_edited(diff: ContextDiff, name: str) -> bool:
    """Whether a model's own metadata was edited; what is built on it counts as changed as well."""
    updated = getattr(diff, "metadata_updated", None)
    return bool(updated(name)) if updated else True


def _interval_owner(item: SnapshotIntervals) -> str:
    return str(item.snapshot_id.name)


def _snapshot(plan: Plan, name: str) -> Snapshot:
    return plan.context_diff.snapshots_by_name[name]


def _kind(node: Node) -> str:
    kind = getattr(node, "kind", None)
    name = getattr(kind, "name", None)
    return str(getattr(name, "value", name) or "STANDALONE_AUDIT")


def _changed_model(step: Step, plan: Plan, name: str, change: str, backfill: Mapping[str, Iterable[tuple[int, int]]]) -> Row:
    snapshot = _snapshot(plan, name)
    category = category_of(snapshot)
    if change == "indirectly_modified" and category == "forward_only":
        category = "indirect_forward_only"
    row: Row = {
        "name": step.journal.names.of(name),
        "change": change,
        "category": category,
        "kind": _kind(snapshot.node),
        "backfill": _intervals(backfill.get(name, [])),
        **_place(step, snapshot.node),
    }
    if change == "added":
        row["diff"] = _whole(snapshot.node, "+")
    elif change != "indirectly_modified":
        row["diff"] = _tidy(plan.context_diff.text_diff(name))
        old = plan.context_diff.modified_snapshots[name][1]
        row["diff"] = "\n".join(text for text in (row["diff"], audit_diff(old.node, snapshot.node)) if text)
        row.update(_columns(old.node, snapshot.node))
        details = edited(old.node, snapshot.node)
        if details:
            row["details"] = details
        if change == "metadata" and audits_changed(details):
            step.journal.warn(f"Audits of {row['name']} changed: an execute runs them over the rows that are loaded.")
    return row


def _place(step: Step, node: Node) -> Row:
    """Its file and tags, as far as they are known; of a model that is gone the state may tell another folder."""
    row: Row = {"tags": sorted(str(tag) for tag in getattr(node, "tags", None) or [])}
    path, folder = getattr(node, "_path", None), Path(step.job["project"]).resolve()
    if path and Path(path).resolve().is_relative_to(folder):
        row["path"] = Path(path).resolve().relative_to(folder).as_posix()
    return row


def _removed_models(step: Step, context: Context, diff: ContextDiff) -> list[Row]:
    infos = diff.removed_snapshots
    full = context.state_reader.get_snapshots(list(infos)) if infos else {}
    rows = []
    for snapshot_id in sorted(infos, key=lambda item: item.name):
        row: Row = {"name": step.journal.names.of(snapshot_id), "change": "removed", "category": None, "backfill": []}
        if snapshot_id in full:
            node = full[snapshot_id].node
            row["kind"], row["diff"] = _kind(node), _whole(node, "-")
            row.update(_place(step, node))
        rows.append(row)
    return rows


def _tidy(diff: str) -> str:
    """Without the empty file names and the empty lines that SQLMesh's unified diffs have after their headings."""
    lines = diff.splitlines()
    headings = ("---", "+++", "@@")
    kept = [line for number, line in enumerate(lines) if line or number == 0 or not lines[number - 1].startswith(headings)]
    return "\n".join(line for line in kept if line.strip() not in ("---", "+++"))


def _whole(node: Node, sign: str) -> str:
    """The complete definition, each line marked as added or removed."""
    try:
        texts = [part.sql(dialect=node.dialect, pretty=True, comments=True) for part in node.render_definition()]
    except Exception:
        texts = [str(getattr(node, "query", node.name))]
    return "\n".join(sign + line for line in "\n\n".join(texts).splitlines())


def _columns(old: Node, new: Node) -> Row:
    """Columns that came, went or changed their type, where both sides are known without asking the warehouse."""
    # A query that cannot be resolved has no known columns; the diff still tells all.
    with contextlib.suppress(Exception):
        before = {name: str(kind) for name, kind in (old.columns_to_types or {}).items()}
        after = {name: str(kind) for name, kind in (new.columns_to_types or {}).items()}
        if before and after:
            return {
                "columns_added": [name for name in after if name not in before],
                "columns_removed": [name for name in before if name not in after],
                "columns_changed": [
                    {"name": name, "from": before[name], "to": after[name]}
                    for name in after
                    if name in before and "UNKNOWN" not in (before[name], after[name]) and not _is_same_type(old, new, name)
                ],
            }
    return {}


def _is_same_type(old: Node, new: Node, column: str) -> bool:
    """Whether the warehouse knows both types by one name, as DuckDB does TEXT and VARCHAR."""
    before, after = (node.columns_to_types[column].sql(dialect=new.dialect) for node in (old, new))
    return bool(before == after)


def _moment(milliseconds: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(milliseconds / 1000, datetime.timezone.utc)


def _intervals(intervals: Iterable[tuple[int, int]]) -> list[dict[str, str]]:
    """Dates, the last one included, for whole days; otherwise moments, the end excluded."""
    rows = []
    for start, end in list(intervals)[:INTERVALS_LIMIT]:
        first, last = _moment(start), _moment(end)
        if first.time() == last.time() == datetime.time() and last > first:
            rows.append({"start": first.date().isoformat(), "end": (last.date() - datetime.timedelta(days=1)).isoformat()})
        else:
            rows.append({"start": first.isoformat(), "end": last.isoformat()})
    return rows


def _bound_diffs(models: list[Row]) -> None:
    """Keep the result small enough for an XCom: direct changes first, then the rest as long as there is room."""
    room = ALL_DIFFS_LIMIT
    order = {"directly_modified": 0, "metadata": 1, "removed": 2, "added": 3}
    for model in sorted(models, key=lambda row: order.get(row["change"] or "", 4)):
        text = model.get("diff")
        if not text:
            continue
        kept = text[: max(0, min(DIFF_LIMIT, room))]
        room -= len(kept)
        if len(kept) < len(text):
            model["diff"], model["diff_truncated"] = kept, True


def _lineage(step: Step, plan: Plan, changed: Iterable[str]) -> dict[str, list[str]]:
    names = step.journal.names
    return {names.of(name): names.sorted(_snapshot(plan, name).parents) for name in sorted(changed)}


def _requirements_diff(diff: ContextDiff) -> str | None:
    if not getattr(diff, "has_requirement_changes", False):
        return None
    return str(diff.requirements_diff())[:DIFF_LIMIT] or None


def _statements_diff(diff: ContextDiff) -> str | None:
    """One text in all versions: older ones give a text, newer ones pairs of kind and text."""
    if not getattr(diff, "has_environment_statements_changes", False):
        return None
    found = diff.environment_statements_diff()
    text = found if isinstance(found, str) else "\n".join(f"{kind}:\n{body}" for kind, body in found)
    return text[:DIFF_LIMIT] or None
