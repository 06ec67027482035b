"""The shape of every request and answer of the REST door, as pydantic models.

One definition serves three masters: requests are validated with it, answers are built with it and the OpenAPI document is
drawn from it. Requests are strict: wrong types and unknown fields are refused. Answers never hold a null: what is not
known is not sent.
"""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StrictStr,
    TypeAdapter,
)

from dagctl_provider.domain.plans import STATUSES, PlanStep, PlanType, Status
from dagctl_provider.domain.run_records import RUN_STATUSES, RunRecord, RunStatus

MAX_COMMENT = 2000
MAX_PAGE = 2**31 - 1
MAX_LIMIT = 500
DEFAULT_PLANS_LIMIT = 25
DEFAULT_RUNS_LIMIT = 50
_INSTANT = r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:[Zz]|[+-]\d\d:\d\d)"


def timestamp(moment: datetime) -> str:
    """RFC 3339 in UTC with seconds, as the documents show times."""
    return moment.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def storable(text: str) -> str:
    """Refuse what JSON can write and no database can store: NUL, and halves of surrogate pairs."""
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not contain half of a surrogate pair")
    return text


def _whole_number(value: object) -> object:
    """Numbers of a query string: digits only, so that ``1.0``, ``+1`` and ``1e3`` are refused."""
    if isinstance(value, str):
        if not re.fullmatch(r"[0-9]{1,10}", value):
            raise ValueError("must be a whole number")
        return int(value)
    return value


# Python 3.10 reads neither "Z" nor fractions of one digit.
_AWARE = TypeAdapter(AwareDatetime)


def _instant(value: object) -> object:
    """RFC 3339 with an offset; a time of which nobody knows where is refused."""
    try:
        if not re.fullmatch(_INSTANT, str(value), re.ASCII):
            raise ValueError
        return _AWARE.validate_python(str(value)).astimezone(timezone.utc)
    except (ValueError, OverflowError):
        raise ValueError("must be an RFC 3339 time such as 2026-02-26T00:00:00Z") from None


Timestamp = Annotated[
    datetime,
    PlainSerializer(timestamp, return_type=str),
    Field(examples=["2026-04-28T10:00:00Z"], json_schema_extra={"format": "date-time"}),
]
ShortSha = Annotated[str, BeforeValidator(lambda sha: sha and sha[:7]), Field(examples=["a1b2c3d"])]
_WHOLE = BeforeValidator(_whole_number)
Count = Annotated[int, Field(ge=0)]


class Request(BaseModel):
    """Base of what callers send."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Answer(BaseModel):
    """Base of what we send."""

    model_config = ConfigDict(extra="forbid")


# -- requests ------------------------------------------------------------------------------------------------------------


class NoParameters(Request):
    """No query parameters are accepted."""


# The lists of states come from their tables, which a checker does not follow into a Literal.
class PlanListParameters(Request):
    """Paging and filter of the list of plans."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page number, from 1"), _WHOLE] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page"), _WHOLE] = DEFAULT_PLANS_LIMIT
    status: Literal[STATUSES] | None = Field(None, description="Only plan steps in this status")  # type: ignore[valid-type]


class RunListParameters(Request):
    """Paging and filters of the list of runs."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page number, from 1"), _WHOLE] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page"), _WHOLE] = DEFAULT_RUNS_LIMIT
    status: Literal[RUN_STATUSES] | None = Field(None, description="Only runs in this status")  # type: ignore[valid-type]
    updated_after: Annotated[datetime, BeforeValidator(_instant)] | None = Field(
        None, description="Only runs whose status changed after this moment, RFC 3339"
    )


class NoBody(Request):
    """Nothing has to be sent; an empty object is accepted."""


class DecisionBody(Request):
    """Nothing has to be sent; a comment may be."""

    # A text where it is sent: null is refused.
    comment: Annotated[
        StrictStr, Field(max_length=MAX_COMMENT, description="Kept with the decision"), AfterValidator(storable)
    ] = None  # type: ignore[assignment]


# -- answers on plans ----------------------------------------------------------------------------------------------------


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
    allowed_verbs: list[str] | None = Field(None, description="What this step accepts now")


class Plan(PlanListItem):
    """A plan step."""

    job_name: str | None = None
    plan_output: dict[str, Any] | None = Field(None, description="What explain found; its keys depend on the tool")
    comment: str | None = Field(None, description="What was said with the decision")


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


class Message(Answer):
    """What was done."""

    message: str


# -- answers on projects -------------------------------------------------------------------------------------------------


class RunAnswer(Answer):
    """A run was started."""

    job_run_id: str
    job_name: str
    status: str
    message: str


class Run(Answer):
    """A run of the deployed state."""

    id: str
    project_id: str
    job_name: str
    cronjob_name: str | None = Field(None, description="What started it by itself, the run Dag; absent for runs asked for")
    job_type: Literal["run"]
    status: RunStatus
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    duration_seconds: float | None = None
    error_message: str | None = None
    pod_name: str | None = None
    triggered_by: str
    created_at: Timestamp
    updated_at: Timestamp


class RunList(Answer):
    """One page of runs."""

    runs: list[Run]
    total: Count
    page: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)]
    total_pages: Count


class SyncStatusAnswer(Answer):
    """How a project stands to its branch."""

    project_id: str
    branch: str
    in_sync: bool
    current_commit_sha: ShortSha | None = None
    latest_commit_sha: ShortSha | None = None
    latest_commit_message: str | None = None
    commits_behind: Count | None = None
    last_synced_at: Timestamp | None = None
    error_message: str | None = Field(None, description="Why the last look at the repository failed")


# -- errors --------------------------------------------------------------------------------------------------------------


class FieldError(Answer):
    """What is wrong with one field."""

    field: str
    message: str


class Problem(Answer):
    """An error (RFC 9457). Some codes add members of their own."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["urn:dagctl:problem:not_found"])
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable; switch on this")
    message: str = Field(description="Same as detail")
    hint: str
    errors: list[FieldError] | None = None


# -- from records to answers ---------------------------------------------------------------------------------------------


def _step_values(step: PlanStep) -> dict[str, Any]:
    error = None
    if step.error_message is not None:
        error = StepError(code=step.error_code or "step_failed", message=step.error_message, hint=step.error_hint)
    return {
        "id": step.id,
        "plan_id": step.group_id,
        "allowed_verbs": None if step.verbs is None else list(step.verbs),
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
    return {**_step_values(step), "job_name": step.job_name, "plan_output": step.plan_output, "comment": step.comment}


def plan_list_item(step: PlanStep) -> PlanListItem:
    """A step for lists."""
    return PlanListItem(**_step_values(step))


def plan(step: PlanStep) -> Plan:
    """A step in full."""
    return Plan(**_full_values(step))


def group_step(step: PlanStep, logs: str | None) -> GroupStep:
    """A step in full with its log."""
    return GroupStep(**_full_values(step), logs=logs)


def run(record: RunRecord) -> Run:
    """A run for the API."""
    started, ended = record.start_time, record.end_time
    return Run(
        cronjob_name=record.schedule_name,
        job_type="run",
        duration_seconds=round((ended - started).total_seconds(), 3) if started and ended else None,
        **{
            name: getattr(record, name)
            for name in (
                "id", "project_id", "job_name", "status", "start_time", "end_time", "error_message", "pod_name", "triggered_by",
                "created_at", "updated_at",
            )
        },
    )  # fmt: skip


def without_nulls(value: object) -> object:
    """``value`` with every null key left out, at any depth: the API sends no nulls."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def to_json(answer: Answer) -> dict[str, object]:
    """An answer as plain JSON values."""
    values: dict[str, object] = answer.model_dump(mode="json", exclude_none=True)
    return {key: without_nulls(value) for key, value in values.items()}
