"""The shape of every request and answer of the Plans document.

Answers never hold a null: what is not known is not sent.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, JsonValue, StrictStr, WithJsonSchema

from dagctl_provider.api.models import REFERENCE, WHOLE, Answer, Count, Request, ShortSha, Timestamp, storable
from dagctl_provider.api.v1.common import MAX_LIMIT, MAX_PAGE, OverrideBody
from dagctl_provider.domain.doors import MAX_COMMENT
from dagctl_provider.domain.evaluations import Missing
from dagctl_provider.domain.options import MOST_NAMES, NAME_PATTERN, OPTIONS
from dagctl_provider.domain.plans import STATUSES, PlanStep, PlanType, Status
from dagctl_provider.plan_output.schemas import output_schema

DEFAULT_LIMIT = 25
MAX_NAME, MAX_NAMES = 4000, 5000
"""Of a model, as long as names are read; of an approval, how many."""


def _storable_vars(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse what a database cannot keep, at any depth."""
    storable(json.dumps(value, ensure_ascii=False).replace("\\u0000", "\x00"))
    return value


_Variables = Annotated[dict[str, JsonValue], AfterValidator(_storable_vars)]


class PlanListParameters(Request):
    """Paging and filter of the list of plans."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page number, from 1"), WHOLE] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page"), WHOLE] = DEFAULT_LIMIT
    status: Literal[STATUSES] | None = Field(None, description="Only plan steps in this status")  # type: ignore[valid-type]


class PlanBody(Request):
    """Nothing has to be sent. What a plan is asked for beside its commit may be."""

    full_refresh: Annotated[
        list[Annotated[StrictStr, Field(max_length=255, pattern=NAME_PATTERN)]],
        Field(max_length=MOST_NAMES, description=OPTIONS["full_refresh"].description),
    ] = None  # type: ignore[assignment]
    vars: Annotated[_Variables, Field(description=OPTIONS["vars"].description)] = None  # type: ignore[assignment]


class DecisionBody(Request):
    """Nothing has to be sent; a comment may be."""

    # A text where it is sent: null is refused.
    comment: Annotated[
        StrictStr, Field(max_length=MAX_COMMENT, description="Kept with the decision"), AfterValidator(storable)
    ] = None  # type: ignore[assignment]


class ApprovalBody(DecisionBody, OverrideBody):
    """Nothing has to be sent, unless the plan has destructive changes that have to be allowed by name."""

    allow_destructive: Annotated[
        list[Annotated[StrictStr, Field(max_length=MAX_NAME)]],
        Field(max_length=MAX_NAMES, description="Models whose destructive changes are approved, as `destructive` names them"),
    ] = []


class GivenApproval(Answer):
    """An approval that counts."""

    name: str
    kind: Literal["user", "token", "system"]
    at: str = Field(json_schema_extra={"format": "date-time"})
    door: str
    role: str | None = None


class MissingApproval(Answer):
    """What a plan still needs."""

    rule: str = Field(description="approvals, or the group or the line of the CODEOWNERS file that asks for it")
    needed: Annotated[int, Field(ge=1)]
    who_can: list[str] = Field(description="Names of those who could give it, or of roles where nothing is protected")
    note: str | None = None


class StepError(Answer):
    """Why a step failed."""

    code: str
    message: str
    hint: str | None = None


class PlanListItem(Answer):
    """A plan step as lists show it: everything but its job and output."""

    id: str = Field(description="Id of this step")
    plan_id: str = Field(description="Id of the plan group, shared by explain and execute steps")
    plan_type: PlanType
    project_id: str
    from_commit_sha: ShortSha | None = Field(None, description="Deployed commit when the plan was made")
    to_commit_sha: ShortSha = Field(description="Commit the plan deploys")
    commit_message: str | None = None
    commits_behind: Count | None = None
    status: Status
    triggered_by: str | None = None
    created_at: Timestamp
    updated_at: Timestamp
    commit_author: str | None = None
    retry_of: str | None = Field(None, description="The execute step that this one tries again")
    digest: str | None = Field(None, description="Hash of what explain found and execute must find again")
    decided_by: str | None = None
    decided_at: Timestamp | None = None
    error: StepError | None = None
    allowed_verbs: list[str] | None = Field(None, description="What this step accepts now from this caller")
    why_not: dict[str, str] | None = Field(None, description="Why it accepts no more from this caller, by verb")


class PlanCounts(Answer):
    """How many models are what. Every door tells these numbers."""

    added: Count = Field(description="New")
    changed: Count = Field(description="Whose own definition changes, in more than metadata")
    removed: Count
    downstream: Count = Field(description="That follow from those and are backfilled (SQLMesh) or built (dbt), too")
    readers: Count = Field(description="That follow and are not: they only read what changes")
    metadata: Count = Field(description="Edited in nothing but metadata")
    followers: Count = Field(description="With other metadata because of what they read")
    unchanged: Count = Field(description="That do not change and are backfilled")
    backfill: Count = Field(description="That an execute backfills (SQLMesh) or builds (dbt), of all of these together")
    tests: Count = Field(description="Tests that an execute runs")


class Plan(PlanListItem):
    """A plan step."""

    job_name: str | None = None
    plan_output: Annotated[dict[str, Any], WithJsonSchema(output_schema(REFERENCE))] | None = Field(
        None, description="What explain found or execute did"
    )
    comment: str | None = Field(None, description="What was said with the decision")
    variables: dict[str, str] | None = Field(
        None,
        description="The environment variables that the step was given: name and a keyed hash, which tells no value",
    )
    summary: str | None = Field(
        None, description="What the environment shows now, once the plan is over, and what the plan changes, in the page's words"
    )
    counts: PlanCounts | None = Field(None, description="The numbers of the summary; of an explain step")

    approvals: list[GivenApproval] | None = Field(None, description="Of an explain step: the approvals that count")
    required: Count | None = Field(None, description="How many approvals are asked for, besides those of groups and code owners")
    missing: list[MissingApproval] | None = Field(None, description="What it still needs, and who can give it")
    opens_at: str | None = Field(None, description="When its environment is open next, while it is closed")


class GroupStep(Plan):
    """A plan step with its log."""

    logs: str | None = None


class PlanList(Answer):
    """One page of plan steps."""

    plans: list[PlanListItem]
    total: Count
    page: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)]
    total_pages: Count


class PendingCount(Answer):
    """How many plans wait for approval."""

    pending_count: Count


class PlanCreatedAnswer(Answer):
    """A new plan."""

    message: str
    plan_id: str = Field(description="Id of the explain step")
    plan_group_id: str
    job_name: str | None = None
    status: Status
    initial_status: Literal["running"]


class AlreadyDeployedAnswer(Answer):
    """Nothing to plan."""

    message: str
    status: Literal["already_deployed"]
    to_commit_sha: ShortSha


class ExistingPlanAnswer(Answer):
    """The commit has a plan."""

    message: str
    status: Literal["existing_plan"]
    plan_id: str
    plan_group_id: str
    current_status: Status


class PlanGroupAnswer(Answer):
    """The timeline of one plan group."""

    plan_group_id: str
    project_id: str
    steps: list[GroupStep]
    current_status: Status


class LogsAnswer(Answer):
    """The log of a step. These keys are camelCase in the document."""

    planId: str
    logs: str
    status: Status
    jobName: str | None = None
    podName: str | None = None


class ApprovedAnswer(Answer):
    """The plan is being executed."""

    message: str
    explain_plan_id: str
    execution_plan_id: str
    plan_group_id: str
    job_name: str | None = None


class ApprovalRecordedAnswer(Answer):
    """The approval is recorded and not enough: the plan goes on waiting."""

    message: str
    plan_id: str
    status: Literal["approval_recorded"]
    approvals: list[GivenApproval]
    required: Count
    missing: list[MissingApproval]


class AutoDiscardedAnswer(Answer):
    """The approval came too late."""

    message: str
    plan_id: str
    status: Literal["auto_discarded"]
    auto_discarded: Literal[True]
    expected_commit: ShortSha
    current_commit: ShortSha
    reason: str


class PlanMessage(Answer):
    """What was done to a plan."""

    message: str
    plan_id: str


class RetryAnswer(Answer):
    """A new execution."""

    message: str
    execution_plan_id: str
    retry_of: str


def missing_approvals(missing: Iterable[Missing]) -> list[MissingApproval]:
    """What is missing, as it is told."""
    return [MissingApproval(**one.to_json()) for one in missing]


def _approval_values(step: PlanStep) -> dict[str, Any]:
    state = step.approval
    if state is None or state.required is None:
        return {}
    return {
        "approvals": [GivenApproval(**row) for row in state.approvals],
        "required": state.required,
        "missing": missing_approvals(state.missing),
        "opens_at": state.opens_at,
    }


def _step_values(step: PlanStep) -> dict[str, Any]:
    error = None
    if step.error_message is not None:
        error = StepError(code=step.error_code or "step_failed", message=step.error_message, hint=step.error_hint)
    return {
        "id": step.id,
        "plan_id": step.group_id,
        "allowed_verbs": None if step.verbs is None else list(step.verbs),
        "why_not": dict(step.approval.why_not) or None if step.approval is not None else None,
        "error": error,
        **{
            name: getattr(step, name)
            for name in (
                "plan_type", "project_id", "from_commit_sha", "to_commit_sha", "commit_message", "commits_behind", "status",
                "triggered_by", "created_at", "updated_at", "commit_author", "retry_of", "digest", "decided_by", "decided_at",
            )
        },
    }  # fmt: skip


def _full_values(step: PlanStep) -> dict[str, Any]:
    return {
        **_step_values(step),
        **_approval_values(step),
        "job_name": step.job_name,
        "plan_output": step.plan_output,
        **{name: getattr(step, name) for name in ("comment", "summary", "counts")},
        "variables": None if step.variables is None else dict(step.variables),
    }


def plan_list_item(step: PlanStep) -> PlanListItem:
    """A step for lists."""
    return PlanListItem(**_step_values(step))


def plan(step: PlanStep) -> Plan:
    """A step in full."""
    return Plan(**_full_values(step))


def group_step(step: PlanStep, logs: str | None) -> GroupStep:
    """A step in full with its log."""
    return GroupStep(**_full_values(step), logs=logs)
