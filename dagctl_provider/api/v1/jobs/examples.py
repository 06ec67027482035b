"""The examples of the Jobs document, for the OpenAPI document.

Kept as it prints them; where it prints nothing, the example is this product's own.
"""

from __future__ import annotations

JOB = {
    "id": "job_abc123",
    "project_id": "proj_abc123",
    "name": "hourly-orders",
    "description": "Orders, every hour",
    "command": "sqlmesh run --select-model '*'",
    "schedule": "0 2 * * *",
    "time_zone": "Europe/Berlin",
    "enabled": True,
    "resources": {},
    "environment": {},
    "slack_channel": "#data-alerts",
    "slack_alerts_enabled": True,
    "slack_alert_on_success": False,
    "webhook_enabled": False,
    "default": False,
    "dag_id": "dagctl__analytics__abc123__hourly-orders-def456__run",
    "next_run_at": "2026-04-29T00:00:00Z",
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-02-20T14:30:00Z",
}
LIST = {"jobs": [JOB], "total": 1}
CREATE = {"name": "hourly-orders", "command": "sqlmesh run --select-model '*'", "schedule": "0 2 * * *"}
CREATE_WITH_MORE = {
    **CREATE,
    "time_zone": "Europe/Berlin",
    "resources": {"memory_limit": "8Gi"},
    "environment": {"LOOKBACK_DAYS": "3"},
    "slack_channel": "#data-alerts",
    "slack_alerts_enabled": True,
}
UPDATE = {"schedule": "30 * * * *", "enabled": True}
DELETED = {"message": "Job deleted successfully"}
RUN = {
    "job_run_id": "run_abc123",
    "job_name": "analytics-hourly-orders-manual-20260428-120000",
    "status": "pending",
    "message": "Run triggered successfully",
}
RUN_ITEM = {
    "id": "run_abc123",
    "project_id": "proj_abc123",
    "job_name": "analytics-hourly-orders-20260428-120000",
    "cronjob_name": "dagctl__analytics__abc123__hourly-orders-def456__run",
    "job_type": "run",
    "status": "success",
    "start_time": "2026-04-28T12:00:03Z",
    "end_time": "2026-04-28T12:01:15Z",
    "duration_seconds": 72.4,
    "triggered_by": "scheduled",
    "created_at": "2026-04-28T12:00:00Z",
    "updated_at": "2026-04-28T12:01:16Z",
    "job_id": "job_abc123",
    "command": "sqlmesh run --select-model '*'",
    "environment": "prod",
    "commit_sha": "a1b2c3d",
    "attempt": 1,
    "models_total": 12,
    "models_succeeded": 12,
    "models_failed": 0,
    "models_skipped": 0,
}
RUNS = {"runs": [RUN_ITEM], "total": 1, "page": 1, "limit": 50, "total_pages": 1}
LOGS = {
    "run_id": "run_abc123",
    "logs": "Running models that are due\n12 models\n",
    "status": "running",
    "job_name": "analytics-hourly-orders-20260428-120000",
    "pod_name": "analytics-hourly-orders-20260428-120000-x7k2p",
}
CANCELLED = {"message": "Run cancelled successfully", "run_id": "run_abc123"}
