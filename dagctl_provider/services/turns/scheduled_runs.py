"""Runs that Airflow's scheduler started, or a person there: taken on record, made room for, and cleaned up when they are old."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from functools import partial

from dagctl_provider.config import setting
from dagctl_provider.domain.executions import FINISHED
from dagctl_provider.domain.names import project_variable
from dagctl_provider.domain.pods import Finished, beyond_history
from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.orchestration import runs, schedules
from dagctl_provider.services.lifecycle.jobs import dag_ids_of
from dagctl_provider.services.lifecycle.runs import adopt, end
from dagctl_provider.services.turns import recording
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import grants as grant_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

# A run that was stopped is over for Airflow at once, but its worker needs a while to end the process or pod and keep the log.
SETTLING = timedelta(minutes=5)


def follow() -> int:
    """Take note of what Airflow's scheduler, or a person there, has started, and let it take the place of older runs.

    :return: How many runs were ended for a newer one.
    """

    def work(session: Session) -> list[str]:
        under_way = Counter(key.partition("/")[0] for key in schedules.unfinished_runs(session))
        adopt(session, under_way)
        # The jobs of a project are told apart by their Dags, and it is the project whose runs take each other's place.
        active: Counter[str] = Counter()
        for dag_id, count in under_way.items():
            active[project_variable(dag_id)] += count
        several = [dag_id for dag_id in under_way if active[project_variable(dag_id)] > 1]
        return sorted({job.project_id for dag_id in several if (job := job_rows.job_of_dag(session, dag_id)) is not None})

    return sum(transactions.run(partial(_make_way, project_id)) for project_id in transactions.run(work))


def _make_way(project_id: str, session: Session) -> bool:
    """End the oldest run of a project with ``Replace``; one in a transaction, so that none holds the tasks of two runs."""
    # A project that somebody is changing is looked at again in the next turn.
    project = project_rows.get_project(session, project_id, lock=True, wait=False)
    if project is None or project.settings.get("concurrency_policy") != "Replace":
        return False
    older = schedules.unfinished_of(session, dag_ids_of(session, project))[:-1]
    end(session, project, older[:1])
    return bool(older)


def clean_history(now: datetime | None = None) -> int:
    """Remove the finished runs beyond the history limits from Airflow and from our tables, whoever started them.

    :param now: The present, for tests.
    :return: How many were removed.
    """
    transactions.run(lambda session: adopt(session, job_rows.list_dag_ids(session)))
    transactions.run(grant_rows.forget_expired)
    settled = (now or utcnow()) - SETTLING
    beyond, gone = transactions.run(lambda session: _superfluous(session, settled))
    for row in (*beyond, *gone):
        transactions.run(lambda session, row=row: _forget(session, row))  # type: ignore[misc]
    return len(beyond)


def _superfluous(session: Session, settled: datetime) -> tuple[list[ProjectRun], list[ProjectRun]]:
    """Rows of runs beyond the limits, and rows of runs that somebody deleted in Airflow."""
    rows = run_rows.dispatched_runs(session)
    known = runs.existing_runs(session, [_key(row) for row in rows])
    kept = schedules.newest_automated(session, {row.dag_id for row in rows})
    ends = runs.ended_runs(session, [_key(row) for row in rows])
    limits = setting("successful_runs_history_limit"), setting("failed_runs_history_limit")
    by_project: dict[str, list[Finished]] = {}
    for row in rows:
        end = ends.get(_key(row))
        if end is not None:
            by_project.setdefault(row.project_id, []).append(Finished(row.id, end.ended_at, end.succeeded))
    beyond = {one.name for finished in by_project.values() for one in beyond_history(finished, *limits) if one.ended_at < settled}
    superfluous = [row for row in rows if row.id in beyond and _key(row) not in kept]
    return superfluous, [row for row in rows if _key(row) not in known]


def _key(row: ProjectRun) -> tuple[str, str]:
    return row.dag_id, row.run_id


def _forget(session: Session, row: ProjectRun) -> None:
    execution = execution_rows.get_execution(session, row.id)
    # What became of it is written down first.
    if execution is not None and execution.status not in FINISHED and not recording.settle_run(session, row.id):
        return
    if runs.delete_run(session, row.dag_id, row.run_id):
        run_rows.delete_run(session, row.id)
