"""Rows of projects, as :class:`~dagctl_provider.domain.projects.Project`: each with its default job and what is deployed.

A project's schedule is a column of its default job, and what is deployed stands in the deployments. Here, and only here, the
record of a project is put together from the three and taken apart again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import and_, delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.store import deployments, jobs, tables
from dagctl_provider.store.session import limit_lock_waits, utcnow

_SCHEDULE = "run_schedule"
_JOB = "job__"
_job, _deployment = tables.job, tables.deployment
_FROM = tables.project.outerjoin(_job, _job.c.default_of == tables.project.c.id).outerjoin(
    _deployment,
    and_(_deployment.c.project_id == tables.project.c.id, _deployment.c.environment == tables.project.c.current_environment),
)
_COLUMNS = (
    *(c for c in tables.project.c if c.name != "name_key"),
    _deployment.c.commit_sha.label("current_commit_sha"),
    _deployment.c.tool_version.label("current_tool_version"),
    _deployment.c.artifacts,
    *(c.label(f"{_JOB}{c.name}") for c in jobs.COLUMNS),
)
_OF_THE_ROW = tuple(c.name for c in tables.project.c if c.name != "name_key")
_projects = select(*_COLUMNS).select_from(_FROM)


def _project(row: Any) -> Project:
    values = dict(row._mapping)
    parts = {name.removeprefix(_JOB): values.pop(name) for name in tuple(values) if name.startswith(_JOB)}
    job = Job(**parts) if parts["id"] is not None else None
    if job is not None and job.schedule:
        values["settings"] = {**values["settings"], _SCHEDULE: job.schedule}
    return Project(**values, job=job)


def get_project(session: Session, project_id: str, *, lock: bool = False, wait: bool = True) -> Project | None:
    """The project, or ``None``.

    :param lock: Hold its row until the transaction ends. This is the first lock of every state change of the project.
    :param wait: For who holds the row now; otherwise ``None`` as well.
    """
    c = tables.project.c
    if lock:
        limit_lock_waits(session)
        held = select(c.id).where(c.id == project_id).with_for_update(skip_locked=not wait)
        if session.execute(held).first() is None:
            return None
    # Only now: a statement that has waited for a lock sees that row as it is by then, and rows joined with it as they were.
    row = session.execute(_projects.where(c.id == project_id)).first()
    return _project(row) if row else None


def list_projects(session: Session, organization_id: str | None = None) -> tuple[Project, ...]:
    """All projects, by name; of one organization when given."""
    query = _projects.order_by(tables.project.c.name_key, tables.project.c.id)
    if organization_id is not None:
        query = query.where(tables.project.c.organization_id == organization_id)
    return tuple(_project(row) for row in session.execute(query))


def insert_project(session: Session, project: Project) -> None:
    """Add a project row. The name's uniqueness is the database's to judge (``IntegrityError``).

    The schedule among its settings is for whoever adds its default job.
    """
    values = {name: getattr(project, name) for name in _OF_THE_ROW}
    values["settings"] = _without_schedule(project.settings)
    session.execute(insert(tables.project).values(name_key=project.name.lower(), **values))


def _without_schedule(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != _SCHEDULE}


def note_projects(session: Session, project_ids: Sequence[str], **values: object) -> None:
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


def change_project(session: Session, project: Project, columns: Iterable[str]) -> None:
    """Write some columns of a project as the record has them."""
    values = {name: getattr(project, name) for name in columns}
    if "name" in values:
        values["name_key"] = project.name.lower()
    if "settings" in values:
        jobs.set_default_schedule(session, project.id, project.settings.get(_SCHEDULE))
        values["settings"] = _without_schedule(project.settings)
    update_project(session, project.id, **values)


def update_project(session: Session, project_id: str, *, touch: bool = True, **values: object) -> None:
    """Write columns of a project other than its name and its settings, for which there is :func:`change_project`.

    :param touch: Whether ``updated_at`` moves; not for what is noted without anybody having changed the project.
    """
    if touch:
        values["updated_at"] = utcnow()
    session.execute(update(tables.project).where(tables.project.c.id == project_id).values(**values))


def delete_project(session: Session, project_id: str) -> None:
    """Remove a project with its plans, jobs and runs. Decisions stay."""
    for table in (tables.project_run, tables.plan_step):
        session.execute(delete(table).where(table.c.project_id == project_id))
    jobs.delete_jobs(session, project_id)
    deployments.delete_deployments(session, project_id)
    session.execute(delete(tables.project).where(tables.project.c.id == project_id))
