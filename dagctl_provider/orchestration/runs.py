"""Starts, watches, wakes, clears and stops the Dag runs behind plans."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from airflow.api.common.trigger_dag import trigger_dag
from airflow.exceptions import DagRunAlreadyExists
from airflow.models.dagrun import DagRun
from airflow.models.taskinstance import TaskInstance, clear_task_instances
from airflow.models.xcom import XComModel
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType
from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from dagctl_provider.store.session import utcnow
from dagctl_provider.version_compat import AIRFLOW_V_3_4_PLUS

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Executable

FINISHED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_LIVE = ("running", "queued", "scheduled", "deferred", "awaiting_input", "up_for_retry", "up_for_reschedule", "restarting")


@dataclass(frozen=True)
class TaskState:
    """What Airflow knows of one task instance.

    :param state: Airflow's word; ``None`` before scheduling.
    :param try_number: The try that is or was running.
    :param try_id: Another one for each try; nobody can choose it.
    :param max_tries: How often Airflow tries again by itself: after try number ``max_tries + 1`` it gives up.
    """

    dag_id: str
    run_id: str
    task_id: str
    state: str | None
    try_number: int
    start_date: datetime | None
    end_date: datetime | None
    try_id: str
    max_tries: int


@dataclass(frozen=True)
class RunEnd:
    """How a Dag run ended.

    :param ended_at: When.
    :param succeeded: Whether all of it did.
    """

    ended_at: datetime
    succeeded: bool


def trigger_run(session: Session, dag_id: str, run_id: str, conf: dict[str, object], user: str | None) -> None:
    """Start a Dag run; a run of that id that exists already is as good."""
    try:
        trigger_dag(
            dag_id,
            triggered_by=DagRunTriggeredByType.REST_API,
            triggering_user_name=user,
            run_id=run_id,
            conf=conf,
            session=session,
        )
    except DagRunAlreadyExists:
        return


def existing_runs(session: Session, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """State of each of the Dag runs that exist, by (dag_id, run_id)."""
    wanted = _any_of(DagRun, keys)
    if wanted is None:
        return {}
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.state).where(wanted)
    return {(row.dag_id, row.run_id): str(row.state) for row in session.execute(query)}


def ended_runs(session: Session, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], RunEnd]:
    """How and when each of the Dag runs that are over ended, by (dag_id, run_id)."""
    wanted = _any_of(DagRun, keys)
    if wanted is None:
        return {}
    query = select(DagRun.dag_id, DagRun.run_id, DagRun.state, DagRun.end_date).where(
        wanted, DagRun.state.in_(["success", "failed"]), DagRun.end_date.is_not(None)
    )
    return {(row.dag_id, row.run_id): RunEnd(row.end_date, _text(row.state) == "success") for row in session.execute(query)}


def delete_run(session: Session, dag_id: str, run_id: str) -> bool:
    """Remove a Dag run that is over with its task instances and XComs, as Airflow's own API does.

    :return: False when somebody let it run again; one that does not exist is as good as removed.
    """
    run = session.execute(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).scalars().first()
    if run is None:
        return True
    if _text(run.state) not in ("success", "failed"):
        return False
    session.delete(run)
    return True


def task_states(session: Session, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str, str], TaskState]:
    """The task instances of the given Dag runs, by (dag_id, run_id, task_id)."""
    wanted = _any_of(TaskInstance, keys)
    if wanted is None:
        return {}
    columns = (
        TaskInstance.dag_id,
        TaskInstance.run_id,
        TaskInstance.task_id,
        TaskInstance.state,
        TaskInstance.try_number,
        TaskInstance.start_date,
        TaskInstance.end_date,
        TaskInstance.id,
        TaskInstance.max_tries,
    )
    states = (
        TaskState(*row[:3], _text(row.state), row.try_number, row.start_date, row.end_date, str(row.id), row.max_tries)
        for row in session.execute(select(*columns).where(wanted))
    )
    return {(state.dag_id, state.run_id, state.task_id): state for state in states}


def _any_of(model: type[DagRun] | type[TaskInstance], keys: Iterable[tuple[str, str]]) -> ColumnElement[bool] | None:
    by_dag: dict[str, set[str]] = {}
    for dag_id, run_id in keys:
        by_dag.setdefault(dag_id, set()).add(run_id)
    if not by_dag:
        return None
    return or_(*(and_(model.dag_id == dag_id, model.run_id.in_(sorted(runs))) for dag_id, runs in sorted(by_dag.items())))


def _text(state: object) -> str | None:
    return None if state is None else str(getattr(state, "value", state))


def read_xcom(session: Session, dag_id: str, run_id: str, task_id: str, key: str) -> dict[str, Any] | None:
    """What a task pushed under ``key``, when that is an object."""
    query = select(XComModel).where(*_at(dag_id, run_id, task_id, key))
    row = session.execute(query).scalars().first()
    value = XComModel.deserialize_value(row) if row is not None else None
    return value if isinstance(value, dict) else None


def write_xcom(session: Session, dag_id: str, run_id: str, task_id: str, key: str, value: Mapping[str, object]) -> bool:
    """Leave something for the tasks of a run, in place of what stands there.

    :param task_id: Of the task it is filed under. Airflow clears what is filed under a task when that task starts.
    :return: False when the Dag run does not exist.
    """
    # As an object: XComModel.set would encode it once more, and the task, which decodes what tasks pushed, would see text.
    if AIRFLOW_V_3_4_PLUS:
        task_instance_id = session.execute(_newest_try(dag_id, run_id, task_id)).scalar()
        if task_instance_id is None:
            return False
        XComModel.set_for_attempt(task_instance_id=task_instance_id, key=key, value=value, serialize=False, session=session)
        return True
    dag_run_id = session.execute(select(DagRun.id).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).scalar()
    if dag_run_id is None:
        return False
    delete_xcom(session, dag_id, run_id, task_id, key)
    place = {"dag_id": dag_id, "run_id": run_id, "task_id": task_id, "map_index": -1, "key": key}
    session.add(XComModel(dag_run_id=dag_run_id, value=value, **place))
    session.flush()
    return True


def delete_xcom(session: Session, dag_id: str, run_id: str, task_id: str, key: str) -> None:
    """Take away what stands under ``key`` of a task, if anything does."""
    if AIRFLOW_V_3_4_PLUS:
        XComModel.delete_for_attempts(producer_ids=_newest_try(dag_id, run_id, task_id), key=key, session=session)
        return
    session.execute(delete(XComModel).where(*_at(dag_id, run_id, task_id, key)).execution_options(synchronize_session=False))


def _newest_try(dag_id: str, run_id: str, task_id: str) -> Executable:
    """Airflow 3.4 leaves earlier tries out by itself."""
    return select(TaskInstance.id).where(
        TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == task_id
    )


def _at(dag_id: str, run_id: str, task_id: str, key: str) -> tuple[ColumnElement[bool], ...]:
    return (
        XComModel.dag_id == dag_id,
        XComModel.run_id == run_id,
        XComModel.task_id == task_id,
        XComModel.map_index == -1,
        XComModel.key == key,
    )


def _lock_run(session: Session, dag_id: str, run_id: str) -> None:
    """Hold a Dag run before its tasks, as the scheduler does; the other way round, each would wait for the other."""
    run = select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id).with_for_update(of=DagRun)
    session.execute(run.execution_options(populate_existing=True)).scalars().first()


def _locked_tasks(session: Session, dag_id: str, run_id: str, task_ids: Iterable[str]) -> list[TaskInstance]:
    query = (
        select(TaskInstance)
        .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id.in_(list(task_ids)))
        .order_by(TaskInstance.id)
        .with_for_update(of=TaskInstance)
        .execution_options(populate_existing=True)
    )
    return list(session.execute(query).scalars())


def clear_tasks(session: Session, dag_id: str, run_id: str, task_ids: Iterable[str]) -> None:
    """Let those of the tasks that did not succeed run again, as a new try.

    The scheduler may otherwise end the run over the failure that is being cleared, after this has seen the run still running and
    left its state alone: then nobody would ever start the tasks.
    """
    _lock_run(session, dag_id, run_id)
    tasks = [task for task in _locked_tasks(session, dag_id, run_id, task_ids) if _text(task.state) != "success"]
    if tasks:
        clear_task_instances(tasks, session, dag_run_state=DagRunState.QUEUED)


def stop_tasks(session: Session, dag_id: str, run_id: str, task_ids: Iterable[str]) -> None:
    """Stop the tasks: running ones become failed, which makes Airflow kill their process; waiting ones are skipped."""
    _lock_run(session, dag_id, run_id)
    for task in _locked_tasks(session, dag_id, run_id, task_ids):
        state = _text(task.state)
        if state in FINISHED:
            continue
        task.set_state(TaskInstanceState.FAILED if state in _LIVE else TaskInstanceState.SKIPPED, session=session)


def fail_run(session: Session, dag_id: str, run_id: str) -> None:
    """End a Dag run none of whose tasks is to run any more."""
    run = session.execute(select(DagRun).where(DagRun.dag_id == dag_id, DagRun.run_id == run_id)).scalars().first()
    if run is not None and _text(run.state) in ("queued", "running"):
        run.set_state(DagRunState.FAILED)
        run.end_date = utcnow()
