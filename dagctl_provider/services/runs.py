"""Runs of the deployed state: whether one more may start, and how long finished ones are kept.

Airflow takes the place of the CronJob that the API documents speak of, so ``concurrency_policy``, ``suspended`` and the history
limits mean here what they mean there; docs/decisions/silent-points.md has the rest.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import RUN
from dagctl_provider.domain.pods import Finished, beyond_history
from dagctl_provider.domain.projects import Project
from dagctl_provider.orchestration import runs
from dagctl_provider.services import transactions
from dagctl_provider.store import records
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

ACTIVE = frozenset({"queued", "running"})
# A run that was stopped is over for Airflow at once, but its worker needs a while to end the process or pod and keep the log.
SETTLING = timedelta(minutes=5)


def admit(session: Session, project: Project) -> None:
    """Apply the project's concurrency policy before a run is added; the caller holds the project's row.

    Allow: the run is added; Airflow lets ``max_concurrent_job_runs`` be under way, further ones wait. Forbid: refused while
    another one is queued or running. Replace: those are stopped.

    :raises DagctlError: ``project_suspended``, ``run_in_progress``.
    """
    if project.suspended:
        raise DagctlError("project_suspended", f"Project {project.name!r} is suspended.")
    policy = project.settings.get("concurrency_policy", "Allow")
    if policy == "Allow":
        return
    active = _active(session, project)
    if active and policy == "Forbid":
        names = [run["id"] for run in active]
        raise DagctlError("run_in_progress", f"Run {names[0]} of project {project.name!r} is not over yet.", running_runs=names)
    for run in active:
        _replace(session, run)


def _active(session: Session, project: Project) -> list[dict[str, Any]]:
    """The project's runs that Airflow has still to start or to end."""
    rows = records.runs_of(session, project.id)
    states = runs.existing_runs(session, [_key(row) for row in rows])
    return [row for row in rows if row["dispatched_at"] is None or states.get(_key(row)) in ACTIVE]


def _key(row: dict[str, Any]) -> tuple[str, str]:
    return row["dag_id"], row["run_id"]


def _replace(session: Session, run: dict[str, Any]) -> None:
    if run["dispatched_at"] is None:
        records.delete_run(session, run["id"])
        return
    runs.stop_tasks(session, run["dag_id"], run["run_id"], (RUN,))
    runs.fail_run(session, run["dag_id"], run["run_id"])
    log.info("Run %s makes way for a newer one", run["id"])


def clean_history(now: datetime | None = None) -> int:
    """Remove the finished runs beyond the history limits from Airflow and from our tables.

    :param now: The present, for tests.
    :return: How many were removed.
    """
    settled = (now or utcnow()) - SETTLING
    beyond, gone = transactions.run(lambda session: _superfluous(session, settled))
    for row in (*beyond, *gone):
        transactions.run(lambda session, row=row: _forget(session, row))  # type: ignore[misc]
    return len(beyond)


def _superfluous(session: Session, settled: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Rows of runs beyond the limits, and rows of runs that somebody deleted in Airflow."""
    rows = records.dispatched_runs(session)
    known = runs.existing_runs(session, [_key(row) for row in rows])
    ends = runs.ended_runs(session, [_key(row) for row in rows])
    limits = setting("successful_runs_history_limit"), setting("failed_runs_history_limit")
    by_project: dict[str, list[Finished]] = {}
    for row in rows:
        end = ends.get(_key(row))
        if end is not None:
            by_project.setdefault(row["project_id"], []).append(Finished(row["id"], end.ended_at, end.succeeded))
    beyond = {one.name for finished in by_project.values() for one in beyond_history(finished, *limits) if one.ended_at < settled}
    return [row for row in rows if row["id"] in beyond], [row for row in rows if _key(row) not in known]


def _forget(session: Session, row: dict[str, Any]) -> None:
    if runs.delete_run(session, row["dag_id"], row["run_id"]):
        records.delete_run(session, row["id"])
