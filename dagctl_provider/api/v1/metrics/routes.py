"""The rows of execution metrics: what can be asked, by whom, and what comes back."""

from __future__ import annotations

from dagctl_provider.api.contracts import Operation
from dagctl_provider.api.v1.common import ok
from dagctl_provider.api.v1.metrics import examples, handlers, schemas
from dagctl_provider.api.v1.run_shapes import Run, RunList

_TAG = "Execution metrics"
_KEPT = "On record for `[dagctl] metrics_retention_days`, whatever Airflow keeps."

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/projects/{id}/runs",
        "list_runs",
        _TAG,
        "List the runs of a project",
        "read",
        handlers.list_runs,
        ok(RunList, examples.RUN_LIST, "One page, newest first"),
        query=schemas.RunParameters,
        description=f"Runs of jobs, and the explain and execute steps of plans. {_KEPT}",
    ),
    Operation(
        "GET",
        "/projects/{id}/runs/daily-stats",
        "get_daily_stats",
        _TAG,
        "Runs of a project by day",
        "read",
        handlers.daily_stats,
        ok(schemas.DailyStatsAnswer, examples.DAILY_STATS, "Each day, oldest first"),
        query=schemas.DailyParameters,
    ),
    Operation(
        "GET",
        "/runs/{runId}",
        "get_run",
        _TAG,
        "Get a run",
        "read",
        handlers.get_run,
        ok(Run, examples.RUN, "The run"),
    ),
    Operation(
        "GET",
        "/projects/{id}/model-executions",
        "list_model_executions",
        _TAG,
        "List the models of a project's runs",
        "read",
        handlers.list_models,
        ok(schemas.ModelExecutionList, examples.MODEL_EXECUTIONS, "One page, newest first"),
        query=schemas.ModelParameters,
        description="A run's models are recorded when it is over. Counted and listed up to 10,000; narrow the filters for more.",
    ),
    Operation(
        "GET",
        "/projects/{id}/model-executions/stats",
        "get_model_stats",
        _TAG,
        "Models of a project over a span of days",
        "read",
        handlers.model_stats,
        ok(schemas.ModelStatsAnswer, examples.MODEL_STATS, "Those that took longest first"),
        query=schemas.ModelStatsParameters,
    ),
)
