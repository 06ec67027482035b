"""What the buttons of the plan page do: one row per verb, each calls one service and says where to go on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dagctl_provider.domain import doors
from dagctl_provider.domain.doors import Door
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApprovalRecorded, PlanAutoDiscarded
from dagctl_provider.services.showing import plan_view
from dagctl_provider.services.showing.plan_view.parts import PlanView
from dagctl_provider.ui.addresses import page_url

DOOR: Door = "page"


@dataclass(frozen=True)
class Asked:
    """What the form of an action was filled in with.

    :param allowed: The models whose destructive changes were ticked.
    :param override_reason: Why an owner does without the rules of the environment.
    """

    comment: str | None
    allowed: tuple[str, ...]
    override_reason: str | None


def take(actor: Actor, plan_id: str, verb: str, form: Mapping[str, str], allowed: Sequence[str] = ()) -> str:
    """Do what a form of the page asks for.

    :param form: ``step``, the step that the person saw when deciding, ``comment`` and ``override_reason``.
    :param allowed: The models whose destructive changes were ticked.
    :return: Address of the page to show next.
    :raises DagctlError: what the service answers; ``not_found`` for verbs and steps that are not the plan's.
    """
    view = plan_view.get_view(actor, plan_id)
    step_id = form.get("step", "")
    if verb not in VERBS or step_id not in {view.project.id, *(step.id for step in view.steps)}:
        raise DagctlError("not_found", "This plan has no such action.")
    comment, reason = (form.get(name, "").strip() for name in ("comment", "override_reason"))
    doors.require_short(comment)
    doors.require_short(reason)
    return VERBS[verb](actor, view, step_id, Asked(comment or None, tuple(allowed), reason or None))


def _here(view: PlanView, said: str) -> str:
    return page_url("plans", view.group_id, said=said)


def _approve(actor: Actor, view: PlanView, step_id: str, asked: Asked) -> str:
    outcome = plans.approve(actor, step_id, DOOR, asked.comment, asked.allowed, asked.override_reason)
    if isinstance(outcome, PlanApprovalRecorded):
        return _here(view, "approval_recorded")
    return _here(view, "head_moved" if isinstance(outcome, PlanAutoDiscarded) else "approved")


def _reject(actor: Actor, view: PlanView, step_id: str, asked: Asked) -> str:
    doors.require_reason(DOOR, asked.comment)
    plans.reject(actor, step_id, DOOR, asked.comment)
    return _here(view, "rejected")


def _cancel(actor: Actor, view: PlanView, step_id: str, asked: Asked) -> str:
    plans.cancel(actor, step_id, DOOR)
    return _here(view, "cancelled")


def _retry(actor: Actor, view: PlanView, step_id: str, asked: Asked) -> str:
    plans.retry(actor, step_id, DOOR, asked.override_reason)
    return _here(view, "retried")


def _delete(actor: Actor, view: PlanView, step_id: str, asked: Asked) -> str:
    plans.delete(actor, step_id, DOOR)
    return page_url("projects", view.project.id, said="plan_deleted")


def _plan(actor: Actor, view: PlanView, project_id: str, asked: Asked) -> str:
    created = plans.create_plan(actor, view.project.id)
    if created.step is None:
        return _here(view, "already_deployed")
    said = "existing_plan" if created.outcome == "existing_plan" else "plan_created"
    return page_url("plans", created.step.group_id, said=said)


VERBS: Mapping[str, Callable[[Actor, PlanView, str, Asked], str]] = {
    "approve": _approve,
    "reject": _reject,
    "cancel": _cancel,
    "withdraw": _cancel,
    "retry": _retry,
    "delete": _delete,
    "plan": _plan,
}
"""What each action of the page does."""
