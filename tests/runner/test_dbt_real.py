"""The runner with real dbt and DuckDB."""

from __future__ import annotations

import pytest

from tests.runner.conftest import Driver
from tests.runner.dbt_shop import FIRST, NEWEST, SECOND, apply, deployed, prepare

pytestmark = pytest.mark.slow

EXPECTED = {
    "environment": "prod",
    "is_new_environment": False,
    "explain_completed": True,
    "has_changes": True,
    "modelsAdded": 1,
    "modelsModified": 3,
    "modelsRemoved": 1,
    "directly_modified": ["stg_orders"],
    "indirectly_modified": ["eph_orders", "fct_customers"],
    "models_added": ["new_report"],
    "models_removed": ["old_report"],
}


@pytest.mark.parametrize("version", [NEWEST, "1.8.10"])
def test_a_change_is_explained_and_exactly_that_is_built(driver: Driver, version: str) -> None:
    prepare(driver, version)
    first = driver.repository.commit(FIRST)
    explained, executed = apply(driver, first)
    assert explained.result["plan_output"]["selection"]["mode"] == "full"
    assert executed.status == 0, executed.output
    assert {row["status"] for row in executed.result["models"]} == {"succeeded"}

    second = driver.repository.commit(SECOND)
    explained, again = apply(driver, second, **deployed(executed))
    output = explained.result["plan_output"]
    assert {key: output[key] for key in EXPECTED} == EXPECTED
    assert again.status == 0, again.output
    assert {row["name"] for row in again.result["models"]} == {"stg_orders", "fct_customers", "new_report"}
    ran = {event["unique_id"] for event in again.events if event["event"] == "model_finished"}
    assert ran == set(output["selection"]["nodes"])
