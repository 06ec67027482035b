"""What may be done to a plan now, by this person, and what will come of it.

The state machine says which verbs a step accepts; this module finds the step each verb is asked of and says the consequence.
Nothing is permitted here: the services check again when somebody acts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dagctl_provider.domain.decisions import KEPT_FOR
from dagctl_provider.domain.doors import DOORS
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import MAX_RETRIES, PlanStep, has_drifted, newest, retries_left, stands_for_commit, verbs_now
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output.reading import counted
from dagctl_provider.runner.errors import STEP_ERRORS
from dagctl_provider.services.showing.plan_view.parts import Action

_PROJECT_IS_WRONG = 2
_MAY_PASS = frozenset(
    {
        "repository_unreachable",
        "repository_authentication_failed",
        "certificate_refused",
        "state_unreachable",
        "tool_install_failed",
    }
)
"""Failures of that kind that may be over by themselves."""
_SAME_AGAIN = "The branch still stands at this commit, so it will fail in the same way unless something around it has changed."
_WEIGHTS = ("main", "danger", "plain")


def actions_of(actor: Actor, project: Project, steps: Sequence[PlanStep], summary: str) -> tuple[Action, ...]:
    """The actions that the group's state allows, the main one first. Those that the actor may not take are among them, marked.

    :param summary: The plan in one sentence, part of the consequence of approving.
    """
    explain, last = steps[0], newest(steps)
    found = [
        *_on_explain(actor, project, explain, verbs_now(explain, steps), summary),
        *_on_approval(actor, steps, last),
        *_on_execute(actor, steps, last),
        *_plan_again(actor, project, steps),
    ]
    return tuple(sorted(found, key=lambda action: _WEIGHTS.index(action.weight)))


def _on_explain(actor: Actor, project: Project, explain: PlanStep, verbs: Sequence[str], summary: str) -> Iterator[Action]:
    sha, place = short_sha(explain.to_commit_sha), project.environment or project.tool.unnamed_environment.decision
    if "approve" in verbs:
        yield Action(
            "approve",
            explain.id,
            "Approve",
            f"Approve and execute commit {sha}",
            (
                f"{sha} is executed in {place} now: {summary}",
                "Exactly this plan is executed. If the code or the deployed state is another by then, nothing is written.",
                f"If {project.branch} has moved on meanwhile, this plan is discarded instead.",
            ),
            "approve_plan",
            "approve_plan" in actor.permissions,
            "main",
            "optional",
        )
    if "reject" in verbs:
        yield Action(
            "reject",
            explain.id,
            "Reject",
            f"Reject commit {sha}",
            (
                "Nothing is executed; what is deployed stays as it is.",
                "Your reason stays with the plan, where the author reads it.",
            ),
            "approve_plan",
            "approve_plan" in actor.permissions,
            "danger",
            "required" if DOORS["page"].reason_to_reject else "optional",
        )
    if "delete" in verbs:
        yield Action(
            "delete",
            explain.id,
            "Delete",
            "Delete this plan",
            (
                "The plan is removed and its Dag run ends without executing anything.",
                f"{sha} is not planned again by itself. The record of decisions keeps who deleted it.",
            ),
            "approve_plan",
            "approve_plan" in actor.permissions,
        )
    if explain.status == "running":
        yield Action(
            "cancel",
            explain.id,
            "Cancel",
            "Stop explaining",
            ("Working out the plan stops. Nothing was written to the warehouse.", f"{sha} can be planned again by hand."),
            "cancel_plan",
            "cancel_plan" in actor.permissions,
            "danger",
        )


def _on_approval(actor: Actor, steps: Sequence[PlanStep], last: PlanStep) -> Iterator[Action]:
    explain = steps[0]
    # Where no retries are left, the approval stands in nobody's way.
    if explain.status != "approved" or "cancel" not in verbs_now(explain, steps) or not stands_for_commit(steps):
        return
    runs = last.status == "running"
    yield Action(
        "withdraw",
        explain.id,
        "Withdraw approval",
        "Stop and withdraw the approval" if runs else "Withdraw the approval",
        (
            "The running execution is stopped. Models that are finished stay as they are."
            if runs
            else "Nothing runs. Models that are finished stay as they are.",
            "The plan is over: it cannot be retried, the commit has to be planned and approved again.",
        ),
        "cancel_plan",
        "cancel_plan" in actor.permissions,
    )


def _on_execute(actor: Actor, steps: Sequence[PlanStep], last: PlanStep) -> Iterator[Action]:
    if last.plan_type != "execute":
        return
    verbs, left = verbs_now(last, steps), retries_left(steps)
    if "cancel" in verbs:
        yield Action(
            "cancel",
            last.id,
            "Stop",
            "Stop the execution",
            (
                "Running statements are interrupted and no new one starts. Models that are finished stay as they are.",
                f"The approval stays: {counted(left, 'retry', 'retries')} left."
                if left
                else "No retries are left: the commit has to be planned again.",
            ),
            "cancel_plan",
            "cancel_plan" in actor.permissions,
            "danger",
        )
    if "retry" in verbs:
        yield Action(
            "retry",
            last.id,
            "Retry",
            "Execute the approved plan again",
            (
                f"Attempt {last.attempt + 1} of {1 + MAX_RETRIES}. What earlier attempts finished is not done again.",
                "If the branch or the deployed state has moved on, nothing is executed.",
            ),
            "approve_plan",
            "approve_plan" in actor.permissions,
            "plain" if has_drifted(steps) else "main",
        )


def _fails_again(project: Project, steps: Sequence[PlanStep]) -> bool:
    """Whether to plan again meets the same commit, whose own fault it was."""
    explain = steps[0]
    known = STEP_ERRORS.get(explain.error_code or "")
    own_fault = known is not None and known.exit_code == _PROJECT_IS_WRONG and explain.error_code not in _MAY_PASS
    return explain.status == "failed" and own_fault and project.latest_commit_sha in (None, explain.to_commit_sha)


def _plan_again(actor: Actor, project: Project, steps: Sequence[PlanStep]) -> Iterator[Action]:
    drifted = has_drifted(steps) and stands_for_commit(steps)
    if (stands_for_commit(steps) and not drifted) or newest(steps).status == "completed" or not project.deployed:
        return
    before = (
        "The approval of this one, which cannot be carried out any more, is withdrawn. If the new plan is the one that was "
        f"approved, that approval is kept, up to {KEPT_FOR.days} days after it was given."
        if drifted
        else "This one stays as it is."
    )
    again = [_SAME_AGAIN] if _fails_again(project, steps) else []
    yield Action(
        "plan",
        project.id,
        "Plan again",
        f"Plan the newest commit of {project.branch}",
        (f"A new plan is worked out and waits for a decision. {before}", *again),
        "create_plan",
        "create_plan" in actor.permissions,
        "plain" if again else "main",
    )
