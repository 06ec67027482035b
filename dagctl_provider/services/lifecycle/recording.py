"""Puts runs on record as executions, in the transaction in which they come to be, so that lists tell of them at once.

What becomes of them is written by the controller (:mod:`dagctl_provider.services.turns.recording`).
"""

from __future__ import annotations

from dagctl_provider.domain.executions import Execution, JobType
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.runner.job_commands import CommandRefused, parse_command
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store.session import Session, utcnow


def note_run(session: Session, project: Project, job: Job, run: ProjectRun, cronjob_name: str | None) -> None:
    """Put a run on record that was just added to the runs.

    :param cronjob_name: The Dag whose schedule started it; absent where somebody asked for it.
    """
    execution = Execution(
        id=run.id,
        project_id=project.id,
        job_type=job_type(project, job.command),
        job_name=run.job_name,
        status="pending",
        triggered_by=run.triggered_by,
        created_at=run.created_at,
        updated_at=utcnow(),
        job_id=job.id,
        cronjob_name=cronjob_name,
        command=job.command,
        environment=project.current_environment or project.target.environment or None,
        commit_sha=project.current_commit_sha,
    )
    execution_rows.insert_execution(session, execution)


def job_type(project: Project, command: str) -> JobType:
    """How figures count what a job does.

    :param command: Its command; one that would be refused today counts as a run.
    """
    try:
        return parse_command(project.project_type, command).job_type
    except CommandRefused:
        return "run"


def begun_with(session: Session, project: Project, job: Job, run_id: str, commit_sha: str) -> None:
    """Note what a run was granted to do: what is deployed, and its job, may have changed since somebody asked for it."""
    noted = {
        "commit_sha": commit_sha,
        "environment": project.current_environment or project.target.environment or None,
        "command": job.command,
        "job_type": job_type(project, job.command),
    }
    execution_rows.change_execution(session, run_id, **noted)


def forget(session: Session, run_id: str) -> None:
    """Forget a run that never began and is not to."""
    execution_rows.delete_execution(session, run_id)
