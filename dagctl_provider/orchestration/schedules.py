"""When the run Dags of projects ran last, run now and run next, whoever started them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from airflow import settings
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.utils.types import DagRunType
from sqlalchemy import and_, exists, func, or_, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import DAG_PREFIX, RUN_SUFFIX
from dagctl_provider.store.tables import project_run

_UNFINISHED = ("queued", "running")
_AUTOMATED = (DagRunType.SCHEDULED, DagRunType.BACKFILL_JOB)


@dataclass(frozen=True)
class NewestRun:
    """The newest run of a Dag.

    :param state: Airflow's word: ``queued``, ``running``, ``success``, ``failed``.
    """

    dag_id: str
    run_id: str
    state: str
    queued_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True)
class FoundRun:
    """A run that dagctl did not start.

    :param due_at: When it was due; of one started by hand, when that was.
    :param started_by: Who pressed Trigger, or what kind of run it is.
    :param scheduled: Whether its Dag's schedule did.
    """

    dag_id: str
    run_id: str
    due_at: datetime
    started_by: str
    scheduled: bool = False


def newest_runs(session: Session, dag_ids: Iterable[str]) -> dict[str, NewestRun]:
    """The newest run of each Dag that had one, by Dag id."""
    wanted = sorted(dag_ids)
    if not wanted:
        return {}
    newest = select(func.max(DagRun.id)).where(DagRun.dag_id.in_(wanted)).group_by(DagRun.dag_id)
    columns = (DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.queued_at, DagRun.start_date, DagRun.end_date)
    query = select(*columns).where(DagRun.id.in_(newest))
    return {
        row.dag_id: NewestRun(
            row.dag_id,
            row.run_id,
            _text(row.state),
            row.queued_at,
            row.start_date,
            row.end_date,
        )
        for row in session.execute(query)
    }


@dataclass(frozen=True)
class NextRun:
    """When Airflow will start a Dag by itself.

    :param at: ``None`` when it only starts by hand.
    :param paused: Whether somebody has paused the Dag, so that nothing of it starts.
    """

    at: datetime | None
    paused: bool


def next_runs(session: Session, dag_ids: Iterable[str]) -> dict[str, NextRun]:
    """What comes next of each Dag that Airflow knows, by Dag id."""
    wanted = sorted(dag_ids)
    if not wanted:
        return {}
    query = select(DagModel.dag_id, DagModel.next_dagrun_create_after, DagModel.is_paused).where(DagModel.dag_id.in_(wanted))
    return {
        row.dag_id: NextRun(None if row.is_paused else row.next_dagrun_create_after, row.is_paused)
        for row in session.execute(query)
    }


def scheduler_timezone() -> tzinfo:
    """The time zone by which Airflow reads schedules: ``[core] default_timezone``."""
    return settings.TIMEZONE


def unfinished_runs(session: Session) -> dict[str, str]:
    """State of each queued or running run of a run Dag, by Dag id and run id with a slash between them."""
    # Two comparisons rather than IN: Airflow has an index for each of these states.
    pattern = (DAG_PREFIX + "%" + RUN_SUFFIX).replace("_", r"\_")
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(
        or_(DagRun.state == "running", DagRun.state == "queued"), DagRun.dag_id.like(pattern, escape="\\")
    )
    return {f"{row.dag_id}/{row.run_id}": _text(row.state) for row in session.execute(query)}


def unfinished_of(session: Session, dag_ids: Iterable[str]) -> list[tuple[str, str]]:
    """The queued and running runs of some Dags, oldest first, as (dag_id, run_id)."""
    query = select(DagRun.dag_id, DagRun.run_id).where(DagRun.dag_id.in_(sorted(dag_ids)), DagRun.state.in_(_UNFINISHED))
    return [(row.dag_id, row.run_id) for row in session.execute(query.order_by(DagRun.id))]


def found_runs(session: Session, dag_ids: Iterable[str]) -> list[FoundRun]:
    """The runs of these Dags that are not on record: the scheduler or a person in Airflow started them.

    Those of a backfill are left to Airflow, which keeps its own record of what belongs to it.
    """
    wanted = sorted(dag_ids)
    if not wanted:
        return []
    on_record = exists().where(project_run.c.dag_id == DagRun.dag_id, project_run.c.run_id == DagRun.run_id)
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.run_after, DagRun.run_type, DagRun.triggering_user_name).where(
        DagRun.dag_id.in_(wanted), DagRun.run_type != DagRunType.BACKFILL_JOB, ~on_record
    )
    return [
        FoundRun(
            dag_id=row.dag_id,
            run_id=row.run_id,
            due_at=row.run_after,
            started_by=row.triggering_user_name or _text(row.run_type),
            scheduled=row.run_type == DagRunType.SCHEDULED,
        )
        for row in session.execute(query)
    ]


def is_scheduled(session: Session, dag_id: str, run_id: str) -> bool:
    """Whether a run was started by its Dag's schedule."""
    query = select(exists().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id, DagRun.run_type == DagRunType.SCHEDULED))
    return bool(session.execute(query).scalar())


def is_backfilled(session: Session, dag_id: str, run_id: str) -> bool:
    """Whether a run belongs to a backfill."""
    query = select(exists().where(DagRun.dag_id == dag_id, DagRun.run_id == run_id, DagRun.run_type == DagRunType.BACKFILL_JOB))
    return bool(session.execute(query).scalar())


def newest_automated(session: Session, dag_ids: Iterable[str]) -> set[tuple[str, str]]:
    """The newest run of each Dag that its schedule started, as (dag_id, run_id).

    From that one Airflow works out the next. Without it Airflow starts anew, or goes on from an older one, and what was due last
    is run once more. ``airflow db clean`` keeps it for the same reason.
    """
    newest = (
        select(DagRun.dag_id, func.max(DagRun.logical_date).label("logical_date"))
        .where(DagRun.dag_id.in_(sorted(dag_ids)), DagRun.run_type.in_(_AUTOMATED))
        .group_by(DagRun.dag_id)
        .subquery()
    )
    same = and_(newest.c.dag_id == DagRun.dag_id, newest.c.logical_date == DagRun.logical_date)
    return {(row.dag_id, row.run_id) for row in session.execute(select(DagRun.dag_id, DagRun.run_id).join(newest, same))}


def forget_next(session: Session, dag_ids: Iterable[str]) -> None:
    """Let the scheduler start no further run of Dags whose schedules are taken away; it hears of that when they are parsed."""
    statement = update(DagModel).where(DagModel.dag_id.in_(sorted(dag_ids))).values(next_dagrun_create_after=None)
    session.execute(statement.execution_options(synchronize_session=False))


def _text(state: object) -> str:
    return str(getattr(state, "value", state))
