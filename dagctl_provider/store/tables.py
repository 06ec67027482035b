"""The tables, as SQLAlchemy Core, on a metadata of their own so that they never mix with Airflow's.

Core tables rather than mapped classes: the same text runs on SQLAlchemy 1.4 (Airflow 3.1) and 2.x, and a state change is
always one visible statement.
"""

from __future__ import annotations

from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "idx_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str = "id", *, primary_key: bool = False, nullable: bool = False) -> Column[str]:
    return Column(name, String(64), primary_key=primary_key, nullable=nullable)


organization = Table(
    "dagctl_organization",
    metadata,
    _id(primary_key=True),
    Column("name", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    UniqueConstraint("name"),
)

api_token = Table(
    "dagctl_api_token",
    metadata,
    _id(primary_key=True),
    Column("organization_id", String(64), ForeignKey("dagctl_organization.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("role", String(16), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("token_hash", String(64), nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    UniqueConstraint("token_hash"),
)

project = Table(
    "dagctl_project",
    metadata,
    _id(primary_key=True),
    Column("organization_id", String(64), ForeignKey("dagctl_organization.id"), nullable=False),
    Column("name", String(63), nullable=False),
    # Names that differ only in case would make the same slug in job names; uniqueness is on the folded form.
    Column("name_key", String(63), nullable=False),
    Column("project_type", String(16), nullable=False),
    Column("repository_url", String(1024), nullable=False),
    Column("branch", String(255), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("dag_id", String(200), nullable=False, unique=True),
    Column("deployed", Boolean, nullable=False),
    Column("deployed_at", UtcDateTime),
    Column("gateways", JSON),
    Column("default_gateway", String(255)),
    Column("state_connection_id", String(250)),
    # Where the last successful execute went: with the project's id the key of what is deployed.
    Column("current_environment", String(100)),
    Column("latest_commit_sha", String(64)),
    Column("latest_commit_message", Text),
    Column("commits_behind", Integer),
    Column("last_synced_at", UtcDateTime),
    Column("sync_error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("organization_id", "name_key"),
)

# What is deployed, and where. Written under the lock of the project's row; an empty environment is the one that the project's own
# files name.
deployment = Table(
    "dagctl_deployment",
    metadata,
    Column("project_id", String(64), ForeignKey("dagctl_project.id", ondelete="CASCADE"), primary_key=True),
    Column("environment", String(100), primary_key=True),
    Column("ref", String(255), nullable=False),
    Column("commit_sha", String(64), nullable=False),
    Column("tool_version", String(32)),
    # What the execute left for the next explain: name -> sha256 of a row of dagctl_artifact.
    Column("artifacts", JSON),
    Column("digest", String(80)),
    Column("group_id", String(64)),
    Column("step_id", String(64)),
    Column("deployed_at", UtcDateTime, nullable=False),
)

job = Table(
    "dagctl_job",
    metadata,
    _id(primary_key=True),
    Column("project_id", String(64), ForeignKey("dagctl_project.id", ondelete="CASCADE"), nullable=False),
    # The project whose default job this is, if it is one: so no project gets two, on every database.
    Column("default_of", String(64), unique=True),
    Column("name", String(255), nullable=False),
    # Names that differ only in case are one name, as with projects.
    Column("name_key", String(255), nullable=False),
    Column("command", Text, nullable=False),
    Column("schedule", String(100)),
    Column("enabled", Boolean, nullable=False),
    Column("dag_id", String(250), nullable=False, unique=True),
    # What is said of a job and never asked for: description, resources, environment, who hears of it.
    Column("settings", JSON, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("project_id", "name_key"),
)

artifact = Table(
    "dagctl_artifact",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("size", Integer, nullable=False),
    # With a length, because a BLOB without one ends at 64 KiB on MySQL.
    Column("content", LargeBinary(2**30), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
)

plan_step = Table(
    "dagctl_plan_step",
    metadata,
    _id(primary_key=True),
    Column("group_id", String(64), nullable=False, index=True),
    Column("plan_type", String(16), nullable=False),
    Column("organization_id", String(64), nullable=False),
    Column("project_id", String(64), ForeignKey("dagctl_project.id", ondelete="CASCADE"), nullable=False),
    # What makes "one plan per commit" and "one execution" hold in each environment of a project, on every database, whatever the
    # isolation. Explain: project, commit and environment while the group stands for the commit; execute: project and environment
    # while it is running.
    Column("active_key", String(255), unique=True),
    Column("ref", String(255), nullable=False),
    # As it was resolved when the plan was made; empty: the one that the project's own files name.
    Column("environment", String(100), nullable=False),
    Column("from_commit_sha", String(64)),
    Column("to_commit_sha", String(64), nullable=False),
    Column("commit_message", Text),
    Column("commit_author", String(255)),
    Column("committed_at", UtcDateTime),
    Column("commits_behind", Integer),
    Column("status", String(16), nullable=False),
    Column("job_name", String(80)),
    Column("pod_name", String(80)),
    Column("triggered_by", String(255)),
    Column("settings", JSON, nullable=False),
    Column("plan_output", JSON),
    Column("digest", String(80)),
    Column("tool_plan_id", String(80)),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("error_hint", Text),
    Column("retry_of", String(64)),
    Column("attempt", Integer, nullable=False),
    Column("try_number", Integer, nullable=False),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("dispatched_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("decided_at", UtcDateTime),
    Column("decided_by", String(255)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("idx_dagctl_plan_step_project", "project_id", "created_at", "id"),
    Index("idx_dagctl_plan_step_project_status", "project_id", "status", "created_at", "id"),
    Index("idx_dagctl_plan_step_status", "status"),
)

decision = Table(
    "dagctl_decision",
    metadata,
    _id(primary_key=True),
    Column("group_id", String(64), nullable=False, index=True),
    Column("step_id", String(64), nullable=False),
    # No foreign keys here: the record of who decided outlives what was decided.
    Column("project_id", String(64), nullable=False, index=True),
    Column("commit_sha", String(64), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("digest", String(80)),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(255), nullable=False),
    Column("actor_name", String(255), nullable=False),
    Column("door", String(32), nullable=False),
    Column("comment", Text),
    Column("created_at", UtcDateTime, nullable=False),
)

# What people answered in Airflow's Required Actions, until it has been judged.
answer = Table(
    "dagctl_answer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("user_name", String(255), nullable=False),
    Column("chosen_options", JSON, nullable=False),
    Column("responded_at", UtcDateTime, nullable=False),
)

# What is still to be told about plans, and for a while what was told. No foreign keys: news of a project outlive it.
notification = Table(
    "dagctl_notification",
    metadata,
    _id(primary_key=True),
    Column("target", String(64), nullable=False),
    Column("event", String(16), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    # When it may be tried next; while somebody delivers it, when that somebody is believed dead.
    Column("due_at", UtcDateTime, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("error", Text),
    Index("idx_dagctl_notification_due", "status", "due_at"),
)

project_run = Table(
    "dagctl_project_run",
    metadata,
    _id(primary_key=True),
    Column("project_id", String(64), ForeignKey("dagctl_project.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("job_id", String(64), ForeignKey("dagctl_job.id", ondelete="CASCADE"), nullable=False),
    Column("job_name", String(80), nullable=False),
    Column("dag_id", String(250), nullable=False),
    Column("run_id", String(250), nullable=False),
    Column("settings", JSON, nullable=False),
    Column("triggered_by", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("dispatched_at", UtcDateTime),
    Index("idx_dagctl_project_run_job", "job_id", "created_at", "id"),
)

# What only the API server knows, encrypted as Airflow encrypts connections. No worker reads it here.
secret = Table(
    "dagctl_secret",
    metadata,
    Column("name", String(64), primary_key=True),
    # The public half of a key that signs.
    Column("public", Text),
    # Absent once the key signs no more.
    Column("content", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("retired_at", UtcDateTime),
)

# Which try of a step may run. One row for each step or run that is under way, written together with the letter to the worker.
grant = Table(
    "dagctl_grant",
    metadata,
    Column("step_id", String(64), primary_key=True),
    Column("try_id", String(36), nullable=False),
    # How many tries of the step were granted.
    Column("tries", Integer, nullable=False),
    # How often dagctl had Airflow start the step anew.
    Column("restarts", Integer, nullable=False),
    Column("granted_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

lease = Table(
    "dagctl_lease",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("holder", String(128), nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)
