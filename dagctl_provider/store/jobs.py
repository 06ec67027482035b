"""Rows of jobs, as :class:`~dagctl_provider.domain.jobs.Job`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.jobs import Job
from dagctl_provider.store import tables
from dagctl_provider.store.session import utcnow

COLUMNS = tuple(c for c in tables.job.c if c.name not in ("default_of", "name_key"))
"""What of a row is in the record."""


def job_of_dag(session: Session, dag_id: str) -> Job | None:
    """The job whose Dag it is, or ``None``."""
    row = session.execute(select(*COLUMNS).where(tables.job.c.dag_id == dag_id)).first()
    return Job(**row._mapping) if row else None


def get_job(session: Session, job_id: str) -> Job | None:
    """A job by its id."""
    row = session.execute(select(*COLUMNS).where(tables.job.c.id == job_id)).first()
    return Job(**row._mapping) if row else None


def list_jobs(session: Session, project_ids: Collection[str]) -> dict[str, list[Job]]:
    """The jobs of projects by the project's id: the default job first, then by name."""
    c = tables.job.c
    found: dict[str, list[Job]] = {project_id: [] for project_id in project_ids}
    query = select(*COLUMNS).order_by(c.default_of.is_(None), c.name_key)
    # Of one project or of all: with very many ids a list of them would be longer than some databases take.
    rows = session.execute(query.where(c.project_id.in_(list(project_ids))) if len(found) == 1 else query)
    for row in rows:
        if row.project_id in found:
            found[row.project_id].append(Job(**row._mapping))
    return found


def list_dag_ids(session: Session) -> list[str]:
    """The Dags of all jobs of all projects."""
    return list(session.execute(select(tables.job.c.dag_id).order_by(tables.job.c.id)).scalars())


def insert_job(session: Session, job: Job, *, default: bool) -> None:
    """Add a job. That its name is free in the project is the database's to judge (``IntegrityError``).

    :param default: Whether it is the default job of its project; no project gets a second one.
    """
    default_of = job.project_id if default else None
    values = {**asdict(job), "name_key": job.name.lower(), "default_of": default_of}
    session.execute(insert(tables.job).values(**values))


def set_default_schedule(session: Session, project_id: str, schedule: str | None) -> None:
    """Have the default job of a project run by this schedule, or by none."""
    c = tables.job.c
    other = update(tables.job).where(c.default_of == project_id, c.schedule.is_distinct_from(schedule))
    session.execute(other.values(schedule=schedule, updated_at=utcnow()))


def update_job(session: Session, job: Job) -> None:
    """Write a job as the record has it. Whether its name is free is the database's to judge (``IntegrityError``)."""
    values = {name: value for name, value in asdict(job).items() if name not in ("id", "project_id", "dag_id", "created_at")}
    session.execute(update(tables.job).where(tables.job.c.id == job.id).values(**values, name_key=job.name.lower()))


def delete_job(session: Session, job_id: str) -> None:
    """Remove a job and the record of its runs; what they did stays among the executions."""
    session.execute(delete(tables.project_run).where(tables.project_run.c.job_id == job_id))
    session.execute(delete(tables.job).where(tables.job.c.id == job_id))


def delete_jobs(session: Session, project_id: str) -> None:
    """Remove the jobs of a project, whose runs are gone."""
    session.execute(delete(tables.job).where(tables.job.c.project_id == project_id))
