"""The shape of requests and answers on execution metrics."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from dagctl_provider.api.models import WHOLE, Answer, Count, Request, Timestamp, instant, storable
from dagctl_provider.api.v1.common import MAX_LIMIT, MAX_PAGE
from dagctl_provider.api.v1.run_shapes import DEFAULT_LIMIT, Status, Type, seconds
from dagctl_provider.domain.executions import MODEL_STATUSES, DayStats, ModelExecution, ModelStats

DEFAULT_DAYS = 30
MAX_DAYS = 366
_EARLIEST, _LATEST = date(1970, 1, 1), date(9998, 12, 31)


def day(value: Any) -> Any:
    """A day as ``2026-04-28``."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value), re.ASCII):
            raise ValueError
        found = date.fromisoformat(str(value))
    except ValueError:
        raise ValueError("must be a day such as 2026-04-28") from None
    if not _EARLIEST <= found <= _LATEST:
        raise ValueError(f"must be from {_EARLIEST} to {_LATEST}")
    return found


def switch(value: Any) -> Any:
    """``true`` or ``false``, as a query says it."""
    if value not in ("true", "false", True, False):
        raise ValueError("must be true or false")
    return value in ("true", True)


Text = Annotated[str, Field(min_length=1, max_length=255), BeforeValidator(storable)]
Moment = Annotated[datetime, BeforeValidator(instant)]
Day = Annotated[date, BeforeValidator(day), Field(json_schema_extra={"format": "date"})]
Page = Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page number, from 1"), WHOLE]
Limit = Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page"), WHOLE]
ModelStatus = Literal[MODEL_STATUSES]  # type: ignore[valid-type]

_SCHEDULED = "Only what the schedule of this Dag started"
_UPDATED = "Only what was changed after this moment, RFC 3339; newest change first. Overlap by 60 seconds and drop duplicates"


class RunParameters(Request):
    """Paging and filters of the list of runs."""

    page: Page = 1
    limit: Limit = DEFAULT_LIMIT
    cronjob_name: Text | None = Field(None, description=_SCHEDULED)
    status: Status | None = Field(None, description="Only runs in this status")
    job_type: Type | None = Field(None, description="Only runs of this type")
    job_id: Text | None = Field(None, description="Only runs of this job")
    updated_after: Moment | None = Field(None, description=_UPDATED)
    start_date: Day | None = Field(None, description="Only what was asked for on this day of UTC or later")
    end_date: Day | None = Field(None, description="Only what was asked for on this day of UTC or earlier")
    include_stats: Annotated[bool, BeforeValidator(switch)] = Field(True, description="Whether the answer has `stats`")


class ModelParameters(Request):
    """Paging and filters of the list of model executions."""

    page: Page = 1
    limit: Limit = DEFAULT_LIMIT
    cronjob_name: Text | None = Field(None, description=_SCHEDULED)
    status: ModelStatus | None = Field(None, description="Only model executions in this status")
    job_type: Type | None = Field(None, description="Only those of runs of this type")
    model_name: Text | None = Field(None, description="Only this model")
    run_id: Text | None = Field(None, description="Only those of this run")
    updated_after: Moment | None = Field(None, description=_UPDATED)
    start_date: Day | None = Field(None, description="Only what began on this day of UTC or later")
    end_date: Day | None = Field(None, description="Only what began on this day of UTC or earlier")


class DailyParameters(Request):
    """Which days."""

    days: Annotated[int, Field(ge=1, le=MAX_DAYS), WHOLE] | None = Field(
        None, description=f"So many days up to today, of UTC; {DEFAULT_DAYS} where nothing is said"
    )
    start_date: Day | None = Field(None, description="The first day, instead of `days`")
    end_date: Day | None = Field(None, description="The last day, instead of `days`; today where it is absent")
    job_type: Type | None = Field(None, description="Only runs of this type")


class ModelStatsParameters(DailyParameters):
    """Which days and models."""

    page: Page = 1
    limit: Limit = MAX_LIMIT
    model_name: Text | None = Field(None, description="Only this model")


class DailyStats(Answer):
    """One day, of UTC. A run belongs to the day on which it was asked for."""

    date: str = Field(examples=["2026-04-28"], json_schema_extra={"format": "date"})
    total_runs: Count
    successful_runs: Count
    partial_runs: Count
    failed_runs: Count
    error_runs: Count
    avg_success_duration: float | None = Field(None, description="Seconds; absent where nothing succeeded")
    max_duration: float | None = Field(None, description="Seconds, of the longest run; absent where none has ended")
    total_duration: float = Field(description="Seconds, of all that has ended")
    models_executed: Count
    models_failed: Count


class DailyStatsAnswer(Answer):
    """Each day of a span, oldest first, also those without runs."""

    project_id: str
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)]
    start_date: str = Field(json_schema_extra={"format": "date"})
    end_date: str = Field(json_schema_extra={"format": "date"})
    daily_stats: list[DailyStats]


class ModelExecutionAnswer(Answer):
    """One model of a run."""

    id: str
    project_id: str
    run_id: str
    model_name: str
    job_type: Type
    cronjob_name: str | None = None
    status: ModelStatus
    attempt: Annotated[int, Field(ge=1)]
    kind: str | None = Field(None, description="dbt's resource type")
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    duration_seconds: float | None = None
    rows_processed: int | None = Field(None, description="Where the warehouse tells")
    batches: int | None = None
    interval_start: Timestamp | None = Field(None, description="Start of the time whose rows were loaded")
    interval_end: Timestamp | None = Field(None, description="Its end, which is not part of it")
    error_message: str | None = None
    created_at: Timestamp = Field(description="When it began; where nobody knows, when its run was asked for")
    updated_at: Timestamp = Field(description="When it was recorded, which is when its run was over")


class ModelExecutionList(Answer):
    """One page of model executions."""

    model_executions: list[ModelExecutionAnswer]
    total: Count
    total_capped: bool | None = Field(None, description="True: there are at least `total`; narrow the filters to see more")
    page: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)]
    total_pages: Count


class ModelStatsRow(Answer):
    """One model over a span of days."""

    model_name: str
    total_executions: Count
    successful_executions: Count
    failed_executions: Count
    skipped_executions: Count
    avg_duration: float | None = Field(None, description="Seconds, of those that succeeded")
    max_duration: float | None = None
    total_duration: float
    rows_processed: Count
    last_status: ModelStatus
    last_execution_at: Timestamp
    previous_avg_duration: float | None = Field(None, description="The same over as many days before the span")
    change: float | None = Field(None, description="avg_duration / previous_avg_duration: 1.5 is half as long again")


class ModelStatsAnswer(Answer):
    """Each model of a project over a span of days; those that took longest first."""

    project_id: str
    days: Annotated[int, Field(ge=1, le=MAX_DAYS)]
    start_date: str = Field(json_schema_extra={"format": "date"})
    end_date: str = Field(json_schema_extra={"format": "date"})
    model_stats: list[ModelStatsRow]
    total: Count
    page: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)]
    total_pages: Count


_DURATIONS = ("avg_success_duration", "max_duration", "total_duration")


def day_stats(stats: DayStats) -> DailyStats:
    """A day for the API."""
    kept = asdict(stats)
    return DailyStats(date=kept.pop("day"), **{**kept, **{name: seconds(kept[name]) for name in _DURATIONS}})


def model_execution(model: ModelExecution) -> ModelExecutionAnswer:
    """A model execution for the API."""
    kept = asdict(model)
    return ModelExecutionAnswer(run_id=kept.pop("execution_id"), **{**kept, "duration_seconds": seconds(model.duration_seconds)})


def model_stats_row(stats: ModelStats) -> ModelStatsRow:
    """A model's figures for the API."""
    return ModelStatsRow(
        model_name=stats.model_name,
        total_executions=stats.executions,
        successful_executions=stats.succeeded,
        failed_executions=stats.failed,
        skipped_executions=stats.skipped,
        avg_duration=seconds(stats.avg_duration),
        max_duration=seconds(stats.max_duration),
        total_duration=round(stats.total_duration, 3),
        rows_processed=stats.rows_processed,
        last_status=stats.last_status,
        last_execution_at=stats.last_at,
        previous_avg_duration=seconds(stats.previous_avg_duration),
        change=seconds(stats.change),
    )
