"""The default job of a project: what "run the project" and the project's schedule mean.

Runs inside a transaction that holds the project's row, or has just added it.
"""

from __future__ import annotations

from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.jobs import DEFAULT_COMMAND, DEFAULT_NAME, Job
from dagctl_provider.domain.projects import Project
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
