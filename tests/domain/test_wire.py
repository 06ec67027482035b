"""Records of the wire: there and back, from older and newer versions, and out of hostile hands."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from dataclasses import MISSING, fields, replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain import wire
from dagctl_provider.domain.wire.decisions import Decision, Refusal
from dagctl_provider.domain.wire.grants import Grant
from dagctl_provider.domain.wire.records import READERS, Record, WireError, canonical
from dagctl_provider.domain.wire.reports import Artifacts, Failure, PodSeen, Progress, Result
from dagctl_provider.domain.wire.requests import (
    Inputs,
    LauncherSettings,
    RunnerRequest,
    StepRequest,
    from_conf,
    into_conf,
)
from dagctl_provider.domain.wire.specs import DagSpec
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.requests import Request, parse_request

RECORDS: tuple[type[Record], ...] = (
    DagSpec,
    RunnerRequest,
    LauncherSettings,
    Grant,
    Decision,
    Refusal,
    Failure,
    Result,
    Artifacts,
    Progress,
    PodSeen,
)

texts = st.text(max_size=20)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
OF_TYPE: dict[str, st.SearchStrategy[Any]] = {
    "str": texts,
    "bool": st.booleans(),
    "int": st.integers(),
    "datetime": st.datetimes(timezones=st.just(timezone.utc)),
    "tuple[str, ...]": st.lists(texts, max_size=3).map(tuple),
    "list[Any]": st.lists(anything, max_size=3),
    "Mapping[str, str]": st.dictionaries(texts, texts, max_size=3),
    "Mapping[str, Any]": st.dictionaries(texts, anything, max_size=3),
    "Any": anything,
}


def records(kind: type[Record]) -> st.SearchStrategy[Record]:
    """Any record of a kind, as mypy would let it be made."""
    values = {}
    for field in fields(kind):
        plain = str(field.type).removesuffix(" | None")
        values[field.name] = OF_TYPE[plain] | st.none() if plain != field.type else OF_TYPE[plain]
    return st.builds(kind, **values)


requests = st.builds(
    StepRequest,
    runner=records(RunnerRequest),
    launcher=records(LauncherSettings),
    unknown=st.dictionaries(st.text(min_size=1, max_size=8).map("later_{}".format), anything, max_size=2),
)
everything = st.one_of([records(kind) for kind in RECORDS]) | requests | st.builds(Inputs, files=OF_TYPE["Mapping[str, str]"])


@given(everything)
def test_there_and_back(record: Any) -> None:
    letter = json.loads(json.dumps(record.to_json()))
    # Whoever cancels has judged no digest, so none is told.
    cancelled = isinstance(record, Decision) and record.decision == "cancelled"
    assert type(record).from_json(letter) == (replace(record, digest=None) if cancelled else record)


@given(st.sampled_from(RECORDS).flatmap(records), st.dictionaries(texts.map("x_{}".format), anything, max_size=3))
def test_what_a_newer_version_adds_is_no_trouble(record: Record, more: dict[str, Any]) -> None:
    letter = record.to_json()
    assert type(record).from_json({**more, **letter}) == type(record).from_json(letter)


@given(st.sampled_from([*RECORDS, StepRequest, Inputs]), anything)
def test_hostile_letters_raise_one_error(kind: Any, letter: Any) -> None:
    # Anything else that is raised fails the test.
    with contextlib.suppress(WireError):
        kind.from_json(letter)


@given(st.sampled_from(RECORDS), st.data())
def test_hostile_members_are_absent_and_never_of_another_type(kind: type[Record], data: st.DataObject) -> None:
    keys = [field.name for field in fields(kind)]
    letter = data.draw(anything | st.dictionaries(st.sampled_from(keys), anything))
    found = kind.read(letter)
    if found is not None:
        assert kind.from_json(json.loads(json.dumps(found.to_json()))).to_json() == found.to_json()
        for field in fields(kind):
            if str(field.type).startswith(("str", "bool", "int")):
                value = getattr(found, field.name)
                assert value == field.default or (value == letter[field.name] and type(value) is type(letter[field.name]))


@pytest.mark.parametrize("kind", [*RECORDS, StepRequest], ids=lambda kind: kind.__name__)
def test_each_field_has_a_reader(kind: Any) -> None:
    parts = (RunnerRequest, LauncherSettings) if kind is StepRequest else (kind,)
    assert {str(field.type).removesuffix(" | None") for part in parts for field in fields(part)} <= READERS.keys()


@pytest.mark.parametrize("kind", [*RECORDS, StepRequest], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("letter", [None, [], "x", 1, True])
def test_what_is_no_object_is_no_letter(kind: Any, letter: Any) -> None:
    with pytest.raises(WireError, match="must be"):
        kind.from_json(letter)
    if kind in RECORDS:
        assert kind.read(letter) is None


# Requests


def test_the_runners_part_is_the_runners_own_request() -> None:
    """What travels in between has the fields that the runner has, with the same meaning when they are left out."""
    own, ours = {field.name: field for field in fields(Request)}, {field.name: field for field in fields(RunnerRequest)}
    assert own.keys() == ours.keys()
    assert not own.keys() & {field.name for field in fields(LauncherSettings)}, "the launcher keeps these to itself"
    needed = {"repository_url": "https://example.com/acme/shop", "commit_sha": "a" * 40, "project_id": "p", "step_id": "s"}
    assert {name for name, field in own.items() if field.default is MISSING} == needed.keys()
    through, _ = parse_request(json.dumps(StepRequest.from_json(needed).for_runner()), "explain", Reach())
    assert through == Request(**needed)


def test_nothing_of_the_launcher_reaches_the_runner() -> None:
    letter = {"step_id": "s", "git_secret_ref": "key", "job_name": "j", "resources": {"cpu_limit": "1"}, "later": [None]}
    request = StepRequest.from_json(letter)
    assert request.launcher == LauncherSettings(git_secret_ref="key", job_name="j", resources={"cpu_limit": "1"})
    seen = request.for_runner()
    assert (seen["step_id"], seen["later"]) == ("s", [None])
    assert not seen.keys() & {field.name for field in fields(LauncherSettings)}


@pytest.mark.parametrize(
    ("letter", "named"),
    [
        ({"run_tests": "yes"}, "RunnerRequest: 'run_tests' must be bool"),
        ({"run_tests": 1}, "RunnerRequest: 'run_tests' must be bool"),
        ({"attempt": True}, "RunnerRequest: 'attempt' must be int"),
        ({"resources": ["4Gi"]}, "LauncherSettings: 'resources' must be Mapping"),
        ({"resources": {"memory_limit": 4}}, "LauncherSettings: 'resources' must be Mapping"),
        ({"git_secret_ref": {"$ref": "x"}}, "LauncherSettings: 'git_secret_ref' must be str"),
    ],
)
def test_a_broken_request_names_what_is_broken(letter: Any, named: str) -> None:
    with pytest.raises(WireError, match=named):
        StepRequest.from_json(letter)


def test_inputs_are_all_there_or_it_is_said() -> None:
    assert Inputs.from_json(None) == Inputs.from_json(["x"]) == Inputs()
    with pytest.raises(WireError):
        Inputs.from_json({"deployed": "eA==", "progress": None})


def test_the_letter_in_a_conf() -> None:
    assert from_conf(into_conf({"a": 1})) == {"a": 1}
    assert from_conf({}) is from_conf(None) is from_conf(["dagctl"]) is from_conf("dagctl") is None


# Specs

SPEC = {"name": "Shop", "slug": "shop", "project_type": "dbt", "dag_id": "d", "max_active_job_runs": 1}


@pytest.mark.parametrize("key", SPEC)
def test_a_dag_is_not_made_from_half_a_spec(key: str) -> None:
    with pytest.raises(WireError, match=f"DagSpec: '{key}' must be"):
        DagSpec.from_json({name: value for name, value in SPEC.items() if name != key})
    with pytest.raises(WireError, match=f"DagSpec: '{key}' must be"):
        DagSpec.from_json({**SPEC, key: ["x"]})


# Decisions and reports


@pytest.mark.parametrize("letter", [None, {}, {"decision": ""}, {"decision": None}, {"decision": ["approved"]}, "approved"])
def test_what_names_no_decision_is_none(letter: Any) -> None:
    assert Decision.read(letter) is None


@pytest.mark.parametrize("word", ["rejected", "discarded", "cancelled", "deleted", "later", "Approved"])
def test_only_one_word_approves(word: str) -> None:
    assert Decision(decision="approved").approves
    assert not Decision(decision=word).approves


def test_a_decision_without_a_digest_that_is_text_has_none() -> None:
    found = Decision.read({"decision": "approved", "digest": {"sha256": 1}, "execution_plan_id": 5})
    assert found == Decision(decision="approved")


def test_a_refusal_says_to_which_answer() -> None:
    at = datetime(2026, 4, 28, 10, tzinfo=timezone.utc)
    assert Refusal.read({"responded_at": at.isoformat(), "later": 1}) == Refusal(responded_at=at)
    assert Refusal.read({"detail": "no right"}) is Refusal.read({"responded_at": "yesterday"}) is None


def test_what_another_step_left_in_the_same_task_is_not_taken() -> None:
    assert Result.read_own({"step_id": "plan_1", "outcome": "succeeded"}, "plan_1") == Result(
        step_id="plan_1", outcome="succeeded"
    )
    for letter in ({"step_id": "plan_2"}, {"outcome": "succeeded"}, None, "plan_1"):
        assert Result.read_own(letter, "plan_1") is None


def test_a_result_with_one_broken_member_is_still_a_result() -> None:
    found = Result.read({"outcome": "failed", "error": "boom", "models": {"a": 1}, "plan_output": [], "digest": "d"})
    assert found == Result(outcome="failed", digest="d")
    assert found.failure == Failure()
    assert Result(error={"code": 5, "message": "m"}).failure == Failure(message="m")


# Bytes


@given(st.dictionaries(texts, anything))
def test_the_bytes_of_a_letter_do_not_hang_on_the_order_of_its_keys(letter: dict[str, Any]) -> None:
    turned = dict(reversed(letter.items()))
    assert canonical(turned) == canonical(letter) == json.dumps(letter, sort_keys=True).encode()


def test_the_bytes_of_a_record_are_those_of_its_letter() -> None:
    decision = Decision(decision="rejected", decided_by="ada")
    assert (
        canonical(decision) == canonical(decision.to_json()) == b'{"decided_by": "ada", "decision": "rejected", "digest": null}'
    )


@pytest.mark.slow
def test_dag_parsing_loads_no_more_of_the_wire_than_it_needs() -> None:
    """Half of what parsing loads of ours would be these classes."""
    code = "import sys, dagctl_provider.dag_factory, dagctl_provider.operators.process\nprint(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=280).stdout.split()
    loaded = {name.rpartition(".")[2] for name in found if name.startswith("dagctl_provider.domain.wire.")}
    assert loaded == {"records", "specs"}
    with pytest.raises(AttributeError, match="'letters'"):
        _ = wire.letters
