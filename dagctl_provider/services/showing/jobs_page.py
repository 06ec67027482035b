"""What the pages of jobs show: a project's jobs, each with its last run, and what is wrong with one that is not saved yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import jobs as job_services
from dagctl_provider.services.lifecycle import jobs, lookups
from dagctl_provider.services.results import ShownJob
from dagctl_provider.store import overviews, transactions
from dagctl_provider.store.overviews import NewestExecution
from dagctl_provider.store.session import Session


@dataclass(frozen=True)
class JobRow:
    """A job as one row.

    :param shown: The job, and when it runs next.
    :param newest: Its newest run, whoever started it.
    :param refused: Why its command would not be run now, if so: another version of the tool may be deployed by now.
    """

    shown: ShownJob
    newest: NewestExecution | None
    refused: str | None

    @property
    def job(self) -> Job:
        """The job itself."""
        return self.shown.job


@dataclass(frozen=True)
class JobList:
    """All jobs of a project, the default one first."""

    project: Project
    rows: tuple[JobRow, ...]


def get_job_list(actor: Actor, project_id: str) -> JobList:
    """The jobs of a project.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    found = job_services.list_jobs(actor, project_id)
    return _rows(actor, project_id, found)


def get_job_row(actor: Actor, project_id: str, job_id: str) -> tuple[Project, JobRow]:
    """One job of a project, as a row of the list has it.

    :raises DagctlError: ``not_found``, also for a job of another project; ``forbidden``.
    """
    shown = job_services.get_job(actor, job_id)
    found = _rows(actor, shown.job.project_id, (shown,))
    if found.project.id != project_id:
        raise not_found("Job", job_id)
    return found.project, found.rows[0]


def _rows(actor: Actor, project_id: str, found: tuple[ShownJob, ...]) -> JobList:
    def work(session: Session) -> JobList:
        project = lookups.visible_project(session, actor, project_id)
        newest = overviews.newest_of_jobs(session, project_id)
        rows = (JobRow(one, newest.get(one.job.id), jobs.refusal_of(project, one.job)) for one in found)
        return JobList(project, tuple(rows))

    return transactions.run(work)


def get_project(actor: Actor, project_id: str) -> Project:
    """The project that a new job is for.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")
    return transactions.run(lambda session: lookups.visible_project(session, actor, project_id))


def judge(project: Project, job: Job | None, values: Mapping[str, object]) -> dict[str, str]:
    """What is wrong with what was typed so far, beyond types and form, by field; nothing is saved.

    :param job: The one that is changed, if there is one already.
    """
    command = values.get("command")
    if not isinstance(command, str) or not command:
        return {}
    known = job or Job("", project.id, "", command, "", project.created_at, project.created_at)
    refused = jobs.refusal_of(project, replace(known, command=command))
    return {"command": refused} if refused is not None else {}
