"""The approval gate, with a task instance that holds XComs in a dictionary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from dagctl_provider.sensors import approval
from dagctl_provider.sensors.approval import AnswerPending, PlanApprovalSensor, describe


class Parked(Exception):
    """Stands for Airflow's own signal that a task waits."""


@pytest.fixture
def xcoms() -> dict[str, Any]:
    return {}


@pytest.fixture
def context(xcoms: dict[str, Any]) -> Any:
    task = SimpleNamespace(xcom_pull=lambda task_ids, key: xcoms.get(key))
    return {"ti": task, "dag_run": SimpleNamespace(conf={"dagctl": {"commit_sha": "f6e5d4c" * 5, "project_name": "analytics"}})}


@pytest.fixture
def sensor(monkeypatch: pytest.MonkeyPatch) -> PlanApprovalSensor:
    def park(self: Any, context: Any) -> None:
        raise Parked(self.subject)

    monkeypatch.setattr(approval.ApprovalOperator, "execute", park)
    monkeypatch.setattr(approval, "_POLL_SECONDS", 0)
    return PlanApprovalSensor(task_id="await_approval")


def test_it_passes_at_once_when_the_decision_is_there(sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any]) -> None:
    xcoms["decision"] = {"decision": "approved", "decided_by": "ada"}
    assert sensor.execute(context) == xcoms["decision"]


@pytest.mark.parametrize("decision", ["rejected", "discarded", "cancelled", "deleted"])
def test_anything_but_an_approval_skips(sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any], decision: str) -> None:
    xcoms["decision"] = {"decision": decision, "decided_by": "ada"}
    with pytest.raises(AirflowSkipException, match=decision):
        sensor.execute(context)


def test_it_parks_only_while_there_is_no_decision(sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any]) -> None:
    xcoms["result"] = {"plan_output": {"environment": "prod", "modelsAdded": 1, "modelsModified": 2}}
    with pytest.raises(Parked, match="analytics f6e5d4c to prod: 1 added, 2 modified, 0 removed"):
        sensor.execute(context)


def test_an_answer_waits_for_its_decision(sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any]) -> None:
    looks = []

    def pull(task_ids: str, key: str) -> Any:
        looks.append(key)
        return {"decision": "approved"} if len(looks) > 6 and key == "decision" else None

    context["ti"].xcom_pull = pull
    assert sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"}) == {"decision": "approved"}


def test_a_refused_answer_parks_again(sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any]) -> None:
    xcoms["answer"] = {"responded_at": "2026-04-28T10:00:00+00:00", "detail": "no right"}
    with pytest.raises(Parked):
        sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"})


def test_the_refusal_of_an_earlier_answer_is_not_taken_for_this_one(
    sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_ANSWER_WAIT_SECONDS", 0.05)
    xcoms["answer"] = {"responded_at": "2026-04-28T09:00:00+00:00", "detail": "no right"}
    with pytest.raises(AnswerPending):
        sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"})


def test_what_deserves_a_look_comes_first_with_its_diff() -> None:
    models = [
        {"name": "a.down", "change": "indirectly_modified", "category": "indirect_breaking", "diff": "-x"},
        {"name": "b.new", "change": "added", "category": "breaking", "diff": "+SELECT 1"},
        {"name": "c.orders", "change": "directly_modified", "category": "breaking", "diff": "-SELECT 1\n+SELECT 2"},
    ]
    conf = {"commit_sha": "f6e5d4c" * 5, "commit_message": "Take discounts off", "commit_author": "Ada"}
    _, body = describe(conf, {"models": models, "modelsNeedingBackfill": 2})
    lines = body.splitlines()
    assert lines[0] == "f6e5d4c Take discounts off (Ada)"
    assert [line.split(":")[0] for line in lines if line.startswith("- ")] == ["- c.orders", "- b.new", "- a.down"]
    assert "directly modified, breaking" in body
    assert "```diff\n-SELECT 1\n+SELECT 2\n```" in body
    assert "2 model(s) need backfill." in body


def test_a_dbt_plan_says_what_runs_and_what_dbt_keeps_quiet_about() -> None:
    selection = {"nodes": ["model.shop.a", "test.shop.b"], "reason": "What changed and what reads it."}
    _, body = describe({}, {"selection": selection, "warnings": ["<b>old</b> stays in the warehouse"] * 30})
    assert "2 node(s) will run. What changed and what reads it" in body
    assert body.count("stays in the warehouse") == 20
    assert "<b>" not in body.replace("\\<", "")


def test_hostile_names_do_not_become_markup() -> None:
    hostile = "a`b*[x](javascript:alert(1))<img src=x>\n# head {{ 7*7 }}"
    _, body = describe(
        {"commit_sha": "f6e5d4c", "commit_message": hostile, "commit_author": hostile},
        {"models": [{"name": hostile, "change": "added", "category": "breaking"}]},
    )
    assert "<img" not in body.replace("\\<", "")
    assert "](" not in body.replace("\\]\\(", "")
    assert not [line for line in body.splitlines() if line.startswith("#")]


def test_a_hostile_diff_stays_in_its_fence() -> None:
    diff = "+```\n+````\n+<script>alert(1)</script>"
    _, body = describe({}, {"models": [{"name": "m", "change": "directly_modified", "diff": diff}]})
    assert f"`````diff\n{diff}\n`````" in body


def test_long_diffs_are_left_out_and_said_so() -> None:
    models = [{"name": f"m{n}", "change": "directly_modified", "diff": "-" * 15_000} for n in range(3)]
    _, body = describe({}, {"models": models})
    assert body.count("diff\n") == 1
    assert "too long" in body


def test_nothing_of_the_request_is_a_template() -> None:
    assert PlanApprovalSensor(task_id="await_approval").template_fields == ()
