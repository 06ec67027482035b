"""Jobs: list, read, create, change, delete, run; and what became of their runs (Jobs API document).

The default job of a project is one of them. What makes it the default one, its command, and that it is there, stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError, invalid_field
from dagctl_provider.domain.executions import Execution
from dagctl_provider.domain.ids import new_id, slug
from dagctl_provider.domain.jobs import DEFAULT_COMMAND, MOST_JOBS, Job, changed, missing_channel
from dagctl_provider.domain.names import job_dag_id
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.pods import resource_problems
from dagctl_provider.domain.projects import Project
from dagctl_provider.orchestration import dags, schedules
from dagctl_provider.services.lifecycle import asking, auditing, jobs, lookups, protecting, publishing
from dagctl_provider.services.results import Page, RunStarted, ShownJob
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.executions import Wanted
from dagctl_provider.store.session import Session, utcnow

_NAME_IN_DAG_ID = 40
_STARTS_RUNS = frozenset({"command", "schedule", "time_zone", "enabled", "environment"})
"""Changes after which a job may do by itself what nobody is asked for then."""


def list_jobs(actor: Actor, project_id: str) -> tuple[ShownJob, ...]:
    """All jobs of a project, the default one first, then by name.

    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    actor.require("read")

    def work(session: Session) -> tuple[ShownJob, ...]:
        project = lookups.visible_project(session, actor, project_id)
        return _shown(session, project, jobs.jobs_of(session, project))

    return transactions.run(work)


def get_job(actor: Actor, job_id: str) -> ShownJob:
    """One job.

    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    actor.require("read")

    def work(session: Session) -> ShownJob:
        project, job = lookups.visible_job(session, actor, job_id)
        return _shown(session, project, [job])[0]

    return transactions.run(work)


def create_job(actor: Actor, project_id: str, values: Mapping[str, Any]) -> ShownJob:
    """Make a job; its Dag is generated from now on, if the project is deployed.

    :param values: Fields of :data:`~dagctl_provider.domain.jobs.FIELDS`, validated for type and form.
    :raises DagctlError: ``forbidden``, ``not_found``, ``name_taken``, ``too_many_jobs``, ``invalid_request``,
        ``environment_protected``, ``outside_window``.
    """
    actor.require("manage_jobs")
    identifier, now = new_id("job_"), utcnow()

    def work(session: Session) -> ShownJob:
        project = lookups.locked_project(session, actor, project_id)
        jobs.default_job(session, project)
        others = jobs.jobs_of(session, project)
        if len(others) >= MOST_JOBS:
            raise DagctlError("too_many_jobs", f"Project {project.name!r} has {MOST_JOBS} jobs, which is the most.")
        dag_id = job_dag_id(project.dag_id, slug(values["name"])[:_NAME_IN_DAG_ID].strip("-"), identifier[-8:])
        bare = Job(identifier, project.id, values["name"], values["command"], dag_id, now, now)
        made = changed(bare, values)
        _require_free_name(made, others)
        _require_fitting(session, actor, project, made, values)
        _require_keeper(actor, {}, made.environment)
        job_rows.insert_job(session, made, default=False)
        publishing.publish(session, project.id)
        auditing.record(session, actor, "created", _subject(made), after=made.told())
        return _shown(session, project, [made])[0]

    return transactions.run(work)


def update_job(actor: Actor, job_id: str, values: Mapping[str, Any]) -> ShownJob:
    """Change the supplied fields and nothing else; runs that have begun go on as they are.

    :param values: As for :func:`create_job`; ``None`` takes away what may be absent.
    :raises DagctlError: ``forbidden``, ``not_found``, ``name_taken``, ``invalid_request``, ``environment_protected``,
        ``outside_window``.
    """
    actor.require("manage_jobs")

    def work(session: Session) -> ShownJob:
        project, before = lookups.visible_job(session, actor, job_id, lock=True)
        if _is_default(project, before) and values.get("command", before.command).strip() != before.command:
            raise invalid_field("command", f"stays {DEFAULT_COMMAND!r} in the default job; make another job for another command")
        after = changed(before, values)
        _require_free_name(after, jobs.jobs_of(session, project))
        _require_fitting(session, actor, project, after, values)
        _require_keeper(actor, before.environment, after.environment)
        if after != before:
            _write(session, project, replace(after, updated_at=utcnow()))
            was, now = auditing.changes(before.told(), after.told())
            if before.environment != after.environment:
                # That its values are others, and not what they are.
                was, now = {**was, "environment": sorted(before.environment)}, {**now, "environment": sorted(after.environment)}
            auditing.record(session, actor, "changed", _subject(after), before=was, after=now)
        project, current = lookups.visible_job(session, actor, job_id)
        return _shown(session, project, [current])[0]

    return transactions.run(work)


def _write(session: Session, project: Project, job: Job) -> None:
    due = jobs.schedules_of(session, project)
    job_rows.update_job(session, job)
    publishing.publish(session, project.id)
    jobs.forget_ended(session, due, project)


def delete_job(actor: Actor, job_id: str) -> None:
    """Remove a job and its Dag. What its runs did stays in the project's metrics.

    :raises DagctlError: ``forbidden``, ``not_found``, ``default_job``, ``job_busy`` while a run of it is not over.
    """
    actor.require("manage_jobs")

    def work(session: Session) -> None:
        project, job = lookups.visible_job(session, actor, job_id, lock=True)
        if _is_default(project, job):
            raise DagctlError("default_job", f"{job.name!r} is the default job of project {project.name!r}.")
        waiting = [run.id for run in run_rows.runs_of(session, project.id) if run.job_id == job.id and not run.dispatched_at]
        busy = [run_id for _, run_id in schedules.unfinished_of(session, [job.dag_id])] + waiting
        if busy:
            raise DagctlError("job_busy", f"Run {busy[0]} of job {job.name!r} is not over yet.", running_runs=busy)
        job_rows.delete_job(session, job.id)
        publishing.publish(session, project.id)
        # Until it is parsed again, the Dag is still there.
        dags.set_paused(session, [job.dag_id], True)
        schedules.forget_next(session, [job.dag_id])
        auditing.record(session, actor, "removed", _subject(job), before=job.told())

    transactions.run(work)


def run_job(actor: Actor, job_id: str, override_reason: str | None = None) -> RunStarted:
    """Start a run of a job now.

    :param override_reason: Why an owner does it while the environment is closed.
    :raises DagctlError: ``forbidden``, ``not_found``, ``project_not_deployed``, ``plan_not_executed``, ``project_suspended``,
        ``job_disabled``, ``command_refused``, ``run_in_progress``, ``environment_protected``, ``outside_window``,
        ``override_refused``.
    """
    actor.require("run_project")

    def work(session: Session) -> RunStarted:
        project, job = lookups.visible_job(session, actor, job_id, lock=True)
        return asking.ask(session, actor, project, job, _subject(job), override_reason)

    return asking.started(transactions.run(work))


def list_job_runs(
    actor: Actor, job_id: str, page: int = 1, limit: int = 50, status: str | None = None, updated_after: datetime | None = None
) -> Page[Execution]:
    """One page of a job's runs, newest first.

    :param page: From 1.
    :param limit: 1 to 500.
    :param updated_after: Only runs whose record changed since.
    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    actor.require("read")
    wanted = Wanted(job_id=job_id, status=status, updated_after=updated_after)

    def work(session: Session) -> Page[Execution]:
        project, _ = lookups.visible_job(session, actor, job_id)
        found, total = execution_rows.list_executions(session, project.id, wanted, page=page, limit=limit)
        return Page(found, total, page, limit)

    return transactions.run(work)


def _is_default(project: Project, job: Job) -> bool:
    return project.job is not None and project.job.id == job.id


def _shown(session: Session, project: Project, found: list[Job]) -> tuple[ShownJob, ...]:
    """Jobs with what Airflow says of them; where a schedule has just been changed, Airflow says so after the next parsing."""
    coming = schedules.next_runs(session, [job.dag_id for job in found])
    return tuple(
        ShownJob(
            job,
            _is_default(project, job),
            coming[job.dag_id].at if job.dag_id in coming and project.schedule_of(job) else None,
        )
        for job in found
    )


def _subject(job: Job) -> Subject:
    return Subject("job", job.id, job.name, job.project_id)


def _require_free_name(job: Job, others: list[Job]) -> None:
    if any(other.name.lower() == job.name.lower() and other.id != job.id for other in others):
        raise DagctlError("name_taken", f"The project has a job named {job.name!r} already.", name=job.name)


def _require_fitting(session: Session, actor: Actor, project: Project, job: Job, values: Mapping[str, Any]) -> None:
    """Refuse what does not go together with the project, or within the job.

    :param values: What was sent: what nobody touches is not asked for again, so that a job can always be switched off.
    """
    if "command" in values and (why := jobs.refusal_of(project, job)) is not None:
        raise invalid_field("command", why.removesuffix("."))
    if "resources" in values and (found := resource_problems({**project.settings, **job.resources})):
        raise invalid_field("resources", f"{found[0].where}: {found[0].message}")
    if (field := missing_channel(job)) is not None:
        raise invalid_field("slack_channel", f"is needed with {field!r}")
    if job.enabled and _STARTS_RUNS & values.keys():
        if job.schedule:
            protecting.starting_later(session, actor, project)
        asking.admit_other(session, actor, project, job)


def _require_keeper(actor: Actor, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    """Values lead code elsewhere than the plan showed, as those of an organization may: the same people set them.

    :raises DagctlError: ``forbidden``. Taking some away needs no more than changing a job.
    """
    if not after.items() <= before.items():
        actor.require("manage_secrets")
