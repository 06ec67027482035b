"""Honest commands of jobs, done by real SQLMesh and dbt: old versions and the newest."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from dagctl_provider.runner.environments import make_spec, tool_python
from dagctl_provider.runner.job_options import TOOL_COMMANDS
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.stopping import Stop
from tests.runner.conftest import NEWEST, ROOT, Driver, Outcome
from tests.runner.dbt_shop import FIRST as DBT_FIRST
from tests.runner.dbt_shop import NEWEST as NEWEST_DBT
from tests.runner.dbt_shop import Files, prepare
from tests.runner.shop import FIRST, config
from tests.runner.widths import some

pytestmark = [pytest.mark.slow, pytest.mark.long]

MOMENT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")


@dataclass(frozen=True)
class Case:
    """A command, and what is to come of it.

    :param code: The error's code; ``None``: it succeeds.
    :param said: What stands in its log.
    :param since: The first version that has it.
    :param models: Names of the models that have a row in the result.
    """

    command: str
    code: str | None = None
    said: str = ""
    since: str = "0"
    models: frozenset[str] = field(default_factory=frozenset)


def key(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def do(driver: Driver, case: Case, commit: str, **request: Any) -> Outcome:
    outcome = driver.step("run", commit_sha=commit, job_command=case.command, **request)
    assert outcome.code == case.code, f"{case.command}\n{outcome.output}"
    assert case.said in outcome.output, f"{case.command}\n{outcome.output}"
    rows = outcome.result.get("models", [])
    # Newer versions of dbt run ephemeral models as well, for nothing.
    assert {row["name"] for row in rows} - {"eph_orders"} == case.models, f"{case.command}\n{outcome.output}"
    for row in rows:
        assert not row.get("started") or MOMENT.fullmatch(row["started"])
    return outcome


SQLMESH_FILES = {
    **FIRST,
    "models/agg_daily.sql": """MODEL (name shop.agg_daily, kind FULL, grain day, audits (not_null(columns := (orders))));
SELECT day, COUNT(*) AS orders FROM shop.raw_orders GROUP BY day""",
    "models/bad.sql": """MODEL (name shop.bad, kind FULL, audits (none_of_it));
SELECT 1 AS n""",
    "audits/none_of_it.sql": "AUDIT (name none_of_it, blocking false);\nSELECT * FROM @this_model",
    "tests/test_wrong.yaml": """test_wrong:
  model: shop.v_names
  inputs: {shop.raw_orders: {rows: [{customer: ann}]}}
  outputs: {query: {rows: [{customer: bob}]}}
""",
}

SQLMESH = [
    Case("sqlmesh run --select-model shop.fct_orders --skip-janitor", models=frozenset({"shop.fct_orders"})),
    Case("sqlmesh run", models=frozenset({"shop.old_report"})),
    Case("run"),
    Case("sqlmesh run prod"),
    Case("sqlmesh run --select-model shop.fct_orders"),
    Case("sqlmesh run --select-model 'shop.*'"),
    Case("sqlmesh run --select-model shop.fct_orders --no-auto-upstream", since="0.136.0"),
    Case("sqlmesh run --ignore-cron --start 2024-01-01 --end 2024-01-05"),
    Case("sqlmesh test -k test_fct_orders", said="1 run, 0 failed"),
    Case("sqlmesh test tests/test_fct.yaml::test_fct_orders -v", said="1 run, 0 failed"),
    Case("sqlmesh test", "tests_failed", "test_wrong"),
    Case("sqlmesh test --select-model shop.fct_orders", said="1 run, 0 failed", since="0.236.2"),
    Case("sqlmesh audit --model shop.agg_daily", said="PASS.\n"),
    Case("sqlmesh audit --model shop.agg_daily --start 2024-01-01 --end 2024-01-03", said="all audits passed"),
    Case("sqlmesh audit", "audit_failed", "none_of_it"),
    Case("sqlmesh audit --model shop.nothing", "command_failed", "nothing"),
    Case("sqlmesh check_intervals", said="shop.fct_orders", since="0.175.1"),
    Case("sqlmesh check_intervals --no-signals --select-model shop.fo_events", since="0.175.1"),
    Case("sqlmesh table_diff shop.raw_orders:shop.stg_orders --on id --limit 5", said="FULL MATCH"),
    Case("sqlmesh table_diff prod:dev_x shop.agg_daily", said="orders (BIGINT -> INT)"),
    Case("sqlmesh table_diff prod:dev_x --select-model 'shop.agg*' --warn-grain-check", since="0.184.3"),
    Case("sqlmesh table_diff prod:nothing shop.agg_daily", "command_failed", "nothing"),
    Case("sqlmesh lint", said="no errors", since="0.169.0"),
    Case("sqlmesh lint --model shop.fct_orders", said="no errors", since="0.169.0"),
    Case("sqlmesh environments", said="dev_x", since="0.160.0"),
    Case("sqlmesh invalidate dev_x"),
    Case("sqlmesh janitor"),
    Case("sqlmesh janitor --ignore-ttl"),
    Case("sqlmesh invalidate dev_x --sync", "environment_not_found", "gone already"),
    Case("sqlmesh run --select-model shop.fct_orders"),
]


def apply(driver: Driver, commit: str, environment: str) -> dict[str, Any]:
    """Deploy a commit; what it says of each model."""
    asked = {"commit_sha": commit, "environment": environment, "run_tests": False}
    explained = driver.step("explain", **asked)
    assert explained.status == 0, explained.output
    executed = driver.execute(explained, **asked)
    assert executed.status == 0, executed.output
    return {row["name"]: row for row in executed.result["models"]}


@pytest.mark.parametrize("version", some(["0.130.2", NEWEST], ["0.200.0"]))
def test_honest_commands_of_sqlmesh_run(stateful: Driver, version: str) -> None:
    driver = stateful
    driver.request["tool_version"] = version
    commit = driver.repository.commit({**config(driver.folder / "warehouse.db"), **SQLMESH_FILES})
    other = driver.repository.commit({"models/agg_daily.sql": SQLMESH_FILES["models/agg_daily.sql"].replace("COUNT(*)", "1")})
    rows = apply(driver, commit, "prod")
    assert rows["shop.fo_events"]["interval"] == ["2024-01-01T00:00:00.000Z", "2024-01-11T00:00:00.000Z"]
    assert all(MOMENT.fullmatch(row["started"]) and row["started"] <= row["ended"] for row in rows.values())
    apply(driver, other, "dev_x")
    due = "DELETE FROM state_of_shop._intervals WHERE name LIKE '%fct_orders%' OR name LIKE '%old_report%'"
    driver.server.query(driver.state_database, due)
    for case in SQLMESH:
        if key(case.since) <= key(version):
            do(driver, case, commit)


DBT_FILES: Files = {
    **DBT_FIRST,
    "snapshots/orders.sql": "{% snapshot s_orders %}{{ config(target_schema='main', unique_key='id', strategy='check', "
    "check_cols='all') }}select * from {{ ref('raw_orders') }}{% endsnapshot %}",
    "models/fail_once.sql": "select {{ env_var('FAILS', '1') }} as n",
    "models/after.sql": "select * from {{ ref('fail_once') }}",
    "models/sources.yml": """version: 2
sources:
  - name: raw
    schema: main
    loaded_at_field: "cast('2020-01-01' as timestamp)"
    tables:
      - name: raw_orders
        freshness: {warn_after: {count: 1, period: day}}
      - name: v_names
        freshness: {error_after: {count: 1, period: day}}
""",
    "selectors.yml": "selectors:\n  - name: nightly\n    definition: {method: fqn, value: stg_orders}\n",
}

MODELS = frozenset({"stg_orders", "fct_customers", "v_names", "old_report", "fail_once", "after"})
EVERYTHING = MODELS | {"raw_orders", "s_orders"}

DBT = [
    Case("run", models=EVERYTHING),
    Case("dbt build", models=EVERYTHING),
    Case("dbt build --select stg_orders+ --exclude fct_customers", models=frozenset({"stg_orders"})),
    Case("dbt build -s stg_orders v_names --threads 1", models=frozenset({"stg_orders", "v_names"})),
    Case("dbt build --selector nightly", models=frozenset({"stg_orders"})),
    Case("dbt build --select fct_customers --indirect-selection empty --fail-fast", models=frozenset({"fct_customers"})),
    Case("dbt build --resource-type seed snapshot", models=frozenset({"raw_orders", "s_orders"})),
    Case("dbt build --exclude-resource-type model test snapshot", models=frozenset({"raw_orders"}), since="1.8.0"),
    Case("dbt build --select path:models/stg_orders.sql --no-fail-fast --warn-error", models=frozenset({"stg_orders"})),
    Case("dbt run", models=MODELS),
    Case("dbt run --models v_names", models=frozenset({"v_names"})),
    Case(
        "dbt run --select stg_orders --event-time-start 2024-01-01 --event-time-end 2024-01-02",
        since="1.9.0",
        models=frozenset({"stg_orders"}),
    ),
    Case("dbt seed", models=frozenset({"raw_orders"})),
    Case("dbt seed --select raw_orders --fail-fast", models=frozenset({"raw_orders"})),
    Case("dbt snapshot", models=frozenset({"s_orders"})),
    Case("dbt test"),
    Case("dbt test --select fct_customers --store-failures --fail-fast"),
    Case("dbt source freshness --select source:raw.raw_orders", said="raw_orders"),
    Case("dbt source freshness", "freshness_failed", "v_names"),
    Case("dbt compile --select stg_orders"),
    Case("dbt docs generate --select stg_orders"),
    Case("dbt docs generate --empty-catalog", since="1.6.0"),
    Case("dbt ls --select stg_orders+ --output name", said="fct_customers"),
    Case("dbt list --resource-type seed --output json --output-keys name alias", said="raw_orders"),
    Case("dbt parse"),
]


@pytest.mark.parametrize("version", some(["1.5.0", NEWEST_DBT], ["1.7.20", "1.9.0"]))
def test_honest_commands_of_dbt_run(driver: Driver, version: str) -> None:
    warehouse = prepare(driver, version)
    commit = driver.repository.commit(DBT_FILES)
    for case in DBT:
        if key(case.since) <= key(version):
            outcome = do(driver, case, commit)
            if case.models:
                assert (outcome.result["command"], outcome.result["remaining"]) == (case.command, [])
                assert all(
                    MOMENT.fullmatch(row["started"]) and row["started"] <= row["ended"] for row in outcome.result["models"]
                )

    (driver.secrets / "env.json").write_text(json.dumps({"WAREHOUSE": str(warehouse), "FAILS": "1/0 + 'x'"}))
    failing = Case(
        "dbt build --select fail_once+ stg_orders", "model_failed", models=frozenset({"fail_once", "after", "stg_orders"})
    )
    failed = do(driver, failing, commit)
    rows = {row["name"]: row for row in failed.result["models"]}
    assert rows["fail_once"]["error"]
    assert "error" not in rows["after"]
    assert failed.result["remaining"] == ["model.shop.after", "model.shop.fail_once"]
    if key(version) < (1, 6):
        return
    do(driver, Case("dbt retry", "nothing_to_retry"), commit)
    left = {"command": failed.result["command"], "nodes": failed.result["remaining"]}
    inputs = {"retry": base64.b64encode(gzip.compress(json.dumps(left).encode())).decode()}
    again = do(driver, Case("dbt retry", "model_failed", models=frozenset({"fail_once", "after"})), commit, inputs=inputs)
    assert (again.result["command"], again.result["remaining"]) == (left["command"], left["nodes"])
    (driver.secrets / "env.json").write_text(json.dumps({"WAREHOUSE": str(warehouse)}))
    mended = do(driver, Case("dbt retry --threads 1", models=frozenset({"fail_once", "after"})), commit, inputs=inputs)
    assert mended.result["remaining"] == []


DAYS: Files = {
    **DBT_FIRST,
    "models/days.sql": "{{ config(event_time='day') }} select cast('2026-05-02' as timestamp) as day, 1 as n",
    "models/loaded.sql": "{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day', "
    "batch_size='day', begin='2026-05-01') }} select * from {{ ref('days') }}",
}


def test_a_microbatch_model_tells_which_time_it_loaded(driver: Driver) -> None:
    prepare(driver)
    command = "dbt run --select days loaded --event-time-start 2026-05-01 --event-time-end 2026-05-04"
    outcome = do(driver, Case(command, models=frozenset({"days", "loaded"})), driver.repository.commit(DAYS))
    row = next(row for row in outcome.result["models"] if row["name"] == "loaded")
    assert (row["batches"], row["interval"]) == (3, ["2026-05-01T00:00:00.000Z", "2026-05-04T00:00:00.000Z"])


OPTIONS = """
import importlib, json, sys
group = getattr(importlib.import_module(sys.argv[1]), "cli")
def flags(command):
    return [flag for param in command.params for flag in (*param.opts, *param.secondary_opts) if flag.startswith("-")]
found = {"": flags(group)}
for name, command in group.commands.items():
    found[name] = flags(command)
    for inner, below in getattr(command, "commands", {}).items():
        found[f"{name} {inner}"] = flags(below)
print(json.dumps(found))
"""


def options_of(tool: str, version: str) -> dict[str, set[str]]:
    """What the tool's own command line has, by subcommand; what stands before it has no name."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGCTL_ENVIRONMENTS_DIR", str(ROOT / ".tools" / "environments"))
        python = tool_python(make_spec(tool, version, ["duckdb"]), Progress(io.StringIO()), Stop())
    command = [str(python), "-W", "ignore", "-c", OPTIONS, f"{tool}.cli.main"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return {name: set(flags) for name, flags in json.loads(done.stdout.splitlines()[-1]).items()}


@pytest.mark.parametrize(
    ("tool", "version"),
    [("sqlmesh", version) for version in some(["0.130.2", NEWEST], ["0.170.1", "0.200.0"])]
    + [("dbt", version) for version in some(["1.5.0", NEWEST_DBT], ["1.7.20", "1.8.10", "1.9.0"])],
)
def test_the_table_says_what_the_tool_has(tool: str, version: str) -> None:
    real = options_of(tool, version)
    for name, verb in TOOL_COMMANDS[tool].verbs.items():
        there = not verb.since or key(verb.since) <= key(version)
        assert (name in real) == there, name
        for option in verb.options if there else ():
            known = {*option.flags, *([option.off] if option.off else [])} & (real[name] | real[""])
            expected = option.since is None or key(option.since) <= key(version)
            assert bool(known) == expected, (name, option)
            # Short and other names are all there, or a job would get an option that the tool does not have.
            assert not expected or set(option.flags) <= real[name] | real[""], (name, option)


def test_the_cases_are_as_many_as_they_are_meant_to_be() -> None:
    assert sum(case.code is None for case in (*SQLMESH, *DBT)) >= 40
