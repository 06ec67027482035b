"""When the run Dags of projects ran last, run now and run next."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import DAG_PREFIX, RUN_SUFFIX


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
            str(getattr(row.state, "value", row.state)),
            row.queued_at,
            row.start_date,
            row.end_date,
        )
        for row in session.execute(query)
    }


def next_runs(session: Session, dag_ids: Iterable[str]) -> dict[str, datetime]:
    """When Airflow will start each Dag by itself; Dags that only start by hand are left out."""
    wanted = sorted(dag_ids)
    if not wanted:
        return {}
    query = select(DagModel.dag_id, DagModel.next_dagrun_create_after).where(
        DagModel.dag_id.in_(wanted), DagModel.next_dagrun_create_after.is_not(None), DagModel.is_paused.is_(False)
    )
    return {row.dag_id: row.next_dagrun_create_after for row in session.execute(query)}


def unfinished_runs(session: Session) -> dict[str, str]:
    """State of each queued or running run of a run Dag, by Dag id and run id with a slash between them."""
    # Two comparisons rather than IN: Airflow has an index for each of these states.
    pattern = (DAG_PREFIX + "%" + RUN_SUFFIX).replace("_", r"\_")
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(
        or_(DagRun.state == "running", DagRun.state == "queued"), DagRun.dag_id.like(pattern, escape="\\")
    )
    return {f"{row.dag_id}/{row.run_id}": str(getattr(row.state, "value", row.state)) for row in session.execute(query)}
