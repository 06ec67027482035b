"""Somebody asks for a run: whether the environment lets them, on record, and then handed to Airflow."""

from __future__ import annotations

import logging

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.services.lifecycle import auditing, jobs, protecting, runs
from dagctl_provider.services.results import RunStarted
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)


def ask(
    session: Session, actor: Actor, project: Project, job: Job, what: Subject, override_reason: str | None = None
) -> RunStarted:
    """Put a run of a job on record, if nothing speaks against it; the caller holds the project's row.

    :param what: What the record of changes says was run: the project, or the job.
    :param override_reason: Why an owner does it while the environment is closed.
    :raises DagctlError: what :func:`~dagctl_provider.services.lifecycle.runs.request` says, ``environment_protected``,
        ``outside_window``, ``override_refused``.
    """
    verdict = protecting.running(session, actor, project, override_reason)
    admit_other(session, actor, project, job, override_reason)
    started = runs.request(session, project, actor, job)
    judged = {"evaluation": verdict.to_json(None)} if verdict is not None else {}
    reason = verdict.override_reason if verdict is not None else None
    auditing.record(session, actor, "run", what, after={"run": started.run_id, **judged}, reason=reason)
    return started


def admit_other(session: Session, actor: Actor, project: Project, job: Job, override_reason: str | None = None) -> None:
    """Ask the protection of the environment that the command changes besides the project's own one, if it changes any.

    :raises DagctlError: ``environment_protected``, ``outside_window``, ``override_refused``.
    """
    if jobs.refusal_of(project, job) is None and (environment := jobs.parsed(project, job).changes) is not None:
        protecting.admit(session, actor, environment, override_reason)


def started(run: RunStarted) -> RunStarted:
    """Hand a run that is on record to Airflow; where that is not possible now, the controller does it later."""
    try:
        transactions.run(lambda session: runs.dispatch(session, run.run_id))
    except Exception:
        log.warning("Run %s is stored; the controller will start it", run.run_id, exc_info=True)
    return run
