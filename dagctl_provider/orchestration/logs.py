"""Reads task logs the way Airflow's own pages do: live from the worker, afterwards from where they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.models.taskinstancehistory import TaskInstanceHistory
from airflow.utils.log.log_reader import TaskLogReader
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

MAX_LOG_CHARACTERS = 2_000_000


def read_log(session: Session, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
    """The log of one try as text; empty when there is none.

    :param try_number: From 1. The text is cut at the front beyond two million characters.
    """
    if try_number < 1:
        return ""
    for model in (TaskInstance, TaskInstanceHistory):
        query = (
            select(model)
            .where(model.dag_id == dag_id, model.run_id == run_id, model.task_id == task_id, model.try_number == try_number)
            .options(joinedload(model.dag_run))
        )
        if model is TaskInstance:
            query = query.options(joinedload(TaskInstance.trigger), joinedload(TaskInstance.dag_model))
        task = session.execute(query).scalars().first()
        if task is not None:
            reader = TaskLogReader()
            if not reader.supports_read:
                return ""
            chunks, _ = reader.read_log_chunks(task, try_number, {})
            return "\n".join(_lines(chunks))[-MAX_LOG_CHARACTERS:]
    return ""


def _lines(chunks: Iterable[Any]) -> Iterable[str]:
    for message in chunks:
        event = getattr(message, "event", None)
        text = str(message) if event is None else str(event)
        if not text.startswith("::"):
            yield text
