"""What happened and how long it took: executions of jobs and plans, and of each model in them, as the metrics tell it.

Airflow and the tools have words of their own for how something ended; here there is one set for all (Execution metrics document).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

ExecutionStatus = Literal["pending", "running", "success", "partial", "failed", "error"]
EXECUTION_STATUSES: tuple[ExecutionStatus, ...] = ("pending", "running", "success", "partial", "failed", "error")
FINISHED: frozenset[ExecutionStatus] = frozenset(("success", "partial", "failed", "error"))
"""*failed*: the tool said no and no model was computed; *partial*: some were. *error*: the tool never came to an answer, for
example since it was cancelled, its worker was lost or the repository could not be read."""

SAID_NO = frozenset({
    "apply_failed", "audit_failed", "command_failed", "conflicting_plan", "contract_broken", "dbt_test_failed", "explain_writes",
    "freshness_failed", "full_refresh_refused", "lint_failed", "model_failed", "nothing_to_retry", "plan_drifted", "plan_failed",
    "plan_unstable", "project_load_failed", "tests_failed", "variables_changed",
})  # fmt: skip
"""Codes with which the tool itself, or what compares for it, says no. With all others it never came so far."""

JobType = Literal["plan", "run", "janitor"]
JOB_TYPES: tuple[JobType, ...] = ("plan", "run", "janitor")

ModelStatus = Literal["success", "failed", "skipped", "cancelled", "not_ready"]
MODEL_STATUSES: tuple[ModelStatus, ...] = ("success", "failed", "skipped", "cancelled", "not_ready")

STATUS_OF: Mapping[str, ModelStatus] = {
    "succeeded": "success",
    "failed": "failed",
    "skipped": "skipped",
    "cancelled": "cancelled",
    "not_ready": "not_ready",
}
"""What a runner says of a model, in the words of the metrics."""


@dataclass(frozen=True)
class Execution:
    """One run of a job, or one explain or execute of a plan.

    :param id: ``run_…``; of a plan's step see :func:`execution_id`.
    :param job_id: The job; absent for plans.
    :param step_id: The plan's step; absent for runs.
    :param plan_id: The plan that the step is one of: ``plangroup_…``.
    :param job_name: Its own name, as a CronJob would name its jobs.
    :param cronjob_name: The Dag whose schedule started it; absent where somebody asked for it.
    :param command: What the job did, as it was then.
    :param attempt: Of a plan's execute: which one. Of a run: how often it was begun, for people may clear it in Airflow.
    :param duration_seconds: Of what has ended.
    :param remaining: Nodes that a retry has to do again, by unique id; only dbt says so.
    :param updated_at: When this row was last changed.
    """

    id: str
    project_id: str
    job_type: JobType
    job_name: str
    status: ExecutionStatus
    triggered_by: str
    created_at: datetime
    updated_at: datetime
    job_id: str | None = None
    step_id: str | None = None
    plan_id: str | None = None
    cronjob_name: str | None = None
    command: str | None = None
    environment: str | None = None
    commit_sha: str | None = None
    attempt: int = 1
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration_seconds: float | None = None
    error_code: str | None = None
    error_message: str | None = None
    pod_name: str | None = None
    models_total: int = 0
    models_succeeded: int = 0
    models_failed: int = 0
    models_skipped: int = 0
    remaining: tuple[str, ...] | None = None


@dataclass(frozen=True)
class ModelExecution:
    """One model of an execution.

    :param id: ``mx_…``; follows from the execution and the model's place in it, so that recording twice is recording once.
    :param kind: dbt's resource type, or nothing.
    :param rows_processed: Where the warehouse tells.
    :param interval_start: What of time it loaded, where the tool tells.
    :param created_at: When it began; where nobody knows, when its execution was asked for.
    :param updated_at: When it was recorded.
    """

    id: str
    execution_id: str
    project_id: str
    job_type: JobType
    model_name: str
    status: ModelStatus
    created_at: datetime
    updated_at: datetime
    cronjob_name: str | None = None
    attempt: int = 1
    kind: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    duration_seconds: float | None = None
    rows_processed: int | None = None
    batches: int | None = None
    interval_start: datetime | None = None
    interval_end: datetime | None = None
    error_message: str | None = None


@dataclass(frozen=True)
class ExecutionStats:
    """Sums over the executions of a project.

    :param avg_success_duration: Seconds; absent where nothing succeeded.
    """

    total_runs: int
    successful_runs: int
    failed_runs: int
    error_runs: int
    avg_success_duration: float | None


@dataclass(frozen=True)
class DayStats:
    """One day of a project, in UTC.

    :param day: ``2026-04-28``.
    :param avg_success_duration: Seconds.
    :param total_duration: Seconds, of all that ended.
    """

    day: str
    total_runs: int = 0
    successful_runs: int = 0
    partial_runs: int = 0
    failed_runs: int = 0
    error_runs: int = 0
    avg_success_duration: float | None = None
    max_duration: float | None = None
    total_duration: float = 0.0
    models_executed: int = 0
    models_failed: int = 0


@dataclass(frozen=True)
class ModelStats:
    """One model over a span of days.

    :param avg_duration: Seconds, of the executions that succeeded.
    :param previous_avg_duration: The same over as many days before; absent where it did not succeed then.
    """

    model_name: str
    executions: int
    succeeded: int
    failed: int
    skipped: int
    avg_duration: float | None
    max_duration: float | None
    total_duration: float
    rows_processed: int
    last_status: ModelStatus
    last_at: datetime
    previous_avg_duration: float | None = None

    @property
    def change(self) -> float | None:
        """How many times as long as before: 1.5 is half as long again."""
        if not self.avg_duration or not self.previous_avg_duration:
            return None
        return self.avg_duration / self.previous_avg_duration


def ended_as(outcome: str | None, code: str | None, computed: int) -> ExecutionStatus:
    """How an execution ended.

    :param outcome: What the runner says: ``succeeded``, ``failed``, ``drifted``, ``cancelled``; nothing where it left no result.
    :param code: Its error.
    :param computed: How many models succeeded.
    """
    if outcome == "succeeded":
        return "success"
    if outcome == "cancelled" or code not in SAID_NO:
        return "error"
    return "partial" if computed else "failed"


def execution_id(step_id: str) -> str:
    """The id of a plan's step as an execution.

    :param step_id: ``plan_…``.
    """
    return "run_" + step_id.partition("_")[2]


def day_of(at: datetime) -> str:
    """The day of a moment in UTC.

    :param at: Aware.
    """
    return f"{at:%Y-%m-%d}"


def days_before(day: date, count: int) -> list[str]:
    """So many days up to and with ``day``, oldest first."""
    return [date.fromordinal(day.toordinal() - back).isoformat() for back in range(count - 1, -1, -1)]
