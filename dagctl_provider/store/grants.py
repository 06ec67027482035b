"""Which try of each step under way was allowed to run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.store import tables
from dagctl_provider.store.session import changed, utcnow

_c = tables.grant.c


@dataclass(frozen=True)
class Given:
    """The grant that a step has.

    :param try_id: Of the task instance that may run.
    :param tries: How many tries of the step were granted by now.
    :param restarts: How often dagctl had Airflow start it anew.
    :param granted_at: When the newest was.
    """

    step_id: str
    try_id: str
    tries: int
    restarts: int
    granted_at: datetime
    expires_at: datetime


def grants_of(session: Session, step_ids: Iterable[str]) -> dict[str, Given]:
    """The grants of those of the steps that have one, by step."""
    rows = session.execute(select(*_c).where(_c.step_id.in_(list(step_ids))))
    return {row.step_id: Given(**row._mapping) for row in rows}


def note_grant(session: Session, step_id: str, try_id: str, expires_at: datetime) -> None:
    """Note that a try of a step may run, in place of an earlier one."""
    now = utcnow()
    found = grants_of(session, [step_id]).get(step_id)
    values = {"try_id": try_id, "granted_at": now, "expires_at": expires_at}
    if found is None:
        session.execute(insert(tables.grant).values(step_id=step_id, tries=1, restarts=0, **values))
        return
    tries = found.tries + (found.try_id != try_id)
    session.execute(update(tables.grant).where(_c.step_id == step_id).values(tries=tries, **values))


def note_restart(session: Session, step_id: str) -> int:
    """Note that dagctl has Airflow start a step anew; how often that was by now."""
    changed(session, update(tables.grant).where(_c.step_id == step_id).values(restarts=_c.restarts + 1))
    return int(session.execute(select(_c.restarts).where(_c.step_id == step_id)).scalar() or 0)


def expire_all(session: Session) -> None:
    """Let all grants be over, so that what is under way is granted anew."""
    session.execute(update(tables.grant).values(expires_at=utcnow()))


def forget_expired(session: Session) -> None:
    """Forget what is worth nothing any more: of runs, nobody else says when they are over."""
    session.execute(delete(tables.grant).where(_c.expires_at < utcnow()))


def forget_grants(session: Session, step_ids: Iterable[str]) -> None:
    """Forget the grants of steps that are over."""
    session.execute(delete(tables.grant).where(_c.step_id.in_(list(step_ids))))
