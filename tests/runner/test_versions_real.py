"""The same change must look the same whatever SQLMesh version a project is on."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runner.conftest import NEWEST, Driver
from tests.runner.shop import FIRST, SECOND, config

pytestmark = [pytest.mark.slow, pytest.mark.long]

VERSIONS = ["0.130.2", "0.170.1", "0.200.0", "0.228.5", NEWEST]

EXPECTED: dict[str, Any] = {
    "environment": "prod",
    "is_new_environment": False,
    "modelsAdded": 1,
    "modelsModified": 4,
    "modelsRemoved": 1,
    "modelsNeedingBackfill": 4,
    "directly_modified": ["shop.agg_daily", "shop.fo_events", "shop.stg_orders"],
    "indirectly_modified": ["shop.fct_orders"],
    "metadata_modified": ["shop.v_names"],
    "models_added": ["shop.new_report"],
    "models_removed": ["shop.old_report"],
    "explain_completed": True,
}

CATEGORIES = {
    "shop.agg_daily": ("directly_modified", "non_breaking"),
    "shop.fct_orders": ("indirectly_modified", "indirect_breaking"),
    "shop.fo_events": ("directly_modified", "forward_only"),
    "shop.new_report": ("added", "breaking"),
    "shop.old_report": ("removed", None),
    "shop.stg_orders": ("directly_modified", "breaking"),
    "shop.v_names": ("metadata", "metadata"),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_one_change_looks_the_same_in_every_version(stateful: Driver, version: str) -> None:
    stateful.request["tool_version"] = version
    first = stateful.repository.commit({**config(stateful.folder / "warehouse.db"), **FIRST})
    stateful.deploy(first, version)

    second = stateful.repository.commit(SECOND)
    explained = stateful.step("explain", commit_sha=second)
    assert explained.status == 0, explained.output
    output = explained.result["plan_output"]
    assert {key: output[key] for key in EXPECTED} == EXPECTED
    assert {row["name"]: (row["change"], row["category"]) for row in output["models"]} == CATEGORIES
    assert output["lineage"]["shop.fct_orders"] == ["shop.stg_orders"]
    assert "+  amount > 10" in next(row["diff"] for row in output["models"] if row["name"] == "shop.stg_orders")

    executed = stateful.execute(explained, commit_sha=second)
    assert executed.status == 0, executed.output
    assert {row["name"] for row in executed.result["models"] if row["status"] == "succeeded"} == {
        "shop.agg_daily", "shop.fct_orders", "shop.new_report", "shop.stg_orders",
    }  # fmt: skip
