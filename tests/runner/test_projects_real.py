"""Projects that cannot be planned or applied: the one-line cause must name what is really wrong."""

from __future__ import annotations

import json

import pytest

from tests.runner.conftest import Driver, approved
from tests.runner.shop import FIRST, SEED, config

pytestmark = pytest.mark.slow


def test_a_broken_model_is_named(stateful: Driver) -> None:
    files = {**config(stateful.folder / "w.db"), **SEED, "models/bad.sql": "MODEL (name shop.bad);\nSELEC 1"}
    outcome = stateful.step("explain", commit_sha=stateful.repository.commit(files))
    assert (outcome.status, outcome.code) == (2, "project_load_failed"), outcome.output
    assert "models/bad.sql" in outcome.result["error"]["message"]
    assert str(stateful.folder) not in outcome.result["error"]["message"]


def test_failing_unit_tests_leave_nothing_to_approve_or_apply(stateful: Driver) -> None:
    wrong = FIRST["tests/test_fct.yaml"].replace("total: 3", "total: 4")
    commit = stateful.repository.commit({**config(stateful.folder / "w.db"), **FIRST, "tests/test_fct.yaml": wrong})
    outcome = stateful.step("explain", commit_sha=commit)
    assert (outcome.status, outcome.code) == (2, "tests_failed"), outcome.output
    tests = outcome.result["plan_output"]["tests"]
    assert (tests["run"], tests["passed"], tests["failed"]) == (1, 0, 1)
    assert "test_fct_orders" in outcome.result["error"]["message"]
    assert outcome.result["plan_output"]["modelsAdded"] == 7

    executed = stateful.execute(outcome, commit_sha=commit)
    assert (executed.status, executed.code) == (2, "tests_failed"), executed.output
    assert not (stateful.folder / "w.db").exists()


def test_the_cause_of_a_failed_model_and_of_a_failed_audit_is_told(stateful: Driver) -> None:
    bad = "MODEL (name shop.bad, kind FULL);\nSELECT CAST(customer AS INT) AS id FROM shop.raw_orders"
    after = "MODEL (name shop.after, kind FULL);\nSELECT id FROM shop.bad"
    files = {**config(stateful.folder / "w.db"), **SEED, "models/bad.sql": bad, "models/after.sql": after}
    commit = stateful.repository.commit(files)
    explained = stateful.step("explain", commit_sha=commit)
    outcome = stateful.execute(explained, commit_sha=commit)
    assert (outcome.status, outcome.code) == (1, "model_failed"), outcome.output
    assert outcome.result["error"]["message"].startswith("shop.bad: ConversionException: ")
    assert {row["name"]: row["status"] for row in outcome.result["models"]} == {
        "shop.raw_orders": "succeeded",
        "shop.bad": "failed",
        "shop.after": "skipped",
    }
    kinds = {event["event"] for event in outcome.events}
    assert {"model_start", "model_failed", "model_finished", "model_skipped", "tests", "stage"} <= kinds

    audited = (
        "MODEL (name shop.bad, kind FULL, audits (unique_values(columns := (customer))));\nSELECT customer FROM shop.raw_orders"
    )
    commit = stateful.repository.commit({"models/bad.sql": audited, "models/after.sql": None})
    explained = stateful.step("explain", commit_sha=commit)
    outcome = stateful.execute(explained, commit_sha=commit)
    assert (outcome.status, outcome.code) == (1, "audit_failed"), outcome.output
    assert outcome.result["error"]["message"] == "shop.bad: audit unique_values found 1 bad row(s)"


def test_an_unreachable_warehouse_or_state_is_told_apart(stateful: Driver) -> None:
    connection = "type: postgres\n      host: 127.0.0.1\n      port: 1\n      user: u\n      password: p\n      database: d"
    files = {
        **config(connection=connection, dialect="postgres"),
        "models/one.sql": "MODEL (name shop.one, kind FULL);\nSELECT 1 AS id",
    }
    commit = stateful.repository.commit(files)
    explained = stateful.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    outcome = stateful.execute(explained, commit_sha=commit)
    assert (outcome.status, outcome.code) == (1, "warehouse_refused"), outcome.output
    assert "127.0.0.1" in outcome.result["error"]["message"]

    path = stateful.secrets / "state_connection.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "database": "no_such_database"}))
    outcome = stateful.step("explain", commit_sha=commit)
    assert (outcome.status, outcome.code) == (2, "state_unreachable"), outcome.output


CONFIG_PY = """
import os
from sqlmesh.core.config import Config, GatewayConfig, ModelDefaultsConfig, PlanConfig, CategorizerConfig, AutoCategorizationMode
from sqlmesh.core.config.connection import DuckDBConnectionConfig
print("warehouse password is", os.environ["WAREHOUSE_PASSWORD"])
off = CategorizerConfig.all_off() if hasattr(CategorizerConfig, "all_off") else CategorizerConfig(sql=AutoCategorizationMode.OFF)
config = Config(
    gateways={"main": GatewayConfig(connection=DuckDBConnectionConfig(database=os.environ["WAREHOUSE_FILE"]))},
    default_gateway="main",
    model_defaults=ModelDefaultsConfig(dialect="duckdb", start="2024-01-01"),
    plan=PlanConfig(auto_categorize_changes=off),
)
"""
PYTHON_MODEL = """
import os
import pandas as pd
from sqlmesh import model

@model("shop.leaky", kind="FULL", columns={"id": "int"})
def execute(context, start, end, execution_time, **kwargs):
    raise RuntimeError("cannot log in with " + os.environ["WAREHOUSE_PASSWORD"])
"""


def test_secrets_stay_secret_and_unjudged_changes_count_as_breaking(stateful: Driver) -> None:
    secret = "Tr0ub4dor&3"
    (stateful.secrets / "env.json").write_text(
        json.dumps({"WAREHOUSE_PASSWORD": secret, "WAREHOUSE_FILE": str(stateful.folder / "w.db")})
    )
    stg = "MODEL (name shop.stg, kind FULL);\nSELECT id FROM shop.raw_orders"
    commit = stateful.repository.commit(
        {"config.py": CONFIG_PY, **SEED, "models/stg.sql": stg, ".env": "WAREHOUSE_PASSWORD=stolen\n"}
    )
    explained = stateful.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert stateful.execute(explained, commit_sha=commit).status == 0

    commit = stateful.repository.commit({"models/stg.sql": stg.replace("id", "id, amount"), "models/leaky.py": PYTHON_MODEL})
    explained = stateful.step("explain", commit_sha=commit)
    categories = {row["name"]: row["category"] for row in explained.result["plan_output"]["models"]}
    assert categories == {"shop.stg": "breaking", "shop.leaky": "breaking"}
    outcome = stateful.execute(explained, commit_sha=commit)
    assert (outcome.status, outcome.code) == (1, "model_failed"), outcome.output
    assert "cannot log in with ***" in outcome.result["error"]["message"]
    assert "warehouse password is ***" in outcome.output
    for text in (
        outcome.output,
        json.dumps(outcome.result),
        json.dumps(outcome.events),
        explained.output,
        json.dumps(explained.result),
    ):
        assert secret not in text
    assert "stolen" not in outcome.output


def test_a_first_attempt_that_stopped_half_way_is_finished_by_the_second(stateful: Driver) -> None:
    flaky = "MODEL (name shop.flaky, kind FULL);\nSELECT CAST(@EVAL(1) AS INT) AS id FROM shop.raw_orders"
    commit = stateful.repository.commit({**config(stateful.folder / "w.db"), **SEED, "models/flaky.sql": flaky})
    explained = stateful.step("explain", commit_sha=commit)
    assert stateful.execute(explained, commit_sha=commit).status == 0
    # As a step leaves it that dies between recording the environment and publishing it.
    server = stateful.server
    server.query(stateful.state_database, "UPDATE state_of_shop._environments SET finalized_ts = NULL")
    again = stateful.step("execute", commit_sha=commit, attempt=2, **approved(explained))
    assert (again.status, again.result["already_applied"]) == (0, False), again.output
    assert server.query(stateful.state_database, "SELECT finalized_ts IS NOT NULL FROM state_of_shop._environments") == [(True,)]
