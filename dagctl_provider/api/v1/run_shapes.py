"""The shapes of runs, as several families of operations answer them: metrics, and jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal

from pydantic import Field

from dagctl_provider.api.models import Answer, Count, ShortSha, Timestamp
from dagctl_provider.api.v1.common import MAX_LIMIT
from dagctl_provider.domain.executions import EXECUTION_STATUSES, JOB_TYPES, Execution, ExecutionStats

DEFAULT_LIMIT = 50

Status = Literal[EXECUTION_STATUSES]  # type: ignore[valid-type]
Type = Literal[JOB_TYPES]  # type: ignore[valid-type]


class RunAnswer(Answer):
    """A run was started."""

    job_run_id: str
    job_name: str
    status: str
    message: str


class Run(Answer):
    """A run of a job, or an explain or execute of a plan."""

    id: str
    project_id: str
    job_name: str = Field(description="Its own name; the job has another")
    cronjob_name: str | None = Field(None, description="The Dag whose schedule started it; absent where somebody asked for it")
    job_type: Type
    status: Status = Field(
        description="failed: the tool said no, and no model was computed; partial: some were; error: it never came to an answer"
    )
    start_time: Timestamp | None = None
    end_time: Timestamp | None = None
    duration_seconds: float | None = None
    triggered_by: str = Field(description="Who asked for it; `scheduled` of what began by itself")
    created_at: Timestamp
    updated_at: Timestamp
    error_message: str | None = None
    pod_name: str | None = None
    job_id: str | None = Field(None, description="The job; absent for plans")
    command: str | None = Field(None, description="What the job did, as its command was then")
    environment: str | None = None
    commit_sha: ShortSha | None = None
    plan_id: str | None = Field(None, description="The `plan_id` of a plan's steps; absent for runs of jobs")
    attempt: Annotated[int, Field(ge=1)]
    error_code: str | None = None
    models_total: Count
    models_succeeded: Count
    models_failed: Count
    models_skipped: Count


class RunStats(Answer):
    """Sums over all runs that the filters leave, not only those of the page."""

    project_id: str
    total_runs: Count
    successful_runs: Count
    failed_runs: Count = Field(description="Failed and partial ones")
    error_runs: Count
    avg_success_duration: float | None = Field(None, description="Seconds; absent where nothing succeeded")


class RunList(Answer):
    """One page of runs."""

    runs: list[Run]
    total: Count
    page: Annotated[int, Field(ge=1)]
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)]
    total_pages: Count
    stats: RunStats | None = None


def run(execution: Execution) -> Run:
    """A run for the API."""
    kept = asdict(execution)
    del kept["step_id"], kept["remaining"]
    return Run(**{**kept, "duration_seconds": seconds(execution.duration_seconds)})


def run_stats(project_id: str, stats: ExecutionStats) -> RunStats:
    """Sums for the API."""
    return RunStats(project_id=project_id, **{**asdict(stats), "avg_success_duration": seconds(stats.avg_success_duration)})


def seconds(value: float | None) -> float | None:
    """A duration for the API: to the millisecond."""
    return None if value is None else round(value, 3)
