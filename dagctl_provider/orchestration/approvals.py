"""Wakes the approval task and reads what people answered in Airflow's Required Actions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from airflow.models.hitl import HITLDetail
from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.models.xcom import XComModel
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.names import APPROVAL, DECISION_KEY, EXPLAIN
from dagctl_provider.store.session import utcnow
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS, AIRFLOW_V_3_3_PLUS

_PARKED = ("awaiting_input", "deferred")


@dataclass(frozen=True)
class Answer:
    """What a person chose in Required Actions: a request to decide, not a decision.

    :param user_id: Id of the Airflow user, as the auth manager gives it.
    :param approved: Whether the first option was chosen.
    """

    dag_id: str
    run_id: str
    user_id: str
    user_name: str
    approved: bool
    responded_at: datetime


def read_answers(session: Session, keys: Iterable[tuple[str, str]], approve_option: str) -> list[Answer]:
    """The newest answer for each of the Dag runs, from the waiting task or any earlier try of it.

    The history counts too: when Airflow fails a waiting task and tries it again, the answer moves there.
    """
    wanted = set(keys)
    if not wanted:
        return []
    newest: dict[tuple[str, str], Answer] = {}
    for detail, link, task, key in _answer_tables():
        query = (
            select(task.dag_id, task.run_id, detail.responded_by, detail.chosen_options, detail.responded_at)
            .join(task, key == link)
            .where(task.task_id == APPROVAL, detail.responded_at.is_not(None), detail.responded_by.is_not(None))
            .where(
                task.dag_id.in_(sorted({dag_id for dag_id, _ in wanted})),
                task.run_id.in_(sorted({run_id for _, run_id in wanted})),
            )
        )
        for row in session.execute(query):
            place = (row.dag_id, row.run_id)
            if place not in wanted or not row.responded_by or not row.chosen_options:
                continue
            answer = Answer(
                *place,
                user_id=str(row.responded_by["id"]),
                user_name=str(row.responded_by["name"]),
                approved=approve_option in row.chosen_options,
                responded_at=row.responded_at,
            )
            if place not in newest or newest[place].responded_at < answer.responded_at:
                newest[place] = answer
    return list(newest.values())


def _answer_tables() -> list[tuple[Any, Any, Any, Any]]:
    """Where answers stand: their table and its link, the table of tasks and its key."""
    places: list[tuple[Any, Any, Any, Any]] = [(HITLDetail, HITLDetail.ti_id, TaskInstance, TaskInstance.id)]
    if AIRFLOW_V_3_2_PLUS:
        from airflow.models.hitl_history import HITLDetailHistory

        history = TaskInstanceHistory
        places.append((HITLDetailHistory, HITLDetailHistory.ti_history_id, history, history.task_instance_id))
    return places


def parked_after_decision(session: Session) -> list[tuple[str, str, dict[str, Any]]]:
    """The runs whose approval task is parked although the decision is there: dag_id, run_id, decision.

    The task looks for a decision and then parks; one that falls between the two finds nobody to wake.
    """
    query = (
        select(XComModel.dag_id, XComModel.run_id, XComModel.value)
        .join(TaskInstance, and_(TaskInstance.dag_id == XComModel.dag_id, TaskInstance.run_id == XComModel.run_id))
        .where(TaskInstance.task_id == APPROVAL, TaskInstance.state.in_(_PARKED))
        .where(XComModel.task_id == EXPLAIN, XComModel.key == DECISION_KEY)
    )
    return [(row.dag_id, row.run_id, row.value) for row in session.execute(query) if isinstance(row.value, dict)]


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
        detail.responded_by, detail.responded_at = user, utcnow()
        detail.chosen_options, detail.params_input = [chosen_option], {}
    if AIRFLOW_V_3_3_PLUS:
        from airflow.models.trigger import handle_event_submit
        from airflow.triggers.base import TriggerEvent

        handle_event_submit(TriggerEvent(detail.as_resume_event_payload()), task_instance=task, session=session)
