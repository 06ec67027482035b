"""Domain records that mean the same as the examples of the API documents."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

from dagctl_provider.api.v1.protections.examples import RULES
from dagctl_provider.domain.audit import AuditEntry
from dagctl_provider.domain.executions import DayStats, Execution, ExecutionStats, ModelExecution, ModelStats
from dagctl_provider.domain.invitations import Invitation
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.members import Member, MemberRow, Membership, User
from dagctl_provider.domain.organizations import Organization
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.protections import Exceptions, Protection
from dagctl_provider.domain.rules import read_rules
from dagctl_provider.domain.standings import Standing
from dagctl_provider.domain.tokens import Token
from dagctl_provider.domain.variables import Variable
from dagctl_provider.services.audit import Entries
from dagctl_provider.services.protections import ProtectionDetail
from dagctl_provider.services.results import (
    Accepted,
    Invited,
    Page,
    PlanApproved,
    PlanAutoDiscarded,
    PlanCreated,
    PlanGroup,
    RunLogs,
    RunStarted,
    ShownJob,
    ShownVariable,
    StepLogs,
    SyncStatus,
    TokenCreated,
    TokenRotated,
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[misc, arg-type]


FROM_SHA = "a1b2c3d" + "0" * 33
TO_SHA = "f6e5d4c" + "0" * 33
NEW_SHA = "9e8f7a6" + "0" * 33

EXPLAIN = PlanStep(
    id="plan_abc123",
    group_id="plangroup_xyz",
    plan_type="explain",
    organization_id="org-xxxxxxxx",
    project_id="proj_xyz",
    from_commit_sha=FROM_SHA,
    to_commit_sha=TO_SHA,
    commit_message="Add orders model",
    commits_behind=1,
    status="pending",
    job_name="analytics-plan-explain-20260428-100000",
    dag_id="dagctl__analytics",
    run_id="plangroup_xyz",
    settings={},
    triggered_by="manual",
    created_at=utc(2026, 4, 28, 10, 0, 0),
    updated_at=utc(2026, 4, 28, 10, 2, 30, 999999),
    plan_output={
        "environment": "prod",
        "is_new_environment": False,
        "modelsAdded": 1,
        "modelsModified": 2,
        "modelsRemoved": 0,
        "directly_modified": ["orders.stg_orders"],
        "indirectly_modified": ["orders.fct_orders"],
        "modelsNeedingBackfill": 1,
        "explain_completed": True,
        "notKnown": None,
    },
)
EXECUTE = replace(
    EXPLAIN,
    id="plan_def456",
    plan_type="execute",
    status="completed",
    plan_output=None,
    job_name="analytics-plan-execute-20260428-100500",
    pod_name="analytics-plan-execute-20260428-100500-xk9vz",
)
PROJECT = Project(
    id="proj_abc123",
    organization_id="org-xxxxxxxx",
    name="analytics",
    project_type="sqlmesh",
    repository_url="git@github.com:acme/analytics.git",
    branch="main",
    settings={
        "description": "Core analytics models",
        "git_auth_method": "ssh",
        "sqlmesh_environment": "prod",
        "sqlmesh_version": "0.130.0",
        "use_managed_state_database": True,
        "auto_apply": False,
        "run_tests": True,
    },
    dag_id="dagctl__analytics",
    deployed=True,
    created_at=utc(2026, 1, 15, 10, 0, 0),
    updated_at=utc(2026, 2, 20, 14, 30, 0),
    current_commit_sha=FROM_SHA,
    latest_commit_sha=FROM_SHA,
    latest_commit_message="Add orders model",
    commits_behind=0,
)

CREATED = PlanCreated("created", TO_SHA, replace(EXPLAIN, status="running"))
ALREADY_DEPLOYED = PlanCreated("already_deployed", FROM_SHA)
EXISTING = PlanCreated("existing_plan", FROM_SHA, EXPLAIN, "pending")
APPROVED = PlanApproved(replace(EXPLAIN, status="approved"), replace(EXECUTE, status="running"))
DISCARDED = PlanAutoDiscarded(
    replace(EXPLAIN, status="rejected"),
    TO_SHA,
    NEW_SHA,
    "Repository has new commits. Please create a new plan to review the latest changes.",
)

PLAN_ANSWERS: dict[str, Any] = {
    "list_plans": Page((EXPLAIN,), 42, 1, 25),
    "count_pending": 2,
    "create_plan": CREATED,
    "get_plan": EXPLAIN,
    "get_group": PlanGroup(
        "plangroup_xyz",
        "proj_xyz",
        (replace(EXPLAIN, status="approved"), EXECUTE),
        "completed",
        {"plan_abc123": "explained", "plan_def456": "applied"},
    ),
    "get_logs": StepLogs(replace(EXECUTE, id="plan_abc123"), "..."),
    "approve": APPROVED,
    "reject": replace(EXPLAIN, status="rejected"),
    "cancel": replace(EXPLAIN, status="cancelled"),
    "retry": replace(EXECUTE, id="plan_ghi789", status="running", retry_of="plan_def456"),
    "delete": None,
}
PROJECT_ANSWERS: dict[str, Any] = {
    "list_projects": (PROJECT, PROJECT, PROJECT),
    "get_project": PROJECT,
    "create_project": PROJECT,
    "update_project": PROJECT,
    "delete_project": None,
    "deploy": PROJECT,
    "undeploy": replace(PROJECT, deployed=False),
    "run_project": RunStarted("run_abc123", "analytics-scheduled-run-manual-20260428-120000", "pending"),
    "sync_status": SyncStatus(
        "proj_abc123", "main", False, FROM_SHA, TO_SHA, "Add orders model", 1, utc(2026, 4, 28, 10, 0, 0), None
    ),
}
AUDIT_ENTRY = AuditEntry(
    *("org-xxxxxxxx", 42, utc(2026, 4, 28, 10, 5, 0), "user", "7", "Ada", "page", "changed"),
    *("project", "proj_abc123", "analytics"),
    source="10.1.2.3",
    project_id="proj_abc123",
    before='{"auto_apply":false}',
    after='{"auto_apply":true}',
    hash="9f" * 32,
)
AUDIT_ANSWERS: dict[str, Any] = {"list_entries": Entries((AUDIT_ENTRY,), 42), "export": (AUDIT_ENTRY, AUDIT_ENTRY)}
VARIABLE = ShownVariable(
    Variable(
        id="var_1",
        organization_id="org-xxxxxxxx",
        name="SNOWFLAKE_KEY",
        content=b"encrypted",
        is_sensitive=True,
        mount_as_file=True,
        created_by="ada",
        created_at=utc(2026, 4, 28, 10, 0, 0),
        updated_at=utc(2026, 4, 28, 10, 2, 30),
        file_mount_path="/secrets/snowflake/rsa_key.p8",
        file_permissions=384,
        environments=("prod",),
    ),
    "***",
)
VARIABLE_ANSWERS: dict[str, Any] = {
    "list_variables": [VARIABLE],
    **dict.fromkeys(("get_variable", "create_variable", "update_variable"), VARIABLE),
    "delete_variable": None,
}
RUN = Execution(
    id="run_abc123",
    project_id="proj_abc123",
    job_name="analytics-scheduled-run-20260226-060000",
    cronjob_name="dagctl__analytics__1f3c9a__run",
    job_type="run",
    status="success",
    start_time=utc(2026, 2, 26, 6, 0, 4),
    end_time=utc(2026, 2, 26, 6, 12, 38, 123_000),
    duration_seconds=754.123,
    triggered_by="scheduled",
    created_at=utc(2026, 2, 26, 6, 0, 0),
    updated_at=utc(2026, 2, 26, 6, 12, 39),
    pod_name="analytics-scheduled-run-20260226-060000-x2x9q",
    job_id="job_abc123",
    command="run",
    environment="prod",
    commit_sha="a1b2c3d4e5f60718293a4b5c6d7e8f9012345678",
    models_total=42,
    models_succeeded=42,
)
MODEL_EXECUTION = ModelExecution(
    id="mx_abc123",
    execution_id="run_abc123",
    project_id="proj_abc123",
    job_type="run",
    model_name="shop.orders",
    status="success",
    created_at=utc(2026, 2, 26, 6, 1, 0),
    updated_at=utc(2026, 2, 26, 6, 12, 39),
    cronjob_name="dagctl__analytics__1f3c9a__run",
    start_time=utc(2026, 2, 26, 6, 1, 0),
    end_time=utc(2026, 2, 26, 6, 3, 5),
    duration_seconds=125.2,
    rows_processed=120_400,
    batches=1,
    interval_start=utc(2026, 2, 25, 0, 0, 0),
    interval_end=utc(2026, 2, 26, 0, 0, 0),
)
MODEL_STATS = ModelStats(
    model_name="shop.orders",
    executions=7,
    succeeded=6,
    failed=1,
    skipped=0,
    avg_duration=125.2,
    max_duration=180.0,
    total_duration=751.2,
    rows_processed=842_800,
    last_status="success",
    last_at=utc(2026, 2, 26, 6, 3, 5),
    previous_avg_duration=125.2 / 1.5,
)
DAY = DayStats("2026-02-26", 5, 3, 1, 0, 1, 754.123, 901.5, 3200.75, 208, 1)
METRICS_ANSWERS: dict[str, Any] = {
    "list_runs": (Page((RUN,), 1, 1, 50), ExecutionStats(1, 1, 0, 0, 754.123)),
    "get_run": RUN,
    "daily_stats": [DAY],
    "list_models": Page((MODEL_EXECUTION,), 1, 1, 50),
    "model_stats": Page((MODEL_STATS,), 1, 1, 500),
}

PROTECTION = Protection(
    id="ep_abc123",
    organization_id="org-xxxxxxxx",
    environment_name="prod",
    enabled=True,
    created_by="user_abc123",
    created_at=utc(2026, 4, 28, 10, 0, 0),
    updated_at=utc(2026, 4, 28, 10, 0, 0),
    exceptions=Exceptions(user_ids=("user_abc123",), roles=("owner",)),
    rules=read_rules(RULES),
)
PROTECTION_DETAIL = ProtectionDetail(
    PROTECTION, (Standing("user", "ada", "Ada", "owner", user_id="user_abc123", email="ada@example.com"),)
)
PROTECTION_ANSWERS: dict[str, Any] = {
    "list_protections": (PROTECTION,),
    "check": "prod",
    "get_protection": PROTECTION_DETAIL,
    "create_protection": PROTECTION_DETAIL,
    "update_protection": PROTECTION_DETAIL,
    "delete_protection": PROTECTION,
}
JOB = ShownJob(
    Job(
        id="job_abc123",
        project_id="proj_abc123",
        name="hourly-orders",
        command="sqlmesh run --select-model '*'",
        dag_id="dagctl__analytics__abc123__hourly-orders-def456__run",
        created_at=utc(2026, 1, 15, 10, 0, 0),
        updated_at=utc(2026, 2, 20, 14, 30, 0),
        schedule="0 2 * * *",
        settings={
            "description": "Orders, every hour",
            "time_zone": "Europe/Berlin",
            "slack_channel": "#data-alerts",
            "slack_alerts_enabled": True,
        },
    ),
    default=False,
    next_run_at=utc(2026, 4, 29, 0, 0, 0),
)
JOB_RUN = Execution(
    id="run_abc123",
    project_id="proj_abc123",
    job_type="run",
    job_name="analytics-hourly-orders-20260428-120000",
    status="success",
    triggered_by="scheduled",
    created_at=utc(2026, 4, 28, 12, 0, 0),
    updated_at=utc(2026, 4, 28, 12, 1, 16),
    job_id="job_abc123",
    cronjob_name=JOB.job.dag_id,
    command=JOB.job.command,
    environment="prod",
    commit_sha=FROM_SHA,
    start_time=utc(2026, 4, 28, 12, 0, 3),
    end_time=utc(2026, 4, 28, 12, 1, 15),
    duration_seconds=72.4,
    models_total=12,
    models_succeeded=12,
)
JOB_ANSWERS: dict[str, Any] = {
    "list_jobs": (JOB,),
    "get_job": JOB,
    "create_job": JOB,
    "update_job": JOB,
    "delete_job": None,
    "run_job": RunStarted("run_abc123", "analytics-hourly-orders-manual-20260428-120000", "pending"),
    "list_job_runs": Page((JOB_RUN,), 1, 1, 50),
}
JOB_RUN_ANSWERS: dict[str, Any] = {
    "get_logs": RunLogs(
        replace(JOB_RUN, status="running", pod_name="analytics-hourly-orders-20260428-120000-x7k2p"),
        "Running models that are due\n12 models\n",
    ),
    "cancel": replace(JOB_RUN, status="error"),
}
USER = User(
    *("user_abc123", "7", "Ada", utc(2026, 1, 15, 10, 0, 0), utc(2026, 2, 20, 14, 30, 0)),
    email="ada@example.com",
    last_login_at=utc(2026, 2, 26, 8, 0, 0),
)
MEMBER = MemberRow(
    Member("org-xxxxxxxx", "user_abc123", "developer", utc(2026, 1, 15, 10, 0, 0), utc(2026, 2, 1, 10, 0, 0)), USER
)
INVITATION = Invitation(
    *("inv_abc123", "org-xxxxxxxx", "bob@example.com", "reader", "Ada", utc(2026, 2, 26, 8, 0, 0), utc(2099, 3, 5, 8, 0, 0)),
    sent_at=utc(2026, 2, 26, 8, 0, 1),
)
ORGANIZATION = Organization("org-xxxxxxxx", "default", utc(2026, 1, 1, 0, 0, 0))
LINK = "https://airflow.example/pluginsv2/dagctl/invitations/dinv_secret"
MEMBER_ANSWERS: dict[str, Any] = {
    "list_members": [MEMBER],
    "change_role": MEMBER,
    "remove_member": MEMBER,
    "list_organizations": [Membership("org-xxxxxxxx", "default", "developer", utc(2026, 1, 15, 10, 0, 0), removed=False)],
}
INVITATION_ANSWERS: dict[str, Any] = {
    "list_invitations": [INVITATION],
    "invite": Invited(INVITATION, LINK, None),
    "resend": Invited(replace(INVITATION, sent_at=None), LINK, "Airflow has no connection 'smtp_default', so no mail was sent."),
    "withdraw": INVITATION,
    "accept": Accepted(MEMBER, ORGANIZATION),
}
TOKEN = Token(
    *("tok_abc123", "org-xxxxxxxx", "ci", "developer", "dctl_4Wc0", utc(2026, 1, 15, 10, 0, 0), "user_abc123"),
    expires_at=utc(2026, 4, 15, 10, 0, 0),
    project_ids=("proj_abc123",),
)
TOKEN_ANSWERS: dict[str, Any] = {
    "list_tokens": [TOKEN],
    "create": TokenCreated(TOKEN, "dctl_secret"),
    "revoke": replace(TOKEN, revoked_at=utc(2026, 2, 26, 8, 0, 0)),
    "rotate": TokenRotated(replace(TOKEN, id="tok_def456"), "dctl_secret", replace(TOKEN, replaced_by="tok_def456")),
}
