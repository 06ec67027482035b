"""The examples of the Plans document, for the OpenAPI document.

Kept as it prints them; where it prints nothing, the example is this product's own.
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
    "summary": "1 model changes and 1 is added; 1 model downstream is backfilled too; 1 model is backfilled in all, 14 days.",
    "counts": {
        "added": 1,
        "changed": 1,
        "removed": 0,
        "downstream": 1,
        "readers": 0,
        "metadata": 0,
        "followers": 0,
        "unchanged": 0,
        "backfill": 1,
        "tests": 0,
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
APPROVAL_RECORDED: dict[str, Any] = {
    "message": "Still missing: 1 approval: Grace can give it.",
    "plan_id": "plan_abc123",
    "status": "approval_recorded",
    "approvals": [{"name": "Ada", "kind": "user", "at": "2026-04-28T10:04:00Z", "door": "rest", "role": "developer"}],
    "required": 2,
    "missing": [{"rule": "approvals", "needed": 1, "who_can": ["Grace"]}],
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
