"""The declared shape: it describes what is reported, every member is read, and documents name all of them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from dagctl_provider.api import models, openapi
from dagctl_provider.api.v1.contract import V1
from dagctl_provider.api.v1.plans import examples, schemas
from dagctl_provider.domain.wire.reports import Finished, Result
from dagctl_provider.plan_output import numbers, stored
from dagctl_provider.plan_output.markdown import describe
from dagctl_provider.plan_output.members import members, records_in
from dagctl_provider.plan_output.reading import executed, explained, read
from dagctl_provider.plan_output.shape import ExecuteOutput, ExplainOutput, RunningModelRow, Told
from tests.plan_output import samples
from tests.plan_output.conformance import complaints

ALL = tuple(records_in(ExplainOutput, ExecuteOutput, Told, RunningModelRow))
DOCUMENTS = Path(__file__).parents[2] / "docs"
BEFORE = Finished(
    succeeded=("a",), touched=("a", "b"), batches={"b": {"all": ["2024/2025", "2025/2026"], "done": ["2024/2025"]}}, turn="3"
)
EXECUTED = {
    "already_applied": False,
    "models": [{"name": "shop.orders", "status": "succeeded", "duration": 3, "rows": 12, "batches": 2}],
    "tests": {"run": 3, "passed": 2, "failed": 1, "skipped": 4, "names": ["not_null"]},
    "timings": {"apply": 1.5},
    "warnings": ["an audit found 2 rows"],
}


@pytest.mark.parametrize(
    "output", [samples.small_output(), samples.large_output(), samples.hostile_output(), samples.dbt_output()]
)
def test_samples_and_shape_agree(output: dict[str, Any]) -> None:
    assert complaints(ExplainOutput, output) == []


def test_what_dagctl_adds_is_in_the_shape() -> None:
    output = stored.discarded(stored.unfinished(examples.PLAN["plan_output"]), "moved", samples.NEWER)
    assert complaints(ExplainOutput, output) == []
    assert explained(output).auto_discarded is True
    result = Result.from_json(EXECUTED)
    executions = [
        stored.executed(stored.begun(BEFORE, ["b"]) or {}, result),
        stored.failed({"allow_destructive": ["b"]}, result, BEFORE),
    ]
    drifts = [{"kind": "variable", "name": "TENANT", "change": "changed"}]
    drifted = stored.failed({}, Result.from_json({"plan_output": {"modelsAdded": 1, "drifts": drifts}}), Finished())
    assert (complaints(ExecuteOutput, drifted), drifted) == ([], {"drifts": drifts})
    assert [complaints(ExecuteOutput, output) for output in executions] == [[], []]
    assert [executed(output).already_succeeded for output in executions] == [("a",), ("a",)]
    assert [executed(output).allow_destructive for output in executions] == [("b",), ("b",)]
    assert [executed(output).warnings for output in executions] == [("an audit found 2 rows",)] * 2
    assert complaints(ExplainOutput, stored.explained(samples.dbt_output())) == []


def test_what_the_shape_does_not_know_is_found() -> None:
    report = {"news": 1, "modelsAdded": -1, "models": [{"name": "a", "changed": "added"}], "selection": {"models": 3}}
    assert len(complaints(ExplainOutput, report)) == 4


@pytest.mark.parametrize("record", ALL, ids=lambda record: record.__name__)
def test_every_member_says_what_it_is_and_can_be_read(record: type) -> None:
    assert all(member.says.text.strip() for member in members(record))
    assert len({member.key for member in members(record)}) == len(members(record))
    assert read(record, {member.key: object() for member in members(record)} | {"name": "a"}) is not None


def test_a_row_without_its_name_says_nothing() -> None:
    assert explained({"models": [{"change": "added"}, {"name": ""}, {"name": "a", "diff": ""}]}).models[0].name == "a"
    assert len(explained({"models": [{"change": "added"}, {"name": ""}, {"name": "a"}]}).models) == 1


def test_the_empty_and_the_absent_differ_where_that_matters() -> None:
    assert explained({"tests_to_run": []}).tests_to_run == ()
    assert explained({"tests_to_run": None}).tests_to_run is None
    assert explained({"selection": {}}).selection is None
    assert explained(None) == ExplainOutput()


def test_long_texts_are_cut_and_diffs_are_not() -> None:
    (model,) = explained({"models": [{"name": "n" * 9000, "diff": "d" * 9000}]}).models
    assert (len(model.name), len(model.diff or "")) == (4000, 9000)


def test_the_document_shows_all_of_it_and_refuses_nothing() -> None:
    drawn = openapi.document(V1)["components"]["schemas"]
    references = [each["$ref"].rpartition("/")[2] for each in drawn["Plan"]["properties"]["plan_output"]["anyOf"]]
    assert references == ["ExplainOutput", "ExecuteOutput"]
    assert drawn["ExplainOutput"]["properties"]["requirements_diff"]["description"].endswith("Set by SQLMesh.")
    validator = Draft202012Validator({**drawn["Plan"]["properties"]["plan_output"], "components": {"schemas": drawn}})
    for output in ({}, {"news": {"of": 1}}, samples.small_output(), samples.dbt_output(), EXECUTED):
        validator.validate(output)
    for record in records_in(ExplainOutput, ExecuteOutput):
        assert "required" not in drawn[record.__name__]
        assert "additionalProperties" not in drawn[record.__name__]


def with_nulls(value: Any, places: Iterator[bool]) -> Any:
    """``value`` with more members that are null: those that ``places`` picks, and one that nobody knows."""
    if isinstance(value, dict):
        picked = {key: None if next(places) else with_nulls(member, places) for key, member in value.items()}
        return {**picked, "notKnown": None}
    return [with_nulls(item, places) for item in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([samples.small_output(), samples.dbt_output()]), st.randoms(use_true_random=False))
def test_a_null_is_as_good_as_nothing(output: dict[str, Any], dice: Random) -> None:
    """A result is stored as it came; only answers under /api/v1 leave nulls out."""
    stored_one = with_nulls(output, (dice.random() < 0.2 for _ in itertools.count()))
    bare = models.without_nulls(stored_one)
    assert explained(stored_one) == explained(bare)
    assert describe({}, stored_one) == describe({}, bare)
    answers = [models.to_json(schemas.plan(samples.explained(each))) for each in (stored_one, bare)]
    assert json.dumps(answers[0]) == json.dumps(answers[1])
    execution = with_nulls(EXECUTED, (dice.random() < 0.3 for _ in itertools.count()))
    assert executed(execution) == executed(models.without_nulls(execution))


def test_lists_read_their_numbers_where_the_shape_has_them() -> None:
    keys = {member.key for member in members(ExplainOutput)}
    assert {*numbers.COUNT_KEYS.values(), *numbers.FLAG_KEYS.values()} <= keys


def test_documents_name_every_member() -> None:
    text = "\n".join((DOCUMENTS / name).read_text() for name in ("runner.md", "plans.md", "dbt.md"))
    words = set(
        re.findall(r"\w+", text.replace("`columns_added/removed/changed`", "columns_added columns_removed columns_changed"))
    )
    unnamed = {member.key for record in records_in(ExplainOutput, ExecuteOutput) for member in members(record)} - words
    assert unnamed == set()
