"""The record of who decided what, as :class:`~dagctl_provider.domain.decisions.DecisionRecord`; it outlives what was decided."""

from __future__ import annotations

from sqlalchemy import exists, insert, select
from sqlalchemy.orm import Session

from dagctl_provider.domain.decisions import DecisionRecord
from dagctl_provider.store import tables
from dagctl_provider.store.session import utcnow


def insert_decision(session: Session, **values: object) -> None:
    """Add to the record of who decided what."""
    session.execute(insert(tables.decision).values(created_at=utcnow(), **values))


def list_decisions(session: Session, group_id: str) -> list[DecisionRecord]:
    """The decisions on a plan group, oldest first."""
    c = tables.decision.c
    query = select(*tables.decision.c).where(c.group_id == group_id).order_by(c.created_at, c.id)
    return [DecisionRecord(**row._mapping) for row in session.execute(query)]


def decisions_on_commit(session: Session, project_id: str, commit_sha: str) -> list[DecisionRecord]:
    """The decisions on all plans of a project for one commit, oldest first."""
    c = tables.decision.c
    query = select(*tables.decision.c).where(c.project_id == project_id, c.commit_sha == commit_sha)
    return [DecisionRecord(**row._mapping) for row in session.execute(query.order_by(c.created_at, c.id))]


def decisions_on_digest(session: Session, project_id: str, digest: str) -> list[DecisionRecord]:
    """The decisions on all plans of a project that came out as this one, oldest first."""
    c = tables.decision.c
    query = select(*tables.decision.c).where(c.project_id == project_id, c.digest == digest)
    return [DecisionRecord(**row._mapping) for row in session.execute(query.order_by(c.created_at, c.id))]


def was_deleted(session: Session, project_id: str, commit_sha: str) -> bool:
    """Whether somebody deleted a plan for this commit, which leaves no other trace than the record of decisions."""
    c = tables.decision.c
    condition = exists().where(c.project_id == project_id, c.commit_sha == commit_sha, c.decision == "deleted")
    return bool(session.execute(select(condition)).scalar())
