"""What a job makes of the request that every run of a project has: its command, its resources, and what a retry goes on from."""

from __future__ import annotations

from dataclasses import replace

from dagctl_provider.domain.jobs import DEFAULT_COMMAND, Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.services.lifecycle import jobs
from dagctl_provider.services.lifecycle.artifacts import packed
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store.session import Session

RETRY = "retry"


def of_job(session: Session, project: Project, job: Job, request: StepRequest) -> StepRequest:
    """The request of a run of a job.

    :param job: Its command is one that is not refused.
    :param request: Of any run of the project.
    """
    launcher = replace(request.launcher, resources={**request.launcher.resources, **job.resources})
    runner = replace(request.runner, job_command=None if job.command.strip() == DEFAULT_COMMAND else job.command)
    if jobs.parsed(project, job).verb == RETRY:
        runner = replace(runner, inputs={**(runner.inputs or {}), **_left(session, project)} or None)
    return replace(request, runner=runner, launcher=launcher)


def _left(session: Session, project: Project) -> dict[str, str]:
    """What the last run left to do again. Earlier ones do not count, as with dbt itself."""
    last = execution_rows.last_with_outcome(session, project.id)
    if last is None or last.status == "success" or not last.remaining:
        return {}
    return {RETRY: packed({"command": last.command or DEFAULT_COMMAND, "nodes": list(last.remaining)})}
