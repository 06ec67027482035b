"""The first tables.

Revision ID: d4c70a8b2f01
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "d4c70a8b2f01"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make all tables."""

    op.create_table(
        "dagctl_answer",
        sa.Column("id", sa.Integer(), autoincrement=True, nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("user_name", sa.String(length=255), nullable=False),
        sa.Column("chosen_options", sa.JSON(), nullable=False),
        sa.Column("responded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_answer")),
    )
    op.create_table(
        "dagctl_artifact",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("size", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(length=2**30), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_dagctl_artifact")),
    )
    op.create_table(
        "dagctl_decision",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("step_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("commit_sha", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=80), nullable=True),
        sa.Column("actor_kind", sa.String(length=16), nullable=False),
        sa.Column("actor_id", sa.String(length=255), nullable=False),
        sa.Column("actor_name", sa.String(length=255), nullable=False),
        sa.Column("door", sa.String(length=32), nullable=False),
        sa.Column("comment", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_decision")),
    )
    op.create_index(op.f("idx_dagctl_decision_group_id"), "dagctl_decision", ["group_id"], unique=False)
    op.create_index(op.f("idx_dagctl_decision_project_id"), "dagctl_decision", ["project_id"], unique=False)
    op.create_table(
        "dagctl_lease",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("holder", sa.String(length=128), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_dagctl_lease")),
    )
    op.create_table(
        "dagctl_notification",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=16), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", UtcDateTime(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_notification")),
    )
    op.create_index("idx_dagctl_notification_due", "dagctl_notification", ["status", "due_at"], unique=False)
    op.create_table(
        "dagctl_organization",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_organization")),
        sa.UniqueConstraint("name", name=op.f("uq_dagctl_organization_name")),
    )
    op.create_table(
        "dagctl_api_token",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("token_hash", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["dagctl_organization.id"], name=op.f("fk_dagctl_api_token_organization_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_api_token")),
        sa.UniqueConstraint("token_hash", name=op.f("uq_dagctl_api_token_token_hash")),
    )
    op.create_index(op.f("idx_dagctl_api_token_organization_id"), "dagctl_api_token", ["organization_id"], unique=False)
    op.create_table(
        "dagctl_project",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("name_key", sa.String(length=63), nullable=False),
        sa.Column("project_type", sa.String(length=16), nullable=False),
        sa.Column("repository_url", sa.String(length=1024), nullable=False),
        sa.Column("branch", sa.String(length=255), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("dag_id", sa.String(length=200), nullable=False),
        sa.Column("deployed", sa.Boolean(), nullable=False),
        sa.Column("deployed_at", UtcDateTime(), nullable=True),
        sa.Column("gateways", sa.JSON(), nullable=True),
        sa.Column("default_gateway", sa.String(length=255), nullable=True),
        sa.Column("state_connection_id", sa.String(length=250), nullable=True),
        sa.Column("current_commit_sha", sa.String(length=64), nullable=True),
        sa.Column("current_tool_version", sa.String(length=32), nullable=True),
        sa.Column("artifacts", sa.JSON(), nullable=True),
        sa.Column("latest_commit_sha", sa.String(length=64), nullable=True),
        sa.Column("latest_commit_message", sa.Text(), nullable=True),
        sa.Column("commits_behind", sa.Integer(), nullable=True),
        sa.Column("last_synced_at", UtcDateTime(), nullable=True),
        sa.Column("sync_error", sa.Text(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["organization_id"], ["dagctl_organization.id"], name=op.f("fk_dagctl_project_organization_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_project")),
        sa.UniqueConstraint("dag_id", name=op.f("uq_dagctl_project_dag_id")),
        sa.UniqueConstraint("organization_id", "name_key", name=op.f("uq_dagctl_project_organization_id_name_key")),
    )
    op.create_table(
        "dagctl_plan_step",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("group_id", sa.String(length=64), nullable=False),
        sa.Column("plan_type", sa.String(length=16), nullable=False),
        sa.Column("organization_id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("active_key", sa.String(length=160), nullable=True),
        sa.Column("from_commit_sha", sa.String(length=64), nullable=True),
        sa.Column("to_commit_sha", sa.String(length=64), nullable=False),
        sa.Column("commit_message", sa.Text(), nullable=True),
        sa.Column("commit_author", sa.String(length=255), nullable=True),
        sa.Column("committed_at", UtcDateTime(), nullable=True),
        sa.Column("commits_behind", sa.Integer(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("job_name", sa.String(length=80), nullable=True),
        sa.Column("pod_name", sa.String(length=80), nullable=True),
        sa.Column("triggered_by", sa.String(length=255), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("plan_output", sa.JSON(), nullable=True),
        sa.Column("digest", sa.String(length=80), nullable=True),
        sa.Column("tool_plan_id", sa.String(length=80), nullable=True),
        sa.Column("error_code", sa.String(length=64), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=True),
        sa.Column("error_hint", sa.Text(), nullable=True),
        sa.Column("retry_of", sa.String(length=64), nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("try_number", sa.Integer(), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("dispatched_at", UtcDateTime(), nullable=True),
        sa.Column("started_at", UtcDateTime(), nullable=True),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.Column("decided_at", UtcDateTime(), nullable=True),
        sa.Column("decided_by", sa.String(length=255), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["dagctl_project.id"], name=op.f("fk_dagctl_plan_step_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_plan_step")),
        sa.UniqueConstraint("active_key", name=op.f("uq_dagctl_plan_step_active_key")),
    )
    op.create_index(op.f("idx_dagctl_plan_step_group_id"), "dagctl_plan_step", ["group_id"], unique=False)
    op.create_index("idx_dagctl_plan_step_project", "dagctl_plan_step", ["project_id", "created_at", "id"], unique=False)
    op.create_index(
        "idx_dagctl_plan_step_project_status", "dagctl_plan_step", ["project_id", "status", "created_at", "id"], unique=False
    )
    op.create_index("idx_dagctl_plan_step_status", "dagctl_plan_step", ["status"], unique=False)
    op.create_table(
        "dagctl_project_run",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("job_name", sa.String(length=80), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("triggered_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("dispatched_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["project_id"], ["dagctl_project.id"], name=op.f("fk_dagctl_project_run_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_project_run")),
    )
    op.create_index(op.f("idx_dagctl_project_run_project_id"), "dagctl_project_run", ["project_id"], unique=False)


def downgrade() -> None:
    """Remove all tables. Their indexes go with them; MySQL would not drop those that foreign keys need."""

    op.drop_table("dagctl_project_run")
    op.drop_table("dagctl_plan_step")
    op.drop_table("dagctl_project")
    op.drop_table("dagctl_api_token")
    op.drop_table("dagctl_organization")
    op.drop_table("dagctl_notification")
    op.drop_table("dagctl_lease")
    op.drop_table("dagctl_decision")
    op.drop_table("dagctl_answer")
    op.drop_table("dagctl_artifact")
