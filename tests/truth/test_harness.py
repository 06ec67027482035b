"""The corpus cannot be right by accident: what is not as expected is found, in plans and in warehouses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.truth.cases import Case, CorpusError, changed, load
from tests.truth.conftest import Verdict
from tests.truth.expectations import differences, plain_name
from tests.truth.reporting import table
from tests.truth.twins import unequal

PLAN: Mapping[str, Any] = {
    "has_changes": True, "models_added": [], "models_removed": [], "indirectly_modified": ["fct"], "metadata_modified": [],
    "contracts_broken": [], "warnings": ["stg is incremental"], "resources": [],
    "models": [{"name": "stg", "change": "directly_modified", "reasons": ["body"], "details": ["body: moved"]}],
    "selection": {"nodes": ["model.shop.stg", "model.shop.fct"]},
}  # fmt: skip
TRUE: Mapping[str, Any] = {
    "direct": {"stg": ["body"]}, "indirect": ["fct"], "runs": ["fct", "stg"], "warnings": ["incremental"],
    "details": {"stg": ["moved"]},
}  # fmt: skip
TABLE: Mapping[str, Any] = {"kind": "table", "comment": None, "columns": [["id", "INTEGER", None]], "rows": ["(1,)"]}


def test_what_is_as_expected_has_no_differences() -> None:
    assert differences("dbt", TRUE, {"plan_output": PLAN}) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("direct", {"stg": ["config"]}), ("direct", {}), ("indirect", []), ("runs", ["stg"]), ("added", ["top"]),
        ("removed", ["old"]), ("metadata", ["stg"]), ("warnings", ["snapshot"]), ("quiet", True), ("error", "plan_failed"),
        ("details", {"stg": ["white space"]}), ("broken", ["stg"]), ("any_changes", False), ("resources", ["modified macro x"]),
        ("columns", {"stg": ["+id"]}),
    ],
)  # fmt: skip
def test_each_thing_that_is_not_as_expected_is_found(key: str, value: object) -> None:
    assert differences("dbt", {**TRUE, key: value}, {"plan_output": PLAN})


def test_a_refusal_that_nobody_expects_is_found_and_one_that_somebody_does_is_none() -> None:
    refused = {"error": {"code": "plan_failed", "message": "fct is not there"}}
    assert differences("dbt", TRUE, refused)
    assert differences("dbt", {"error": "plan_failed", "message": "fct"}, refused) == []
    assert differences("dbt", {"error": "plan_failed", "message": "stg"}, refused)


@pytest.mark.parametrize(
    "other",
    [
        {"kind": "view"}, {"rows": ["(2,)"]}, {"rows": ["(1,)", "(1,)"]}, {"columns": [["id", "BIGINT", None]]},
        {"comment": "x"}, {"columns": [["id", "INTEGER", "x"]]},
    ],
)  # fmt: skip
def test_each_way_in_which_warehouses_differ_is_found(other: Mapping[str, Any]) -> None:
    assert unequal({"s.a": TABLE}, {"s.a": TABLE}) == []
    assert len(unequal({"s.a": TABLE}, {"s.a": {**TABLE, **other}})) == 1


def test_a_relation_that_only_one_warehouse_has_is_found() -> None:
    assert unequal({"s.a": TABLE}, {}) == ["the twin has no s.a"]
    assert unequal({}, {"s.a": TABLE}) == ["only the twin has s.a"]


def test_a_change_that_changes_nothing_is_a_mistake_of_the_corpus() -> None:
    files = {"a.sql": "select 1"}
    assert changed(files, {"a.sql": [["1", "2"]]}) == {"a.sql": "select 2"}
    assert changed(files, {"b.sql": {"from": "a.sql"}}) == {"b.sql": "select 1"}
    assert changed(files, {"a.sql": None}) == {}
    for change in ({"a.sql": [["3", "2"]]}, {"a.sql": "select 1"}):
        with pytest.raises(CorpusError):
            changed(files, change)


def verdict_of(faults: list[str], known: str | None) -> Verdict:
    verdict = Verdict()
    with verdict.of(Case("dbt", "theme", "name", {}, [], {"known": known})):
        verdict.faults += faults
    return verdict


def test_a_known_fault_is_reported_and_one_that_is_gone_fails() -> None:
    verdict_of([], None)
    with pytest.raises(pytest.fail.Exception, match="rows"):
        verdict_of(["rows"], None)
    with pytest.raises(pytest.xfail.Exception, match="rows"):
        verdict_of(["rows"], "known to be so")
    with pytest.raises(pytest.fail.Exception, match="holds by now"):
        verdict_of([], "known to be so")


def test_the_table_counts_what_is_wrong() -> None:
    row = {"id": "dbt/a: b", "says": ["nothing"], "known": None, "tool_is_wrong": None, "faults": [], "equal": True}
    rows = [row, {**row, "faults": ["x"], "equal": False}, {**row, "faults": ["plan_drifted"], "known": "so"}]
    head = table(rows).splitlines()[0]
    assert head == "3 cases: 1 as expected, 1 known faults, 1 wrong; 1 warehouses differ; 1 false drifts."


def test_names_are_those_that_people_use() -> None:
    ids = ["model.shop.stg", "model.shop.fct.v2", "model.money.stg", "test.shop.not_null_stg_id.0123456789", "test.shop.positive",
           "unit_test.shop.fct.sums"]  # fmt: skip
    assert [plain_name(key) for key in ids] == ["stg", "fct.v2", "money.stg", "not_null_stg_id", "positive", "sums"]


@pytest.mark.parametrize("tool", ["sqlmesh", "dbt"])
def test_no_two_cases_have_the_same_name_and_all_expect_something(tool: str) -> None:
    cases = load(tool)
    assert len(cases) >= 60
    assert len({case.id for case in cases}) == len(cases)
    assert all(commit.expect for case in cases for commit in case.commits)
