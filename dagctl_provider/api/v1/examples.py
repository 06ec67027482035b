"""The examples of the API documents, for the OpenAPI document.

Kept as the documents print them; where a document prints nothing, the example is this product's own.
"""

from __future__ import annotations

from typing import Any

_PLAN_ITEM: dict[str, Any] = {
    "id": "plan_abc123",
    "plan_id": "plangroup_xyz",
    "plan_type": "explain",
    "project_id": "proj_xyz",
    "from_commit_sha": "a1b2c3d",
    "to_commit_sha": "f6e5d4c",
    "commit_message": "Add orders model",
    "commits_behind": 1,
    "status": "pending",
    "triggered_by": "manual",
    "created_at": "2026-04-28T10:00:00Z",
    "updated_at": "2026-04-28T10:02:30Z",
}

PLAN_LIST = {"plans": [_PLAN_ITEM], "total": 42, "page": 1, "limit": 25, "total_pages": 2}
PENDING_COUNT = {"pending_count": 2}
PLAN_CREATED = {
    "message": "Plan created and explain job triggered",
    "plan_id": "plan_abc123",
    "plan_group_id": "plangroup_xyz",
    "job_name": "analytics-plan-explain-20260428-100000",
    "status": "running",
    "initial_status": "running",
}
ALREADY_DEPLOYED = {
    "message": "Commit a1b2c3d is already deployed",
    "status": "already_deployed",
    "to_commit_sha": "a1b2c3d",
}
EXISTING_PLAN = {
    "message": "A plan already exists for commit a1b2c3d",
    "status": "existing_plan",
    "plan_id": "plan_abc123",
    "plan_group_id": "plangroup_xyz",
    "current_status": "pending",
}
PLAN = {
    **_PLAN_ITEM,
    "job_name": "analytics-plan-explain-20260428-100000",
    "plan_output": {
        "environment": "prod",
        "is_new_environment": False,
        "modelsAdded": 1,
        "modelsModified": 2,
        "modelsRemoved": 0,
        "directly_modified": ["orders.stg_orders"],
        "indirectly_modified": ["orders.fct_orders"],
        "modelsNeedingBackfill": 1,
        "explain_completed": True,
    },
}
PLAN_GROUP = {
    "plan_group_id": "plangroup_xyz",
    "project_id": "proj_xyz",
    "steps": [
        {**PLAN, "status": "approved", "logs": "..."},
        {
            **_PLAN_ITEM,
            "id": "plan_def456",
            "plan_type": "execute",
            "status": "completed",
            "job_name": "analytics-plan-execute-20260428-100500",
            "logs": "...",
        },
    ],
    "current_status": "completed",
}
LOGS = {
    "planId": "plan_abc123",
    "logs": "...",
    "status": "completed",
    "jobName": "analytics-plan-execute-20260428-100500",
    "podName": "analytics-plan-execute-20260428-100500-xk9vz",
}
APPROVED = {
    "message": "Plan approved and execution started",
    "explain_plan_id": "plan_abc123",
    "execution_plan_id": "plan_def456",
    "plan_group_id": "plangroup_xyz",
    "job_name": "analytics-plan-execute-20260428-100500",
}
AUTO_DISCARDED = {
    "message": "Plan auto-discarded due to repository changes",
    "plan_id": "plan_abc123",
    "status": "auto_discarded",
    "auto_discarded": True,
    "expected_commit": "f6e5d4c",
    "current_commit": "9z8y7x6",
    "reason": "Repository has new commits. Please create a new plan to review the latest changes.",
}
REJECTED = {"message": "Plan rejected successfully", "plan_id": "plan_abc123"}
CANCELLED = {"message": "Plan cancelled successfully", "plan_id": "plan_abc123"}
RETRIED = {"message": "Plan retry started", "execution_plan_id": "plan_ghi789", "retry_of": "plan_def456"}
PLAN_DELETED = {"message": "Plan deleted successfully"}

PROJECT = {
    "id": "proj_abc123",
    "organization_id": "org-xxxxxxxx",
    "name": "analytics",
    "description": "Core analytics models",
    "project_type": "sqlmesh",
    "repository_url": "git@github.com:acme/analytics.git",
    "branch": "main",
    "git_auth_method": "ssh",
    "sqlmesh_environment": "prod",
    "sqlmesh_version": "0.130.0",
    "use_managed_state_database": True,
    "auto_apply": False,
    "run_tests": True,
    "deployed": True,
    "suspended": False,
    "status": "active",
    "commits_behind": 0,
    "current_commit_sha": "a1b2c3d",
    "latest_commit_sha": "a1b2c3d",
    "latest_commit_message": "Add orders model",
    "cpu_request": "500m",
    "cpu_limit": "2000m",
    "memory_request": "1Gi",
    "memory_limit": "4Gi",
    "concurrency_policy": "Allow",
    "successful_runs_history_limit": 3,
    "failed_runs_history_limit": 3,
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-02-20T14:30:00Z",
}
PROJECT_LIST = {"projects": [PROJECT], "total": 3}
CREATE_SQLMESH = {
    "name": "analytics",
    "description": "Core analytics models",
    "project_type": "sqlmesh",
    "repository_url": "https://github.com/acme/analytics",
    "branch": "main",
    "git_auth_method": "github_app",
    "sqlmesh_environment": "prod",
    "sqlmesh_version": "0.130.0",
    "use_managed_state_database": True,
    "auto_apply": False,
    "run_tests": True,
}
CREATE_DBT = {
    "name": "dbt-core",
    "project_type": "dbt",
    "repository_url": "https://github.com/acme/dbt-project",
    "branch": "main",
    "git_auth_method": "github_app",
    "dbt_version": "1.8.0",
    "python_version": "3.11",
    "polling_interval": "5m",
    "version_strategy": "semantic",
}
UPDATE = {"auto_apply": True, "suspended": False, "max_concurrent_job_runs": 2}
PROJECT_DELETED = {"message": "Project deleted successfully"}
DEPLOYED = {"message": "Project deployed successfully", "project_id": "proj_abc123", "deployed": True}
UNDEPLOYED = {"message": "Project undeployed successfully", "project_id": "proj_abc123", "deployed": False}
RUN = {
    "job_run_id": "run_abc123",
    "job_name": "analytics-scheduled-run-manual-20260428-120000",
    "status": "pending",
    "message": "Run triggered successfully",
}
RUN_LIST = {
    "runs": [
        {
            "id": "run_abc123",
            "project_id": "proj_abc123",
            "job_name": "analytics-scheduled-run-manual-20260428-120000",
            "job_type": "run",
            "status": "success",
            "start_time": "2026-04-28T12:00:03Z",
            "end_time": "2026-04-28T12:01:15Z",
            "duration_seconds": 72.4,
            "triggered_by": "ci",
            "created_at": "2026-04-28T12:00:00Z",
            "updated_at": "2026-04-28T12:01:15Z",
        }
    ],
    "total": 1,
    "page": 1,
    "limit": 50,
    "total_pages": 1,
}
SYNC_STATUS = {
    "project_id": "proj_abc123",
    "branch": "main",
    "in_sync": False,
    "current_commit_sha": "a1b2c3d",
    "latest_commit_sha": "f6e5d4c",
    "latest_commit_message": "Add orders model",
    "commits_behind": 1,
    "last_synced_at": "2026-04-28T10:00:00Z",
}
