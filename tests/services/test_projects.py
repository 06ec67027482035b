"""Projects through the services: fields and defaults, names, publishing for Dag generation, managed state, life and death."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import psycopg2
import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import INDEX_VARIABLE, PLAN_KEY_CONNECTION
from dagctl_provider.orchestration import connections
from dagctl_provider.runner.versions import default_version, supported_versions
from dagctl_provider.services import organizations, plans, projects
from dagctl_provider.services.lifecycle import publishing
from dagctl_provider.services.outside import repositories, state_databases
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from tests.postgres import PostgreSQL
from tests.services.test_plans import refused
from tests.services.world import World, runs_do, sha


def variable(key: str) -> Any:
    """An Airflow Variable as Dag parsing would read it."""
    from airflow.models.variable import Variable
    from sqlalchemy import select

    row = transactions.run(lambda session: session.execute(select(Variable).where(Variable.key == key)).scalars().first())
    return json.loads(row.get_val()) if row is not None else None


def test_create_fills_in_the_documented_defaults(world: World) -> None:
    project = world.project()
    assert project.branch == "main"
    assert project.project_type == "sqlmesh"
    assert project.deployed
    wanted = {
        "git_auth_method": "none",
        "sqlmesh_environment": "prod",
        "auto_apply": False,
        "run_tests": True,
        "cpu_request": "500m",
        "cpu_limit": "2000m",
        "memory_request": "1Gi",
        "memory_limit": "4Gi",
        "concurrency_policy": "Allow",
        "suspended": False,
        "status": "active",
        "sqlmesh_version": default_version("sqlmesh"),
    }
    assert {name: project.settings.get(name) for name in wanted} == wanted
    assert project.gateways == ["local"]
    assert project.latest_commit_sha == sha("first")


def test_what_was_known_of_one_commit_is_not_said_of_another(world: World) -> None:
    project = world.project()
    plans.create_plan(world.actor(), project.id)
    before = projects.get_project(world.actor(), project.id)
    assert before.latest_commit_message
    same = projects.update_project(world.actor(), project.id, {"branch": "release"})
    assert same.latest_commit_message == before.latest_commit_message, "the branch stands at the same commit"
    world.head = "elsewhere"
    moved = projects.update_project(world.actor(), project.id, {"branch": "develop"})
    assert (moved.latest_commit_sha, moved.latest_commit_message, moved.commits_behind) == (sha("elsewhere"), None, None)


def test_names_are_unique_in_an_organization_whatever_their_case(world: World) -> None:
    world.project("Analytics")
    with refused("name_taken"):
        world.project("analytics")
    other = World(organizations.ensure_organization("other"))
    other.project("analytics")


def test_projects_reach_dag_generation_in_the_same_transaction(world: World) -> None:
    first, second = world.project("one"), world.project("two")
    index = variable(INDEX_VARIABLE)
    assert set(index) == {first.id, second.id}
    assert variable(first.dag_id)["name"] == "one"
    projects.undeploy(world.actor(), first.id)
    assert set(variable(INDEX_VARIABLE)) == {second.id}
    assert variable(first.dag_id) is None
    projects.deploy(world.actor(), first.id)
    assert set(variable(INDEX_VARIABLE)) == {first.id, second.id}


def test_undeploy_pauses_the_dags_and_discards_what_is_pending(world: World) -> None:
    from dagctl_provider.orchestration import dags

    project = world.project()
    step = world.explained(project)
    projects.undeploy(world.actor(), project.id)
    assert plans.get_plan(world.actor(), step.id).auto_discarded
    assert not transactions.run(lambda session: dags.is_ready(session, project.dag_id))
    with refused("project_not_deployed"):
        plans.create_plan(world.actor(), project.id)


def test_undeploy_and_delete_wait_for_running_steps(world: World) -> None:
    project = world.project()
    plans.create_plan(world.actor(), project.id)
    for verb in (projects.undeploy, projects.delete_project):
        with refused("project_busy"):
            verb(world.actor(), project.id)
    assert projects.get_project(world.actor(), project.id).deployed


def test_update_changes_only_what_was_sent(world: World) -> None:
    project = world.project(description="old")
    changed = projects.update_project(world.actor(), project.id, {"auto_apply": True})
    assert changed.settings == {**project.settings, "auto_apply": True}
    cleared = projects.update_project(world.actor(), project.id, {"description": None})
    assert "description" not in cleared.settings
    renamed = projects.update_project(world.actor(), project.id, {"name": "renamed"})
    assert (renamed.name, renamed.dag_id) == ("renamed", project.dag_id), "renaming keeps the Dag and its history"


def test_plans_keep_the_settings_they_were_made_with(world: World) -> None:
    older = supported_versions("sqlmesh")[-2]
    project = world.project(sqlmesh_version=older)
    step = world.explained(project)
    projects.update_project(world.actor(), project.id, {"sqlmesh_version": default_version("sqlmesh")})
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert approved.execute.settings["tool_version"] == older


def test_version_changes_are_planned_and_downgrades_refused(world: World) -> None:
    versions = supported_versions("sqlmesh")
    older, newest = versions[-8], versions[-1]
    project = world.project(sqlmesh_version=older)
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    projects.update_project(world.actor(), project.id, {"sqlmesh_version": newest})
    created = plans.create_plan(world.actor(), project.id)
    assert created.outcome == "created", "the same commit with a newer tool is something to review"
    assert created.step is not None
    assert created.step.settings["deployed_tool_version"] == older
    world.finish_explain(created.step)
    execute = plans.approve(world.actor(), created.step.id, door="rest")
    assert isinstance(execute, PlanApproved)
    world.finish_execute(execute.execute)
    with refused("downgrade_refused"):
        projects.update_project(world.actor(), project.id, {"sqlmesh_version": older})


def test_unsupported_versions_and_foreign_fields_change_nothing(world: World) -> None:
    with refused("unsupported_version"):
        world.project(sqlmesh_version="9.9.9")
    project = world.project()
    with refused("invalid_request"):
        projects.update_project(world.actor(), project.id, {"dbt_version": "1.8.0"})
    assert projects.get_project(world.actor(), project.id) == project
    assert len(projects.list_projects(world.actor())) == 1


def test_run_uses_what_is_deployed(world: World) -> None:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import select

    project = world.project()
    with refused("plan_not_executed"):
        projects.run_project(world.actor(), project.id)
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    projects.update_project(world.actor(), project.id, {"sqlmesh_environment": "staging"})
    started = projects.run_project(world.actor(), project.id)
    assert started.status == "pending"
    assert started.job_name.startswith("analytics-scheduled-run-manual-")
    query = select(DagRun.conf).where(DagRun.run_id == started.run_id)
    conf = transactions.run(lambda session: session.execute(query).scalar_one())
    assert conf == {"dagctl": {"job_name": started.job_name}}
    request = runs_do(project)
    assert (request["commit_sha"], request["environment"]) == (sha("first"), "prod")


@pytest.mark.slow
def test_what_workers_read_is_put_right(world: World) -> None:
    from airflow.models.variable import Variable

    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    good = variable(project.dag_id)
    transactions.run(publishing.heal)
    assert variable(project.dag_id) == good
    for bad in ("no JSON", "[]", "{}", json.dumps({**good, "schedule": "* * * * *"}), None):

        def spoil(session: Any, bad: Any = bad) -> None:
            for key in (project.dag_id, INDEX_VARIABLE):
                Variable.delete(key, session=session)
                if bad is not None:
                    Variable.set(key, bad, session=session)

        transactions.run(spoil)
        transactions.run(publishing.heal)
        assert variable(project.dag_id) == good, bad
        assert list(variable(INDEX_VARIABLE)) == [project.id]


def test_sync_status_tells_the_truth_when_the_remote_is_gone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project = world.project()
    assert not projects.sync_status(world.actor(), project.id).in_sync
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    assert projects.sync_status(world.actor(), project.id).in_sync
    world.head = "second"
    behind = projects.sync_status(world.actor(), project.id)
    assert (behind.in_sync, behind.commits_behind, behind.latest_commit_sha) == (False, 1, sha("second"))

    def gone(_: Any) -> str:
        raise DagctlError("repository_unreachable", "The remote does not answer.")

    monkeypatch.setattr(repositories, "head_of", gone)
    stale = projects.sync_status(world.actor(), project.id)
    assert (stale.error, stale.latest_commit_sha) == ("The remote does not answer.", sha("second"))


def plan_key() -> str | None:
    """The key of plans as a worker would get it, and that it is kept encrypted."""
    from airflow.models.connection import Connection
    from sqlalchemy import select

    def work(session: Any) -> str | None:
        query = select(Connection).where(Connection.conn_id == PLAN_KEY_CONNECTION)
        row = session.execute(query).scalars().one_or_none()
        assert row is None or row.is_encrypted
        assert row is None or row.get_password() not in row._password
        return row.get_password() if row is not None else None

    return transactions.run(work)


def forget_plan_key() -> None:
    """As in a deployment whose server was older."""
    transactions.run(partial(connections.delete_connection, conn_id=PLAN_KEY_CONNECTION))


def test_the_first_project_brings_the_key_of_plans_and_it_stays(world: World) -> None:
    forget_plan_key()
    project = world.project()
    made = plan_key()
    assert made is not None
    assert len(made) >= 40
    world.project("another")
    projects.update_project(world.actor(), project.id, {"branch": "other"})
    projects.delete_project(world.actor(), project.id)
    transactions.run(publishing.heal)
    assert plan_key() == made


def test_projects_of_an_older_server_get_the_key_from_the_controller(world: World) -> None:
    world.project()
    forget_plan_key()
    transactions.run(publishing.heal)
    assert plan_key() is not None


@pytest.fixture
def administrator(postgres: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> str:
    """A connection that may create roles and databases."""
    monkeypatch.setenv("AIRFLOW__DAGCTL__STATE_DATABASE_CONN_ID", "state_admin")
    document = {"conn_type": "postgres", "host": postgres.host, "login": "postgres", "schema": "postgres"}
    monkeypatch.setenv("AIRFLOW_CONN_STATE_ADMIN", json.dumps(document))
    return postgres.host


def databases(host: str) -> set[str]:
    """Names of the state databases on the server."""
    connection = psycopg2.connect(host=host, user="postgres", dbname="postgres")
    try:
        with connection.cursor() as cursor:
            names = "SELECT datname FROM pg_database UNION SELECT rolname FROM pg_roles"
            cursor.execute(f"SELECT * FROM ({names}) AS names(name) WHERE name LIKE 'dagctl%'")
            return {row[0] for row in cursor.fetchall()}
    finally:
        connection.close()


def test_managed_state_is_made_with_the_project_and_dropped_with_it(world: World, administrator: str) -> None:
    from dagctl_provider.orchestration.connections import read_connection

    project = world.project()
    assert project.settings["use_managed_state_database"] is True
    assert databases(administrator) == {f"dagctl_{project.id}"}
    stored = read_connection(project.state_connection_id or "")
    assert stored is not None
    assert stored.password
    assert stored.password not in repr(stored)
    connection = psycopg2.connect(host=stored.host, user=stored.login, password=stored.password, dbname=stored.schema)
    connection.close()
    projects.delete_project(world.actor(), project.id)
    assert databases(administrator) == set()
    assert read_connection(project.state_connection_id or "") is None
    assert transactions.run(lambda session: project_rows.get_project(session, project.id)) is None


def test_a_project_that_cannot_be_kept_leaves_no_state_database(
    world: World, administrator: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("killed half-way")

    monkeypatch.setattr(projects.publishing, "publish", fail)
    with pytest.raises(RuntimeError):
        world.project()
    assert databases(administrator) == set()
    assert projects.list_projects(world.actor()) == ()


def test_managed_state_is_refused_without_a_server_and_off_by_default_then(world: World) -> None:
    assert not state_databases.is_configured()
    assert world.project().settings["use_managed_state_database"] is False
    with refused("state_database_not_configured"):
        world.project("other", use_managed_state_database=True)
