"""Runs of jobs that are on record, as :class:`~dagctl_provider.domain.runs.ProjectRun`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.store import tables
from dagctl_provider.store.session import changed, utcnow


def undispatched_runs(session: Session) -> list[ProjectRun]:
    """Requested project runs that Airflow does not have yet, oldest first."""
    query = select(*tables.project_run.c).where(tables.project_run.c.dispatched_at.is_(None))
    return [ProjectRun(**row._mapping) for row in session.execute(query.order_by(tables.project_run.c.created_at))]


def runs_of(session: Session, project_id: str) -> list[ProjectRun]:
    """All runs on record of a project, oldest first."""
    query = select(*tables.project_run.c).where(tables.project_run.c.project_id == project_id)
    return [ProjectRun(**row._mapping) for row in session.execute(query.order_by(tables.project_run.c.created_at))]


def get_run(session: Session, run_id: str) -> ProjectRun | None:
    """A run on record."""
    return next(iter(get_runs(session, [run_id])), None)


def get_runs(session: Session, run_ids: Iterable[str]) -> list[ProjectRun]:
    """Those of the runs that are on record."""
    query = select(*tables.project_run.c).where(tables.project_run.c.id.in_(list(run_ids)))
    return [ProjectRun(**row._mapping) for row in session.execute(query)]


def runs_at(session: Session, places: Iterable[tuple[str, str]]) -> list[ProjectRun]:
    """The runs on record that are these Dag runs.

    :param places: Dag id and run id of each.
    """
    wanted = set(places)
    query = select(*tables.project_run.c).where(tables.project_run.c.run_id.in_(sorted(run_id for _, run_id in wanted)))
    found = (ProjectRun(**row._mapping) for row in session.execute(query))
    return [run for run in found if (run.dag_id, run.run_id) in wanted]


def dispatched_runs(session: Session) -> list[ProjectRun]:
    """The runs that Airflow has had, of all projects."""
    query = select(*tables.project_run.c).where(tables.project_run.c.dispatched_at.is_not(None))
    return [ProjectRun(**row._mapping) for row in session.execute(query)]


def mark_run_dispatched(session: Session, run_id: str) -> bool:
    """Note that Airflow has the run; false when it is not on record any more."""
    statement = update(tables.project_run).where(tables.project_run.c.id == run_id).values(dispatched_at=utcnow())
    return bool(changed(session, statement))


def delete_run(session: Session, run_id: str) -> None:
    """Forget a run."""
    session.execute(delete(tables.project_run).where(tables.project_run.c.id == run_id))


def insert_run(session: Session, run: ProjectRun) -> None:
    """Put a run on record."""
    session.execute(insert(tables.project_run).values(**asdict(run)))
