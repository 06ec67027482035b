"""The shape of requests and answers on runs of what is deployed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from dagctl_provider.api.models import WHOLE, Answer, Count, Request, Timestamp, instant
from dagctl_provider.api.v1.common import MAX_LIMIT, MAX_PAGE
from dagctl_provider.domain.run_records import RUN_STATUSES, RunRecord, RunStatus

DEFAULT_LIMIT = 50


class RunListParameters(Request):
    """Paging and filters of the list of runs."""

    page: Annotated[int, Field(ge=1, le=MAX_PAGE, description="Page number, from 1"), WHOLE] = 1
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT, description="Results per page"), WHOLE] = DEFAULT_LIMIT
    status: Literal[RUN_STATUSES] | None = Field(None, description="Only runs in this status")  # type: ignore[valid-type]
    updated_after: Annotated[datetime, BeforeValidator(instant)] | None = Field(
        None, description="Only runs whose status changed after this moment, RFC 3339"
    )


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
