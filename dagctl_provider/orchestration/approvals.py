"""Wakes the approval task and keeps what people answered in Airflow's Required Actions."""

from __future__ import annotations

from typing import Any

from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.xcom import XComModel
from sqlalchemy import and_, event, insert, inspect, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from dagctl_provider.domain.answers import Answer
from dagctl_provider.domain.doors import MAX_COMMENT
from dagctl_provider.domain.names import APPROVAL, COMMENT_PARAM, DAG_PREFIX, DECISION_KEY, EXPLAIN
from dagctl_provider.store import tables
from dagctl_provider.store.session import utcnow
from dagctl_provider.version_compat import AIRFLOW_V_3_3_PLUS

_PARKED = ("awaiting_input", "deferred")


def keep_answers() -> None:
    """Have every answer to a plan's request kept in our own table, by the very transaction that gives it.

    Airflow may forget an answer it has accepted: when one comes in the moment in which the task parks, Airflow 3.3 runs the
    task again, and a task that asks again wipes what was answered. Called once in each API server process; further calls
    change nothing.
    """
    for name in ("after_insert", "after_update"):
        if not event.contains(HITLDetail, name, _keep_answer):
            event.listen(HITLDetail, name, _keep_answer)


def _keep_answer(_mapper: object, connection: Connection, detail: HITLDetail) -> None:
    """Mapper event: copies a fresh answer by a person to one of our approval tasks."""
    if not inspect(detail).attrs.responded_at.history.added or not detail.responded_at or not detail.responded_by:
        return
    place = select(TaskInstance.dag_id, TaskInstance.run_id).where(
        TaskInstance.id == detail.ti_id,
        TaskInstance.task_id == APPROVAL,
        TaskInstance.dag_id.startswith(DAG_PREFIX, autoescape=True),
    )
    task = connection.execute(place).first()
    if task is None:
        return
    connection.execute(
        insert(tables.answer).values(
            dag_id=task.dag_id,
            run_id=task.run_id,
            user_id=str(detail.responded_by["id"])[:255],
            user_name=str(detail.responded_by["name"])[:255],
            chosen_options=list(detail.chosen_options or []),
            responded_at=detail.responded_at,
        )
    )


def comment_with(session: Session, answer: Answer) -> str | None:
    """What somebody wrote beside an answer, as far as Airflow still has it: a task that asks again wipes it.

    :param answer: As it was kept.
    """
    query = (
        select(HITLDetail.params_input)
        .join(TaskInstance, TaskInstance.id == HITLDetail.ti_id)
        .where(TaskInstance.dag_id == answer.dag_id, TaskInstance.run_id == answer.run_id, TaskInstance.task_id == APPROVAL)
        .where(HITLDetail.responded_at == answer.responded_at)
    )
    found = session.execute(query).scalar()
    comment = found.get(COMMENT_PARAM) if isinstance(found, dict) else None
    return comment.strip()[:MAX_COMMENT] or None if isinstance(comment, str) else None


def parked_with_decision(session: Session) -> list[tuple[str, str]]:
    """The runs whose approval task is parked beside something that says it is a decision: dag_id and run_id.

    The task looks for a decision and then parks; one that falls between the two finds nobody to wake.
    """
    query = (
        select(XComModel.dag_id, XComModel.run_id)
        .join(TaskInstance, and_(TaskInstance.dag_id == XComModel.dag_id, TaskInstance.run_id == XComModel.run_id))
        .where(TaskInstance.task_id == APPROVAL, TaskInstance.state.in_(_PARKED))
        .where(XComModel.task_id == EXPLAIN, XComModel.key == DECISION_KEY)
    )
    return [(row.dag_id, row.run_id) for row in session.execute(query)]


def wake(session: Session, dag_id: str, run_id: str, chosen_option: str, user: dict[str, str]) -> None:
    """Resume the approval task if it is parked. If it is not, it will find the decision by itself.

    Locks in Airflow's own order: the task instance, then its request for input. Before 3.3 the triggerer polls the
    answer, so writing it is enough.
    """
    task = (
        session.execute(
            select(TaskInstance)
            .where(TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id, TaskInstance.task_id == APPROVAL)
            .with_for_update(of=TaskInstance)
            .execution_options(populate_existing=True)
        )
        .scalars()
        .first()
    )
    if task is None or str(getattr(task.state, "value", task.state)) not in _PARKED:
        return
    detail: Any = session.get(HITLDetail, task.id, with_for_update={"of": HITLDetail}, populate_existing=True)
    if detail is None:
        return
    if detail.responded_at is None:
        # Not through the object: this is no answer of a person, so it must not be kept as one.
        values = {"responded_by": user, "responded_at": utcnow(), "chosen_options": [chosen_option], "params_input": {}}
        session.execute(
            update(HITLDetail).where(HITLDetail.ti_id == task.id).values(**values).execution_options(synchronize_session=False)
        )
        session.refresh(detail)
    if AIRFLOW_V_3_3_PLUS:
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent

        handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=task, session=session)
