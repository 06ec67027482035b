"""What Airflow knows of a Dag run and of a task instance, as plain values for the templates of notifiers."""

from __future__ import annotations

from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

_OF_RUN = ("dag_id", "run_id", "state", "logical_date", "run_after", "start_date", "end_date")
_OF_TASK = (
    *("dag_id", "run_id", "task_id", "map_index", "try_number", "max_tries", "state", "hostname", "operator"),
    *("start_date", "end_date", "duration", "log_url"),
)


def run_facts(session: Session, dag_id: str, run_id: str) -> dict[str, object] | None:
    """A Dag run, or ``None`` when there is none (any more)."""
    query = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)
    return _facts(session.execute(query).scalars().first(), _OF_RUN)


def task_facts(session: Session, dag_id: str, run_id: str, task_id: str) -> dict[str, object] | None:
    """A task instance in its present state, with the address of its log."""
    query = select(TaskInstance).options(joinedload(TaskInstance.dag_run))
    query = query.where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id)
    return _facts(session.execute(query).scalars().first(), _OF_TASK)


def _facts(row: DagRun | TaskInstance | None, names: tuple[str, ...]) -> dict[str, object] | None:
    if row is None:
        return None
    values = {name: getattr(row, name) for name in names}
    return {**values, "state": None if row.state is None else str(getattr(row.state, "value", row.state))}
