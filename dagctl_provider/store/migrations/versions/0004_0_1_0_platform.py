"""Members, invitations, environment variables, protections and the record of changes; what plans keep for the rules of approval.

Nobody is a member after the upgrade: people come in as the setting ``default_role`` says (docs/team.md).

Revision ID: f3a61c0d94b2
Revises: 2e9d41f7c06b
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "f3a61c0d94b2"
down_revision = "2e9d41f7c06b"
branch_labels = None
depends_on = None

_ADDED: dict[str, dict[str, sa.types.TypeEngine[Any]]] = {
    "dagctl_api_token": {"project_ids": sa.JSON(), "replaced_by": sa.String(64)},
    "dagctl_plan_step": {
        "commit_author_email": sa.String(320),
        "created_by_kind": sa.String(16),
        "created_by_id": sa.String(255),
        "variables": sa.JSON(),
    },
    "dagctl_decision": {"evaluation": sa.JSON()},
}


def upgrade() -> None:
    """Add tables and columns."""
    for table, columns in _ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind))
    _add_people()
    _add_variables_and_protections()
    _add_audit()


def _organization(table: str, primary_key: bool = False) -> sa.Column[str]:
    return sa.Column(
        "organization_id",
        sa.String(64),
        sa.ForeignKey("dagctl_organization.id", ondelete="CASCADE", name=f"fk_{table}_organization_id"),
        nullable=False,
        primary_key=primary_key,
    )


def _add_people() -> None:
    op.create_table(
        "dagctl_user",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("airflow_id", sa.String(255), nullable=False),
        sa.Column("email", sa.String(320)),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("picture", sa.String(1024)),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("last_login_at", UtcDateTime),
        sa.UniqueConstraint("airflow_id", name="uq_dagctl_user_airflow_id"),
    )
    op.create_table(
        "dagctl_member",
        _organization("dagctl_member", primary_key=True),
        sa.Column(
            "user_id",
            sa.String(64),
            sa.ForeignKey("dagctl_user.id", ondelete="CASCADE", name="fk_dagctl_member_user_id"),
            primary_key=True,
        ),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.Column("removed_at", UtcDateTime),
    )
    op.create_index("idx_dagctl_member_user_id", "dagctl_member", ["user_id"])
    op.create_table(
        "dagctl_invitation",
        sa.Column("id", sa.String(64), primary_key=True),
        _organization("dagctl_invitation"),
        sa.Column("email", sa.String(320), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("pending_key", sa.String(64)),
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("expires_at", UtcDateTime, nullable=False),
        sa.Column("sent_at", UtcDateTime),
        sa.Column("accepted_at", UtcDateTime),
        sa.Column("accepted_by", sa.String(64)),
        sa.Column("withdrawn_at", UtcDateTime),
        sa.UniqueConstraint("pending_key", name="uq_dagctl_invitation_pending_key"),
        sa.UniqueConstraint("token_hash", name="uq_dagctl_invitation_token_hash"),
    )
    op.create_index("idx_dagctl_invitation_organization_id", "dagctl_invitation", ["organization_id"])


def _add_variables_and_protections() -> None:
    op.create_table(
        "dagctl_variable",
        sa.Column("id", sa.String(64), primary_key=True),
        _organization("dagctl_variable"),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("content", sa.LargeBinary(2**24 - 1), nullable=False),
        sa.Column("is_sensitive", sa.Boolean, nullable=False),
        sa.Column("mount_as_file", sa.Boolean, nullable=False),
        sa.Column("file_mount_path", sa.String(1024)),
        sa.Column("file_permissions", sa.Integer),
        sa.Column("project_ids", sa.JSON),
        sa.Column("environments", sa.JSON),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("organization_id", "name", name="uq_dagctl_variable_organization_id_name"),
    )
    op.create_table(
        "dagctl_protection",
        sa.Column("id", sa.String(64), primary_key=True),
        _organization("dagctl_protection"),
        sa.Column("environment_name", sa.String(100), nullable=False),
        sa.Column("environment_key", sa.String(100), nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("exceptions", sa.JSON, nullable=False),
        sa.Column("rules", sa.JSON, nullable=False),
        sa.Column("created_by", sa.String(255), nullable=False),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("updated_at", UtcDateTime, nullable=False),
        sa.UniqueConstraint("organization_id", "environment_key", name="uq_dagctl_protection_organization_id_environment_key"),
    )


def _add_audit() -> None:
    op.create_table(
        "dagctl_audit",
        sa.Column("organization_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("actor_kind", sa.String(16), nullable=False),
        sa.Column("actor_id", sa.String(255), nullable=False),
        sa.Column("actor_name", sa.String(255), nullable=False),
        sa.Column("door", sa.String(32), nullable=False),
        sa.Column("source", sa.String(64)),
        sa.Column("verb", sa.String(32), nullable=False),
        sa.Column("object_kind", sa.String(32), nullable=False),
        sa.Column("object_id", sa.String(255), nullable=False),
        sa.Column("object_name", sa.String(255), nullable=False),
        sa.Column("project_id", sa.String(64)),
        sa.Column("before", sa.Text),
        sa.Column("after", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("idx_dagctl_audit_at", "dagctl_audit", ["organization_id", "at"])
    for name, column in {"kind": "object_kind", "object": "object_id", "actor": "actor_id", "project": "project_id"}.items():
        op.create_index(f"idx_dagctl_audit_{name}", "dagctl_audit", ["organization_id", column, "number"])
    op.create_table(
        "dagctl_audit_head",
        sa.Column("organization_id", sa.String(64), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.Column("seal", sa.String(64), nullable=False),
    )


def downgrade() -> None:
    """Take them away, with all that is in them."""
    for table in ("audit_head", "audit", "protection", "variable", "invitation", "member", "user"):
        op.drop_table(f"dagctl_{table}")
    for table, columns in _ADDED.items():
        with op.batch_alter_table(table) as batch:
            for name in columns:
                batch.drop_column(name)
