"""The request and answer examples of the three API documents, copied as they are printed there.

A test replays each and compares. The commit ``9z8y7x6`` of one example is no hexadecimal number, so a real one stands for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from . import records


@dataclass(frozen=True)
class Example:
    """One example.

    :param answer: The printed JSON; ``None`` where the document prints none.
    :param status: HTTP status; 200 where the document names none.
    :param body: The printed request body.
    :param service: What the faked service function answers, by name.
    """

    name: str
    method: str
    path: str
    answer: dict[str, Any] | None
    status: int = 200
    body: dict[str, Any] | None = None
    service: dict[str, Any] = field(default_factory=dict)


PLAN_ITEM: dict[str, Any] = {
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
PROJECT: dict[str, Any] = {
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

EXAMPLES: tuple[Example, ...] = (
    # Plans API
    Example(
        "list plans",
        "GET",
        "/projects/proj_xyz/plans",
        {"plans": [PLAN_ITEM], "total": 42, "page": 1, "limit": 25, "total_pages": 2},
    ),
    Example("count pending plans", "GET", "/projects/proj_xyz/plans/pending", {"pending_count": 2}),
    Example(
        "create plan: new",
        "POST",
        "/projects/proj_xyz/plans",
        {
            "message": "Plan created and explain job triggered",
            "plan_id": "plan_abc123",
            "plan_group_id": "plangroup_xyz",
            "job_name": "analytics-plan-explain-20260428-100000",
            "status": "running",
            "initial_status": "running",
        },
        status=201,
    ),
    Example(
        "create plan: already deployed",
        "POST",
        "/projects/proj_xyz/plans",
        {
            "message": "Commit a1b2c3d is already deployed",
            "status": "already_deployed",
            "to_commit_sha": "a1b2c3d",
        },
        service={"create_plan": records.ALREADY_DEPLOYED},
    ),
    Example(
        "create plan: exists",
        "POST",
        "/projects/proj_xyz/plans",
        {
            "message": "A plan already exists for commit a1b2c3d",
            "status": "existing_plan",
            "plan_id": "plan_abc123",
            "plan_group_id": "plangroup_xyz",
            "current_status": "pending",
        },
        service={"create_plan": records.EXISTING},
    ),
    Example(
        "get plan",
        "GET",
        "/plans/plan_abc123",
        {
            **PLAN_ITEM,
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
        },
    ),
    Example(
        "get plan group",
        "GET",
        "/plans/group/plangroup_xyz/steps",
        {
            "plan_group_id": "plangroup_xyz",
            "project_id": "proj_xyz",
            "steps": [
                {"id": "plan_abc123", "plan_type": "explain", "status": "approved"},
                {"id": "plan_def456", "plan_type": "execute", "status": "completed"},
            ],
            "current_status": "completed",
        },
    ),
    Example(
        "get plan logs",
        "GET",
        "/plans/plan_abc123/logs",
        {
            "planId": "plan_abc123",
            "logs": "...",
            "status": "completed",
            "jobName": "analytics-plan-execute-20260428-100500",
            "podName": "analytics-plan-execute-20260428-100500-xk9vz",
        },
    ),
    Example(
        "approve plan",
        "POST",
        "/plans/plan_abc123/approve",
        {
            "message": "Plan approved and execution started",
            "explain_plan_id": "plan_abc123",
            "execution_plan_id": "plan_def456",
            "plan_group_id": "plangroup_xyz",
            "job_name": "analytics-plan-execute-20260428-100500",
        },
    ),
    Example(
        "approve plan: repository changed",
        "POST",
        "/plans/plan_abc123/approve",
        {
            "message": "Plan auto-discarded due to repository changes",
            "plan_id": "plan_abc123",
            "status": "auto_discarded",
            "auto_discarded": True,
            "expected_commit": "f6e5d4c",
            "current_commit": "9e8f7a6",
            "reason": "Repository has new commits. Please create a new plan to review the latest changes.",
        },
        service={"approve": records.DISCARDED},
    ),
    Example(
        "reject plan",
        "POST",
        "/plans/plan_abc123/reject",
        {"message": "Plan rejected successfully", "plan_id": "plan_abc123"},
    ),
    Example(
        "cancel plan",
        "POST",
        "/plans/plan_abc123/cancel",
        {"message": "Plan cancelled successfully", "plan_id": "plan_abc123"},
    ),
    Example(
        "retry plan",
        "POST",
        "/plans/plan_def456/retry",
        {"message": "Plan retry started", "execution_plan_id": "plan_ghi789", "retry_of": "plan_def456"},
    ),
    Example("delete plan", "DELETE", "/plans/plan_abc123", {"message": "Plan deleted successfully"}),
    # Projects API
    Example("list projects", "GET", "/projects", {"projects": [PROJECT, PROJECT, PROJECT], "total": 3}),
    Example("get project", "GET", "/projects/proj_abc123", PROJECT),
    Example(
        "create SQLMesh project",
        "POST",
        "/projects",
        PROJECT,
        status=201,
        body={
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
        },
    ),
    Example(
        "create dbt project",
        "POST",
        "/projects",
        PROJECT,
        status=201,
        body={
            "name": "dbt-core",
            "project_type": "dbt",
            "repository_url": "https://github.com/acme/dbt-project",
            "branch": "main",
            "git_auth_method": "github_app",
            "dbt_version": "1.8.0",
            "python_version": "3.11",
            "polling_interval": "5m",
            "version_strategy": "semantic",
        },
    ),
    Example("update project", "PUT", "/projects/proj_abc123", PROJECT, body={"suspended": True}),
    Example("delete project", "DELETE", "/projects/proj_abc123", None),
    Example("adopt project", "POST", "/projects/proj_abc123/adopt", PROJECT, body={"commit_sha": "a1b2c3d4" * 5}),
    Example("deploy project", "POST", "/projects/proj_abc123/deploy", None),
    Example("undeploy project", "DELETE", "/projects/proj_abc123/deploy", None),
    Example(
        "run project",
        "POST",
        "/projects/proj_abc123/run",
        {
            "job_run_id": "run_abc123",
            "job_name": "analytics-scheduled-run-manual-20260428-120000",
            "status": "pending",
            "message": "Run triggered successfully",
        },
    ),
    # The API reference shows the request, and names the keys that may be absent from its answer.
    Example("list runs", "GET", "/projects/proj_abc123/runs?limit=10", None),
    Example("list runs, no stats", "GET", "/projects/proj_abc123/runs?include_stats=false&job_type=plan", None),
    Example("days", "GET", "/projects/proj_abc123/runs/daily-stats?days=7", None),
    Example("get a run", "GET", "/runs/run_abc123", None),
    Example("models", "GET", "/projects/proj_abc123/model-executions?status=failed&page=20", None),
    Example("figures of models", "GET", "/projects/proj_abc123/model-executions/stats?start_date=2026-02-20", None),
    Example("sync status", "GET", "/projects/proj_abc123/sync-status", None),
)
