"""Rows of jobs, as :class:`~dagctl_provider.domain.jobs.Job`."""

from __future__ import annotations

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


def list_jobs(session: Session, project_id: str) -> tuple[Job, ...]:
    """The jobs of a project, the default one first, then by name."""
    c = tables.job.c
    query = select(*COLUMNS).where(c.project_id == project_id).order_by(c.default_of.is_(None), c.name_key)
    return tuple(Job(**row._mapping) for row in session.execute(query))


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


def delete_jobs(session: Session, project_id: str) -> None:
    """Remove the jobs of a project, whose runs are gone."""
    session.execute(delete(tables.job).where(tables.job.c.project_id == project_id))
