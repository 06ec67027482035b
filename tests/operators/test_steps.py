"""What both launchers share: no execution without the approval of that digest, and what a result means for the task."""

from __future__ import annotations

import json
import re
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from dagctl_provider.domain.ids import fingerprint, new_id
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.operators import deployed, steps
from dagctl_provider.operators.deployed import RunRefused
from dagctl_provider.operators.steps import StepFailed, StepInterrupted, StepRefused, received_request

CONF = {"tool": "sqlmesh", "step_id": "plan_explain", "commit_sha": "a" * 40}
EXPLAINED = {"digest": "sha256:1", "tool_plan_id": "tool-1"}
APPROVED = {"decision": "approved", "digest": "sha256:1", "execution_plan_id": "plan_execute"}


def context(conf: Any = CONF, **xcoms: Any) -> Any:
    pushed: dict[str, Any] = {}
    task = SimpleNamespace(
        try_number=1,
        xcom_pull=lambda task_ids, key: xcoms.get(key),
        xcom_push=lambda key, value: pushed.__setitem__(key, value),
        pushed=pushed,
    )
    return {"ti": task, "dag_run": SimpleNamespace(conf={"dagctl": conf} if conf is not None else None)}


def step_request(context: Any, kind: Any) -> dict[str, Any]:
    """What the step is asked to do, as a letter."""
    return received_request(context, kind).to_json()


def report(context: Any, request: dict[str, Any], result: Any, **more: Any) -> None:
    """Report the result of a step that was asked for this."""
    steps.report(context, StepRequest.from_json(request), result, **more)


def test_an_approved_digest_is_executed() -> None:
    request = step_request(context(decision=APPROVED, result=EXPLAINED), "execute")
    assert request["expected_digest"] == "sha256:1"
    assert request["explained_plan_id"] == "tool-1"
    assert request["step_id"] == "plan_execute"


@pytest.mark.parametrize(
    ("decision", "explained"),
    [
        (None, EXPLAINED),
        ({**APPROVED, "decision": "rejected"}, EXPLAINED),
        ({**APPROVED, "decision": "cancelled"}, EXPLAINED),
        ({**APPROVED, "digest": "sha256:2"}, EXPLAINED),
        ({**APPROVED, "digest": None}, {"digest": None}),
        ({"decision": "approved", "digest": "sha256:1"}, EXPLAINED),
        (APPROVED, None),
    ],
    ids=["no decision", "rejected", "cancelled", "other digest", "no digest", "no step", "no result"],
)
def test_nothing_else_is(decision: Any, explained: Any) -> None:
    """Whatever state somebody gave the sensor in the Airflow UI."""
    with pytest.raises(StepRefused):
        step_request(context(decision=decision, result=explained), "execute")


ASKED_FOR = {"fingerprint": fingerprint(CONF)}


def test_what_dagctl_asked_for_is_explained() -> None:
    reordered = dict(reversed(CONF.items()))
    assert (
        step_request(context(reordered, origin=ASKED_FOR), "explain") == StepRequest.from_json({**CONF, "attempt": 1}).to_json()
    )


@pytest.mark.parametrize(
    ("conf", "origin"),
    [
        (None, None),
        (CONF, None),
        ({**CONF, "repository_url": "https://example.com/mallory/shop"}, ASKED_FOR),
        ({**CONF, "state_connection_id": "another"}, ASKED_FOR),
        (CONF, {"fingerprint": None}),
    ],
    ids=["no conf", "triggered by hand", "made first, with another repository", "with another project's credentials", "empty"],
)
def test_a_run_made_by_hand_is_refused_with_a_way_out(conf: Any, origin: Any) -> None:
    """Whoever may trigger a Dag must not choose which code gets a project's credentials."""
    with pytest.raises(StepRefused, match="POST /api/v1"):
        step_request(context(conf, origin=origin), "explain")


REQUEST = {"commit_sha": "a" * 40, "repository_url": "https://example.com/acme/shop", "project_name": "Shop EU"}
DEPLOYED = {"run": json.dumps(REQUEST)}


def run_context(
    monkeypatch: pytest.MonkeyPatch,
    published: Any,
    run_id: str = "scheduled__2026-04-28T12:00:00+00:00",
    conf: Any = None,
    tries: int = 1,
) -> Any:
    """A run of the deployed state, and what is published for its project."""

    def get(key: str, default: Any = None, deserialize_json: bool = False) -> Any:
        return {"dagctl__shop-eu__1": published}[key]

    monkeypatch.setattr(deployed.Variable, "get", get)
    run = SimpleNamespace(run_id=run_id, conf=conf, run_after=datetime(2026, 4, 28, 12, tzinfo=timezone.utc))
    task = SimpleNamespace(try_number=tries, dag_id="dagctl__shop-eu__1__run", pushed={})
    task.xcom_push = lambda key, value: task.pushed.__setitem__(key, value)
    return {"ti": task, "dag_run": run}


@pytest.mark.parametrize(
    "conf", [None, {}, {"dagctl": {"repository_url": "file:///etc", "commit_sha": "b", "step_id": "x", "job_name": "-\n*"}}]
)
def test_a_run_is_of_what_is_deployed_whatever_its_conf_says(monkeypatch: pytest.MonkeyPatch, conf: Any) -> None:
    request = step_request(run_context(monkeypatch, DEPLOYED, conf=conf), "run")
    assert {key: request[key] for key in REQUEST} == REQUEST
    assert request["job_name"] == "shop-eu-scheduled-run-20260428-120000"
    assert request["step_id"] == request["plan_group_id"] != "x"
    assert re.fullmatch("run_[0-9a-f]{20}", request["step_id"])
    again = step_request(run_context(monkeypatch, DEPLOYED, tries=2), "run")
    assert again == {**request, "attempt": 2}, "a pod is found again by these"


def test_a_requested_run_keeps_its_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = new_id("run_")
    conf = {"dagctl": {"job_name": "shop-eu-scheduled-run-manual-20260428-115900"}}
    request = step_request(run_context(monkeypatch, DEPLOYED, asked, conf), "run")
    assert (request["step_id"], request["job_name"]) == (asked, conf["dagctl"]["job_name"])


@pytest.mark.parametrize("published", [None, {}, {"dag_id": "x"}])
def test_nothing_deployed_is_nothing_to_run(monkeypatch: pytest.MonkeyPatch, published: Any) -> None:
    context = run_context(monkeypatch, published)
    with pytest.raises(RunRefused, match="Approve a first plan"):
        step_request(context, "run")
    assert context["ti"].pushed["result"]["error"]["code"] == "plan_not_executed"


def test_a_suspended_project_is_not_run_but_what_had_begun_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    suspended = {**DEPLOYED, "suspended": True}
    with pytest.raises(RunRefused, match="Resume it"):
        step_request(run_context(monkeypatch, suspended), "run")
    assert step_request(run_context(monkeypatch, suspended, tries=2), "run")["attempt"] == 2


def test_success_is_reported() -> None:
    it = context()
    report(it, CONF, {"outcome": "succeeded", "digest": "d"}, pod_name="pod-1")
    assert it["ti"].pushed["result"] == {"outcome": "succeeded", "digest": "d", "step_id": "plan_explain", "pod_name": "pod-1"}


@pytest.mark.parametrize("outcome", ["failed", "drifted"])
def test_a_failure_is_reported_and_final(outcome: str) -> None:
    it = context()
    with pytest.raises(StepFailed, match=r"shop\.orders: column missing Look there") as caught:
        report(it, CONF, {"outcome": outcome, "error": {"message": "shop.orders: column missing", "hint": "Look there"}})
    assert isinstance(caught.value, AirflowFailException), "Airflow must not try again"
    assert it["ti"].pushed["result"]["outcome"] == outcome


@pytest.mark.parametrize("result", [None, {"outcome": "cancelled"}], ids=["no result", "cancelled"])
def test_an_interruption_may_be_tried_again(result: Any) -> None:
    with pytest.raises(StepInterrupted) as caught:
        report(context(), CONF, result)
    assert not isinstance(caught.value, AirflowFailException)


def test_inputs_reach_the_runner_and_artifacts_travel_apart_from_the_result() -> None:
    one = context(origin=ASKED_FOR, inputs={"deployed": "aGVsbG8="})
    request = step_request(one, "explain")
    assert StepRequest.from_json(request).for_runner()["inputs"] == {"deployed": "aGVsbG8="}
    report(one, request, {"outcome": "succeeded", "artifacts": {"deployed": "d29ybGQ="}})
    assert "artifacts" not in one["ti"].pushed["result"]
    assert one["ti"].pushed["artifacts"] == {"step_id": request["step_id"], "artifacts": {"deployed": "d29ybGQ="}}
