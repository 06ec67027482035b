"""The runner with real SQLMesh, a DuckDB or PostgreSQL warehouse and state in PostgreSQL."""

from __future__ import annotations

import pytest

from tests.runner.conftest import Driver
from tests.runner.shop import FIRST, SECOND, SEED, config

pytestmark = pytest.mark.slow


def test_a_plan_is_explained_applied_once_and_then_run(stateful: Driver) -> None:
    first = stateful.repository.commit({**config(stateful.folder / "warehouse.db"), **FIRST})
    explained = stateful.step("explain", commit_sha=first)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["modelsAdded"] == 7
    assert explained.result["plan_output"]["is_new_environment"] is True

    executed = stateful.execute(explained, commit_sha=first)
    assert executed.status == 0, executed.output
    assert {row["status"] for row in executed.result["models"]} == {"succeeded"}
    assert "[1/" in executed.output
    assert [event for event in executed.events if event["event"] == "model_finished" and event["model"] == "shop.fct_orders"]

    again = stateful.execute(explained, commit_sha=first, attempt=2)
    assert again.result["already_applied"] is True
    assert "models" not in again.result

    run = stateful.step("run", commit_sha=first)
    assert run.status == 0, run.output

    second = stateful.repository.commit(SECOND)
    explained = stateful.step("explain", commit_sha=second)
    stateful.server.query(stateful.state_database, "UPDATE state_of_shop._environments SET plan_id = 'of somebody else'")
    drifted = stateful.execute(explained, commit_sha=second)
    assert (drifted.status, drifted.result["outcome"], drifted.code) == (3, "drifted", "plan_drifted"), drifted.output
    assert (
        "another plan was applied to the environment since; now it is: plan for prod: 1 added"
        in drifted.result["error"]["message"]
    )
    assert drifted.result["plan_output"]["modelsModified"] == 4


def test_a_project_may_keep_its_state_in_the_warehouse(driver: Driver) -> None:
    files = {**config(driver.folder / "warehouse.db"), **SEED}
    commit = driver.repository.commit(files)
    explained = driver.step("explain", commit_sha=commit, tool_version="0.228.5")
    assert explained.status == 0, explained.output
    assert driver.execute(explained, commit_sha=commit, tool_version="0.228.5").status == 0

    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["state_migration"]["from"] == "0.228.5"
    executed = driver.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output
