"""How the next plan sets right what a failed one left: it compares the rows with the warehouse, says what it mends, and mends it.

An explain only compares, and counts in memory as missing what other code loaded. Its execute writes, before it applies anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.leftovers import Interval, Left, interval_records

if TYPE_CHECKING:
    from sqlglot.expressions import DataType
    from sqlmesh.core.context import Context
    from sqlmesh.core.engine_adapter import EngineAdapter
    from sqlmesh.core.environment import Environment
    from sqlmesh.core.snapshot import Snapshot, SnapshotId

    Columns = Mapping[str, DataType]

_MERGING = ("incremental_by_unique_key", "scd_type_2", "scd_type_2_by_time", "scd_type_2_by_column", "incremental_unmanaged")
"""Kinds that change rows which are there already: to load an interval again does not undo that."""
PRODUCTION = "prod"
"""SQLMesh's name for it: all other environments have tables of their own for what versions share."""
_TOOLS_OWN = ("valid_from", "valid_to")
"""Columns that a kind adds to those of the query."""


@dataclass
class Mend:
    """What is to be set right for one model.

    :param left: What says so.
    :param snapshot: What is deployed next.
    :param drop: Whether the table belongs to nothing that is deployed, so that it is made anew.
    :param records: Intervals that count no more, each with the record of the state that it is from.
    :param columns: Those that the table should have, with their types; ``None`` where they are right.
    :param extra: Columns that it added.
    :param lost: Columns that it dropped, with what was in them.
    :param retyped: Columns that it gave another type.
    :param writers: Identifiers of what the failed plans made of the model.
    :param merged: Whether rows that were there may hold values of the failed code.
    :param view: Whether the table is a view, and may be the failed code's.
    """

    left: Left
    snapshot: Snapshot
    drop: bool = False
    records: list[tuple[Any, Interval]] = field(default_factory=list)
    columns: dict[str, Any] | None = None
    extra: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    retyped: list[str] = field(default_factory=list)
    writers: set[str] = field(default_factory=set)
    merged: bool = False
    view: bool = False

    def told(self) -> str:
        """What is mended, and what cannot be, for people; empty when there is nothing."""
        texts = []
        if self.drop:
            texts.append("its table holds what the failed plan loaded; it is dropped, and made anew where it is deployed")
        elif self.records:
            texts.append("what the failed plan loaded counts as missing again")
        if self.extra:
            texts.append(f"added columns are dropped: {', '.join(self.extra)}")
        if self.view:
            texts.append("its table is a view of the failed plan; it is made anew")
        if self.lost:
            texts.append(f"dropped columns come back empty: {', '.join(self.lost)}; restate the model to fill them")
        if self.retyped:
            texts.append(f"columns get their types back: {', '.join(self.retyped)}")
        if self.merged:
            texts.append("rows that the failed plan may have merged cannot be told apart; restate the model to be rid of them")
        return "; ".join(texts)


def find_mends(context: Context, snapshots: Iterable[Snapshot], rows: Iterable[Left]) -> list[Mend]:
    """Compare what was left with the warehouse; nothing is written.

    :param context: Its state and its warehouse are asked.
    :param snapshots: What is deployed next.
    :param rows: What was left.
    """
    found = list(rows)
    if not found:
        return []
    wanted, ground = {snapshot.name: snapshot for snapshot in snapshots}, _ground(context)
    mends: dict[tuple[str, str], Mend] = {}
    for row in found:
        planned = wanted.get(row.node)
        snapshot = _next_of(row, planned, ground)
        # What the same code has done is as it should be.
        if snapshot is not None and not (planned is snapshot and planned.identifier == row.identifier):
            drop = (row.node, row.version) not in ground.infos
            mend = mends.setdefault((row.node, row.version), Mend(row, snapshot, drop=drop))
            _add_records(context, mend, row)
    for mend in mends.values():
        _spare_what_is_mended(mend)
        _compare_table(context, mend, ground)
    return [mend for mend in mends.values() if mend.told()]


def _spare_what_is_mended(mend: Mend) -> None:
    """An attempt that mended the table already and loaded it since has not to begin anew when it is retried."""
    if mend.drop and mend.records and not any(record.identifier in mend.writers for record, _ in mend.records):
        mend.drop, mend.records = False, []


def _add_records(context: Context, mend: Mend, row: Left) -> None:
    mend.writers.add(row.identifier)
    for record in interval_records(context, [mend.snapshot]):
        foreign = _without(record.intervals, row.kept) if record.identifier == row.identifier else []
        known = {(other.identifier, span) for other, span in mend.records}
        spans = record.intervals if mend.drop else foreign
        mend.records += [(record, span) for span in spans if (record.identifier, span) not in known]
    if not mend.drop and _kind(mend.snapshot) in _MERGING:
        # What was written just before a kill has left no record.
        mend.merged = mend.merged or bool(mend.records) or row.loads


def _next_of(row: Left, planned: Snapshot | None, ground: _Ground) -> Snapshot | None:
    """What the table of the failed plan is next: the planned model's, what is deployed now, or nobody's any more."""
    if planned is not None and planned.version == row.version:
        return planned
    if row.own:
        return None
    return ground.snapshot_of(row.node, row.version) or ground.stored(row)


def _kind(snapshot: Snapshot) -> str:
    name = snapshot.model.kind.name
    return str(getattr(name, "value", name)).lower()


@dataclass(frozen=True)
class _Ground:
    """What is deployed, in all environments.

    :param infos: Short forms of its snapshots, by model and version.
    :param half: Whether an environment is half published: views and columns change only once that is begun.
    :param context: Its state is asked.
    """

    infos: Mapping[tuple[str, str], Any]
    half: bool
    context: Context

    def snapshot_of(self, node: str, version: str) -> Snapshot | None:
        """The snapshot that a table belongs to; ``None`` when nothing that is deployed reads it."""
        info = self.infos.get((node, version))
        return None if info is None else next(iter(self.context.state_reader.get_snapshots([info]).values()), None)

    def stored(self, row: Left) -> Snapshot | None:
        """The failed plan's own snapshot; ``None`` where it was never stored."""
        from sqlmesh.core.snapshot import SnapshotId

        wanted = SnapshotId(name=row.node, identifier=row.identifier)
        return next(iter(self.context.state_reader.get_snapshots([wanted]).values()), None)


def _ground(context: Context) -> _Ground:
    """Of an environment that is half published, what it was before is deployed. A table that versions share is production's."""
    environments = sorted(context.state_reader.get_environments(), key=lambda environment: environment.name == PRODUCTION)
    infos = {
        (info.name, info.version): info
        for environment in environments
        for info in (environment.snapshots if environment.finalized_ts else environment.previous_finalized_snapshots or [])
    }
    return _Ground(infos, any(not environment.finalized_ts for environment in environments), context)


def _without(intervals: Iterable[Interval], kept: Iterable[Interval]) -> list[Interval]:
    from sqlmesh.core.snapshot.definition import remove_interval

    rest = list(intervals)
    for start, end in kept:
        rest = remove_interval(rest, start, end)
    return rest


def _compare_table(context: Context, mend: Mend, ground: _Ground) -> None:
    snapshot = mend.snapshot
    if snapshot.is_view:
        mend.drop, mend.view, mend.records = False, ground.half, []
        return
    adapter, table = _adapter(context, snapshot), snapshot.table_name()
    if not adapter.table_exists(table):
        mend.drop = mend.drop and bool(mend.records)
        return
    deployed = ground.snapshot_of(mend.left.node, mend.left.version)
    before = dict(deployed.model.columns_to_types or {}) if deployed is not None else {}
    if not mend.drop and before:
        _compare_columns(adapter, mend, adapter.columns(table), before, ground.half)


def _compare_columns(adapter: EngineAdapter, mend: Mend, there: Columns, before: Columns, half: bool) -> None:
    """
    :param there: What the table has.
    :param before: What it has as it is deployed.
    """
    after = dict(mend.snapshot.model.columns_to_types or {})
    mend.extra = [name for name in there if name not in before and name not in after and name not in _TOOLS_OWN]
    mend.lost = [name for name in before if name not in there and name in after]
    known = [name for name in before if half and name in there and name in after and str(before[name]) != "UNKNOWN"]
    mend.retyped = [name for name in known if not _is_same(adapter, there[name], before[name])]
    if mend.extra or mend.lost or mend.retyped:
        kept = {name: kind for name, kind in there.items() if name not in mend.extra}
        mend.columns = {**kept, **{name: before[name] for name in [*mend.retyped, *mend.lost]}}


def _is_same(adapter: EngineAdapter, one: DataType, other: DataType) -> bool:
    """Whether two types are the same in the warehouse, whatever they are called."""
    return bool(one.sql(dialect=adapter.dialect) == other.sql(dialect=adapter.dialect))


def _adapter(context: Context, snapshot: Snapshot) -> EngineAdapter:
    gateway = getattr(snapshot, "model_gateway", None)
    return (getattr(context, "engine_adapters", None) or {}).get(gateway or "", context.engine_adapter)


def subtract(mends: Iterable[Mend]) -> None:
    """Let a plan count as missing what the failed code filled, in memory alone.

    :param mends: What is to be set right; their snapshots are those of the plan.
    """
    for mend in mends:
        for _, span in mend.records:
            mend.snapshot.intervals = _without(mend.snapshot.intervals, [span])


def mend_all(step: Step, context: Context, mends: Iterable[Mend], snapshots: Mapping[SnapshotId, Snapshot]) -> None:
    """Set right what a failed plan left.

    :param step: Is told.
    :param context: Its state and its warehouse are written to.
    :param mends: What is to be set right.
    :param snapshots: All of the plan, by id.
    """
    found = list(mends)
    for mend in found:
        step.channel.line(f"mending {mend.left.name}: {mend.told()}")
        # First the state: a table without intervals is loaded, intervals without a table never are.
        if mend.records:
            context.state_sync.remove_intervals(mend.records)
        if mend.drop:
            _adapter(context, mend.snapshot).drop_table(mend.snapshot.table_name())
        if mend.columns is not None:
            _alter(_adapter(context, mend.snapshot), mend.snapshot.table_name(), mend.columns)
    views = [mend.snapshot for mend in found if mend.view]
    if views:
        context.snapshot_evaluator.migrate(views, dict(snapshots))


def _alter(adapter: EngineAdapter, table: str, columns: Columns) -> None:
    differ = getattr(adapter, "schema_differ", None) or adapter.SCHEMA_DIFFER
    adapter.alter_table(differ.compare_columns(table, adapter.columns(table), dict(columns)))


def told_mends(mends: Iterable[Mend]) -> list[dict[str, str]]:
    """Rows of ``plan_output.leftovers``.

    :param mends: What an execute sets right.
    """
    return [
        {"name": mend.left.name, "plan_id": mend.left.plan_id, "commit": mend.left.commit, "what": mend.told()} for mend in mends
    ]


def unpublished(context: Context, recorded: Environment | None, published: Iterable[str]) -> list[Snapshot]:
    """Models whose views should be gone by now: SQLMesh drops them once, and looks no more at what was there before that.

    :param context: Its state is asked.
    :param recorded: The environment as it stood before.
    :param published: Full names of models that have views.
    """
    before = (recorded.previous_finalized_snapshots if recorded is not None else None) or []
    names = set(published)
    gone = [info for info in before if info.name not in names and info.is_model and not info.is_symbolic]
    return list(context.state_reader.get_snapshots(gone).values()) if gone else []
