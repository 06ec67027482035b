"""Real dbt and DuckDB: an explain only reads, a plan has one moment, and every input of it is a part that a drift can name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgreSQL
from tests.runner.dbt_inner import Project
from tests.runner.dbt_shop import FIRST, NEWEST, PROFILE, Files

pytestmark = pytest.mark.slow

VERSIONS = ["1.5.0", "1.8.10", NEWEST]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """A version of dbt: the oldest, one between and the newest."""
    found: str = request.param
    return found


def shop(folder: Path, version: str = NEWEST, files: Files | None = None) -> Project:
    """The shop with its warehouse outside of the step's folder."""
    project = Project(folder, version, variables={"WAREHOUSE": str(folder / "warehouse.duckdb")})
    project.write({**FIRST, **(files or {})})
    return project


def tables(project: Project) -> list[str]:
    """Tables and views of the warehouse."""
    rows = project.ask(project.folder / "warehouse.duckdb", "select table_name from information_schema.tables order by 1")
    return [row[0] for row in rows]


WRITES = "{% if execute %}{% do run_query('create or replace table hacked as select 42 as x') %}{% endif %}"


def test_an_explain_that_would_write_fails_and_names_model_and_file(tmp_path: Path, version: str) -> None:
    project = shop(tmp_path, version)
    explained = project.explain()
    assert not (tmp_path / "warehouse.duckdb").exists(), "an explain makes no warehouse"
    executed = project.execute(explained)
    assert executed["outcome"] == "succeeded", executed["log"]
    before = tables(project)

    project.write({"models/fct_customers.sql": WRITES + FIRST["models/fct_customers.sql"]})  # type: ignore[operator]
    refused = project.do("explain")
    assert refused["outcome"] == "failed", refused["log"]
    assert refused["error"]["code"] == "explain_writes"
    assert "model fct_customers (models/fct_customers.sql)" in refused["error"]["message"]
    assert "create or replace table hacked" in refused["error"]["message"]
    assert tables(project) == before

    method = (
        "{% if execute %}{% do adapter.create_schema(api.Relation.create(database='warehouse', schema='other')) %}{% endif %}"
    )
    project.write({"models/fct_customers.sql": method + FIRST["models/fct_customers.sql"]})  # type: ignore[operator]
    refused = project.do("explain")
    assert refused["error"]["code"] == "explain_writes", refused["log"]
    assert "adapter.create_schema" in refused["error"]["message"]


MOVING: Files = {
    "models/v_names.sql": "{{ config(materialized='view', alias='v_' ~ run_started_at.strftime('%Y%m%d%H%M%S'),"
    " meta={'run': invocation_id}) }} select distinct customer from {{ ref('raw_orders') }}",
    "models/old_report.sql": "{{ config(post_hook=\"select '\" ~ invocation_id ~ \"'\", sql_header='-- ' ~ run_started_at) }}"
    " select count(*) as n, '{{ run_started_at }}' as started, '{{ invocation_id }}' as run from {{ ref('v_names') }}",
}


def test_a_plan_has_one_moment_and_its_nodes_run_at_their_own(tmp_path: Path, version: str) -> None:
    project = shop(tmp_path, version, MOVING)
    explained = project.explain()
    parts = explained["plan_output"]["digest_parts"]
    (warning,) = explained["plan_output"]["warnings"]
    assert "v_names (models/v_names.sql)" in warning
    executed = project.execute(explained)
    assert executed["outcome"] == "succeeded", executed["log"]
    ((started, run),) = project.ask(tmp_path / "warehouse.duckdb", "select started, run from main.old_report")
    assert started > parts["moment"].replace("T", " ")
    assert run
    view = next(name for name in tables(project) if name.startswith("v_"))
    assert view == "v_" + parts["moment"][:19].replace("-", "").replace("T", "").replace(":", "")
    # The next explain has a moment of its own, and its execute takes that one.
    again = project.explain()
    assert again["plan_output"]["digest_parts"]["moment"] > parts["moment"]
    executed = project.execute(again)
    assert executed["outcome"] == "succeeded", executed["log"]


INPUTS: Files = {
    "models/stg_orders.sql": "select id, customer, amount from {{ ref('raw_orders') }}"
    " where amount > {{ env_var('LEAST', '1') }}",
    "models/asks.sql": "{% set n = run_query('select count(*) from duckdb_tables()') %}"
    "select {{ n.columns[0].values()[0] if execute else 0 }} as n",
    "models/star.sql": "select {% for one in adapter.get_columns_in_relation(ref('stg_orders')) %}{{ one.name }},{% endfor %}"
    " 1 as one from {{ ref('stg_orders') }}",
    "models/off.sql": "{{ config(enabled=false) }} select 1 as x",
    "dbt_project.yml": FIRST["dbt_project.yml"] + "on-run-end: [\"select '{{ env_var('WHO', 'nobody') }}'\"]\n",  # type: ignore[operator]
    # With these, dbt's own copying of a manifest fails.
    "selectors.yml": "selectors: [{name: staging, definition: {method: path, value: models}}]\n",
}


def drifts(answer: dict[str, Any]) -> set[str]:
    """Kinds and names of what an execute says is not as it was."""
    assert answer["error"]["code"] == "plan_drifted", answer["log"]
    return {f"{row['kind']}:{row.get('name') or ''}" for row in answer["plan_output"]["drifts"]}


def test_every_input_that_changes_stops_the_execute_and_is_named(tmp_path: Path) -> None:
    project = shop(tmp_path, files=INPUTS)
    explained = project.explain()
    output = explained["plan_output"]
    assert output["asked"] == ["asks", "star"]
    assert output["warehouse"] == {
        "type": "duckdb", "database": "warehouse", "schema": "main", "path": str(tmp_path / "warehouse.duckdb"),
        "external_root": ".",
    }  # fmt: skip
    assert {"rendered:asks", "model:asks", "seed:raw_orders", "test:not_null_fct_customers_customer", "hook:shop-on-run-end-0",
            "variable:LEAST", "variable:WHO", "warehouse:path"} <= set(output["digest_parts"])  # fmt: skip

    kept = dict(project.variables)
    changes: list[tuple[dict[str, str], Files, str]] = [
        ({"LEAST": "25"}, {}, "variable:LEAST"),
        ({"WHO": "me"}, {}, "variable:WHO"),
        ({"WAREHOUSE": str(tmp_path / "other.duckdb")}, {}, "warehouse:path"),
        ({}, {"models/new.sql": "select '{{ env_var('UNSEEN', 'x') }}' as x"}, "variable:UNSEEN"),
    ]
    for variables, files, part in changes:
        project.variables = {**kept, **variables}
        project.write(files)
        answer = project.execute(explained)
        assert part in drifts(answer), answer["error"]["message"]
        project.write({name: INPUTS.get(name) for name in files})
    project.variables = kept
    assert [path.name for path in tmp_path.glob("*.duckdb")] == []
    project.ask(tmp_path / "warehouse.duckdb", "create table came as select 1 as x", read_only=False)
    assert drifts(project.execute(explained)) == {"rendered:asks"}
    executed = project.execute(project.explain())
    assert executed["outcome"] == "succeeded", executed["log"]


@pytest.mark.long
def test_variables_that_only_an_explain_has_otherwise_are_no_drift(tmp_path: Path) -> None:
    project = shop(tmp_path, files=INPUTS)
    own = {"LEAST": "unstable", "WAREHOUSE": "unstable", "TENANT": "1"}
    project.variables["LEAST"] = "5"
    explained = project.explain(given=own, explain_connection=True)
    assert "Values of variables from Secrets are not compared" in "".join(explained["plan_output"]["warnings"])
    given = {"LEAST": "2", "WAREHOUSE": "3", "TENANT": "4"}
    assert drifts(project.execute(explained, given=given)) == {"variable:TENANT"}
    executed = project.execute(explained, given={**given, "TENANT": "1"})
    assert executed["outcome"] == "succeeded", executed["log"]


@pytest.mark.long
def test_the_same_commit_is_the_same_plan_in_any_process_folder_and_place(tmp_path: Path) -> None:
    found = set()
    for name, variables in (
        ("one", {"PYTHONHASHSEED": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "C"}),
        ("other", {"PYTHONHASHSEED": "77", "TZ": "America/Anchorage", "LC_ALL": "C.UTF-8"}),
    ):
        (tmp_path / name).mkdir()
        project = shop(tmp_path / name, files=INPUTS)
        project.variables = {"WAREHOUSE": str(tmp_path / "warehouse.duckdb"), **variables}
        found |= {project.explain()["digest"] for _ in range(2)}
    assert len(found) == 1


CHANCE: Files = {
    "models/v_names.sql": "{{ config(materialized='view', alias='v_' ~ modules.datetime.date.today().strftime('%Y%m%d')) }}"
    " select distinct customer from {{ ref('raw_orders') }}",
    # In a model's own SQL it is no part of the plan.
    "models/old_report.sql": "select '{{ modules.datetime.datetime.now() }}' as at, n from (select 1 as n) t",
    "models/asks.sql": "select {{ run_query('select 7').columns[0].values()[0] if execute else 0 }} as n,"
    " '{{ modules.datetime.date.today() }}' as d",
}


@pytest.mark.long
def test_what_differs_each_time_is_named_and_left_out_or_refused(tmp_path: Path) -> None:
    project = shop(tmp_path, files=CHANCE)
    explained = project.explain()
    output = explained["plan_output"]
    assert output["unstable"] == [
        {
            "kind": "model", "name": "v_names", "file": "models/v_names.sql",
            "what": "its configuration or place differs each time it is computed",
        },
        {"kind": "rendered", "name": "asks", "file": "models/asks.sql", "what": "its SQL differs each time it is computed"},
    ]  # fmt: skip
    assert output["digest_parts"]["model:v_names"] == output["digest_parts"]["rendered:asks"] == "unstable"
    assert project.explain()["digest"] == explained["digest"]
    executed = project.execute(explained)
    assert executed["outcome"] == "succeeded", executed["log"]
    refused = project.do("explain", unstable="refuse")
    assert (refused["error"]["code"], "v_names (models/v_names.sql)" in refused["error"]["message"]) == ("plan_unstable", True)


RELATIVE = PROFILE.replace("\"{{ env_var('WAREHOUSE') }}\"", "data/shop.duckdb")


@pytest.mark.long
def test_a_warehouse_in_the_steps_own_folder_is_kept_elsewhere_or_refused(tmp_path: Path) -> None:
    project = shop(tmp_path, files={"profiles.yml": RELATIVE})
    for text, shown in (
        (RELATIVE, "path: data/shop.duckdb"),
        (RELATIVE.replace("data/shop.duckdb", "':memory:'"), "in memory"),
        (RELATIVE.replace("path: data/shop.duckdb", "schema: main"), "in memory"),
        (RELATIVE.replace("data/shop.duckdb", "\"{{ env_var('NOT_SET', '') }}data/shop.duckdb\""), "path: data/shop.duckdb"),
        (RELATIVE.replace("data/shop.duckdb", "~/shop.duckdb"), "path: ~/shop.duckdb"),
        (PROFILE + "      attach: [{path: more.duckdb, alias: more}]\n", "attach: more: more.duckdb"),
    ):
        project.write({"profiles.yml": text})
        refused = project.do("explain")
        assert refused["error"]["code"] == "warehouse_not_kept", refused["log"]
        assert shown in refused["error"]["message"]
        assert "WAREHOUSE_FILE" in refused["error"]["message"]
    assert project.do("run")["error"]["code"] == "warehouse_not_kept"

    project.write({"profiles.yml": RELATIVE})
    project.job["data_folder"] = str(tmp_path / "kept")
    explained = project.explain()
    assert not (tmp_path / "kept").exists()
    executed = project.execute(explained)
    assert executed["outcome"] == "succeeded", executed["log"]
    project.write({"models/fct_customers.sql": "select customer, count(*) as n from {{ ref('stg_orders') }} group by 1"})
    executed = project.execute(project.explain())
    assert executed["outcome"] == "succeeded", executed["log"]
    assert project.ask(tmp_path / "kept" / "data" / "shop.duckdb", "select sum(n) from shop.main.fct_customers") == [[3]]


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1234\n"


def test_a_pointer_of_git_lfs_is_no_data(tmp_path: Path) -> None:
    project = shop(tmp_path)
    for name in ("seeds/raw_orders.csv", "models/stg_orders.sql", "models/schema.yml"):
        project.write({name: POINTER})
        refused = project.do("explain")
        assert (refused["error"]["code"], refused["error"]["message"].split(" ")[0]) == ("file_missing", name), refused["log"]
        project.write({name: FIRST[name]})


@pytest.mark.long
def test_what_a_hook_reads_and_when_it_runs(tmp_path: Path) -> None:
    def files(role: str, audit: str) -> Files:
        text = (
            f"{FIRST['dbt_project.yml']}vars: {{role: {role}}}\n"
            "seeds: {shop: {+post-hook: \"select '{{ var('role') }}'\"}}\n"
            f"on-run-end: [\"create table if not exists audit as select '{audit}' as x\"]\n"
        )
        return {"dbt_project.yml": text}

    project = shop(tmp_path, files=files("reader", "a"))
    executed = project.execute(project.explain())
    assert executed["outcome"] == "succeeded", executed["log"]
    project.write(files("writer", "a"))
    output = project.explain()["plan_output"]
    assert output["directly_modified"] == ["raw_orders"]
    assert [row["details"] for row in output["models"] if row["name"] == "raw_orders"] == [["vars: role"]]
    project.write(files("reader", "b"))
    output = project.explain()["plan_output"]
    assert (output["selection"]["mode"], output["selection"]["nodes"]) == ("selected", [])
    assert "hook" in output["selection"]["reason"]


ON_POSTGRES: Files = {
    "dbt_project.yml": FIRST["dbt_project.yml"],
    "profiles.yml": "shop: {target: prod, outputs: {prod: {type: postgres, host: \"{{ env_var('HOST') }}\", port: 5432,"
    " user: postgres, password: unused, dbname: \"{{ env_var('DATABASE') }}\", schema: marts, threads: 1}}}\n",
    "models/one.sql": "select {{ run_query('select 7 as n').columns[0].values()[0] if execute else 0 }} as n",
    "models/more.sql": "{{ config(materialized='incremental') }} select n from {{ ref('one') }}"
    "{% if is_incremental() %} where n > 7{% endif %}",
}


def test_what_an_explain_sends_to_postgresql_are_reads_only(tmp_path: Path, postgres: PostgreSQL) -> None:
    database = postgres.new_database()
    postgres.query(database, f"alter database {database} set log_statement = 'all'")
    postgres.query(database, "create table log (x int); create sequence counted")
    postgres.query(
        database,
        "create function tell() returns int language sql as 'insert into log values (1) returning x'",
    )
    project = Project(tmp_path, adapter="postgres", variables={"HOST": postgres.host, "DATABASE": database})
    project.write(ON_POSTGRES)
    for number, schemas in ((7, 0), (8, 1)):
        project.write({"models/one.sql": str(ON_POSTGRES["models/one.sql"]).replace("7", str(number))})
        before = postgres.log.stat().st_size
        explained = project.explain()
        sent = re.findall(r"LOG:  statement: (?:/\*.*?\*/\s*)?(\w+)", postgres.log.read_text()[before:], re.DOTALL)
        assert sent, "the server's own log tells what it was sent"
        assert {word.lower() for word in sent} <= {"begin", "rollback", "commit", "select", "set"}
        assert explained["plan_output"]["compiled"] == {"available": True}
        assert explained["plan_output"]["asked"] == ["one"]
        assert postgres.query(database, "select count(*) from pg_namespace where nspname = 'marts'") == [(schemas,)]
        executed = project.execute(explained)
        assert executed["outcome"] == "succeeded", executed["log"]
    # No parser knows what it does; the session is one that cannot write.
    project.write({"models/one.sql": "select {{ run_query('select tell()').columns[0].values()[0] if execute else 0 }} as n"})
    refused = project.do("explain")
    assert refused["error"]["code"] == "explain_writes", refused["log"]
    assert "model one (models/one.sql)" in refused["error"]["message"]
    assert postgres.query(database, "select count(*) from log") == [(0,)]
