"""Reads task logs the way Airflow's own pages do: live from the worker, afterwards from where they are kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow.models.taskinstance import TaskInstance
from airflow.utils.log.log_reader import TaskLogReader
from sqlalchemy import select
from sqlalchemy.orm import Session, joinedload

from dagctl_provider.version_compat import AIRFLOW_V_3_4_PLUS

_TRIES: list[Any] = [TaskInstance]
if not AIRFLOW_V_3_4_PLUS:
    from airflow.models.taskinstancehistory import TaskInstanceHistory

    _TRIES.append(TaskInstanceHistory)

MAX_LOG_CHARACTERS = 2_000_000
_SOURCES = "::group::Log message source details"
_FINAL = ("success", "failed", "skipped", "upstream_failed", "removed")


def read_log(session: Session, dag_id: str, run_id: str, task_id: str, try_number: int) -> str:
    """The log of one try as text; empty when there is none.

    :param try_number: From 1. The text is cut at the front beyond two million characters.
    """
    if try_number < 1:
        return ""
    for model in _TRIES:
        query = (
            select(model)
            .where(model.dag_id == dag_id, model.run_id == run_id, model.task_id == task_id, model.try_number == try_number)
            .options(joinedload(model.dag_run))
            # Without it, Airflow 3.4 shows the newest try only.
            .execution_options(include_all_attempts=True)
        )
        if model is TaskInstance:
            query = query.options(joinedload(TaskInstance.trigger), joinedload(TaskInstance.dag_model))
        task = session.execute(query).scalars().first()
        if task is not None:
            reader = TaskLogReader()
            if not reader.supports_read:
                return ""
            # Airflow's own page begins with nothing, too.
            chunks, _ = reader.read_log_chunks(task, try_number, {})  # type: ignore[typeddict-item]
            lines, about_sources = _split(chunks)
            # Where nothing can be read any more, what Airflow tells about the sources is the reason.
            wanted = lines if lines or task.state not in _FINAL else about_sources
            return "\n".join(wanted)[-MAX_LOG_CHARACTERS:]
    return ""


def _split(chunks: Iterable[object]) -> tuple[list[str], list[str]]:
    """The lines of the log, and apart from them the lines in which Airflow tells where it looked for it."""
    lines: list[str] = []
    about_sources: list[str] = []
    into = lines
    for message in chunks:
        event = getattr(message, "event", None)
        text = str(message) if event is None else str(event)
        if text.startswith("::"):
            into = about_sources if text.startswith(_SOURCES) else lines
        else:
            into.append(text)
    return lines, about_sources
