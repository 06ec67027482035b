"""The same change must look the same whatever dbt version a project is on, and what was approved must be what is built."""

from __future__ import annotations

import pytest

from tests.runner.conftest import Driver, approved
from tests.runner.dbt_shop import FIRST, NEWEST, SECOND, apply, deployed, prepare

pytestmark = [pytest.mark.slow, pytest.mark.long]

VERSIONS = ["1.5.0", "1.7.20", "1.9.0", NEWEST]
"""The oldest and the newest of the table, the last one whose adapters follow it, and one between."""


@pytest.mark.parametrize("version", VERSIONS)
def test_one_change_looks_the_same_in_every_version(driver: Driver, version: str) -> None:
    prepare(driver, version)
    _, first = apply(driver, driver.repository.commit(FIRST))
    assert first.status == 0, first.output

    second = driver.repository.commit(SECOND)
    explained = driver.step("explain", commit_sha=second, **deployed(first))
    assert explained.status == 0, explained.output
    output = explained.result["plan_output"]
    assert {row["name"]: row["change"] for row in output["models"]} == {
        "stg_orders": "directly_modified", "eph_orders": "indirectly_modified", "fct_customers": "indirectly_modified",
        "new_report": "added", "old_report": "removed",
    }  # fmt: skip
    assert output["compiled"]["available"] is True

    executed = driver.step("execute", commit_sha=second, **approved(explained), **deployed(first))
    assert executed.status == 0, executed.output
    assert {row["name"]: row["status"] for row in executed.result["models"]} == dict.fromkeys(
        ["stg_orders", "fct_customers", "new_report"], "succeeded"
    )
    events = [event for event in executed.events if event["event"].startswith(("expected", "model_"))]
    assert (events[0]["event"], events[0]["models"], events[0]["tests"]) == ("expected", 3, 2)
    ended = [event["unique_id"] for event in events if event["event"] == "model_finished"]
    assert sorted(ended) == sorted(output["selection"]["nodes"])
    assert sorted(event["unique_id"] for event in events if event["event"] == "model_start") == sorted(ended)
