"""The same commit is the same plan, every input counts, and an explain only reads: with real SQLMesh."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgreSQL
from tests.runner.conftest import Driver, Outcome

pytestmark = pytest.mark.slow

CONFIG = """
gateways:
  main:
    connection: {{type: duckdb, database: "{{{{ env_var('WAREHOUSE_FILE') }}}}"}}
    state_connection: {{type: duckdb, database: "{state}"}}
default_gateway: main
model_defaults: {{dialect: duckdb, start: '2026-11-20'}}
variables: {{region: "{{{{ env_var('REGION') }}}}"}}
"""
MACROS = """
import os
from sqlmesh import macro

REGIONS = {'eu', 'us', 'apac', 'latam', 'africa', 'india'}


@macro()
def regions(evaluator, column):
    return f"{column} IN (" + ', '.join(f"'{region}'" for region in REGIONS) + ")"


@macro()
def columns(evaluator):
    return [f"1 AS {name}" for name in open(os.environ['COLUMNS_FILE']).read().split()]
"""
RATES = """
import os
import typing as t
import pandas as pd
from sqlmesh import ExecutionContext, model

DATA = os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', 'data', 'rates.csv')


@model('s.rates', kind='FULL', columns={'id': 'int', 'rate': 'double'})
def execute(context: ExecutionContext, **kwargs: t.Any) -> pd.DataFrame:
    return pd.read_csv(DATA)
"""
FILES: Mapping[str, str] = {
    "data/rates.csv": "id,rate\n1,2.5\n",
    "macros/__init__.py": "",
    "macros/m.py": MACROS,
    "models/base.sql": "MODEL (name s.base, kind FULL);\nSELECT 1 AS id, 'eu' AS region",
    "models/m.sql": "MODEL (name s.m, kind FULL);\nSELECT id, @region AS r, @columns() FROM s.base WHERE @regions(region)",
    "models/rates.py": RATES,
}


class Project:
    """A project whose models depend on all kinds of inputs.

    :param driver: Starts its steps.
    """

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.outside = driver.folder / "columns.txt"
        self.outside.write_text("a b")
        self.variables = {
            "WAREHOUSE_FILE": str(driver.folder / "warehouse.db"),
            "COLUMNS_FILE": str(self.outside),
            "REGION": "eu-central",
            "UNUSED": "x",
        }
        self.commit = driver.repository.commit({"config.yaml": CONFIG.format(state=driver.folder / "state.db"), **FILES})

    def explain(self, **changes: Any) -> Outcome:
        return self._step("explain", **changes)

    def execute(self, explained: Outcome, variables: Mapping[str, str] | None = None) -> Outcome:
        self._write(variables or {})
        return self.driver.execute(explained, commit_sha=self.commit)

    def _step(self, command: str, **changes: Any) -> Outcome:
        self._write({})
        return self.driver.step(command, commit_sha=self.commit, **changes)

    def _write(self, changes: Mapping[str, str]) -> None:
        variables = {name: value for name, value in {**self.variables, **changes}.items() if value}
        (self.driver.secrets / "env.json").write_text(json.dumps(variables))


def test_every_process_finds_the_same_plan_and_it_can_be_executed(driver: Driver, tmp_path: Path) -> None:
    project = Project(driver)
    worlds: list[dict[str, str]] = [
        {},
        {"TZ": "Pacific/Auckland", "LANG": "de_DE.UTF-8", "PYTHONHASHSEED": "7", "HOME": str(tmp_path), "USER": "somebody"},
        {"TZ": "America/Lima", "LC_ALL": "C", "DAGCTL_CACHE_DIR": str(tmp_path / "other"), "TMPDIR": "/var/tmp"},
    ]
    explained = []
    for world in worlds:
        driver.variables.update(world)
        explained.append(project.explain())
        assert explained[-1].status == 0, explained[-1].output
    assert len({outcome.result["digest"] for outcome in explained}) == 1, [
        outcome.result["plan_output"]["digest_parts"] for outcome in explained
    ]
    executed = project.execute(explained[0])
    assert executed.status == 0, executed.output
    again = project.explain()
    assert again.result["plan_output"]["has_changes"] is False
    run = driver.step("run", commit_sha=project.commit)
    assert run.status == 0, run.output


def test_each_input_that_changes_stops_the_execute_and_is_named(driver: Driver) -> None:
    project = Project(driver)
    explained = project.explain()
    assert explained.status == 0, explained.output
    elsewhere = driver.folder / "elsewhere.db"
    for variables, named in (
        ({"REGION": "us-east"}, "variable REGION"),
        ({"UNUSED": "y"}, "variable UNUSED"),
        ({"UNUSED": ""}, "variable UNUSED (not there any more)"),
        ({"TENANT": "acme"}, "variable TENANT (new)"),
        ({"WAREHOUSE_FILE": str(elsewhere)}, "variable WAREHOUSE_FILE, warehouse's database"),
    ):
        drifted = project.execute(explained, variables)
        assert (drifted.status, drifted.code) == (3, "plan_drifted"), drifted.output
        assert f"any more: {named}" in drifted.result["error"]["message"]
        assert drifted.result["plan_output"]["drifts"][0]["kind"] in named
    project.outside.write_text("a b c")
    drifted = project.execute(explained)
    assert (drifted.status, drifted.code) == (3, "plan_drifted"), drifted.output
    # The file's name is the value of a variable, and therefore hidden.
    assert "any more: SQL of s.m; now" in drifted.result["error"]["message"]
    assert not elsewhere.exists()
    # An explain and five executes, and not one statement that writes: what DuckDB makes of a new file is empty.
    project.outside.write_text("a b")
    assert project.execute(explained).status == 0


@pytest.mark.long
def test_what_differs_each_time_is_named_and_does_not_stand_in_the_way(driver: Driver) -> None:
    stamp = RATES.replace("\nDATA =", "\nimport time\nSTAMP = str(time.time())\nDATA =")
    stamp = stamp.replace("pd.read_csv(DATA)", "pd.read_csv(DATA).assign(rate=float(STAMP))")
    macros = "import datetime\nfrom sqlmesh import macro\n@macro()\ndef built(evaluator):\n"
    macros += "    return repr(str(datetime.datetime.now()))\n"
    commit = driver.repository.commit(
        {
            **FILES, "config.yaml": CONFIG.format(state=driver.folder / "state.db"),
            "macros/m.py": macros, "models/rates.py": stamp,
            "models/m.sql": "MODEL (name s.m, kind FULL);\nSELECT id, @built() AS built FROM s.base",
        }
    )  # fmt: skip
    variables = {"WAREHOUSE_FILE": str(driver.folder / "warehouse.db"), "REGION": "eu"}
    (driver.secrets / "env.json").write_text(json.dumps(variables))
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["unstable"] == [
        {"kind": "rendered", "name": "s.m", "file": "models/m.sql", "what": "the SQL that its macros make"},
        {"kind": "model", "name": "s.rates", "file": "models/rates.py", "what": "the value of STAMP"},
    ]
    assert driver.execute(explained, commit_sha=commit).status == 0
    refused = driver.step("explain", commit_sha=commit, unstable="refuse")
    assert refused.code == "plan_unstable", refused.output
    assert "s.rates (models/rates.py): the value of STAMP" in refused.result["error"]["message"]


EVIL = "from sqlmesh import macro\n@macro()\ndef evil(evaluator):\n{body}\n    return '1'\n"


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (
            "    evaluator.engine_adapter.execute('create or replace table hacked as select 42 AS x')",
            "create or replace table hacked",
        ),
        ("    import duckdb\n    duckdb.connect({path!r})", "opens a connection of its own, with duckdb,"),
        ("    try:\n        open({path!r}, 'w')\n    except BaseException:\n        pass", "writes {path}"),
    ],
)
def test_an_explain_only_reads(driver: Driver, body: str, what: str) -> None:
    project = Project(driver)
    path = str(driver.folder / "hacked")
    guarded = "    if evaluator.runtime_stage != 'evaluating':\n        return '1'\n" if "engine_adapter" in body else ""
    project.commit = driver.repository.commit(
        {
            "macros/evil.py": EVIL.format(body=guarded + body.format(path=path)),
            "models/m.sql": "MODEL (name s.m, kind FULL);\nSELECT id, @evil() AS x FROM s.base",
        }
    )
    explained = project.explain()
    assert explained.code == "explain_writes", explained.output
    assert explained.result["error"]["message"].startswith("macros/evil.py:2 (evil)")
    assert what.format(path=path) in explained.result["error"]["message"]
    assert not Path(path).exists()


def test_on_postgresql_the_servers_log_has_reads_only_and_functions_cannot_write(stateful: Driver, postgres: PostgreSQL) -> None:
    warehouse = postgres.new_database()
    postgres.query(warehouse, "create table seen (n int)")
    postgres.query(warehouse, "create function note() returns int language sql as 'insert into seen values (1) returning n'")
    config = f"""
gateways:
  main:
    connection:
      {{type: postgres, host: {postgres.host}, port: 5432, user: postgres, password: unused-password, database: {warehouse}}}
default_gateway: main
model_defaults: {{dialect: postgres, start: '2026-11-20'}}
before_all: ["create table if not exists before_all_ran (n int)"]
"""
    files = {
        "config.yaml": config,
        "macros/__init__.py": "",
        "macros/m.py": "from sqlmesh import macro\n@macro()\ndef asked(evaluator):\n"
        "    if evaluator.runtime_stage != 'evaluating':\n        return '0'\n"
        "    return str(evaluator.engine_adapter.fetchone('select count(*) from seen')[0])\n",
        "models/base.sql": "MODEL (name s.base, kind FULL);\nSELECT 1 AS id",
        "models/m.sql": "MODEL (name s.m, kind FULL);\nSELECT id, @asked() AS n FROM s.base",
        "models/inc.sql": "MODEL (name s.inc, kind INCREMENTAL_BY_TIME_RANGE (time_column ds));\n"
        "SELECT id, CAST(@start_ds AS DATE) AS ds FROM s.base",
    }
    commit = stateful.repository.commit(files)
    postgres.query(warehouse, f"alter database {warehouse} set log_statement = 'all'")
    start = os.path.getsize(postgres.log)
    explained = stateful.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert (explained.result["plan_output"]["asked"], explained.result["plan_output"]["warnings"]) == (["s.m"], [])
    assert explained.result["plan_output"]["warehouse"]["database"] == warehouse
    logged = re.findall(r"statement: (.*)", Path(postgres.log).read_bytes()[start:].decode())
    assert any("from seen" in statement.lower() for statement in logged)
    writing = [
        text for text in logged if not re.match(r"(/\*.*?\*/ *)?(select|begin|commit|rollback|set|show)\b", text, re.IGNORECASE)
    ]
    assert writing == []

    # What the warehouse answers has changed: the approved SQL is made no more.
    postgres.query(warehouse, "insert into seen values (1)")
    drifted = stateful.execute(explained, commit_sha=commit)
    assert (drifted.status, drifted.code) == (3, "plan_drifted"), drifted.output
    assert "any more: SQL of s.m; now" in drifted.result["error"]["message"]

    hidden = files["macros/m.py"].replace("count(*) from seen", "note()")
    commit = stateful.repository.commit({"macros/m.py": hidden})
    explained = stateful.step("explain", commit_sha=commit)
    assert explained.code == "explain_writes", explained.output
    assert "s.m (models/m.sql): its macros write to the warehouse" in explained.result["error"]["message"]
    assert postgres.query(warehouse, "select count(*) from seen") == [(1,)]


@pytest.mark.long
def test_a_warehouse_beside_the_models_is_refused_or_kept(driver: Driver, tmp_path: Path) -> None:
    """The quickstart's config as ``sqlmesh init`` writes it."""
    config = "gateways:\n  duckdb:\n    connection:\n      type: duckdb\n      database: db.db\ndefault_gateway: duckdb\n"
    config += "model_defaults:\n  dialect: duckdb\n  start: 2026-11-20\n"
    commit = driver.repository.commit({"config.yaml": config, "models/base.sql": FILES["models/base.sql"]})
    refused = driver.step("explain", commit_sha=commit)
    assert refused.code == "warehouse_not_kept", refused.output
    assert "the file db.db" in refused.result["error"]["message"]
    assert "WAREHOUSE_FILE" in refused.result["error"]["message"]
    driver.variables["DAGCTL_DATA_DIR"] = str(tmp_path / "kept")
    for number in (1, 2):
        explained = driver.step("explain", commit_sha=commit)
        assert explained.status == 0, explained.output
        assert explained.result["plan_output"]["models_added"] == [f"s.{'base' if number == 1 else 'second'}"]
        assert driver.execute(explained, commit_sha=commit).status == 0
        commit = driver.repository.commit({"models/second.sql": "MODEL (name s.second, kind FULL);\nSELECT id FROM s.base"})
    assert [path.name for path in (tmp_path / "kept").rglob("*.db")] == ["db.db"]

    # The same file by its whole path, as a config in Python would find it beside itself.
    beside = """
import os
from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

path = os.path.join(os.path.dirname(os.path.abspath(__file__)), "db.db")
config = Config(
    gateways={"duckdb": GatewayConfig(connection=DuckDBConnectionConfig(database=path))},
    default_gateway="duckdb",
    model_defaults=ModelDefaultsConfig(dialect="duckdb", start="2026-11-20"),
)
"""
    commit = driver.repository.commit({"config.py": beside, "config.yaml": None})
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["has_changes"] is False


CUSTOM_KIND = """
import typing as t
from sqlmesh import CustomKind, CustomMaterialization, Model


class OwnKind(CustomKind):
    @property
    def note(self) -> str:
        return "own"


class Own(CustomMaterialization[OwnKind]):
    NAME = "own"

    def insert(self, table_name, query_or_df, model, is_first_insert, render_kwargs, **kwargs):
        self._replace_query_for_model(model, table_name, query_or_df, render_kwargs=render_kwargs)
"""


def test_a_kind_of_the_projects_own_survives_that_a_first_execute_loads_the_project_twice(driver: Driver) -> None:
    commit = driver.repository.commit(
        {
            **FILES,
            "config.yaml": CONFIG.format(state=driver.folder / "state.db"),
            "materializations/__init__.py": "",
            "materializations/own.py": CUSTOM_KIND,
            "macros/m.py": "",
            "models/m.sql": "MODEL (name s.m, kind CUSTOM (materialization 'own'));\nSELECT id FROM s.base",
        }
    )
    variables = {"WAREHOUSE_FILE": str(driver.folder / "warehouse.db"), "REGION": "eu"}
    (driver.secrets / "env.json").write_text(json.dumps(variables))
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    executed = driver.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output
