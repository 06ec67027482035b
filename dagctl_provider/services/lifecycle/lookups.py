"""What an actor may see and change, looked up in the caller's transaction: rows of another organization are as if absent."""

from __future__ import annotations

from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.executions import Execution
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep, require_transition
from dagctl_provider.domain.projects import Project
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import Session


def visible_project(session: Session, actor: Actor, project_id: str, *, lock: bool = False) -> Project:
    """A project of the actor's organization.

    :param lock: Hold its row until the transaction ends.
    :raises DagctlError: ``not_found``, also for projects of another organization.
    """
    project = project_rows.get_project(session, project_id, lock=lock)
    if project is None or project.organization_id != actor.organization_id or not actor.sees(project.id):
        raise not_found("Project", project_id)
    return project


def locked_project(session: Session, actor: Actor, project_id: str) -> Project:
    """:func:`visible_project` with its row held until the transaction ends."""
    return visible_project(session, actor, project_id, lock=True)


def visible_job(session: Session, actor: Actor, job_id: str, *, lock: bool = False) -> tuple[Project, Job]:
    """A job of the actor's organization, and its project.

    :param lock: Hold the project's row until the transaction ends.
    :raises DagctlError: ``not_found``.
    """
    job = job_rows.get_job(session, job_id)
    project = project_rows.get_project(session, job.project_id, lock=lock) if job is not None else None
    # Once more: somebody who held the project may have changed it meanwhile.
    job = job_rows.get_job(session, job_id) if lock else job
    if project is None or job is None or project.organization_id != actor.organization_id or not actor.sees(project.id):
        raise not_found("Job", job_id)
    return project, job


def visible_run(session: Session, actor: Actor, run_id: str, *, lock: bool = False) -> tuple[Project, Execution]:
    """A run of the actor's organization, and its project: of a job, or an explain or execute of a plan.

    :param lock: Hold the project's row until the transaction ends.
    :raises DagctlError: ``not_found``.
    """
    run = execution_rows.get_execution(session, run_id)
    project = project_rows.get_project(session, run.project_id, lock=lock) if run is not None else None
    run = execution_rows.get_execution(session, run_id) if lock else run
    if project is None or run is None or project.organization_id != actor.organization_id or not actor.sees(project.id):
        raise not_found("Run", run_id)
    return project, run


def visible_step(session: Session, actor: Actor, plan_id: str) -> PlanStep:
    """A plan step of the actor's organization.

    :raises DagctlError: ``not_found``.
    """
    step = plan_rows.get_step(session, plan_id)
    if step is None or step.organization_id != actor.organization_id or not actor.sees(step.project_id):
        raise not_found("Plan", plan_id)
    return step


def project_allowing(session: Session, actor: Actor, plan_id: str, verb: str) -> Project:
    """The project of a step that accepts ``verb`` now, before something slow is asked that would be in vain otherwise.

    :raises DagctlError: ``not_found``, ``wrong_state``.
    """
    step = visible_step(session, actor, plan_id)
    require_transition(step, verb, plan_rows.group_steps(session, step.group_id))
    return visible_project(session, actor, step.project_id)


def locked_step(session: Session, actor: Actor, plan_id: str, verb: str) -> tuple[PlanStep, tuple[PlanStep, ...], Project]:
    """A step that accepts ``verb`` and its group as they are once the project's row is held, and the project.

    :raises DagctlError: ``not_found``, ``wrong_state``.
    """
    project = locked_project(session, actor, visible_step(session, actor, plan_id).project_id)
    step = visible_step(session, actor, plan_id)
    group = plan_rows.group_steps(session, step.group_id)
    require_transition(step, verb, group)
    return step, group, project
