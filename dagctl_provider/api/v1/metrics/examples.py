"""Examples of execution metrics."""

from __future__ import annotations

RUN = {
    "id": "run_abc123",
    "project_id": "proj_abc123",
    "job_name": "analytics-scheduled-run-20260226-060000",
    "cronjob_name": "dagctl__analytics__1f3c9a__run",
    "job_type": "run",
    "status": "success",
    "start_time": "2026-02-26T06:00:04Z",
    "end_time": "2026-02-26T06:12:38Z",
    "duration_seconds": 754.123,
    "triggered_by": "scheduled",
    "created_at": "2026-02-26T06:00:00Z",
    "updated_at": "2026-02-26T06:12:39Z",
    "pod_name": "analytics-scheduled-run-20260226-060000-x2x9q",
    "job_id": "job_abc123",
    "command": "run",
    "environment": "prod",
    "commit_sha": "a1b2c3d",
    "attempt": 1,
    "models_total": 42,
    "models_succeeded": 42,
    "models_failed": 0,
    "models_skipped": 0,
}
RUN_LIST = {
    "runs": [RUN],
    "total": 1,
    "page": 1,
    "limit": 50,
    "total_pages": 1,
    "stats": {
        "project_id": "proj_abc123",
        "total_runs": 1,
        "successful_runs": 1,
        "failed_runs": 0,
        "error_runs": 0,
        "avg_success_duration": 754.123,
    },
}
DAILY_STATS = {
    "project_id": "proj_abc123",
    "days": 1,
    "start_date": "2026-02-26",
    "end_date": "2026-02-26",
    "daily_stats": [
        {
            "date": "2026-02-26",
            "total_runs": 5,
            "successful_runs": 3,
            "partial_runs": 1,
            "failed_runs": 0,
            "error_runs": 1,
            "avg_success_duration": 754.123,
            "max_duration": 901.5,
            "total_duration": 3200.75,
            "models_executed": 208,
            "models_failed": 1,
        }
    ],
}
MODEL_EXECUTIONS = {
    "model_executions": [
        {
            "id": "mx_abc123",
            "project_id": "proj_abc123",
            "run_id": "run_abc123",
            "model_name": "shop.orders",
            "job_type": "run",
            "cronjob_name": "dagctl__analytics__1f3c9a__run",
            "status": "success",
            "attempt": 1,
            "start_time": "2026-02-26T06:01:00Z",
            "end_time": "2026-02-26T06:03:05Z",
            "duration_seconds": 125.2,
            "rows_processed": 120400,
            "batches": 1,
            "interval_start": "2026-02-25T00:00:00Z",
            "interval_end": "2026-02-26T00:00:00Z",
            "created_at": "2026-02-26T06:01:00Z",
            "updated_at": "2026-02-26T06:12:39Z",
        }
    ],
    "total": 1,
    "page": 1,
    "limit": 50,
    "total_pages": 1,
}
MODEL_STATS = {
    "project_id": "proj_abc123",
    "days": 7,
    "start_date": "2026-02-20",
    "end_date": "2026-02-26",
    "model_stats": [
        {
            "model_name": "shop.orders",
            "total_executions": 7,
            "successful_executions": 6,
            "failed_executions": 1,
            "skipped_executions": 0,
            "avg_duration": 125.2,
            "max_duration": 180.0,
            "total_duration": 751.2,
            "rows_processed": 842800,
            "last_status": "success",
            "last_execution_at": "2026-02-26T06:03:05Z",
            "previous_avg_duration": 83.467,
            "change": 1.5,
        }
    ],
    "total": 1,
    "page": 1,
    "limit": 500,
    "total_pages": 1,
}
