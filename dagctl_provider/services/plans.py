"""Plans: create, read, decide, cancel, retry, delete (Plans API document)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dagctl_provider.domain import doors
from dagctl_provider.domain.codeowners import CodeOwners
from dagctl_provider.domain.decisions import Consent, DecisionRecord
from dagctl_provider.domain.doors import Door
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import job_name, new_id, short_sha
from dagctl_provider.domain.names import APPROVAL, EXECUTE, POD_KEY
from dagctl_provider.domain.options import NO_OPTIONS, PlanOptions
from dagctl_provider.domain.options import check as check_options
from dagctl_provider.domain.permissions import PLANNED_AGAIN, Actor, system_actor
from dagctl_provider.domain.plans import (
    PlanStep,
    current_status,
    has_drifted,
    newest,
    retries_left,
    stands_for_commit,
    verbs_now,
    wrong_state,
)
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.reports import PodSeen
from dagctl_provider.git.commits import CommitFacts
from dagctl_provider.orchestration import runs
from dagctl_provider.plan_output import destructive
from dagctl_provider.plan_output.reading import executed, explained
from dagctl_provider.plan_output.telling import tell
from dagctl_provider.services.lifecycle import (
    approval_states,
    artifacts,
    deployments,
    explains,
    leftovers,
    letters,
    lookups,
    matters,
    protecting,
    publishing,
    step_logs,
    steps,
    variables,
)
from dagctl_provider.services.lifecycle.project_requests import request_for_project
from dagctl_provider.services.outside import owners, pods, repositories, waiting
from dagctl_provider.services.results import (
    Page,
    PlanApprovalRecorded,
    PlanApproved,
    PlanAutoDiscarded,
    PlanCreated,
    PlanGroup,
    StepLogs,
)
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

OTHER_OPTIONS = "The commit is planned again with other options."
OTHER_VARIABLES = "The commit is planned again with the environment variables of now."
HEAD_MOVED = "Repository has new commits. Please create a new plan to review the latest changes."


def list_plans(actor: Actor, project_id: str, page: int = 1, limit: int = 25, status: str | None = None) -> Page[PlanStep]:
    """One page of a project's plan steps, newest first, without their output.

    :param page: From 1.
    :param limit: 1 to 500.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> Page[PlanStep]:
        lookups.visible_project(session, actor, project_id)
        found, total = plan_rows.list_steps(session, project_id, page=page, limit=limit, status=status)
        return Page(approval_states.may_now(session, actor, _with_verbs(session, found)), total, page, limit)

    return transactions.run(work)


def _with_verbs(session: Session, found: tuple[PlanStep, ...]) -> tuple[PlanStep, ...]:
    """The steps with what each accepts now. Only of these statuses the rest of the group has a say."""
    groups = plan_rows.steps_of_groups(session, {s.group_id for s in found if s.status in ("approved", "failed", "cancelled")})
    return tuple(replace(step, verbs=verbs_now(step, groups.get(step.group_id) or (step,))) for step in found)


def _own_explain(session: Session, actor: Actor, group_id: str) -> PlanStep | None:
    found = next(iter(plan_rows.group_steps(session, group_id)), None)
    return found if found is not None and found.organization_id == actor.organization_id else None


def _with_comments(decided: Sequence[DecisionRecord], found: tuple[PlanStep, ...]) -> tuple[PlanStep, ...]:
    """The steps of a group with what was said with the decisions on them."""
    said = {row.step_id: row.comment for row in decided if row.comment and row.decision != "approval_given"}
    return tuple(replace(step, comment=said.get(step.id)) for step in found)


def _with_telling(session: Session, group: Sequence[PlanStep], found: tuple[PlanStep, ...]) -> tuple[PlanStep, ...]:
    """Steps of a group with what is said of their plan: the sentences with each, the numbers with the explain that found them."""
    project = project_rows.get_project(session, group[0].project_id)
    if project is None:
        return found
    told = tell(group, project, deployments.commit_in(session, project, group[0].environment))
    counts = told.figures.to_json() if told.output.explain_completed else None
    return tuple(replace(step, summary=told.summary, counts=counts if step.plan_type == "explain" else None) for step in found)


def count_pending(actor: Actor, project_id: str) -> int:
    """How many plans of a project wait for approval."""
    actor.require("read")

    def work(session: Session) -> int:
        lookups.visible_project(session, actor, project_id)
        return plan_rows.count_steps(session, project_id, "explain", ["pending"])

    return transactions.run(work)


def get_plan(actor: Actor, plan_id: str) -> PlanStep:
    """One plan step with its output, what the caller may do with it now, how far its approvals are, and what is said of it."""
    actor.require("read")
    code_owners = _owners_shown(lambda session: lookups.visible_step(session, actor, plan_id))

    def work(session: Session) -> PlanStep:
        step = lookups.visible_step(session, actor, plan_id)
        group = plan_rows.group_steps(session, step.group_id)
        return _told(session, actor, group, (replace(step, verbs=verbs_now(step, group)),), code_owners)[0]

    return transactions.run(work)


def _told(
    session: Session,
    actor: Actor,
    group: Sequence[PlanStep],
    found: tuple[PlanStep, ...],
    code_owners: CodeOwners | None,
) -> tuple[PlanStep, ...]:
    """Steps of a group with all that is said of them."""
    decided = decision_rows.list_decisions(session, group[0].group_id)
    states = tuple(approval_states.with_state(session, step, decided, code_owners) for step in found)
    allowed = approval_states.may_now(session, actor, states)
    return _with_telling(session, group, _with_comments(decided, allowed))


def _owners_shown(find: Callable[[Session], PlanStep | None]) -> CodeOwners | None:
    """The CODEOWNERS file, where a plan waits by a rule that asks for it and it can be read now.

    :param find: The explain step.
    """
    return owners.owners_shown(transactions.run(lambda session: approval_states.owners_wanted(session, find(session))))


def create_plan(actor: Actor, project_id: str, triggered_by: str = "manual", options: PlanOptions = NO_OPTIONS) -> PlanCreated:
    """Plan the commit at the branch HEAD, unless it is deployed already or a plan stands for it.

    Git is asked before the transaction; one commit gets one plan however many callers ask at once. A plan that nobody has decided
    on gives way to one with other options.

    :raises DagctlError: ``not_found``, ``forbidden``, ``project_not_deployed``, ``too_many_explains``, and what git answers.
    """
    actor.require("create_plan")

    def look(session: Session) -> Project:
        project = lookups.visible_project(session, actor, project_id)
        explains.require_room(session, actor)
        return project

    project = transactions.run(look)
    _require_plannable(project)
    check_options(options, project.tool)
    head = repositories.head_of(project)
    facts = repositories.facts_of(project, head, project.current_commit_sha)
    return plan_commit(actor, project.id, facts, triggered_by, options)


def _require_plannable(project: Project) -> None:
    if not project.deployed:
        raise DagctlError("project_not_deployed", f"Project {project.name!r} is not deployed, so it has no Dags.")


def plan_commit(
    actor: Actor, project_id: str, facts: CommitFacts, triggered_by: str, options: PlanOptions = NO_OPTIONS
) -> PlanCreated:
    """Make the plan for a commit that is known to be the branch HEAD.

    :param facts: Of that commit, with its distance from the deployed one.
    :param options: What was asked for beside it.
    :raises DagctlError: ``invalid_request`` for a full refresh of what is deployed and does not change.
    """

    def work(session: Session) -> PlanCreated:
        project = lookups.locked_project(session, actor, project_id)
        _require_plannable(project)
        asked = _lasting(session, project, options)
        if is_deployed(session, project, facts.sha) and not asked.changes_deployed:
            _refuse_refresh(facts.sha, options)
            return PlanCreated("already_deployed", facts.sha)
        for explain in plan_rows.explains_for_commit(session, project.id, facts.sha):
            group = plan_rows.group_steps(session, explain.group_id)
            if stands_for_commit(group):
                changed = _has_other_variables(session, group)
                if not has_drifted(group) and not changed and not _gives_way(group, asked, options):
                    return PlanCreated("existing_plan", facts.sha, newest(group), current_status(group))
                _make_way(session, project, group[0], OTHER_VARIABLES if changed else OTHER_OPTIONS)
        explain = _insert_explain(session, project, facts, triggered_by, asked, actor)
        steps.supersede(session, project, system_actor(project.organization_id, "newer_commit"), explain.group_id, facts.sha)
        project_rows.note_head(session, project.id, facts.sha, message=facts.message, behind=facts.commits_behind)
        return PlanCreated("created", facts.sha, explain)

    created = transactions.run(work)
    if created.outcome == "created" and created.step is not None:
        explains.note(actor, created.step.id)
        _try_dispatch(created.step)
    return created


def is_deployed(session: Session, project: Project, sha: str) -> bool:
    """Whether a plan of the commit would change nothing: it is deployed, by this version of the tool, to this environment.

    And no later execute ended half-way: then the warehouse is not what is deployed.
    """
    if sha != project.current_commit_sha:
        return False
    if project.tool_version not in (None, project.current_tool_version or project.tool_version):
        return False
    if project.current_environment != project.target.environment:
        return False
    return not leftovers.unsettled(session, project.id, project.target.environment)


@dataclass(frozen=True)
class _Asked:
    """The options of a new plan, those that last among them.

    :param adopted: Whether no plan of ours has been applied to what is deployed.
    :param changes_deployed: Whether a plan of the deployed commit would change something because of them.
    """

    full_refresh: tuple[str, ...] | None
    vars: Mapping[str, Any] | None
    changes_deployed: bool
    adopted: bool | None


def _lasting(session: Session, project: Project, options: PlanOptions) -> _Asked:
    deployed = deployment_rows.deployed_settings(session, project.id, project.target.environment) or {}
    before = deployed.get("vars") or None
    variables = before if options.vars is None else dict(options.vars) or None
    deployment = deployment_rows.get_deployment(session, project.id, project.target.environment)
    adopted = deployment is not None and deployment.step_id is None
    return _Asked(options.full_refresh or None, variables, variables != before, adopted or None)


def _refuse_refresh(sha: str, options: PlanOptions) -> None:
    """Say no, rather than that all is well, to somebody who wants something made from scratch of what is deployed."""
    if options.full_refresh:
        why = f"commit {sha[:7]} is deployed already, so nothing of it is made from scratch"
        errors = [{"field": "full_refresh", "message": why}]
        raise DagctlError("invalid_request", f"Not accepted: {why}.", errors=errors)


def _gives_way(group: tuple[PlanStep, ...], asked: _Asked, options: PlanOptions) -> bool:
    """Whether a plan that stands for the commit is undecided and was made with other options than those that were named now."""
    settings = group[0].settings
    same = (tuple(settings.get("full_refresh") or ()) or None) == asked.full_refresh and settings.get("vars") == asked.vars
    return bool(options.given()) and not same and len(group) == 1 and group[0].status in ("running", "pending")


def _has_other_variables(session: Session, group: tuple[PlanStep, ...]) -> bool:
    """Whether a plan that is not under way could not be executed: its variables are not those that it was explained with."""
    return newest(group).status != "running" and variables.have_changed(session, group[0])


def _make_way(session: Session, project: Project, explain: PlanStep, reason: str) -> None:
    """End a plan that another one of the same commit takes the place of, for it cannot or shall not be executed any more.

    :param reason: Of a plan that is still undecided.
    """
    system = system_actor(project.organization_id, PLANNED_AGAIN)
    if explain.status == "pending":
        steps.discard(session, system, explain, reason, explain.to_commit_sha)
    else:
        steps.stop(session, system, explain, "supersede" if explain.status == "running" else "cancel", "system")


def _insert_explain(
    session: Session, project: Project, facts: CommitFacts, triggered_by: str, asked: _Asked, actor: Actor
) -> PlanStep:
    now = utcnow()
    step_id, group_id = new_id("plan_"), new_id("plangroup_")
    name, target = job_name(project.name, "plan-explain", now), project.target
    request = request_for_project(project, facts.sha, deployments.packages(session, project))
    named = replace(request.launcher, job_name=name, commit_message=facts.message, commit_author=facts.author_name)
    own = replace(request.runner, plan_group_id=group_id, step_id=step_id)
    runner = replace(own, full_refresh=asked.full_refresh, vars=asked.vars, adopted=asked.adopted)
    request = replace(request, runner=runner, launcher=named)
    return plan_rows.insert_step(
        session,
        id=step_id,
        group_id=group_id,
        plan_type="explain",
        organization_id=project.organization_id,
        project_id=project.id,
        active_key=steps.explain_key(project.id, facts.sha, target.environment),
        ref=target.ref,
        environment=target.environment,
        from_commit_sha=project.current_commit_sha,
        to_commit_sha=facts.sha,
        commit_message=facts.message,
        commit_author=facts.author_name,
        commit_author_email=facts.author_email,
        created_by_kind=actor.kind,
        created_by_id=actor.identifier[:255],
        committed_at=facts.committed_at,
        commits_behind=facts.commits_behind,
        status="running",
        job_name=name,
        triggered_by=triggered_by,
        settings=request.to_json(),
        dag_id=project.dag_id,
        run_id=group_id,
        created_at=now,
    )


def _try_dispatch(step: PlanStep) -> None:
    """Start the run at once if Airflow is ready. If not, the plan is kept and the controller starts it."""

    def work(session: Session) -> None:
        if not steps.dispatch(session, step):
            publishing.ask_for_parsing(session)

    try:
        transactions.run(work)
    except Exception:
        log.warning("Plan %s is stored; the controller will start it", step.id, exc_info=True)


def get_group(actor: Actor, group_id: str) -> PlanGroup:
    """All steps of a plan group, explain first, each with its log."""
    actor.require("read")
    code_owners = _owners_shown(lambda session: _own_explain(session, actor, group_id))

    def work(session: Session) -> PlanGroup:
        group = plan_rows.group_steps(session, group_id)
        if not group or group[0].organization_id != actor.organization_id or not actor.sees(group[0].project_id):
            raise not_found("Plan group", group_id)
        found = tuple(replace(step, verbs=verbs_now(step, group)) for step in group)
        shown = _told(session, actor, group, found, code_owners)
        return PlanGroup(group_id, group[0].project_id, shown, current_status(group), {})

    found = transactions.run(work)
    return replace(found, logs=_logs(found.steps))


def get_logs(actor: Actor, plan_id: str) -> StepLogs:
    """The log of a step: live while it runs, from Airflow's store afterwards."""
    actor.require("read")

    def work(session: Session) -> PlanStep:
        return _with_pod(session, lookups.visible_step(session, actor, plan_id))

    step = transactions.run(work)
    return StepLogs(step, _logs([step])[step.id])


def _logs(found: Sequence[PlanStep]) -> dict[str, str]:
    """The logs of steps, by their ids. They may be on a machine that does not answer, so a place to wait is taken first."""
    with waiting.reading_log():
        return transactions.run(lambda session: {step.id: step_logs.of_step(session, step) for step in found})


def _with_pod(session: Session, step: PlanStep) -> PlanStep:
    """The step with its pod's name, which the step's record has only once the step has reported."""
    if step.pod_name or step.dispatched_at is None:
        return step
    seen = letters.told_by(session, PodSeen, step, POD_KEY)
    return replace(step, pod_name=seen.pod_name) if seen is not None else step


def approve(
    actor: Actor,
    plan_id: str,
    door: Door,
    comment: str | None = None,
    allow_destructive: Sequence[str] = (),
    override_reason: str | None = None,
) -> PlanApproved | PlanAutoDiscarded | PlanApprovalRecorded:
    """Approve a pending explain step and start its execution, if the branch still stands where it was explained.

    Where the rules of the environment ask for more, the approval is recorded and the plan goes on waiting.

    :param door: Where the decision was taken.
    :param allow_destructive: The models whose destructive changes are approved by name.
    :param override_reason: Why an owner does without what the rules ask for.
    :raises DagctlError: ``not_found``, ``forbidden``, ``wrong_state``, ``execution_in_progress``, ``destructive_not_allowed``,
        ``variables_changed``, ``variable_undecryptable``, ``invalid_request`` for names that have no such change,
        ``environment_protected``, ``approval_refused``, ``outside_window``, ``override_refused``, and what git answers.
    """
    actor.require("approve_plan")
    actor = replace(actor, door=door)

    def look(session: Session) -> tuple[Project, bool]:
        project = lookups.project_allowing(session, actor, plan_id, "approve")
        return project, protecting.asks_for_owners(session, lookups.visible_step(session, actor, plan_id))

    project, by_owners = transactions.run(look)
    head = repositories.head_of(project)
    code_owners = owners.owners_of(project, head) if by_owners else None

    def work(session: Session) -> PlanApproved | PlanAutoDiscarded | PlanApprovalRecorded:
        step, _, project = lookups.locked_step(session, actor, plan_id, "approve")
        verdict = protecting.approving(session, actor, step, code_owners, override_reason)
        if head != step.to_commit_sha:
            system = system_actor(project.organization_id, "head_check")
            discarded = steps.discard(session, system, step, HEAD_MOVED, head)
            return PlanAutoDiscarded(discarded, step.to_commit_sha, head, HEAD_MOVED)
        variables.require_unchanged(session, step)
        judged = verdict.to_json(matters.environment_of(step)) if verdict is not None else None
        if verdict is not None and verdict.evaluation is not None and not verdict.passes:
            _require_known(step, allow_destructive)
            if not verdict.counted_before:
                # Open pages hear of it by the step's time.
                plan_rows.note_step(session, step.id, updated_at=utcnow())
                steps.record_decision(session, actor, step, "approval_given", door, Consent(comment, evaluation=judged))
            return PlanApprovalRecorded(step, verdict.evaluation)
        consent = Consent(comment, _named(step, allow_destructive), judged)
        explain, execute = steps.approve_step(session, project, actor, step, "approve", door, consent)
        return PlanApproved(explain, execute)

    return transactions.run(work)


def _named(step: PlanStep, allow_destructive: Sequence[str]) -> tuple[str, ...]:
    """The names that an approval gives, each once, if they are those that the plan asks for."""
    _require_known(step, allow_destructive)
    output = explained(step.plan_output)
    if missing := destructive.not_named(output, allow_destructive):
        rows = [{"model": row.name, "columns": list(row.columns), "remedies": list(row.remedies)} for row in missing]
        raise DagctlError("destructive_not_allowed", destructive.refusal(missing), plan_id=step.id, destructive=rows)
    return tuple(dict.fromkeys(allow_destructive))


def _require_known(step: PlanStep, allow_destructive: Sequence[str]) -> None:
    """Refuse names that are none of the plan's destructive changes."""
    output = explained(step.plan_output)
    if unknown := destructive.unknown_names(output, allow_destructive):
        detail = f"The plan has no destructive change of {', '.join(unknown[:10])}."
        errors = [
            {"field": "allow_destructive", "message": f"{name!r} has no destructive change in this plan"} for name in unknown
        ]
        raise DagctlError("invalid_request", detail, errors=errors, plan_id=step.id)


def reject(actor: Actor, plan_id: str, door: Door, comment: str | None = None) -> PlanStep:
    """Reject a pending plan; nothing is executed.

    :raises DagctlError: ``not_found``, ``forbidden``, ``wrong_state``, ``invalid_request`` where the door asks for a reason.
    """
    actor.require("approve_plan")
    doors.require_reason(door, comment)

    def work(session: Session) -> PlanStep:
        step, _, _ = lookups.locked_step(session, actor, plan_id, "reject")
        moved = steps.move(session, step, "reject", comment=comment, decided_at=utcnow(), decided_by=actor.name)
        steps.record_decision(session, actor, moved, "rejected", door, Consent(comment))
        steps.tell_airflow(session, actor, moved, "rejected")
        return moved

    return transactions.run(work)


def cancel(actor: Actor, plan_id: str, door: Door) -> PlanStep:
    """Stop a running step, or withdraw the approval of a plan that has not been applied, together with its running execution.

    :raises DagctlError: ``not_found``, ``forbidden``, ``wrong_state``.
    """
    actor.require("cancel_plan")

    def work(session: Session) -> PlanStep:
        step, group, _ = lookups.locked_step(session, actor, plan_id, "cancel")
        execution = newest(group)
        if execution.status == "completed":
            raise wrong_state(step, "Cannot cancel a plan that has been applied", group)
        if step.plan_type == "explain" and execution.plan_type == "execute" and execution.status == "running":
            steps.stop(session, actor, execution, "cancel", door)
        return steps.stop(session, actor, step, "cancel", door)

    cancelled = transactions.run(work)
    # No pod is said to be cancelled that may still write; processes hear of it from Airflow (docs/api.md).
    pods.await_stopped(cancelled.id, cancelled.group_id)
    return cancelled


def retry(actor: Actor, plan_id: str, door: Door, override_reason: str | None = None) -> PlanStep:
    """Execute an approved plan again after its last execution failed or was cancelled.

    :param override_reason: Why an owner does it while the environment is closed.
    :raises DagctlError: ``wrong_state``, ``head_moved`` (nothing changes), ``retries_exhausted``, ``execution_in_progress``,
        ``variables_changed``, ``variable_undecryptable``, ``environment_protected``, ``outside_window``, ``override_refused``.
    """
    actor.require("approve_plan")
    actor = replace(actor, door=door)
    project = transactions.run(lambda session: lookups.project_allowing(session, actor, plan_id, "retry"))
    head = repositories.head_of(project)

    def work(session: Session) -> PlanStep:
        step, group, project = lookups.locked_step(session, actor, plan_id, "retry")
        verdict = protecting.admit(session, actor, matters.environment_of(group[0]), override_reason)
        _require_retryable(step, group, head)
        explain = group[0]
        if not runs.existing_runs(session, [(step.dag_id, step.run_id)]):
            raise DagctlError("run_lost", "The Dag run behind this plan no longer exists in Airflow.")
        variables.require_unchanged(session, explain)
        leftovers.keep(session, step)
        execute = steps.start_execute(
            session,
            project,
            explain,
            attempt=step.attempt + 1,
            retry_of=step.id,
            finished=artifacts.finished_before(session, step),
            allow_destructive=executed(step.plan_output).allow_destructive,
        )
        steps.refresh_commit_key(session, step.group_id)
        judged = verdict.to_json(matters.environment_of(explain)) if verdict is not None else None
        steps.record_decision(session, actor, execute, "retried", door, Consent(evaluation=judged))
        runs.clear_tasks(session, step.dag_id, step.run_id, (APPROVAL, EXECUTE))
        steps.tell_approved(session, project, actor, explain, execute)
        return execute

    return transactions.run(work)


def _require_retryable(step: PlanStep, group: tuple[PlanStep, ...], head: str) -> None:
    last, explain = newest(group), group[0]
    if explain.status != "approved":
        raise wrong_state(step, f"Cannot retry: the plan's approval is {explain.status}", group)
    if last.id != step.id:
        raise wrong_state(step, f"Cannot retry: only the newest execution can be tried again, {last.id} ({last.status})", group)
    if head != step.to_commit_sha:
        raise DagctlError(
            "head_moved",
            HEAD_MOVED,
            expected_commit=short_sha(step.to_commit_sha),
            current_commit=short_sha(head),
            plan_id=step.id,
        )
    if retries_left(group) < 1:
        raise DagctlError("retries_exhausted", f"Plan group {step.group_id} was executed {step.attempt} times.", plan_id=step.id)


def delete(actor: Actor, plan_id: str, door: Door) -> None:
    """Remove a pending plan; its Dag run ends without executing. The record of decisions keeps that it was there."""
    actor.require("approve_plan")

    def work(session: Session) -> None:
        step, _, _ = lookups.locked_step(session, actor, plan_id, "delete")
        steps.record_decision(session, actor, step, "deleted", door)
        steps.tell_airflow(session, actor, step, "deleted")
        plan_rows.delete_step(session, step)

    transactions.run(work)


def decisions(actor: Actor, group_id: str) -> list[DecisionRecord]:
    """Who decided what on a plan group, oldest first; also of plans that have been deleted.

    What outlived its project belongs to no organization any more and is told to the system only.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> list[DecisionRecord]:
        rows = decision_rows.list_decisions(session, group_id)
        left = plan_rows.group_steps(session, group_id)
        project_ids = [step.project_id for step in left] or [row.project_id for row in rows]
        project = project_rows.get_project(session, project_ids[0]) if project_ids else None
        orphaned = bool(rows) and project is None and actor.kind == "system"
        if not orphaned and (project is None or project.organization_id != actor.organization_id or not actor.sees(project.id)):
            raise not_found("Plan group", group_id)
        return rows

    return transactions.run(work)
