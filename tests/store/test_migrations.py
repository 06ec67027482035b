"""The migrations make exactly the tables that the code uses, on SQLite and on PostgreSQL, keep what is in them, and take them
away again.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine

from dagctl_provider.store.manager import DagctlDBManager

VERSIONS = Path(__file__).parents[2] / "dagctl_provider" / "store" / "migrations" / "versions"

# A migration that has reached the main branch is run somewhere, so it stays as it is: what is wrong with it is mended by the next
# one. The newest one joins this table when there is a newer one.
FROZEN = {
    "0001_0_1_0_initial.py": "a38f8041650b1b817e7228eaf823348a322cdcb26b941cf544dd39aed9c69a0f",
    "0002_0_1_0_jobs_and_targets.py": "d15a233017426c79b9ae0719a83f3112e649f4b1e483b6602f2d804a1a1b1303",
    "0003_0_1_0_grants.py": "5f044acbe07617e21fca15537c4d94c6352d9960bd1c23c999adad70f5c7792f",
    "0004_0_1_0_platform.py": "ad5145eb4505ce4b1d1ec39aca75fce86740e54bd048b69b9fbd7ecd20227a2a",
}

SCRIPT = """
from airflow import settings
from airflow.utils.session import create_session
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import LargeBinary, inspect
from dagctl_provider.store.manager import DagctlDBManager

def include_object(_, name, kind, *__):
    return kind != "table" or name in DagctlDBManager.metadata.tables

def compare_type(_, __, ___, ____, ours):
    # MySQL makes LONGBLOB and so on of a length, and Alembic takes that for another type.
    return False if isinstance(ours, LargeBinary) else None

settings.configure_orm()
with create_session() as session:
    manager = DagctlDBManager(session)
    config = manager.get_alembic_config()
command.upgrade(config, "head")
with settings.engine.connect() as connection:
    context = MigrationContext.configure(
        connection,
        opts={"include_object": include_object, "version_table": manager.version_table_name, "compare_type": compare_type},
    )
    print("DIFFERENCES", compare_metadata(context, manager.metadata))
with create_session() as session:
    print("CHECKED", DagctlDBManager(session).check_migration())
with create_session() as session:
    DagctlDBManager(session).downgrade("base")
print("LEFT", [name for name in inspect(settings.engine).get_table_names() if name.startswith("dagctl")])
"""


# Moves through the revisions that standard input names, fills the tables after the first, and prints them after each.
WALK = """
import json, sys
from airflow import settings
from airflow.utils.session import create_session
from alembic import command
from sqlalchemy import MetaData, select, text
from dagctl_provider.store.manager import DagctlDBManager

walk = json.load(sys.stdin)
settings.configure_orm()
with create_session() as session:
    manager = DagctlDBManager(session)
    config = manager.get_alembic_config()

def value(stored):
    # MariaDB keeps JSON as text.
    json_text = isinstance(stored, str) and (stored[:1] in ("{", "[") or stored == "null")
    return json.loads(stored) if json_text else stored

def shown():
    metadata = MetaData()
    with settings.engine.connect() as connection:
        metadata.reflect(connection, only=lambda name, _: name.startswith("dagctl"))
        return {
            table.name: [
                {name: value(stored) for name, stored in row._mapping.items()}
                for row in connection.execute(select(*table.c).order_by(*table.primary_key))
            ]
            for table in metadata.sorted_tables
        }

command.upgrade(config, walk["revisions"][0])
with settings.engine.begin() as connection:
    for statement in walk["statements"]:
        connection.exec_driver_sql(statement)
print("TABLES", json.dumps(shown(), default=str))
for revision in walk["revisions"][1:]:
    move = command.upgrade if revision == "head" else command.downgrade
    move(config, revision)
    print("TABLES", json.dumps(shown(), default=str))
if settings.engine.dialect.name == "sqlite":
    with settings.engine.connect() as connection:
        print("KEYS", connection.execute(text("PRAGMA foreign_keys")).scalar())
        print("BROKEN", connection.execute(text("PRAGMA foreign_key_check")).all())
"""


def run_script(script: str, address: str, home: Path, given: str = "") -> list[str]:
    """What a script says to a database, line by line."""
    env = {**os.environ, "AIRFLOW_HOME": str(home), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": address}
    done = subprocess.run([sys.executable, "-c", script], env=env, input=given, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    words = ("DIFFERENCES", "CHECKED", "LEFT", "TABLES", "KEYS", "BROKEN", "ANSWERED")
    return [line for line in done.stdout.splitlines() if line.split(" ")[0] in words]


# Where a MySQL or MariaDB is: mysql+mysqldb://root@/%s?unix_socket=... with %s for a database's name. No wheel brings one, so it
# is tried where somebody names one. It needs mysqlclient and aiomysql, and NO_BACKSLASH_ESCAPES for the statements here.
MYSQL = os.environ.get("DAGCTL_TEST_MYSQL", "")


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow), *(["mysql"] if MYSQL else [])])
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        sqlite3.connect(tmp_path / "airflow.db").close()
        return f"sqlite:///{tmp_path}/airflow.db"
    if request.param == "mysql":
        name = f"d{uuid4().hex[:10]}"
        with create_engine(MYSQL.replace("%s", "mysql")).begin() as connection:
            connection.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return MYSQL.replace("%s", name)
    server = request.getfixturevalue("postgres")
    return f"postgresql+psycopg2://postgres@/{server.new_database()}?host={server.host}"


def test_migrations_and_tables_agree(address: str, tmp_path: Path) -> None:
    assert run_script(SCRIPT, address, tmp_path) == ["DIFFERENCES []", "CHECKED True", "LEFT []"]


# Asks for the projects before there are tables, while they are those of the first version, and when they are of this one.
ASK = """
from airflow import settings
from airflow.utils.session import create_session
from alembic import command
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.services import projects
from dagctl_provider.store.manager import DagctlDBManager

settings.configure_orm()
with create_session() as session:
    config = DagctlDBManager(session).get_alembic_config()
for revision in (None, "d4c70a8b2f01", "head"):
    if revision:
        command.upgrade(config, revision)
    try:
        print("ANSWERED", len(projects.list_projects(system_actor("org-1", "test"))))
    except DagctlError as error:
        print("ANSWERED", error.code, error.kind.status, error.kind.hint)
"""


@pytest.mark.slow
def test_tables_of_another_version_are_told_of_plainly(address: str, tmp_path: Path) -> None:
    told = "ANSWERED database_not_migrated 503 Run 'airflow db migrate'."
    assert run_script(ASK, address, tmp_path) == [told, told, "ANSWERED 0"]


def test_migrations_are_frozen() -> None:
    *older, _ = sorted(path.name for path in VERSIONS.glob("0*.py"))
    assert {name: hashlib.sha256((VERSIONS / name).read_bytes()).hexdigest() for name in older} == FROZEN


AT = "2026-04-28 10:00:00"


def insert(table: str, **values: Any) -> str:
    """A statement that adds a row, the same for every database."""
    texts = {
        name: "NULL" if value is None else repr(value) if isinstance(value, int) else f"'{value}'"
        for name, value in values.items()
    }
    return f"INSERT INTO {table} ({', '.join(texts)}) VALUES ({', '.join(texts.values())})"


def project(name: str, settings: dict[str, Any], **values: Any) -> str:
    """A project as the first version stored it."""
    return insert(
        "dagctl_project",
        **{
            "id": f"proj_{name}",
            "organization_id": "org-1",
            "name": name,
            "name_key": name,
            "project_type": "sqlmesh",
            "repository_url": "https://example.com/acme/shop",
            "branch": "main",
            "settings": json.dumps(settings),
            "dag_id": f"dagctl__{name}__1",
            "deployed": True,
            "created_at": AT,
            "updated_at": AT,
            **values,
        },
    )


def step(name: str, group: str, plan_type: str, status: str, request: dict[str, Any], **values: Any) -> str:
    """A plan step as the first version stored it."""
    return insert(
        "dagctl_plan_step",
        **{
            "id": f"plan_{name}",
            "group_id": f"plangroup_{group}",
            "plan_type": plan_type,
            "organization_id": "org-1",
            "to_commit_sha": "b" * 40,
            "status": status,
            "settings": json.dumps(request),
            "attempt": 1,
            "try_number": 0,
            "dag_id": "dagctl__one__1",
            "run_id": f"plangroup_{group}",
            "created_at": AT,
            "updated_at": AT,
            **values,
        },
    )


def run(name: str, project: str) -> str:
    """A run as the first version stored it."""
    return insert(
        "dagctl_project_run",
        id=f"run_{name}",
        project_id=f"proj_{project}",
        job_name=f"{project}-scheduled-run-manual-20260428-100000",
        dag_id=f"dagctl__{project}__1__run",
        run_id=f"run_{name}",
        settings="{}",
        triggered_by="ada",
        created_at=AT,
    )


LAST = "2026-04-28 12:00:00"
OLD = [
    insert("dagctl_organization", id="org-1", name="acme", created_at=AT),
    # Deployed to another environment than its next plan changes, with a schedule.
    project(
        "one",
        {"sqlmesh_environment": "staging", "description": 'é " :x', "run_schedule": "0 6 * * *", "suspended": False},
        current_commit_sha="b" * 40,
        current_tool_version="0.236.4",
        artifacts=json.dumps({"deployed": "c" * 64}),
    ),
    project("two", {"dbt_target": "eu"}, project_type="dbt", current_commit_sha="d" * 40, artifacts="null"),
    project("three", {"sqlmesh_environment": "prod"}),
    project("four", {"dbt_target": "eu"}, project_type="dbt", current_commit_sha="e" * 40, branch="trunk"),
    step("1", "a", "explain", "approved", {"branch": "main", "environment": "prod"}, project_id="proj_one"),
    step("2", "a", "execute", "completed", {"branch": "main", "environment": "prod"}, project_id="proj_one"),
    step(
        "3",
        "b",
        "execute",
        "completed",
        {"branch": "release", "environment": "prod"},
        project_id="proj_one",
        created_at=LAST,
        finished_at=LAST,
        digest="sha256:3",
    ),
    step("4", "c", "execute", "failed", {"branch": "main", "environment": "staging"}, project_id="proj_one", created_at=LAST),
    step(
        "5",
        "d",
        "explain",
        "pending",
        {"branch": "main", "environment": "staging"},
        project_id="proj_one",
        active_key="explain:proj_one:" + "b" * 40,
    ),
    step(
        "6",
        "e",
        "execute",
        "running",
        {"branch": "main", "environment": None},
        project_id="proj_two",
        active_key="execute:proj_two",
    ),
    step("7", "f", "execute", "completed", {"environment": None}, project_id="proj_two"),
    run("1", "one"),
    run("2", "one"),
    run("3", "two"),
]


@pytest.mark.slow
def test_what_is_there_is_kept_on_the_way_up_and_down(address: str, tmp_path: Path) -> None:
    walk = {"revisions": ["d4c70a8b2f01", "head", "d4c70a8b2f01", "head"], "statements": OLD}
    lines = run_script(WALK, address, tmp_path, json.dumps(walk))
    old, new, back, again = (json.loads(line.removeprefix("TABLES ")) for line in lines if line.startswith("TABLES"))
    assert [line for line in lines if not line.startswith("TABLES")] in ([], ["KEYS 1", "BROKEN []"])
    assert len(old["dagctl_plan_step"]) == 7
    assert back == old
    assert again == new

    jobs = {row["project_id"]: row for row in new["dagctl_job"]}
    assert [(row["id"], row["default_of"], row["name"], row["command"], row["schedule"]) for row in jobs.values()] == [
        ("job_four", "proj_four", "scheduled-run", "run", None),
        ("job_one", "proj_one", "scheduled-run", "run", "0 6 * * *"),
        ("job_three", "proj_three", "scheduled-run", "run", None),
        ("job_two", "proj_two", "scheduled-run", "run", None),
    ]
    assert jobs["proj_one"]["dag_id"] == "dagctl__one__1__run"
    assert jobs["proj_one"]["settings"] == {}
    assert bool(jobs["proj_one"]["enabled"])
    assert [row["job_id"] for row in new["dagctl_project_run"]] == ["job_one", "job_one", "job_two"]

    projects = {row["name"]: row for row in new["dagctl_project"]}
    assert projects["one"]["settings"] == {"sqlmesh_environment": "staging", "description": 'é " :x', "suspended": False}
    assert {name: row["current_environment"] for name, row in projects.items()} == {
        "one": "prod",
        "two": "",
        "three": None,
        "four": "eu",
    }
    shown = ("project_id", "environment", "ref", "commit_sha", "tool_version", "artifacts", "digest", "group_id", "step_id")
    assert [tuple(row[name] for name in shown) for row in new["dagctl_deployment"]] == [
        ("proj_four", "eu", "trunk", "e" * 40, None, None, None, None, None),
        ("proj_one", "prod", "release", "b" * 40, "0.236.4", {"deployed": "c" * 64}, "sha256:3", "plangroup_b", "plan_3"),
        ("proj_two", "", "main", "d" * 40, None, None, None, "plangroup_f", "plan_7"),
    ]
    assert [row["deployed_at"][:16] for row in new["dagctl_deployment"]] == [AT[:16], LAST[:16], AT[:16]]

    assert [(row["ref"], row["environment"]) for row in new["dagctl_plan_step"]] == [
        ("main", "prod"),
        ("main", "prod"),
        ("release", "prod"),
        ("main", "staging"),
        ("main", "staging"),
        ("main", ""),
        ("main", ""),
    ]
    keys = [row["active_key"] for row in new["dagctl_plan_step"] if row["active_key"]]
    assert keys == [f"explain:proj_one:{'b' * 40}:staging", "execute:proj_two:"]


def printed(name: str, direction: str, dialect: str) -> list[str]:
    """The statements of a migration, as ``airflow db migrate --show-sql-only`` prints them."""
    migration = import_module(f"dagctl_provider.store.migrations.versions.{name}")
    written = StringIO()
    options = {"as_sql": True, "output_buffer": written, "literal_binds": True}
    with Operations.context(MigrationContext.configure(dialect_name=dialect, opts=options)):
        getattr(migration, direction)()
    return [text.strip() for text in written.getvalue().split(";") if text.strip()]


def tables_made(statements: list[str]) -> set[str]:
    """Names of the tables that statements make."""
    return {text.split(" ")[2] for text in statements if text.startswith("CREATE TABLE ")}


LATER_TABLES = {"dagctl_job", "dagctl_deployment"}
GRANT_TABLES = {"dagctl_secret", "dagctl_grant"}
PLATFORM_TABLES = {f"dagctl_{name}" for name in ("user", "member", "invitation", "variable", "protection", "audit", "audit_head")}
METRICS_TABLES = {"dagctl_execution", "dagctl_model_execution", "dagctl_model_day"}


@pytest.mark.parametrize("dialect", ["mysql", "postgresql", "sqlite"])
def test_tables_go_with_their_indexes(dialect: str) -> None:
    """MySQL refuses to drop an index that a foreign key needs, after it has dropped others for good."""
    made = tables_made(printed("0001_0_1_0_initial", "upgrade", dialect))
    assert made == set(DagctlDBManager.metadata.tables) - LATER_TABLES - GRANT_TABLES - PLATFORM_TABLES - METRICS_TABLES
    assert sorted(printed("0001_0_1_0_initial", "downgrade", dialect)) == sorted(f"DROP TABLE {name}" for name in made)


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_jobs_and_targets_can_be_printed_and_taken_back(dialect: str) -> None:
    """Airflow prints no migrations for SQLite. For MySQL this is all that is tried here."""
    up, down = (printed("0002_0_1_0_jobs_and_targets", direction, dialect) for direction in ("upgrade", "downgrade"))
    assert tables_made(up) == LATER_TABLES
    assert {text.split(" ")[2] for text in down if text.startswith("DROP TABLE")} == LATER_TABLES
    key, index = (
        next(n for n, text in enumerate(down) if word in text) for word in ("fk_dagctl_project_run", "idx_dagctl_project")
    )
    assert key < index, "MySQL keeps an index that a key needs"


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_grants_can_be_printed_and_taken_back(dialect: str) -> None:
    up, down = (printed("0003_0_1_0_grants", direction, dialect) for direction in ("upgrade", "downgrade"))
    assert tables_made(up) == GRANT_TABLES
    assert {text.split(" ")[2] for text in down} == GRANT_TABLES


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_metrics_can_be_printed_and_taken_back(dialect: str) -> None:
    up, down = (printed("0005_0_1_0_executions", direction, dialect) for direction in ("upgrade", "downgrade"))
    assert tables_made(up) == METRICS_TABLES
    assert {text.split(" ")[2] for text in down if text.startswith("DROP TABLE")} == METRICS_TABLES


@pytest.mark.parametrize("dialect", ["mysql", "postgresql"])
def test_the_platform_can_be_printed_and_taken_back(dialect: str) -> None:
    up, down = (printed("0004_0_1_0_platform", direction, dialect) for direction in ("upgrade", "downgrade"))
    assert tables_made(up) == PLATFORM_TABLES
    assert {text.split(" ")[2] for text in down if text.startswith("DROP TABLE")} == PLATFORM_TABLES
