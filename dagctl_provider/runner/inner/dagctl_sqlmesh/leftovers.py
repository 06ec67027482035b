"""What a failed execute may have left in the warehouse: it says so itself, its explain does for one that is killed.

SQLMesh gives most versions of a model a table of their own, so a plan that fails leaves nothing that anybody reads. Some
tables are shared by versions: those of forward-only models, and of a model whose change rebuilds nothing. There the failed
code's columns and intervals would count for whatever is deployed next.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.digests import hashes_of

from dagctl_sqlmesh.categories import category_of
from dagctl_sqlmesh.journals import Step

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.environment import Environment
    from sqlmesh.core.plan import Plan
    from sqlmesh.core.snapshot import Snapshot, SnapshotIntervals

Interval = tuple[int, int]


@dataclass(frozen=True)
class Left:
    """A model that a failed plan may have left otherwise than it is deployed.

    :param node: Full name.
    :param name: For people.
    :param identifier: Of the failed plan's snapshot of it.
    :param version: Of the table that the failed plan wrote.
    :param own: Whether the table was nobody else's when the plan was made.
    :param loads: Whether the failed plan loads it, or did.
    :param kept: Intervals that this snapshot had before the failed plan.
    :param plan_id: The failed plan.
    :param commit: Its commit.
    """

    node: str
    name: str
    identifier: str
    version: str
    own: bool = False
    loads: bool = False
    kept: tuple[Interval, ...] = ()
    plan_id: str = ""
    commit: str = ""


def rows_left(step: Step) -> list[Left]:
    """What earlier plans of the project left, as the step was told.

    :param step: Has it as a file.
    """
    path = (step.job.get("inputs") or {}).get("leftovers")
    if not path:
        return []
    found: Any = json.loads(Path(path).read_text(encoding="utf-8"))
    rows = found.get("rows") if isinstance(found, dict) else None
    made = [_left(row) for row in rows or [] if isinstance(row, dict)]
    return [row for row in made if row.node and row.identifier and row.version]


def _left(row: Mapping[str, object]) -> Left:
    found = row.get("kept")
    spans = found if isinstance(found, list) else []
    kept = tuple((int(start), int(end)) for start, _, end in (str(span).partition("/") for span in spans))
    texts = {name: str(row.get(name) or "") for name in ("node", "name", "identifier", "version", "plan_id", "commit")}
    return Left(**texts, own=row.get("own") is True, loads=row.get("loads") is True, kept=kept)


def left_parts(rows: Iterable[Left]) -> dict[str, str]:
    """The part of the digest that says what is mended; none when nothing was left.

    :param rows: What was left.
    """
    found = sorted([row.node, row.plan_id] for row in rows)
    return hashes_of({"leftovers": found}) if found else {}


def leaves(step: Step, context: Context, plan: Plan) -> list[dict[str, object]]:
    """What an execute of the plan leaves if it does not come to its end.

    :param step: The step.
    :param context: The context that made the plan.
    :param plan: SQLMesh's plan.
    """
    diff = plan.context_diff
    # Before anything is deployed the next plan builds on this one's tables, whatever became of it.
    first = not any(environment_is_whole(each) for each in context.state_reader.get_environments())
    touched = {snapshot_id.name for snapshot_id in diff.added} | set(diff.modified_snapshots)
    written = [snapshot for snapshot in plan.snapshots.values() if snapshot.name in touched and _is_written(snapshot)]
    found = [snapshot for snapshot in written if first or not _is_own(snapshot)]
    records = interval_records(context, [snapshot for snapshot in found if snapshot.snapshot_id not in diff.new_snapshots])
    loading = {item.snapshot_id.name for item in plan.missing_intervals if item.snapshot_id is not None}
    rows = []
    for snapshot in sorted(found, key=lambda each: str(each.name)):
        row = {"node": snapshot.name, "name": step.journal.names.of(snapshot.name)}
        row.update(identifier=snapshot.identifier, version=snapshot.version)
        kept = [f"{span[0]}/{span[1]}" for record in records if _is_of(record, snapshot) for span in record.intervals]
        facts = {"own": _is_own(snapshot), "loads": snapshot.name in loading, "kept": kept}
        rows.append({**row, **{key: fact for key, fact in facts.items() if fact}})
    return rows


def _is_of(record: SnapshotIntervals, snapshot: Snapshot) -> bool:
    same: bool = (record.name, record.identifier) == (snapshot.name, snapshot.identifier)
    return same


def environment_is_whole(environment: Environment) -> bool:
    """Whether an environment was published to its end at least once.

    :param environment: As the state has it.
    """
    return bool(environment.finalized_ts or environment.previous_finalized_snapshots)


def _is_written(snapshot: Snapshot) -> bool:
    return bool(snapshot.is_model and not snapshot.is_symbolic and snapshot.version and category_of(snapshot) != "metadata")


def _is_own(snapshot: Snapshot) -> bool:
    """Whether no other version of the model writes the same table."""
    own: bool = snapshot.version == snapshot.fingerprint.to_version()
    return own


def interval_records(context: Context, tables: Iterable[Snapshot]) -> list[SnapshotIntervals]:
    """What the state says of intervals of tables, with the snapshots whose code filled them.

    :param context: Its state is asked.
    :param tables: Snapshots; all that share their tables are told of.
    """
    wanted = list(tables)
    if not wanted:
        return []
    # What SQLMesh hands out may be a cache before the state; before 0.150 the state was one class.
    state: Any = context.state_sync
    state = getattr(state, "state_sync", state)
    _, records = getattr(state, "interval_state", state)._get_snapshot_intervals(wanted)
    return [record for record in records if record.intervals]
