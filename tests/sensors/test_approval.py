"""The approval gate, with a task instance that holds XComs in a dictionary."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from dagctl_provider.sensors import approval
from dagctl_provider.sensors.approval import AnswerPending, PlanApprovalSensor


class Parked(Exception):
    """Stands for Airflow's own signal that a task waits."""


@pytest.fixture
def xcoms() -> dict[str, Any]:
    return {}


@pytest.fixture
def context(xcoms: dict[str, Any]) -> Any:
    task = SimpleNamespace(xcom_pull=lambda task_ids, key: xcoms.get(key))
    return {
        "ti": task,
        "dag_run": SimpleNamespace(
            run_id="plangroup_1", conf={"dagctl": {"commit_sha": "f6e5d4c" * 5, "project_name": "analytics"}}
        ),
    }


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
    with pytest.raises(Parked, match="analytics f6e5d4c to prod: 1 added, 2 changed, 0 removed, 0 to backfill"):
        sensor.execute(context)
    assert sensor.body.startswith("[Open the plan's page](")
    assert "/pluginsv2/dagctl/plans/plangroup_1)" in sensor.body.splitlines()[0]


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
    assert "**The last answer was refused.** no right" in sensor.body


def test_the_refusal_of_an_earlier_answer_is_not_taken_for_this_one(
    sensor: PlanApprovalSensor, context: Any, xcoms: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_ANSWER_WAIT_SECONDS", 0.05)
    xcoms["answer"] = {"responded_at": "2026-04-28T09:00:00+00:00", "detail": "no right"}
    with pytest.raises(AnswerPending):
        sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"})


def test_nothing_of_the_request_is_a_template() -> None:
    assert PlanApprovalSensor(task_id="await_approval").template_fields == ()
