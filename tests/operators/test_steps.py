"""What both launchers share: no execution without the approval of that digest, and what a result means for the task."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.operators import steps
from dagctl_provider.operators.steps import RunRefused, StepFailed, StepInterrupted, received_request
from tests.granting import content, grant, granted, seal_of, signed, task

CONF = {"tool": "sqlmesh", "step_id": "plan_explain", "commit_sha": "a" * 40}


def context(request: Any = CONF, kind: str = "explain", **inputs: Any) -> Any:
    return granted(kind, request, inputs=inputs)


def step_request(context: Any, kind: Any) -> dict[str, Any]:
    """What the step is asked to do, as a letter."""
    return received_request(context, kind).to_json()


def report(context: Any, request: dict[str, Any], result: Any, **more: Any) -> None:
    """Report the result of a step that was asked for this."""
    steps.report(context, StepRequest.from_json(request), result, **more)


BOUND = {**CONF, "step_id": "plan_execute", "expected_digest": "sha256:1", "explained_plan_id": "tool-1"}


def test_an_execute_is_bound_to_what_was_approved() -> None:
    assert step_request(context(BOUND, "execute"), "execute") == StepRequest.from_json({**BOUND, "attempt": 1}).to_json()


def test_a_tool_without_a_state_hears_which_runs_have_begun() -> None:
    assert step_request(context({**BOUND, "tool": "dbt"}, "execute"), "execute")["turn"] == "4"


def test_a_further_try_says_that_it_is_one() -> None:
    it = granted("run", CONF, task("run", try_number=2))
    assert step_request(it, "run") == StepRequest.from_json({**CONF, "attempt": 2}).to_json()


def test_a_run_that_may_not_be_says_why() -> None:
    it = context({})
    error = {"code": "project_suspended", "message": "The project is suspended.", "hint": "Resume it first."}
    it["ti"].xcoms["grant"] = signed(grant("explain", {}, it["ti"], step_id="run_1", refusal=error))
    with pytest.raises(RunRefused, match=r"suspended\. Resume it"):
        step_request(it, "explain")
    left = it["ti"].pushed["result"]
    assert content(left) == {"outcome": "failed", "error": error, "step_id": "run_1"}
    assert seal_of(left, it["ti"], "result")


def test_success_is_reported() -> None:
    it = context()
    report(it, CONF, {"outcome": "succeeded", "digest": "d"}, pod_name="pod-1")
    left = it["ti"].pushed["result"]
    assert content(left) == {"outcome": "succeeded", "digest": "d", "step_id": "plan_explain", "pod_name": "pod-1"}
    assert seal_of(left, it["ti"], "result")


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
    one = context(deployed="aGVsbG8=")
    request = step_request(one, "explain")
    assert StepRequest.from_json(request).for_runner()["inputs"] == {"deployed": "aGVsbG8="}
    report(one, request, {"outcome": "succeeded", "artifacts": {"deployed": "d29ybGQ="}})
    assert "artifacts" not in one["ti"].pushed["result"]
    left = one["ti"].pushed["artifacts"]
    assert content(left) == {"step_id": request["step_id"], "artifacts": {"deployed": "d29ybGQ="}}
    assert seal_of(left, one["ti"], "artifacts")


def turn_with(counts: dict[str, int], *further: str) -> Any:
    """The turn of an execute of dbt, when so many runs of each Dag have begun."""
    it = context({**BOUND, "tool": "dbt", "job_dag_ids": list(further)}, "execute")
    it["ti"].get_ti_count = lambda dag_id, **asked: counts.get(dag_id, 0)
    return step_request(it, "execute")["turn"]


def test_runs_of_all_jobs_count_for_the_turn() -> None:
    default, hourly, daily = "dagctl__shop__run", "dagctl__shop__a__hourly-1__run", "dagctl__shop__a__daily-1__run"
    assert turn_with({default: 4}, hourly, daily) == turn_with({default: 4}) == "4", "a job alone is no other turn"
    turns = [
        turn_with({default: 4, hourly: 1}, hourly, daily),
        turn_with({default: 4, daily: 1}, hourly, daily),
        turn_with({default: 4, daily: 2}, hourly, daily),
        turn_with({default: 3, daily: 1}, hourly, daily),
        turn_with({default: 4}, hourly, daily),
    ]
    assert len(set(turns)) == len(turns)
