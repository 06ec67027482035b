"""The runner with real SQLMesh, a DuckDB or PostgreSQL warehouse and state in PostgreSQL."""

from __future__ import annotations

import pytest

from tests.runner.conftest import Driver
from tests.runner.shop import FIRST, SECOND, config

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

    stale = stateful.step("explain", commit_sha=first)
    second = stateful.repository.commit(SECOND)
    explained = stateful.step("explain", commit_sha=second)
    assert stateful.execute(explained, commit_sha=second).result["already_applied"] is False

    drifted = stateful.execute(stale, commit_sha=first)
    assert (drifted.status, drifted.result["outcome"], drifted.code) == (3, "drifted", "plan_drifted")
    assert "shop.fo_events: destructive change" in drifted.result["error"]["message"]

    run = stateful.step("run", commit_sha=second)
    assert run.status == 0, run.output
