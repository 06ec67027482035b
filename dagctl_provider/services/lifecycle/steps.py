"""Moves of plan steps that several use cases share. Each runs inside a transaction that holds the project's row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.decisions import SILENT, Consent
from dagctl_provider.domain.doors import Door
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import job_name, new_id
from dagctl_provider.domain.names import APPROVAL, EXECUTE, EXPLAIN
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep, Status, require_transition, stands_for_commit
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.decisions import Decision
from dagctl_provider.domain.wire.reports import Finished
from dagctl_provider.domain.wire.requests import into_conf
from dagctl_provider.orchestration import approvals, dags, runs
from dagctl_provider.plan_output import stored
from dagctl_provider.services.lifecycle import auditing, grants, letters, telling
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import Session, utcnow

APPROVE_OPTION = "Approve"
REJECT_OPTION = "Reject"


def explain_key(project_id: str, commit_sha: str, environment: str) -> str:
    """The unique key that one explain step holds while its group stands for the commit in the environment."""
    return f"explain:{project_id}:{commit_sha}:{environment}"


def execute_key(project_id: str, environment: str) -> str:
    """The unique key that one execute step holds while it is running in the environment."""
    return f"execute:{project_id}:{environment}"


def move(session: Session, step: PlanStep, event: str, *, comment: str | None = None, **values: Any) -> PlanStep:
    """Apply one row of the state machine, keep the unique keys in step with it, and note who is to be told.

    :param comment: What the person who decided said, for those who are told.
    :raises DagctlError: ``wrong_state``.
    :raises StaleState: when another transaction was faster.
    """
    target = require_transition(step, event).target
    assert target is not None
    if target in ("completed", "failed", "cancelled", "rejected"):
        values.setdefault("finished_at", utcnow())
    if step.plan_type == "execute":
        values["active_key"] = execute_key(step.project_id, step.environment) if target == "running" else None
    moved = plan_rows.move_step(session, step, target, **values)
    if step.status == "running":
        grants.take_back(session, step)
    refresh_commit_key(session, step.group_id)
    telling.note(session, moved, comment)
    return moved


def refresh_commit_key(session: Session, group_id: str) -> None:
    """Give up the commit's key once the group no longer stands for the commit."""
    steps = plan_rows.group_steps(session, group_id)
    explain = steps[0]
    key = explain_key(explain.project_id, explain.to_commit_sha, explain.environment)
    plan_rows.note_step(session, explain.id, active_key=key if stands_for_commit(steps) else None)


def record_decision(session: Session, actor: Actor, step: PlanStep, decision: str, door: Door, consent: Consent = SILENT) -> None:
    """Add to the record of who decided what, for which digest, and to the organization's record of changes.

    :param consent: What was said with it, and by which rules it was judged.
    """
    decision_rows.insert_decision(
        session,
        id=new_id("dec_"),
        group_id=step.group_id,
        step_id=step.id,
        project_id=step.project_id,
        commit_sha=step.to_commit_sha,
        decision=decision,
        digest=step.digest,
        actor_kind=actor.kind,
        actor_id=actor.identifier,
        actor_name=actor.name,
        door=door,
        comment=consent.comment,
        evaluation=consent.evaluation,
    )
    said = {"commit": step.to_commit_sha, "environment": step.environment, "digest": step.digest, "status": step.status}
    what = Subject("plan", step.id, step.group_id, step.project_id)
    judged = {"evaluation": consent.evaluation} if consent.evaluation is not None else {}
    reason = (consent.evaluation or {}).get("override_reason") or consent.comment
    auditing.record(session, replace(actor, door=door), decision, what, after={**said, **judged}, reason=reason)


def tell_airflow(session: Session, actor: Actor, step: PlanStep, decision: str, execute: PlanStep | None = None) -> None:
    """Leave the decision where the waiting task looks for it, and wake that task.

    :param execute: The step that executes an approved plan.
    """
    told = Decision(decision=decision, digest=step.digest, decided_by=actor.name)
    if execute is not None:
        told = replace(told, execution_plan_id=execute.id, job_name=execute.job_name)
    if letters.leave(session, step, told):
        option = APPROVE_OPTION if told.approves else REJECT_OPTION
        approvals.wake(session, step.dag_id, step.run_id, option, {"id": actor.identifier, "name": actor.name})


def tell_approved(session: Session, project: Project, actor: Actor, explain: PlanStep, execute: PlanStep) -> None:
    """Tell Airflow that the explained plan is to be executed, as which step and under which name, and let that step run."""
    grants.give(session, project, execute)
    tell_airflow(session, actor, explain, "approved", execute)


def start_execute(
    session: Session,
    project: Project,
    explain: PlanStep,
    *,
    attempt: int = 1,
    retry_of: str | None = None,
    finished: Finished | None = None,
    allow_destructive: Sequence[str] = (),
) -> PlanStep:
    """Add the execute step of an approved group. The unique execute key makes a second one impossible.

    :param finished: How far earlier executions of the group have come; a retry does not do it again.
    :param allow_destructive: The models whose destructive changes the approval named; kept with what it lets happen.
    :raises DagctlError: ``execution_in_progress``.
    """
    if plan_rows.count_steps(session, project.id, "execute", ["running"]):
        raise DagctlError("execution_in_progress", f"Project {project.name!r} is already executing another plan.")
    now = utcnow()
    return plan_rows.insert_step(
        session,
        id=new_id("plan_"),
        group_id=explain.group_id,
        plan_type="execute",
        organization_id=explain.organization_id,
        project_id=explain.project_id,
        active_key=execute_key(project.id, explain.environment),
        ref=explain.ref,
        environment=explain.environment,
        from_commit_sha=explain.from_commit_sha,
        to_commit_sha=explain.to_commit_sha,
        commit_message=explain.commit_message,
        commit_author=explain.commit_author,
        commit_author_email=explain.commit_author_email,
        created_by_kind=explain.created_by_kind,
        created_by_id=explain.created_by_id,
        committed_at=explain.committed_at,
        commits_behind=explain.commits_behind,
        status="running",
        job_name=job_name(project.name, "plan-execute", now),
        triggered_by=explain.triggered_by,
        settings=explain.settings,
        plan_output=stored.begun(finished, allow_destructive),
        digest=explain.digest,
        tool_plan_id=explain.tool_plan_id,
        retry_of=retry_of,
        attempt=attempt,
        dag_id=explain.dag_id,
        run_id=explain.run_id,
        dispatched_at=now,
        created_at=now,
    )


def approve_step(
    session: Session,
    project: Project,
    actor: Actor,
    step: PlanStep,
    event: str,
    door: Door,
    consent: Consent = SILENT,
    **values: Any,
) -> tuple[PlanStep, PlanStep]:
    """Decide for a plan: explain to approved, a new execute step, the record, and the word to Airflow, all or nothing.

    :param event: ``approve``, or ``auto_apply`` or ``approval_kept`` straight from running.
    :param consent: What goes with the approval.
    :param values: Columns of the step.
    """
    explain = move(session, step, event, comment=consent.comment, decided_at=utcnow(), decided_by=actor.name, **values)
    execute = start_execute(session, project, explain, allow_destructive=consent.allow_destructive)
    record_decision(session, actor, explain, "approved", door, consent)
    tell_approved(session, project, actor, explain, execute)
    return explain, execute


def discard(session: Session, actor: Actor, step: PlanStep, reason: str, current_commit: str) -> PlanStep:
    """Reject a pending plan because the repository or the deployed state moved on."""
    output = stored.discarded(step.plan_output or {}, reason, current_commit)
    moved = move(session, step, "discard", comment=reason, plan_output=output, decided_at=utcnow(), decided_by=actor.name)
    record_decision(session, actor, moved, "discarded", "system", Consent(reason))
    tell_airflow(session, actor, moved, "discarded")
    return moved


def _beginning(session: Session, step: PlanStep) -> dict[str, Any]:
    """What only Airflow knows yet of a running step, and what its log is found by: its try and when that began."""
    if step.status != "running":
        return {}
    task = runs.task_states(session, [(step.dag_id, step.run_id)]).get((step.dag_id, step.run_id, step.task_id))
    if task is None or task.state is None:
        return {}
    return {"try_number": task.try_number, "started_at": task.start_date}


def stop(session: Session, actor: Actor, step: PlanStep, event: str, door: Door) -> PlanStep:
    """Cancel a step that runs or is approved: its record first, then its tasks in Airflow."""
    moved = move(session, step, event, decided_at=utcnow(), decided_by=actor.name, **_beginning(session, step))
    record_decision(session, actor, moved, "cancelled", door)
    letters.leave(session, step, Decision(decision="cancelled", decided_by=actor.name))
    tasks = (EXPLAIN, APPROVAL, EXECUTE) if step.plan_type == "explain" else (APPROVAL, EXECUTE)
    runs.stop_tasks(session, step.dag_id, step.run_id, tasks)
    runs.fail_run(session, step.dag_id, step.run_id)
    return moved


def supersede(session: Session, project: Project, actor: Actor, keep_group: str, current_commit: str) -> None:
    """End the older plans of a project that nobody needs to decide any more, because a newer one has started."""
    waiting: tuple[Status, ...] = ("pending", "running")
    for listed in plan_rows.steps_in(session, waiting, project.id):
        if listed.group_id == keep_group or listed.plan_type == "execute":
            continue
        step = plan_rows.get_step(session, listed.id)
        if step is None:
            continue
        if step.status == "pending":
            discard(session, actor, step, "A newer commit is being planned.", current_commit)
        else:
            stop(session, actor, step, "supersede", "system")


def dispatch(session: Session, step: PlanStep, *, wait: bool = True) -> bool:
    """Start the Dag run of an explain step if Airflow knows the Dag by now.

    :param wait: For a project that somebody else is changing; otherwise it stays for the next turn.
    :return: False when it still has to wait.
    """
    if not dags.is_ready(session, step.dag_id):
        return False
    # Held, so that what the project's last execute left is still there when it is handed out.
    project = project_rows.get_project(session, step.project_id, lock=True, wait=wait)
    current = plan_rows.get_step(session, step.id)
    if project is None or current is None or current.status != "running" or current.dispatched_at is not None:
        return True
    runs.trigger_run(session, step.dag_id, step.run_id, into_conf(step.settings), step.triggered_by)
    # Anybody who may trigger the Dag can give it a conf, so the conf is for people; the step goes by its grant.
    grants.give(session, project, step)
    plan_rows.note_step(session, step.id, dispatched_at=utcnow())
    return True
