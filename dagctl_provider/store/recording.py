"""What of runs and plans is not on record as executions yet, and what of the record is old.

All of it in bounded pieces: what takes long would hold up others.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from dagctl_provider.store import tables
from dagctl_provider.store.session import changed

_e, _d = tables.execution.c, tables.model_day.c


def unrecorded_runs(session: Session, since: datetime | None, most: int) -> list[str]:
    """Runs that are not on record as executions, newest first.

    :param since: Only those that were asked for since; older ones were forgotten.
    """
    c = tables.project_run.c
    query = select(c.id).where(~exists().where(_e.id == c.id))
    if since is not None:
        query = query.where(c.created_at >= since)
    return list(session.execute(query.order_by(c.created_at.desc(), c.id.desc()).limit(most)).scalars())


def unrecorded_steps(session: Session, since: datetime | None, most: int, status: str | None = None) -> list[str]:
    """Steps of plans that are not on record as executions, newest first.

    :param since: Only those that were made since; older ones were forgotten.
    :param status: Only steps in this status, which is much cheaper than to look at all.
    """
    c = tables.plan_step.c
    query = select(c.id).where(~exists().where(_e.step_id == c.id))
    if since is not None:
        query = query.where(c.created_at >= since)
    if status is not None:
        query = query.where(c.status == status)
    return list(session.execute(query.order_by(c.created_at.desc(), c.id.desc()).limit(most)).scalars())


def forget_executions(session: Session, before: datetime, most: int) -> int:
    """Remove executions that are over and older than this, with their models.

    :return: How many there were.
    """
    old = select(_e.id).where(_e.created_at < before, _e.status.not_in(("pending", "running")))
    ids = list(session.execute(old.order_by(_e.created_at).limit(most)).scalars())
    if ids:
        session.execute(delete(tables.model_execution).where(tables.model_execution.c.execution_id.in_(ids)))
        session.execute(delete(tables.execution).where(_e.id.in_(ids)))
    return len(ids)


def forget_days(session: Session, before: str) -> int:
    """Remove the oldest day of sums of each project, where it is older than this.

    :param before: A day.
    :return: How many rows there were.
    """
    gone = 0
    for project_id in session.execute(select(tables.project.c.id)).scalars().all():
        oldest = session.execute(select(func.min(_d.day)).where(_d.project_id == project_id)).scalar()
        if oldest is not None and oldest < before:
            gone += changed(session, delete(tables.model_day).where(_d.project_id == project_id, _d.day == oldest))
    return gone
