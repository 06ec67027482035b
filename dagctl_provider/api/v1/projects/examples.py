"""The examples of the Projects document, for the OpenAPI document.

Kept as it prints them; where it prints nothing, the example is this product's own.
"""

from __future__ import annotations

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
ADOPT_SQLMESH = {"commit_sha": "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"}
ADOPT_DBT = {**ADOPT_SQLMESH, "manifest": "H4sIAAAAAAAC/6tWKkktLlGyUlAqS8wpTVWqBQAP8ws3FAAAAA=="}
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
