"""Execution metrics: what runs and plans did, model by model, kept longer than Airflow's own record of them.

The tables begin empty. The controller puts what is still on record into them in its first turns (docs/metrics.md).

Revision ID: 5d2f8be1a9c3
Revises: f3a61c0d94b2
"""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op
from sqlalchemy.dialects import mysql

revision = "5d2f8be1a9c3"
down_revision = "f3a61c0d94b2"
branch_labels = None
depends_on = None

# Names that differ only in case are two models in some warehouses; MySQL would take them for one.
_exact = sa.String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")

_TABLES = ("dagctl_model_day", "dagctl_model_execution", "dagctl_execution")


def upgrade() -> None:
    """Make the tables."""
    _make_executions()
    _make_model_executions()
    _make_model_days()


def downgrade() -> None:
    """Drop the tables and all figures."""
    for name in _TABLES:
        op.drop_table(name)


def _indexes(table: str, **columns: tuple[str, ...]) -> None:
    for name, of in columns.items():
        op.create_index(f"idx_{table}_{name}", table, list(of))


def _make_executions() -> None:
    op.create_table(
        "dagctl_execution",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("job_id", sa.String(64)),
        sa.Column("step_id", sa.String(64)),
        sa.Column("plan_id", sa.String(64)),
        sa.Column("job_type", sa.String(16), nullable=False),
        sa.Column("job_name", sa.String(80), nullable=False),
        sa.Column("cronjob_name", sa.String(250)),
        sa.Column("command", sa.Text),
        sa.Column("environment", sa.String(100)),
        sa.Column("commit_sha", sa.String(64)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("triggered_by", sa.String(255), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("start_time", UtcDateTime),
        sa.Column("end_time", UtcDateTime),
        sa.Column("duration_seconds", sa.Float),
        sa.Column("error_code", sa.String(64)),
        sa.Column("error_message", sa.Text),
        sa.Column("pod_name", sa.String(80)),
        sa.Column("models_total", sa.Integer, nullable=False),
        sa.Column("models_succeeded", sa.Integer, nullable=False),
        sa.Column("models_failed", sa.Integer, nullable=False),
        sa.Column("models_skipped", sa.Integer, nullable=False),
        sa.Column("remaining", sa.JSON),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dagctl_execution"),
        sa.ForeignKeyConstraint(["project_id"], ["dagctl_project.id"], name="fk_dagctl_execution_project_id", ondelete="CASCADE"),
        sa.UniqueConstraint("step_id", name="uq_dagctl_execution_step_id"),
    )
    _indexes(
        "dagctl_execution",
        project=(
            "project_id",
            "created_at",
            "id",
        ),
        project_status=(
            "project_id",
            "status",
            "created_at",
            "id",
        ),
        project_type=(
            "project_id",
            "job_type",
            "created_at",
            "id",
        ),
        project_cronjob=(
            "project_id",
            "cronjob_name",
            "created_at",
            "id",
        ),
        project_updated=(
            "project_id",
            "updated_at",
            "id",
        ),
        project_day=(
            "project_id",
            "day",
            "status",
        ),
        job=(
            "job_id",
            "created_at",
            "id",
        ),
        status=("status",),
        created=("created_at",),
    )


def _make_model_executions() -> None:
    op.create_table(
        "dagctl_model_execution",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("execution_id", sa.String(64), nullable=False),
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("job_type", sa.String(16), nullable=False),
        sa.Column("cronjob_name", sa.String(250)),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("model_name", _exact, nullable=False),
        sa.Column("kind", sa.String(32)),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("start_time", UtcDateTime),
        sa.Column("end_time", UtcDateTime),
        sa.Column("duration_seconds", sa.Float),
        sa.Column("rows_processed", sa.BigInteger),
        sa.Column("batches", sa.Integer),
        sa.Column("interval_start", UtcDateTime),
        sa.Column("interval_end", UtcDateTime),
        sa.Column("error_message", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_dagctl_model_execution"),
        sa.ForeignKeyConstraint(
            ["execution_id"], ["dagctl_execution.id"], name="fk_dagctl_model_execution_execution_id", ondelete="CASCADE"
        ),
    )
    _indexes(
        "dagctl_model_execution",
        execution_id=("execution_id",),
        project=(
            "project_id",
            "created_at",
            "id",
        ),
        model=(
            "project_id",
            "model_name",
            "created_at",
            "id",
        ),
        status=(
            "project_id",
            "status",
            "created_at",
            "id",
        ),
        type=(
            "project_id",
            "job_type",
            "created_at",
            "id",
        ),
        cronjob=(
            "project_id",
            "cronjob_name",
            "created_at",
            "id",
        ),
        updated=(
            "project_id",
            "updated_at",
            "id",
        ),
    )


def _make_model_days() -> None:
    op.create_table(
        "dagctl_model_day",
        sa.Column("project_id", sa.String(64), nullable=False),
        sa.Column("day", sa.String(10), nullable=False),
        sa.Column("model_name", _exact, nullable=False),
        sa.Column("job_type", sa.String(16), nullable=False),
        sa.Column("executions", sa.Integer, nullable=False),
        sa.Column("succeeded", sa.Integer, nullable=False),
        sa.Column("failed", sa.Integer, nullable=False),
        sa.Column("skipped", sa.Integer, nullable=False),
        sa.Column("duration_sum", sa.Float, nullable=False),
        sa.Column("duration_max", sa.Float, nullable=False),
        sa.Column("rows_processed", sa.BigInteger, nullable=False),
        sa.Column("last_status", sa.String(16), nullable=False),
        sa.Column("last_at", UtcDateTime, nullable=False),
        sa.PrimaryKeyConstraint("project_id", "day", "model_name", "job_type", name="pk_dagctl_model_day"),
        sa.ForeignKeyConstraint(["project_id"], ["dagctl_project.id"], name="fk_dagctl_model_day_project_id", ondelete="CASCADE"),
    )
    _indexes(
        "dagctl_model_day",
        model=(
            "project_id",
            "model_name",
            "day",
        ),
    )
