"""The jobs of a project: the default one, which is what "run the project" and the project's schedule mean, and the Dags of all.

Runs inside a transaction that holds the project's row, or has just added it.
"""

from __future__ import annotations

from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.jobs import DEFAULT_COMMAND, DEFAULT_NAME, Job
from dagctl_provider.domain.projects import Project
from dagctl_provider.orchestration import schedules
from dagctl_provider.runner.job_commands import CommandRefused, JobCommand, parse_command
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store.session import Session, utcnow


def default_job(session: Session, project: Project) -> Job:
    """The default job of a project; made if there is none, with the schedule that the project's settings have."""
    if project.job is not None:
        return project.job
    now = utcnow()
    job = Job(
        id=new_id("job_"),
        project_id=project.id,
        name=DEFAULT_NAME,
        command=DEFAULT_COMMAND,
        dag_id=project.run_dag_id,
        created_at=now,
        updated_at=now,
        schedule=project.settings.get("run_schedule"),
    )
    job_rows.insert_job(session, job, default=True)
    return job


def jobs_of(session: Session, project: Project) -> list[Job]:
    """All jobs of a project, the default one first."""
    return job_rows.list_jobs(session, [project.id])[project.id]


def dag_ids_of(session: Session, project: Project) -> list[str]:
    """The Dags of all jobs of a project; that of the default job also before there is one."""
    return list(dict.fromkeys((project.run_dag_id, *(job.dag_id for job in jobs_of(session, project)))))


def schedules_of(session: Session, project: Project) -> dict[str, str]:
    """By what the Dags of a project's jobs start runs now, by Dag id; those that start none are left out."""
    found = {job.dag_id: project.schedule_of(job) for job in jobs_of(session, project)}
    return {dag_id: schedule for dag_id, schedule in found.items() if schedule}


def forget_ended(session: Session, before: dict[str, str], project: Project) -> None:
    """Let the scheduler start no further run of Dags whose schedules a change has taken away.

    :param before: What :func:`schedules_of` said before the change.
    """
    schedules.forget_next(session, before.keys() - schedules_of(session, project).keys())


def parsed(project: Project, job: Job) -> JobCommand:
    """The command of a job, read for the tool version that its runs use: the deployed one, or before that the one that will be.

    :raises CommandRefused: the text says why.
    """
    version = project.current_tool_version or project.tool_version
    environment = project.current_environment or project.environment
    return parse_command(project.project_type, job.command, version, environment)


def refusal_of(project: Project, job: Job) -> str | None:
    """Why the command of a job is not run, if it is not."""
    try:
        parsed(project, job)
    except CommandRefused as refused:
        return str(refused)
    return None
