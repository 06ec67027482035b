"""The tables, as SQLAlchemy Core, on a metadata of their own so that they never mix with Airflow's.

Core tables rather than mapped classes: the same text runs on SQLAlchemy 1.4 (Airflow 3.1) and 2.x, and a state change is
always one visible statement.
"""

from __future__ import annotations

from airflow.utils.sqlalchemy import UtcDateTime
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
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
from sqlalchemy.dialects import mysql

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


def _model_name(*, primary_key: bool = False) -> Column[str]:
    # Names that differ only in case are two models in some warehouses; MySQL would take them for one.
    exact = String(255).with_variant(mysql.VARCHAR(255, charset="utf8mb4", collation="utf8mb4_bin"), "mysql")
    return Column("model_name", exact, primary_key=primary_key, nullable=False)


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
    # The projects that it is limited to; absent: all of the organization.
    Column("project_ids", JSON),
    # The token that takes its place, once it was rotated.
    Column("replaced_by", String(64)),
    UniqueConstraint("token_hash"),
)

# People, as Airflow's auth manager knows them; one row however many organizations they are members of.
user = Table(
    "dagctl_user",
    metadata,
    _id(primary_key=True),
    Column("airflow_id", String(255), nullable=False, unique=True),
    Column("email", String(320)),
    Column("name", String(255), nullable=False),
    Column("picture", String(1024)),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("last_login_at", UtcDateTime),
)

member = Table(
    "dagctl_member",
    metadata,
    Column("organization_id", String(64), ForeignKey("dagctl_organization.id", ondelete="CASCADE"), primary_key=True),
    Column("user_id", String(64), ForeignKey("dagctl_user.id", ondelete="CASCADE"), primary_key=True, index=True),
    Column("role", String(16), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    # Somebody who was removed does not come in again by the door for everybody; an invitation lets them in.
    Column("removed_at", UtcDateTime),
)

invitation = Table(
    "dagctl_invitation",
    metadata,
    _id(primary_key=True),
    Column("organization_id", String(64), ForeignKey("dagctl_organization.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("email", String(320), nullable=False),
    Column("role", String(16), nullable=False),
    # Hash of organization and folded address while it is open, so that nobody is invited twice at once.
    Column("pending_key", String(64), unique=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_by", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("accepted_at", UtcDateTime),
    Column("accepted_by", String(64)),
    Column("withdrawn_at", UtcDateTime),
)

variable = Table(
    "dagctl_variable",
    metadata,
    _id(primary_key=True),
    Column("organization_id", String(64), ForeignKey("dagctl_organization.id", ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    # Encrypted as Airflow encrypts connections, also where the value is not sensitive; with a length for MySQL (see artifact).
    Column("content", LargeBinary(2**24 - 1), nullable=False),
    Column("is_sensitive", Boolean, nullable=False),
    Column("mount_as_file", Boolean, nullable=False),
    Column("file_mount_path", String(1024)),
    Column("file_permissions", Integer),
    # What it is limited to; absent: everything of the organization.
    Column("project_ids", JSON),
    Column("environments", JSON),
    Column("created_by", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("organization_id", "name"),
)

protection = Table(
    "dagctl_protection",
    metadata,
    _id(primary_key=True),
    Column("organization_id", String(64), ForeignKey("dagctl_organization.id", ondelete="CASCADE"), nullable=False),
    Column("environment_name", String(100), nullable=False),
    # Folded: names that differ only in case are one environment in most warehouses.
    Column("environment_key", String(100), nullable=False),
    Column("enabled", Boolean, nullable=False),
    # Who is excepted (users, roles, tokens), and what an approval needs (domain/rules.py).
    Column("exceptions", JSON, nullable=False),
    Column("rules", JSON, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    UniqueConstraint("organization_id", "environment_key"),
)

# The record of changes and decisions: nothing of it is ever changed or removed (services/lifecycle/auditing.py). No foreign keys,
# since it outlives what it tells of.
audit_entry = Table(
    "dagctl_audit",
    metadata,
    Column("organization_id", String(64), primary_key=True),
    # From 1, without gaps.
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("actor_kind", String(16), nullable=False),
    Column("actor_id", String(255), nullable=False),
    Column("actor_name", String(255), nullable=False),
    Column("door", String(32), nullable=False),
    Column("source", String(64)),
    Column("verb", String(32), nullable=False),
    Column("object_kind", String(32), nullable=False),
    Column("object_id", String(255), nullable=False),
    Column("object_name", String(255), nullable=False),
    Column("project_id", String(64)),
    # Canonical JSON as text, for a database may give JSON back otherwise than it was given.
    Column("before", Text),
    Column("after", Text),
    Column("reason", Text),
    Column("hash", String(64), nullable=False),
    Index("idx_dagctl_audit_at", "organization_id", "at"),
    # One for each filter that may fit few of many entries.
    Index("idx_dagctl_audit_kind", "organization_id", "object_kind", "number"),
    Index("idx_dagctl_audit_object", "organization_id", "object_id", "number"),
    Index("idx_dagctl_audit_actor", "organization_id", "actor_id", "number"),
    Index("idx_dagctl_audit_project", "organization_id", "project_id", "number"),
)

# Where the record of an organization ends, so that one whose newest rows were removed shows that too.
audit_head = Table(
    "dagctl_audit_head",
    metadata,
    Column("organization_id", String(64), primary_key=True),
    Column("number", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("seal", String(64), nullable=False),
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
    Column("commit_author_email", String(320)),
    Column("committed_at", UtcDateTime),
    Column("commits_behind", Integer),
    Column("status", String(16), nullable=False),
    Column("job_name", String(80)),
    Column("pod_name", String(80)),
    Column("triggered_by", String(255)),
    # Who asked for the plan: ``user``, ``token`` or ``system``, and its id.
    Column("created_by_kind", String(16)),
    Column("created_by_id", String(255)),
    Column("settings", JSON, nullable=False),
    # The environment variables that the step was given: name -> keyed hash of all that is said of it.
    Column("variables", JSON),
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
    # What it needed by the rules of its environment, and what it had.
    Column("evaluation", JSON),
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

# What happened: one row for each run of a job and each explain and execute of a plan. It outlives Airflow's Dag run and our row
# of the run, for as long as [dagctl] metrics_retention_days says: figures over time are asked for here and nowhere else.
execution = Table(
    "dagctl_execution",
    metadata,
    _id(primary_key=True),
    Column("project_id", String(64), ForeignKey("dagctl_project.id", ondelete="CASCADE"), nullable=False),
    # No foreign keys: it outlives the job and the plan.
    Column("job_id", String(64)),
    Column("step_id", String(64), unique=True),
    Column("plan_id", String(64)),
    Column("job_type", String(16), nullable=False),
    Column("job_name", String(80), nullable=False),
    # The Dag whose schedule started it; absent where somebody asked for it.
    Column("cronjob_name", String(250)),
    Column("command", Text),
    Column("environment", String(100)),
    Column("commit_sha", String(64)),
    Column("status", String(16), nullable=False),
    Column("triggered_by", String(255), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("start_time", UtcDateTime),
    Column("end_time", UtcDateTime),
    Column("duration_seconds", Float),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("pod_name", String(80)),
    Column("models_total", Integer, nullable=False),
    Column("models_succeeded", Integer, nullable=False),
    Column("models_failed", Integer, nullable=False),
    Column("models_skipped", Integer, nullable=False),
    # Nodes that a retry has to do again, by unique id.
    Column("remaining", JSON),
    # Of created_at, in UTC: 2026-04-28.
    Column("day", String(10), nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Index("idx_dagctl_execution_project", "project_id", "created_at", "id"),
    Index("idx_dagctl_execution_project_status", "project_id", "status", "created_at", "id"),
    Index("idx_dagctl_execution_project_type", "project_id", "job_type", "created_at", "id"),
    Index("idx_dagctl_execution_project_cronjob", "project_id", "cronjob_name", "created_at", "id"),
    Index("idx_dagctl_execution_project_updated", "project_id", "updated_at", "id"),
    Index("idx_dagctl_execution_project_day", "project_id", "day", "status"),
    Index("idx_dagctl_execution_job", "job_id", "created_at", "id"),
    Index("idx_dagctl_execution_status", "status"),
    Index("idx_dagctl_execution_created", "created_at"),
)

# One row for each model that an execution computed, or was to compute. Written once, when the execution is over.
model_execution = Table(
    "dagctl_model_execution",
    metadata,
    _id(primary_key=True),
    Column("execution_id", String(64), ForeignKey("dagctl_execution.id", ondelete="CASCADE"), nullable=False, index=True),
    # What the execution says too, since lists are filtered by it.
    Column("project_id", String(64), nullable=False),
    Column("job_type", String(16), nullable=False),
    Column("cronjob_name", String(250)),
    Column("attempt", Integer, nullable=False),
    _model_name(),
    Column("kind", String(32)),
    Column("status", String(16), nullable=False),
    Column("start_time", UtcDateTime),
    Column("end_time", UtcDateTime),
    Column("duration_seconds", Float),
    Column("rows_processed", BigInteger),
    Column("batches", Integer),
    Column("interval_start", UtcDateTime),
    Column("interval_end", UtcDateTime),
    Column("error_message", Text),
    # When it began; where nobody knows, when its execution was asked for.
    Column("created_at", UtcDateTime, nullable=False),
    # When it was recorded.
    Column("updated_at", UtcDateTime, nullable=False),
    Index("idx_dagctl_model_execution_project", "project_id", "created_at", "id"),
    Index("idx_dagctl_model_execution_model", "project_id", "model_name", "created_at", "id"),
    Index("idx_dagctl_model_execution_status", "project_id", "status", "created_at", "id"),
    Index("idx_dagctl_model_execution_type", "project_id", "job_type", "created_at", "id"),
    Index("idx_dagctl_model_execution_cronjob", "project_id", "cronjob_name", "created_at", "id"),
    Index("idx_dagctl_model_execution_updated", "project_id", "updated_at", "id"),
)

# Sums of model_execution by day, so that figures over months need not read each of them. Changed under the project's lock.
model_day = Table(
    "dagctl_model_day",
    metadata,
    Column("project_id", String(64), ForeignKey("dagctl_project.id", ondelete="CASCADE"), primary_key=True),
    Column("day", String(10), primary_key=True),
    _model_name(primary_key=True),
    # A plan may load years where a run loads a day, so their sums stand apart.
    Column("job_type", String(16), primary_key=True),
    Column("executions", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("skipped", Integer, nullable=False),
    # Of those that succeeded, in seconds.
    Column("duration_sum", Float, nullable=False),
    Column("duration_max", Float, nullable=False),
    Column("rows_processed", BigInteger, nullable=False),
    Column("last_status", String(16), nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
    Index("idx_dagctl_model_day_model", "project_id", "model_name", "day"),
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
