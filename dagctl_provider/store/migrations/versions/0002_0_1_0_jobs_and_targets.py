"""Jobs, and where plans lead: two records that later versions fill (docs/decisions/job-and-target.md).

* Each project gets its default job, which has its schedule from now on; the runs on record are runs of that job.
* Each plan step names the ref and the environment that it is about, and so do the keys that keep it alone.
* What is deployed leaves the project for a row of its own, one for each environment.

Statements only, no rows are read, so that ``airflow db migrate --show-sql-only`` can print all of it.

Revision ID: 7b1f0c52e9a4
Revises: d4c70a8b2f01
"""

from __future__ import annotations

import sqlalchemy as sa
from airflow.utils.sqlalchemy import UtcDateTime
from alembic import op

revision = "7b1f0c52e9a4"
down_revision = "d4c70a8b2f01"
branch_labels = None
depends_on = None

_REMOVE_SCHEDULE = {
    "sqlite": "json_remove(settings, '$.run_schedule')",
    "mysql": "JSON_REMOVE(settings, '$.run_schedule')",
    # Not by way of jsonb, which would put the keys into an order of its own.
    "postgresql": "(SELECT coalesce(json_object_agg(key, value), '{}') FROM json_each(settings) WHERE key <> 'run_schedule')",
}
_ADD_SCHEDULE = {
    "sqlite": "json_set(settings, '$.run_schedule', ({schedule}))",
    "mysql": "JSON_SET(settings, '$.run_schedule', ({schedule}))",
    "postgresql": (
        "(SELECT json_object_agg(key, value) FROM (SELECT key, value FROM json_each(settings)"
        " UNION ALL SELECT 'run_schedule', to_json(({schedule}))) AS pairs)"
    ),
}
_SCHEDULE = "SELECT schedule FROM dagctl_job WHERE default_of = dagctl_project.id"

_project = sa.table(
    "dagctl_project",
    *map(sa.column, ("id", "branch", "dag_id", "created_at", "updated_at", "current_environment")),
    *map(sa.column, ("current_commit_sha", "current_tool_version")),
    sa.column("settings", sa.JSON()),
    sa.column("artifacts", sa.JSON()),
)
_step = sa.table(
    "dagctl_plan_step",
    *map(sa.column, ("id", "group_id", "project_id", "plan_type", "status", "active_key", "ref", "to_commit_sha", "digest")),
    *map(sa.column, ("created_at", "finished_at", "environment")),
    sa.column("settings", sa.JSON()),
)
_deployment = sa.table(
    "dagctl_deployment",
    *map(sa.column, ("project_id", "environment", "ref", "commit_sha", "tool_version")),
    *map(sa.column, ("digest", "group_id", "step_id", "deployed_at")),
    sa.column("artifacts", sa.JSON()),
)
_job = sa.table(
    "dagctl_job",
    *map(sa.column, ("id", "project_id", "default_of", "name", "name_key", "command", "schedule", "enabled", "dag_id")),
    *map(sa.column, ("settings", "created_at", "updated_at")),
)
_run = sa.table("dagctl_project_run", sa.column("job_id"), sa.column("project_id"))


def upgrade() -> None:
    """Make the records and fill them from what there is."""
    _make_tables()
    op.add_column("dagctl_plan_step", sa.Column("ref", sa.String(length=255), nullable=True))
    op.add_column("dagctl_plan_step", sa.Column("environment", sa.String(length=100), nullable=True))
    op.add_column("dagctl_project", sa.Column("current_environment", sa.String(length=100), nullable=True))
    op.add_column("dagctl_project_run", sa.Column("job_id", sa.String(length=64), nullable=True))
    with op.batch_alter_table("dagctl_plan_step") as batch:
        batch.alter_column("active_key", type_=sa.String(length=255), existing_type=sa.String(length=160), existing_nullable=True)
    _fill_jobs()
    _fill_targets()
    _fill_deployments()
    with op.batch_alter_table("dagctl_plan_step") as batch:
        batch.alter_column("ref", existing_type=sa.String(length=255), nullable=False)
        batch.alter_column("environment", existing_type=sa.String(length=100), nullable=False)
    with op.batch_alter_table("dagctl_project_run") as batch:
        batch.alter_column("job_id", existing_type=sa.String(length=64), nullable=False)
        batch.create_foreign_key(op.f("fk_dagctl_project_run_job_id"), "dagctl_job", ["job_id"], ["id"], ondelete="CASCADE")
        batch.create_index("idx_dagctl_project_run_job", ["job_id", "created_at", "id"], unique=False)
    with op.batch_alter_table("dagctl_project") as batch:
        for name in ("current_commit_sha", "current_tool_version", "artifacts"):
            batch.drop_column(name)


def downgrade() -> None:
    """Put back into the project's row what its default job and its own deployment say. The rest of them is lost."""
    op.add_column("dagctl_project", sa.Column("current_commit_sha", sa.String(length=64), nullable=True))
    op.add_column("dagctl_project", sa.Column("current_tool_version", sa.String(length=32), nullable=True))
    op.add_column("dagctl_project", sa.Column("artifacts", sa.JSON(), nullable=True))
    _empty_jobs()
    _empty_targets()
    _empty_deployments()
    with op.batch_alter_table("dagctl_project_run") as batch:
        # The key first: MySQL would not drop an index that it needs.
        batch.drop_constraint(op.f("fk_dagctl_project_run_job_id"), type_="foreignkey")
        batch.drop_index("idx_dagctl_project_run_job")
        batch.drop_column("job_id")
    with op.batch_alter_table("dagctl_plan_step") as batch:
        batch.drop_column("ref")
        batch.drop_column("environment")
        batch.alter_column("active_key", type_=sa.String(length=160), existing_type=sa.String(length=255), existing_nullable=True)
    with op.batch_alter_table("dagctl_project") as batch:
        batch.drop_column("current_environment")
    op.drop_table("dagctl_job")
    op.drop_table("dagctl_deployment")


def _make_tables() -> None:
    op.create_table(
        "dagctl_job",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("default_of", sa.String(length=64), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_key", sa.String(length=255), nullable=False),
        sa.Column("command", sa.Text(), nullable=False),
        sa.Column("schedule", sa.String(length=100), nullable=True),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["dagctl_project.id"], name=op.f("fk_dagctl_job_project_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dagctl_job")),
        sa.UniqueConstraint("dag_id", name=op.f("uq_dagctl_job_dag_id")),
        sa.UniqueConstraint("default_of", name=op.f("uq_dagctl_job_default_of")),
        sa.UniqueConstraint("project_id", "name_key", name=op.f("uq_dagctl_job_project_id_name_key")),
    )
    op.create_table(
        "dagctl_deployment",
        sa.Column("project_id", sa.String(length=64), nullable=False),
        sa.Column("environment", sa.String(length=100), nullable=False),
        sa.Column("ref", sa.String(length=255), nullable=False),
        sa.Column("commit_sha", sa.String(length=64), nullable=False),
        sa.Column("tool_version", sa.String(length=32), nullable=True),
        sa.Column("artifacts", sa.JSON(), nullable=True),
        sa.Column("digest", sa.String(length=80), nullable=True),
        sa.Column("group_id", sa.String(length=64), nullable=True),
        sa.Column("step_id", sa.String(length=64), nullable=True),
        sa.Column("deployed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["project_id"], ["dagctl_project.id"], name=op.f("fk_dagctl_deployment_project_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("project_id", "environment", name=op.f("pk_dagctl_deployment")),
    )


def _fill_jobs() -> None:
    """The run of today is the first job of each project: same Dag, same schedule. Its id has the number of the project's."""
    p = _project.c
    values = {
        "id": sa.literal_column("'job_'").concat(sa.func.replace(p.id, "proj_", "")),
        "project_id": p.id,
        "default_of": p.id,
        "name": sa.literal_column("'scheduled-run'"),
        "name_key": sa.literal_column("'scheduled-run'"),
        "command": sa.literal_column("'run'"),
        "schedule": p.settings["run_schedule"].as_string(),
        "enabled": sa.true(),
        "dag_id": p.dag_id.concat(sa.literal_column("'__run'")),
        "settings": sa.literal_column("'{}'"),
        "created_at": p.created_at,
        "updated_at": p.updated_at,
    }
    if op.get_context().dialect.name == "postgresql":
        values["settings"] = sa.literal_column("'{}'::json")
    op.execute(_job.insert().from_select(list(values), sa.select(*values.values())))
    of_its_project = sa.select(_job.c.id).where(_job.c.default_of == _run.c.project_id).scalar_subquery()
    op.execute(_run.update().values(job_id=of_its_project))
    _set_settings(_REMOVE_SCHEDULE)


def _empty_jobs() -> None:
    _set_settings({dialect: text.format(schedule=_SCHEDULE) for dialect, text in _ADD_SCHEDULE.items()})


def _set_settings(by_dialect: dict[str, str]) -> None:
    """Write the settings of the projects that have a schedule."""
    new = by_dialect[op.get_context().dialect.name]
    op.execute(sa.text(f"UPDATE dagctl_project SET settings = {new} WHERE ({_SCHEDULE}) IS NOT NULL"))  # noqa: S608


def _fill_targets() -> None:
    """What the request of a step says: it has the branch and the environment, absent where the project's own files name it."""
    c = _step.c
    branch = sa.select(_project.c.branch).where(_project.c.id == c.project_id).scalar_subquery()
    environment = sa.func.coalesce(c.settings["environment"].as_string(), "")
    op.execute(_step.update().values(ref=sa.func.coalesce(c.settings["branch"].as_string(), branch), environment=environment))
    keyed = _step.update().where(c.active_key.is_not(None))
    op.execute(keyed.values(active_key=c.active_key.concat(":").concat(c.environment)))


def _empty_targets() -> None:
    c = _step.c
    explain = sa.literal_column("'explain:'").concat(c.project_id).concat(":").concat(c.to_commit_sha)
    key = sa.case((c.plan_type == "explain", explain), else_=sa.literal_column("'execute:'").concat(c.project_id))
    op.execute(_step.update().where(c.active_key.is_not(None)).values(active_key=key))


def _fill_deployments() -> None:
    """The last execute that succeeded says where; a project without one has what its own settings say."""
    p, last = _project.c, _step.alias("last")
    other = _step.alias("other")
    newest = (
        sa.select(other.c.id)
        .where(other.c.project_id == p.id, other.c.plan_type == "execute", other.c.status == "completed")
        .order_by(other.c.created_at.desc(), other.c.id.desc())
        .limit(1)
        .correlate(_project)
        .scalar_subquery()
    )
    own = sa.func.coalesce(p.settings["sqlmesh_environment"].as_string(), p.settings["dbt_target"].as_string(), "")
    values = {
        "project_id": p.id,
        "environment": sa.func.coalesce(last.c.environment, own),
        "ref": sa.func.coalesce(last.c.ref, p.branch),
        "commit_sha": p.current_commit_sha,
        "tool_version": p.current_tool_version,
        "artifacts": p.artifacts,
        "digest": last.c.digest,
        "group_id": last.c.group_id,
        "step_id": last.c.id,
        "deployed_at": sa.func.coalesce(last.c.finished_at, p.updated_at),
    }
    both = _project.outerjoin(last, last.c.id == newest)
    found = sa.select(*values.values()).select_from(both).where(p.current_commit_sha.is_not(None))
    op.execute(_deployment.insert().from_select(list(values), found))
    op.execute(_project.update().values(current_environment=_of_its_project(_deployment.c.environment)))


def _empty_deployments() -> None:
    c = _deployment.c
    pairs = {"current_commit_sha": c.commit_sha, "current_tool_version": c.tool_version, "artifacts": c.artifacts}
    here = c.environment == _project.c.current_environment
    op.execute(_project.update().values({name: _of_its_project(column, here) for name, column in pairs.items()}))


def _of_its_project(column: sa.ColumnElement, *more: sa.ColumnElement) -> sa.ColumnElement:  # type: ignore[type-arg]
    return sa.select(column).where(_deployment.c.project_id == _project.c.id, *more).correlate(_project).scalar_subquery()
