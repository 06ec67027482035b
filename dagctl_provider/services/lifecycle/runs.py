"""Runs of the deployed state: whether one more may start, and which one gives way.

Airflow takes the place of the CronJob that the API documents speak of, so the schedule, ``concurrency_policy``, ``suspended`` and
the history limits mean here what they mean there; docs/decisions/runs-and-history.md has the rest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import job_name, new_id, slug
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.names import RUN
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.runs import BY_ITSELF, MANUALLY, ProjectRun, run_step_id
from dagctl_provider.orchestration import dags, runs, schedules
from dagctl_provider.orchestration.schedules import FoundRun
from dagctl_provider.services.lifecycle import jobs, publishing, recording
from dagctl_provider.services.results import RunStarted
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

# Pods are called by it: no longer than the kind of the default job's runs.
_LONGEST_KIND = len(BY_ITSELF)


def request(session: Session, project: Project, actor: Actor, job: Job) -> RunStarted:
    """Put on record that somebody wants a job to run now; the caller holds the project's row.

    :raises DagctlError: ``project_not_deployed``, ``plan_not_executed``, ``project_suspended``, ``job_disabled``,
        ``command_refused``, ``run_in_progress``.
    """
    if not project.deployed:
        raise DagctlError("project_not_deployed", f"Project {project.name!r} is not deployed, so it has no Dags.")
    if project.current_commit_sha is None:
        raise DagctlError("plan_not_executed", f"No plan of project {project.name!r} has been executed yet.")
    if project.suspended:
        raise DagctlError("project_suspended", f"Project {project.name!r} is suspended.")
    if not job.enabled:
        raise DagctlError("job_disabled", f"Job {job.name!r} is disabled.")
    if (why := jobs.refusal_of(project, job)) is not None:
        raise DagctlError("command_refused", why, errors=[{"field": "command", "message": why}])
    _admit(session, project)
    now, identifier = utcnow(), new_id("run_")
    name = name_of_run(project, job, now, asked=True)
    run = ProjectRun(
        id=identifier,
        project_id=project.id,
        job_id=job.id,
        job_name=name,
        dag_id=job.dag_id,
        run_id=identifier,
        settings={"job_name": name},
        triggered_by=actor.name,
        created_at=now,
    )
    run_rows.insert_run(session, run)
    recording.note_run(session, project, job, run, None)
    return RunStarted(identifier, name, "pending")


def name_of_run(project: Project, job: Job, at: datetime, *, asked: bool) -> str:
    """A run's own name. Those of the default job are as the documents show them; others say which job it was.

    :param asked: Whether somebody asked dagctl for it.
    """
    kind = slug(job.name)[:_LONGEST_KIND].strip("-") if job.dag_id != project.run_dag_id else BY_ITSELF
    return job_name(project.name, f"{kind}{MANUALLY}" if asked else kind, at)


def _admit(session: Session, project: Project) -> None:
    """Apply the project's concurrency policy before a run is added.

    Allow: the run is added; Airflow lets ``max_concurrent_job_runs`` be under way, further ones wait. Forbid: refused while
    another one of any job is queued or running, whoever started it. Replace: those are stopped.

    :raises DagctlError: ``run_in_progress``.
    """
    policy = project.settings.get("concurrency_policy", "Allow")
    if policy == "Allow":
        return
    active = unfinished(session, project)
    if active and policy == "Forbid":
        raise DagctlError("run_in_progress", f"Run {active[0]} of project {project.name!r} is not over yet.", running_runs=active)
    end(session, project, schedules.unfinished_of(session, jobs.dag_ids_of(session, project)))
    for run in run_rows.runs_of(session, project.id):
        if run.dispatched_at is None:
            run_rows.delete_run(session, run.id)
            recording.forget(session, run.id)


def dispatch(session: Session, run_id: str) -> bool:
    """Start a requested run if Airflow is ready for it.

    :return: False when it still has to wait.
    """
    run = run_rows.get_run(session, run_id)
    if run is None or run.dispatched_at is not None:
        return True
    if not dags.is_ready(session, run.dag_id):
        publishing.ask_for_parsing(session)
        return False
    # The note comes first: it waits for whoever is taking the run back, and then finds nothing to start.
    if run_rows.mark_run_dispatched(session, run_id):
        runs.trigger_run(session, run.dag_id, run.run_id, {"dagctl": run.settings}, run.triggered_by)
    return True


def unfinished(session: Session, project: Project) -> list[str]:
    """Ids of the Dag runs of all its jobs that Airflow has still to start or to end, oldest first."""
    waiting = [run.run_id for run in run_rows.runs_of(session, project.id) if run.dispatched_at is None]
    return [run_id for _, run_id in schedules.unfinished_of(session, jobs.dag_ids_of(session, project))] + waiting


def end(session: Session, project: Project, places: Iterable[tuple[str, str]]) -> None:
    """End runs that make way for a newer one.

    :param places: Dag id and run id of each.
    """
    for dag_id, run_id in places:
        stop(session, dag_id, run_id)
        log.info("Run %s of project %s makes way for a newer one", run_id, project.id)


def stop(session: Session, dag_id: str, run_id: str) -> None:
    """End a run in Airflow: its worker is told to kill what it started."""
    runs.stop_tasks(session, dag_id, run_id, (RUN,))
    runs.fail_run(session, dag_id, run_id)


def adopt(session: Session, dag_ids: Iterable[str]) -> int:
    """Put on record the runs of these Dags that dagctl did not start.

    Whoever does it comes to the same ids, so two that do it at once, or one that does it again, add nothing.

    :return: How many were new.
    """
    return sum(_adopted(session, run) for run in schedules.found_runs(session, dag_ids))


def _adopted(session: Session, run: FoundRun) -> bool:
    job = job_rows.job_of_dag(session, run.dag_id)
    project = project_rows.get_project(session, job.project_id) if job is not None else None
    identifier = run_step_id(run.dag_id, run.run_id)
    if job is None or project is None or run_rows.get_run(session, identifier) is not None:
        # Somebody gave it the id of another project's run: it is Airflow's alone then.
        return False
    adopted = ProjectRun(
        id=identifier,
        project_id=project.id,
        job_id=job.id,
        job_name=name_of_run(project, job, run.due_at, asked=False),
        dag_id=run.dag_id,
        run_id=run.run_id,
        settings={},
        triggered_by=run.started_by,
        created_at=run.due_at,
        dispatched_at=run.due_at,
    )
    run_rows.insert_run(session, adopted)
    recording.note_run(session, project, job, adopted, run.dag_id if run.scheduled else None)
    return True


def start_again(session: Session, project: Project) -> None:
    """Let a run begin anew that read what was deployed before the plan that has just been applied.

    It waited for the execution to give up the writer's place; that happens when the task ends, and only then is the plan settled.
    dbt would build the former models over the new ones. The caller publishes in the same transaction.
    """
    for dag_id, run_id in schedules.unfinished_of(session, jobs.dag_ids_of(session, project)):
        key = (dag_id, run_id)
        task = runs.task_states(session, [key]).get((*key, RUN))
        if task is not None and task.state == "running":
            log.info("Run %s of project %s starts again with what is deployed now", run_id, project.id)
            runs.clear_tasks(session, *key, (RUN,))
