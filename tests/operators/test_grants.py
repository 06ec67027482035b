"""No step runs but by a grant for exactly this try: whatever somebody writes into Airflow, and whenever."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from dagctl_provider.domain.proofs import SigningKey
from dagctl_provider.domain.wire.variables import GivenVariable
from dagctl_provider.hooks import keys
from dagctl_provider.hooks.keys import KeysUnavailable
from dagctl_provider.operators import grants
from dagctl_provider.operators.grants import NoWord, StepRefused, received_grant
from tests.granting import context, grant, granted, signed, task

REQUEST = {"tool": "sqlmesh", "step_id": "plan_1", "commit_sha": "a" * 40, "project_name": "shop"}
LONG_AGO = datetime.now(timezone.utc) - timedelta(days=3)


@pytest.mark.parametrize("kind", ["explain", "execute", "run"])
def test_what_was_granted_is_done(kind: str) -> None:
    given, request = received_grant(granted(kind, REQUEST), kind)
    assert request is not None
    assert (given.step_id, request.runner.commit_sha) == ("plan_1", "a" * 40)


def _other(**more: Any) -> Callable[[Any], Any]:
    return lambda instance: signed(grant("explain", REQUEST, instance, **more))


def _edited(instance: Any) -> Any:
    letter = signed(grant("explain", REQUEST, instance))
    return {**letter, "payload": letter["payload"].replace("a" * 40, "b" * 40)}


def _of_another_key(instance: Any) -> Any:
    return signed(grant("explain", REQUEST, instance), SigningKey.new())


def _under_a_known_name(instance: Any) -> Any:
    good = signed(grant("explain", REQUEST, instance))
    return {**signed(grant("explain", REQUEST, instance), SigningKey.new()), "key_id": good["key_id"]}


def _another_letter(instance: Any) -> Any:
    from dagctl_provider.domain.proofs import sign
    from tests.granting import KEY

    return sign(KEY, "decision for dagctl__shop/plangroup_1", grant("explain", REQUEST, instance))


FORGERIES: dict[str, Callable[[Any], Any]] = {
    "nothing": lambda _: None,
    "not an object": lambda _: "grant",
    "not signed": lambda instance: grant("explain", REQUEST, instance).to_json(),
    "edited": _edited,
    "signed by somebody": _of_another_key,
    "signed by somebody under the name of a known key": _under_a_known_name,
    "another kind of letter": _another_letter,
    "of an earlier try": _other(try_id=str(uuid.uuid4())),
    "of another task": _other(task_id="execute"),
    "of another kind": lambda instance: signed(grant("execute", REQUEST, instance)),
    "of another run": _other(run_id="plangroup_2"),
    "of another Dag": _other(dag_id="dagctl__other"),
    "over": _other(issued_at=LONG_AGO, expires_at=LONG_AGO + timedelta(days=1)),
    "of the future": _other(issued_at=LONG_AGO + timedelta(days=6), expires_at=LONG_AGO + timedelta(days=7)),
    "without what it starts from": lambda instance: signed(grant("explain", REQUEST, instance, inputs={"deployed": "YQ=="})),
    "for another key of plans": _other(key_check="0" * 64),
    "damaged": lambda instance: {**signed(grant("explain", REQUEST, instance)), "signature": "%"},
    "of a request that cannot be read": lambda instance: signed(grant("explain", {**REQUEST, "attempt": "x"}, instance)),
}


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_nothing_else_is(forge: Callable[[Any], Any]) -> None:
    instance = task("explain")
    instance.xcoms["grant"] = forge(instance)
    with pytest.raises(StepRefused, match="dagctl has not granted this try"):
        received_grant(context(instance), "explain")


def test_other_inputs_than_those_granted_are_refused_and_more_are_left_out() -> None:
    it = granted("explain", REQUEST, inputs={"deployed": "YQ=="})
    it["ti"].xcoms["inputs"] = {"deployed": "Yg=="}
    with pytest.raises(StepRefused, match="changed in Airflow"):
        received_grant(it, "explain")
    it = granted("explain", REQUEST)
    it["ti"].xcoms["inputs"] = {"deployed": "Yg=="}
    _, request = received_grant(it, "explain")
    assert request is not None
    assert request.runner.inputs is None


@pytest.mark.parametrize("kind", ["explain", "execute", "run"])
def test_a_further_try_waits_for_its_own(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "_WAIT_SECONDS", 60)
    instance = task(kind)
    before = signed(grant(kind, REQUEST, instance, try_id=str(uuid.uuid4())))
    looks = iter([before, before, signed(grant(kind, REQUEST, instance))])
    instance.xcom_pull = lambda task_ids, key: next(looks) if key == "grant" else None
    assert received_grant(context(instance), kind)[0].try_id == str(instance.id)


def test_a_run_that_hears_nothing_may_be_tried_again() -> None:
    with pytest.raises(NoWord, match="Is an API server running"):
        received_grant(context(task("run")), "run")


def test_keys_that_cannot_be_had_are_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> Any:
        raise KeysUnavailable("https://airflow.example/dagctl/trust/keys does not answer")

    monkeypatch.setattr(grants.keys, "public_keys", nobody)
    with pytest.raises(NoWord, match="public_keys"):
        received_grant(granted("explain", REQUEST), "explain")


def test_a_key_that_is_none_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__PUBLIC_KEYS", "bm90IGEga2V5")
    with pytest.raises(KeysUnavailable, match="no public key of Ed25519"):
        keys.public_keys()


@pytest.mark.parametrize(
    ("execution", "base", "address"),
    [
        ("http://api:8080/execution/", "", "http://api:8080/dagctl/trust/keys"),
        ("https://airflow.example/flow/execution", "", "https://airflow.example/flow/dagctl/trust/keys"),
        (None, "https://airflow.example/flow", "https://airflow.example/flow/dagctl/trust/keys"),
        (None, "", "http://localhost:8080/dagctl/trust/keys"),
    ],
)
def test_where_the_keys_are_asked_for(monkeypatch: pytest.MonkeyPatch, execution: str | None, base: str, address: str) -> None:
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", base)
    if execution is not None:
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTION_API_SERVER_URL", execution)
    assert keys.keys_address() == address


def test_a_grant_says_what_it_is_for_in_all_its_fields() -> None:
    """Each field of a grant is judged above, or is what the step does."""
    done = {"step_id", "request", "refusal"}
    judged = {"dag_id", "run_id", "task_id", "try_id", "kind", "issued_at", "expires_at", "inputs", "variables", "key_check"}
    assert {field.name for field in dataclasses.fields(grants.Grant)} == done | judged


GIVEN = {"TOKEN": GivenVariable(value="planted-s3cret"), "KEY_FILE": GivenVariable(value="a\nline", file_mount_path="/secrets/k")}


@pytest.mark.parametrize("kind", ["explain", "execute", "run"])
def test_variables_are_opened_by_the_try_they_were_locked_for(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(grants, "mask_secret", masked.append)
    it = granted(kind, REQUEST, variables=GIVEN)
    assert "planted" not in str(it["ti"].xcoms)
    _, request = received_grant(it, kind)
    assert request is not None
    assert request.variables == GIVEN
    assert "planted" not in repr(request) + str(request.to_json()) + str(request.for_runner())
    assert sorted(masked) == ["a\nline", "line", "planted-s3cret"]


def _of_another_try(it: Any) -> None:
    other = granted("explain", REQUEST, variables=GIVEN)
    it["ti"].xcoms["variables"] = other["ti"].xcoms["variables"]


def _gone(it: Any) -> None:
    del it["ti"].xcoms["variables"]


def _broken(it: Any) -> None:
    it["ti"].xcoms["variables"] = "text"


@pytest.mark.parametrize("spoil", [_of_another_try, _gone, _broken])
def test_no_step_runs_with_other_variables_than_were_granted(spoil: Callable[[Any], None]) -> None:
    it = granted("explain", REQUEST, variables=GIVEN)
    spoil(it)
    with pytest.raises(StepRefused, match="variables"):
        received_grant(it, "explain")


def test_airflow_is_not_kept_busy_with_masking(monkeypatch: pytest.MonkeyPatch) -> None:
    masked: list[str] = []
    monkeypatch.setattr(grants, "mask_secret", masked.append)
    lines = "\n".join(f"line {number}" for number in range(5000))
    received_grant(granted("explain", REQUEST, variables={**GIVEN, "LIST": GivenVariable(value=lines)}), "explain")
    assert len(masked) == 80
    assert masked[0] == "planted-s3cret"
