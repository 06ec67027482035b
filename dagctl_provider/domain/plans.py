"""The plan state machine as data.

:data:`TRANSITIONS` is the only place that says how a plan step moves. Services apply it, the REST layer answers 409 from it,
OpenAPI takes its enums from it, and the diagram in the docs is drawn from it. Source: the Plans API document, "Plan
Lifecycle", with the silent points settled in ``docs/decisions``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.evaluations import ApprovalState
from dagctl_provider.domain.names import task_of
from dagctl_provider.domain.targets import UNNAMED, PlanTarget

PlanType = Literal["explain", "execute"]
Status = Literal["running", "pending", "approved", "completed", "failed", "rejected", "cancelled"]

PLAN_TYPES: tuple[PlanType, ...] = ("explain", "execute")
STATUSES: tuple[Status, ...] = ("pending", "running", "approved", "completed", "failed", "rejected", "cancelled")
DRIFTS = ("plan_drifted", "variables_changed")
"""Errors of executes that say: the approved plan cannot be made any more. The second is known before anything is begun."""
MAX_RETRIES = 3
"""Retries per plan group: four executions in all (Plans API document, retry)."""


@dataclass(frozen=True)
class Transition:
    """One row of the state machine.

    :param plan_type: The kind of step it applies to.
    :param source: Status before.
    :param event: What happens. Verbs of the API have the verb's name.
    :param target: Status after; ``None`` when the record is deleted.
    :param verb: Whether a caller may ask for it; the others are reports of what Airflow or git did.
    """

    plan_type: PlanType
    source: Status
    event: str
    target: Status | None
    verb: bool = False


TRANSITIONS: tuple[Transition, ...] = (
    Transition("explain", "running", "explained", "pending"),
    Transition("explain", "running", "auto_apply", "approved"),
    Transition("explain", "running", "approval_kept", "approved"),
    Transition("explain", "running", "failed", "failed"),
    Transition("explain", "running", "cancel", "cancelled", verb=True),
    Transition("explain", "running", "supersede", "cancelled"),
    Transition("explain", "running", "discard", "rejected"),
    Transition("explain", "pending", "approve", "approved", verb=True),
    Transition("explain", "pending", "reject", "rejected", verb=True),
    Transition("explain", "pending", "discard", "rejected"),
    Transition("explain", "pending", "delete", None, verb=True),
    Transition("explain", "approved", "cancel", "cancelled", verb=True),
    Transition("execute", "running", "applied", "completed"),
    Transition("execute", "running", "failed", "failed"),
    Transition("execute", "running", "cancel", "cancelled", verb=True),
    # A retry leaves the failed record as it is and adds a new one.
    Transition("execute", "failed", "retry", "failed", verb=True),
    Transition("execute", "cancelled", "retry", "cancelled", verb=True),
)


VERB_PERMISSIONS: Mapping[str, str] = {
    "approve": "approve_plan",
    "reject": "approve_plan",
    "delete": "approve_plan",
    "retry": "approve_plan",
    "cancel": "cancel_plan",
}
"""What each verb of the API needs."""


@dataclass(frozen=True)
class PlanStep:
    """One record of the Plans API.

    Field names are the document's, except that ``group_id`` is what the document calls ``plan_id`` inside a plan object.
    Commit ids are full; the API shortens them. Times are aware and UTC.

    :param ref: The branch of the repository that it was planned from.
    :param environment: The one it changes, as it was resolved when the plan was made (:mod:`~dagctl_provider.domain.targets`).
    :param created_by_kind: ``user``, ``token`` or ``system``: who asked for the plan, with the id in ``created_by_id``.
    :param variables: The environment variables that it was given: a keyed hash of all that is said of each, by name.
    :param verbs: What it accepts now; ``None`` where the rest of its group was not looked at.
    :param comment: What was said with the decision on it; ``None`` also where the record of decisions was not looked at.
    :param approval: How far its approvals are; ``None`` where that was not worked out.
    :param summary: What is said of the plan, and with ``counts`` its numbers by name; ``None`` where that was not worked out.
    """

    id: str
    group_id: str
    plan_type: PlanType
    organization_id: str
    project_id: str
    to_commit_sha: str
    status: Status
    dag_id: str
    run_id: str
    settings: dict[str, Any]
    created_at: datetime
    updated_at: datetime
    ref: str = ""
    environment: str = UNNAMED
    from_commit_sha: str | None = None
    commit_message: str | None = None
    commit_author: str | None = None
    commit_author_email: str | None = None
    committed_at: datetime | None = None
    commits_behind: int | None = None
    job_name: str | None = None
    pod_name: str | None = None
    triggered_by: str | None = None
    created_by_kind: str | None = None
    created_by_id: str | None = None
    variables: Mapping[str, str] | None = None
    plan_output: dict[str, Any] | None = None
    digest: str | None = None
    tool_plan_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    error_hint: str | None = None
    retry_of: str | None = None
    attempt: int = 1
    try_number: int = 0
    dispatched_at: datetime | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    decided_at: datetime | None = None
    decided_by: str | None = None
    verbs: tuple[str, ...] | None = None
    comment: str | None = None
    summary: str | None = None
    counts: Mapping[str, int] | None = None
    approval: ApprovalState | None = None

    @property
    def task_id(self) -> str:
        """The task of its Dag run that does its work."""
        return task_of(self.plan_type)

    @property
    def target(self) -> PlanTarget:
        """Where the plan leads."""
        return PlanTarget(self.ref, self.environment)

    @property
    def auto_discarded(self) -> bool:
        """Whether this step was rejected because the repository or the deployed state moved on."""
        return bool(self.plan_output and self.plan_output.get("auto_discarded"))


def find_transition(plan_type: PlanType, source: Status, event: str) -> Transition | None:
    """The row for ``event``, or ``None`` when the state does not allow it."""
    for transition in TRANSITIONS:
        if (transition.plan_type, transition.source, transition.event) == (plan_type, source, event):
            return transition
    return None


def allowed_verbs(plan_type: PlanType, status: Status) -> tuple[str, ...]:
    """The API verbs a step accepts now, in table order."""
    return tuple(t.event for t in TRANSITIONS if t.verb and (t.plan_type, t.source) == (plan_type, status))


def verbs_now(step: PlanStep, group: Iterable[PlanStep]) -> tuple[str, ...]:
    """The API verbs a step accepts now, the other steps of its group considered.

    An approval can be withdrawn until the plan is applied. What can be tried again is the newest execution of a plan that is
    still approved, while retries are left.

    :param group: All steps of its group, this one included.
    """
    group = tuple(group)
    last = newest(group)

    def accepted(verb: str) -> bool:
        if verb == "retry":
            return step.id == last.id and stands_for_commit(group)
        return verb != "cancel" or last.status != "completed"

    return tuple(verb for verb in allowed_verbs(step.plan_type, step.status) if accepted(verb))


def require_transition(step: PlanStep, event: str, group: Iterable[PlanStep] = ()) -> Transition:
    """The row for ``event`` on ``step``.

    :param group: All steps of its group, where a caller is to be told what the step accepts.
    :raises DagctlError: ``wrong_state``, naming the state and the verbs it allows.
    """
    transition = find_transition(step.plan_type, step.status, event)
    if transition is None:
        raise wrong_state(step, f"Cannot {event} an {step.plan_type} step that is {step.status}", group)
    return transition


def wrong_state(step: PlanStep, reason: str, group: Iterable[PlanStep] = ()) -> DagctlError:
    """The error of a verb that the state of ``step`` or of its group does not allow.

    :param reason: Part of a sentence.
    """
    group = tuple(group)
    allowed = verbs_now(step, group) if group else allowed_verbs(step.plan_type, step.status)
    return DagctlError(
        "wrong_state",
        f"{reason}; allowed now: {', '.join(allowed) if allowed else 'nothing'}.",
        plan_id=step.id,
        plan_type=step.plan_type,
        current_status=step.status,
        allowed=list(allowed),
    )


def newest(steps: Iterable[PlanStep]) -> PlanStep:
    """The step that speaks for its group: the last execution, or the explain when nothing was executed.

    :param steps: All steps of one group, at least one.
    """
    return max(steps, key=lambda step: (step.plan_type == "execute", step.attempt))


def current_status(steps: Iterable[PlanStep]) -> Status:
    """``current_status`` of a plan group (Plans API document, group steps)."""
    steps = tuple(steps)
    explain = next((step for step in steps if step.plan_type == "explain"), None)
    if explain is not None and explain.status == "cancelled":
        return "cancelled"
    return newest(steps).status


def stands_for_commit(steps: Iterable[PlanStep]) -> bool:
    """Whether a group counts as "a plan already exists for the commit".

    It does while its newest step is running, pending or approved, and while a failed or cancelled execution can still be
    retried. A rejected, discarded, cancelled or failed explain leaves the commit free to be planned again.
    """
    steps = tuple(steps)
    explain = next(step for step in steps if step.plan_type == "explain")
    if explain.status != "approved":
        return explain.status in ("running", "pending")
    last = newest(steps)
    return last.status in ("running", "approved") or (last.status in ("failed", "cancelled") and retries_left(steps) > 0)


def has_drifted(steps: Iterable[PlanStep]) -> bool:
    """Whether the last execution of a group found that the approved plan cannot be made any more."""
    last = newest(steps)
    return last.status == "failed" and last.error_code in DRIFTS


def retries_left(steps: Iterable[PlanStep]) -> int:
    """How many more times the group may be executed after its first execution."""
    executions = sum(step.plan_type == "execute" for step in steps)
    return max(0, 1 + MAX_RETRIES - max(executions, 1))
