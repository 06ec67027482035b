"""Rows of projects, as :class:`~dagctl_provider.domain.projects.Project`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.projects import Project
from dagctl_provider.store import tables
from dagctl_provider.store.session import limit_lock_waits, utcnow

_PROJECT_COLUMNS = tuple(c for c in tables.project.c if c.name != "name_key")


def _project(row: Any) -> Project:
    return Project(**row._mapping)


def get_project(session: Session, project_id: str, *, lock: bool = False, wait: bool = True) -> Project | None:
    """The project, or ``None``.

    :param lock: Hold its row until the transaction ends. This is the first lock of every state change of the project.
    :param wait: For who holds the row now; otherwise ``None`` as well.
    """
    query = select(*_PROJECT_COLUMNS).where(tables.project.c.id == project_id)
    if lock:
        limit_lock_waits(session)
        query = query.with_for_update(skip_locked=not wait)
    row = session.execute(query).first()
    return _project(row) if row else None


def project_of_dag(session: Session, dag_id: str) -> Project | None:
    """The project of a plan Dag, or ``None``."""
    row = session.execute(select(*_PROJECT_COLUMNS).where(tables.project.c.dag_id == dag_id)).first()
    return _project(row) if row else None


def list_projects(session: Session, organization_id: str | None = None) -> tuple[Project, ...]:
    """All projects, by name; of one organization when given."""
    query = select(*_PROJECT_COLUMNS).order_by(tables.project.c.name_key, tables.project.c.id)
    if organization_id is not None:
        query = query.where(tables.project.c.organization_id == organization_id)
    return tuple(_project(row) for row in session.execute(query))


def insert_project(session: Session, **values: Any) -> None:
    """Add a project row. The name's uniqueness is the database's to judge (``IntegrityError``)."""
    session.execute(insert(tables.project).values(name_key=values["name"].lower(), **values))


def note_projects(session: Session, project_ids: Sequence[str], **values: Any) -> None:
    """Write columns of some projects that are no change of them, such as when they were last looked at.

    Projects that somebody is changing are left out: this is not worth waiting for.
    """
    c = tables.project.c
    free = select(c.id).where(c.id.in_(project_ids)).order_by(c.id).with_for_update(skip_locked=True)
    ids = session.execute(free).scalars().all()
    session.execute(update(tables.project).where(c.id.in_(ids)).values(**values))


def note_head(session: Session, project_id: str, sha: str, *, message: str | None, behind: int | None) -> None:
    """Write down that git was asked, and what is at the branch HEAD.

    :param behind: How many commits lead there from the deployed one.
    """
    update_project(
        session,
        project_id,
        touch=False,
        latest_commit_sha=sha,
        latest_commit_message=message,
        commits_behind=behind,
        last_synced_at=utcnow(),
        sync_error=None,
    )


def update_project(session: Session, project_id: str, *, touch: bool = True, **values: Any) -> None:
    """Change columns of a project.

    :param touch: Whether ``updated_at`` moves; not for what is noted without anybody having changed the project.
    """
    if "name" in values:
        values["name_key"] = values["name"].lower()
    if touch:
        values["updated_at"] = utcnow()
    session.execute(update(tables.project).where(tables.project.c.id == project_id).values(**values))


def delete_project(session: Session, project_id: str) -> None:
    """Remove a project with its plans and runs. Decisions stay."""
    for table in (tables.project_run, tables.plan_step):
        session.execute(delete(table).where(table.c.project_id == project_id))
    session.execute(delete(tables.project).where(tables.project.c.id == project_id))
