"""Brings plan steps in line with what Airflow says happened.

Tasks have no way to our tables, so nothing is reported; the API server reads task states and results instead. Every settling
is one transaction that starts from the rows as they are then, so it can be repeated, crash, or run in two places.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from dagctl_provider.domain.decisions import Consent
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import APPROVAL, EXECUTE
from dagctl_provider.domain.permissions import Actor, system_actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.decisions import Decision
from dagctl_provider.domain.wire.reports import Result
from dagctl_provider.orchestration import approvals, runs
from dagctl_provider.plan_output import stored
from dagctl_provider.plan_output.destructive import must_be_named, not_named
from dagctl_provider.plan_output.reading import explained
from dagctl_provider.services.lifecycle import artifacts, deployments, grants, letters, protecting, publishing, steps, variables
from dagctl_provider.services.lifecycle.runs import start_again
from dagctl_provider.services.turns import kept_approvals, restarts
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)

BASE_CHANGED = "The deployed state changed after this plan was explained."
_MAX_APPROVAL_TRIES = 20

_FAILURES: dict[str, tuple[str, str]] = {
    "run_lost": ("The Dag run was deleted or ended in Airflow before this step finished.", "Create a new plan."),
    "task_failed": (
        "The task failed in Airflow without a result.",
        "Read the step's log; a lost worker or a killed process looks like this.",
    ),
    "task_skipped": ("The task was skipped in Airflow.", "Retry the plan, or create a new one."),
    "approval_failed": ("Airflow failed the approval task again and again.", "Read the log of the await_approval task."),
}


def reconcile_all() -> int:
    """Settle every running step whose task has come to an end.

    :return: How many steps are still running.
    """

    def work(session: Session) -> tuple[int, list[PlanStep]]:
        active = [step for step in plan_rows.steps_in(session, ["running"]) if step.dispatched_at is not None]
        keys = [(step.dag_id, step.run_id) for step in active]
        tasks, ended_runs = runs.task_states(session, keys), _ended(runs.existing_runs(session, keys))
        return len(active), [step for step in active if _has_news(step, tasks, ended_runs)]

    active, ended = transactions.run(work)
    for step in ended:
        try:
            settle(step, wait=False)
        except Exception:
            log.exception("Plan step %s could not be settled; it is tried again", step.id)
    return active


def _ended(states: dict[tuple[str, str], str]) -> Callable[[PlanStep], bool]:
    """Whether the Dag run of a step is over or gone, from the states of the runs that exist."""
    return lambda step: states.get((step.dag_id, step.run_id)) not in ("queued", "running")


def _has_news(step: PlanStep, tasks: dict[tuple[str, str, str], runs.TaskState], ended: Callable[[PlanStep], bool]) -> bool:
    """Whether settling a step could change it; told from two queries for all steps together."""
    task = tasks.get((step.dag_id, step.run_id, step.task_id))
    if task is None or task.state in runs.FINISHED:
        return True
    if task.state is None:
        return ended(step)
    return step.started_at is None and task.start_date is not None


def wake_decided() -> int:
    """Wake the approval tasks that parked in the very moment in which somebody decided.

    :return: How many there were.
    """
    found = [(*place, decision) for place, decision in transactions.run(_parked_after_decision)]
    for dag_id, run_id, decision in found:
        option = steps.APPROVE_OPTION if decision.approves else steps.REJECT_OPTION
        name = decision.decided_by or "dagctl"
        user = {"id": name, "name": name}
        # One transaction for each, so that none holds the tasks of two runs.
        transactions.run(partial(approvals.wake, dag_id=dag_id, run_id=run_id, chosen_option=option, user=user))
    return len(found)


def _parked_after_decision(session: Session) -> list[tuple[tuple[str, str], Decision]]:
    parked = ((place, letters.decision_of(session, *place)) for place in approvals.parked_with_decision(session))
    return [(place, decision) for place, decision in parked if decision is not None]


def _run_ended(session: Session, step: PlanStep) -> bool:
    return _ended(runs.existing_runs(session, [(step.dag_id, step.run_id)]))(step)


def settle(step: PlanStep, wait: bool = True) -> PlanStep:
    """Bring one step in line with its task.

    :param wait: For a project that somebody else is changing; a turn looks again instead, so that one project delays no other.
    :return: The step as it is afterwards.
    """

    def work(session: Session) -> PlanStep:
        project = project_rows.get_project(session, step.project_id, lock=True, wait=wait)
        current = plan_rows.get_step(session, step.id)
        if project is None or current is None or current.status != "running" or current.dispatched_at is None:
            return current or step
        return _settled(session, project, current)

    return transactions.run(work)


def _settled(session: Session, project: Project, step: PlanStep) -> PlanStep:
    key = (step.dag_id, step.run_id)
    state = runs.task_states(session, [key]).get((*key, step.task_id))
    if state is None:
        return _fail(session, step, "run_lost") if _run_ended(session, step) else step
    facts: dict[str, Any] = {"try_number": state.try_number, "started_at": state.start_date}
    if state.state == "success":
        return _succeed(session, project, step, facts)
    if state.state == "failed":
        if _own_result(session, step) is None and restarts.goes_on(session, project, step, state):
            return step
        return _fail(session, step, "task_failed", **facts)
    if state.state == "skipped":
        return _fail(session, step, "task_skipped", **facts)
    if state.state == "upstream_failed" and step.plan_type == "execute":
        return _heal_approval(session, project, step)
    if state.state in ("upstream_failed", "removed") or (state.state is None and _run_ended(session, step)):
        return _fail(session, step, "run_lost")
    if state.state is not None and state.start_date is not None and step.started_at is None:
        plan_rows.note_step(session, step.id, **facts)
    return step


def _own_result(session: Session, step: PlanStep) -> Result | None:
    """The result of the try that has ended, not one of an earlier try or execution that stood in the same place."""
    state = runs.task_states(session, [(step.dag_id, step.run_id)]).get((step.dag_id, step.run_id, step.task_id))
    return letters.result_of(session, step, state.try_id) if state is not None else None


def _fail(session: Session, step: PlanStep, fallback: str, **facts: Any) -> PlanStep:
    result = _own_result(session, step) or Result()
    error = result.failure
    message, hint = _FAILURES[fallback]
    output = stored.unfinished(result.plan_output or {})
    if step.plan_type == "execute":
        output = _failed_output(session, step, result)
    return steps.move(
        session,
        step,
        "failed",
        error_code=(error.code or fallback)[:64],
        error_message=error.message or message,
        error_hint=error.hint or hint,
        pod_name=result.pod_name,
        plan_output=output or None,
        **facts,
    )


def _failed_output(session: Session, step: PlanStep, result: Result) -> dict[str, Any]:
    """What a failed execute did all the same: the results of its models, and what a retry need not do again."""
    return stored.failed(step.plan_output or {}, result, artifacts.finished_before(session, step))


def _succeed(session: Session, project: Project, step: PlanStep, facts: dict[str, Any]) -> PlanStep:
    result = _own_result(session, step)
    if result is None:
        return _fail(session, step, "task_failed", **facts)
    facts["pod_name"] = result.pod_name
    if step.plan_type == "explain":
        return _explained(session, project, step, result, facts)
    return _applied(session, project, step, result, facts)


def _explained(session: Session, project: Project, step: PlanStep, result: Result, facts: dict[str, Any]) -> PlanStep:
    facts.update(plan_output=stored.explained(result.plan_output or {}), digest=result.digest, tool_plan_id=result.tool_plan_id)
    if project.current_commit_sha != step.from_commit_sha:
        # Another plan was applied meanwhile; an execution of this one would find that it drifted.
        plan_rows.note_step(session, step.id, **facts)
        system = system_actor(project.organization_id, "deployed_state")
        return steps.discard(session, system, replace(step, **facts), BASE_CHANGED, project.current_commit_sha or "")
    if variables.have_changed(session, step):
        # It could not be executed; nobody is told that it was approved.
        return steps.move(session, step, "explained", **facts)
    told = replace(step, plan_output=facts["plan_output"], digest=result.digest)
    if (
        project.settings.get("auto_apply")
        and not must_be_named(explained(result.plan_output))
        and protecting.is_free(session, told)
    ):
        return _approve(session, project, step, system_actor(project.organization_id, "auto_apply"), "auto_apply", **facts)
    kept = kept_approvals.find(session, project, step, result.digest)
    allowed = kept_approvals.allowed(session, project, step) if kept is not None else ()
    # Whatever stands for a person's word has to hold what a person would have been asked for.
    if kept is None or not_named(explained(result.plan_output), allowed) or not kept_approvals.is_enough(session, told):
        return steps.move(session, step, "explained", **facts)
    consent = Consent(kept_approvals.said_of(kept), allowed, kept_approvals.judged(session, told))
    return _approve(session, project, step, kept_approvals.who_gave(kept, project), "approval_kept", consent=consent, **facts)


def _approve(session: Session, project: Project, step: PlanStep, actor: Actor, event: str, **more: Any) -> PlanStep:
    """Approve an explain that nobody has to be asked about.

    :param more: The consent, and columns of the step.
    """
    try:
        with session.begin_nested():
            return steps.approve_step(session, project, actor, step, event, "system", **more)[0]
    except DagctlError as error:
        if error.code != "execution_in_progress":
            raise
        # It stays running and is looked at again when the other execution has ended.
        return step


def _applied(session: Session, project: Project, step: PlanStep, result: Result, facts: dict[str, Any]) -> PlanStep:
    output = stored.executed(step.plan_output or {}, result)
    moved = steps.move(session, step, "applied", plan_output=output, **facts)
    deployments.record(session, project, moved)
    if project.latest_commit_sha == step.to_commit_sha:
        project_rows.update_project(session, project.id, touch=False, commits_behind=0)
    publishing.publish(session, project.id)
    start_again(session, project)
    system = system_actor(project.organization_id, "deployed_state")
    for listed in plan_rows.steps_in(session, ["pending"], project.id):
        pending = plan_rows.get_step(session, listed.id)
        if pending is not None and pending.group_id != step.group_id:
            steps.discard(session, system, pending, BASE_CHANGED, step.to_commit_sha)
    return moved


def _heal_approval(session: Session, project: Project, step: PlanStep) -> PlanStep:
    """Airflow lost its own race over the approval task. The decision stands, so let the task look again."""
    key = (step.dag_id, step.run_id)
    approval = runs.task_states(session, [key]).get((*key, APPROVAL))
    if approval is not None and approval.try_number >= _MAX_APPROVAL_TRIES:
        return _fail(session, step, "approval_failed")
    runs.clear_tasks(session, step.dag_id, step.run_id, (APPROVAL, EXECUTE))
    grants.give(session, project, step)
    return step
