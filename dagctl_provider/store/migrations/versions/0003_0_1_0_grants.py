"""Keys that only the API server has, and which try of a step may run (docs/security.md).

Steps that are under way get their grant from the controller's next turn.

Revision ID: 2e9d41f7c06b
Revises: 7b1f0c52e9a4
"""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "2e9d41f7c06b"
down_revision = "7b1f0c52e9a4"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add both tables."""
    op.create_table(
        "dagctl_secret",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("public", sa.Text),
        sa.Column("content", sa.Text),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("retired_at", UtcDateTime),
    )
    op.create_table(
        "dagctl_grant",
        sa.Column("step_id", sa.String(64), primary_key=True),
        sa.Column("try_id", sa.String(36), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("restarts", sa.Integer, nullable=False),
        sa.Column("granted_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
    )


def downgrade() -> None:
    """Take them away; the keys are lost, and made anew after the next upgrade."""
    op.drop_table("dagctl_grant")
    op.drop_table("dagctl_secret")
