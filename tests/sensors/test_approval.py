"""The approval gate, with a task instance that holds XComs in a dictionary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from dagctl_provider.domain.proofs import Place, SigningKey, sealed, sign
from dagctl_provider.domain.wire.decisions import about
from dagctl_provider.sensors import approval
from dagctl_provider.sensors.approval import AnswerPending, PlanApprovalSensor
from tests.granting import KEY, SEAL_KEY, grant, signed, task
from tests.granting import context as in_context


class Parked(Exception):
    """Stands for Airflow's own signal that a task waits."""


REQUEST = {"commit_sha": "f6e5d4c" * 5, "project_name": "analytics"}


@pytest.fixture
def context() -> Any:
    return in_context(task("await_approval"))


def say(context: Any, key: str, letter: Mapping[str, Any], key_of: SigningKey = KEY, run_id: str = "plangroup_1") -> None:
    """Leave what the API server would."""
    context["ti"].xcoms[key] = sign(key_of, about(key, "dagctl__shop", run_id), letter)


def explained(context: Any, output: Mapping[str, Any]) -> None:
    """Leave what the task explain would, and what it was granted."""
    place = Place("dagctl__shop", "plangroup_1", "explain", "result", "try-1")
    context["ti"].xcoms["result"] = sealed(SEAL_KEY, place, {"plan_output": dict(output)})
    context["ti"].xcoms["grant"] = signed(grant("explain", REQUEST, task("explain")))


@pytest.fixture
def sensor(monkeypatch: pytest.MonkeyPatch) -> PlanApprovalSensor:
    def park(self: Any, context: Any) -> None:
        raise Parked(self.subject)

    monkeypatch.setattr(approval.ApprovalOperator, "execute", park)
    monkeypatch.setattr(approval, "_POLL_SECONDS", 0)
    return PlanApprovalSensor(task_id="await_approval")


def test_it_passes_at_once_when_the_decision_is_there(sensor: PlanApprovalSensor, context: Any) -> None:
    approved = {"decision": "approved", "decided_by": "ada"}
    say(context, "decision", approved)
    assert sensor.execute(context) == approved


@pytest.mark.parametrize("decision", ["rejected", "discarded", "cancelled", "deleted"])
def test_anything_but_an_approval_skips(sensor: PlanApprovalSensor, context: Any, decision: str) -> None:
    say(context, "decision", {"decision": decision, "decided_by": "ada"})
    with pytest.raises(AirflowSkipException, match=decision):
        sensor.execute(context)


def test_it_parks_only_while_there_is_no_decision(sensor: PlanApprovalSensor, context: Any) -> None:
    explained(context, {"environment": "prod", "modelsAdded": 1, "modelsModified": 2})
    with pytest.raises(Parked, match="analytics f6e5d4c to prod: 1 added, 2 changed, 0 removed, 0 to backfill"):
        sensor.execute(context)
    assert sensor.body.startswith("[Open the plan's page](")
    assert "/pluginsv2/dagctl/plans/plangroup_1)" in sensor.body.splitlines()[0]


def test_an_answer_waits_for_its_decision(sensor: PlanApprovalSensor, context: Any) -> None:
    looks = []
    say(context, "decision", {"decision": "approved"})

    def pull(task_ids: str, key: str) -> Any:
        looks.append(key)
        return context["ti"].xcoms.get(key) if len(looks) > 6 else None

    context["ti"].xcom_pull = pull
    assert sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"}) == {"decision": "approved"}


def test_a_refused_answer_parks_again(sensor: PlanApprovalSensor, context: Any) -> None:
    say(context, "answer", {"responded_at": "2026-04-28T10:00:00+00:00", "detail": "no right"})
    with pytest.raises(Parked):
        sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"})
    assert "**The last answer was refused.** no right" in sensor.body


def test_the_refusal_of_an_earlier_answer_is_not_taken_for_this_one(
    sensor: PlanApprovalSensor, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(approval, "_ANSWER_WAIT_SECONDS", 0.05)
    say(context, "answer", {"responded_at": "2026-04-28T09:00:00+00:00", "detail": "no right"})
    with pytest.raises(AnswerPending):
        sensor.execute_complete(context, {"responded_at": "2026-04-28T10:00:00+00:00"})


def test_nothing_of_the_request_is_a_template() -> None:
    assert PlanApprovalSensor(task_id="await_approval").template_fields == ()


FORGED = {
    "not signed": lambda it: it["ti"].xcoms.__setitem__("decision", {"decision": "approved", "digest": "sha256:1"}),
    "signed by somebody": lambda it: say(it, "decision", {"decision": "approved"}, SigningKey.new()),
    "of another run": lambda it: say(it, "decision", {"decision": "approved"}, run_id="plangroup_2"),
    "no decision": lambda it: it["ti"].xcoms.__setitem__("decision", "approved"),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_decision_that_somebody_wrote_into_airflow_is_none(sensor: PlanApprovalSensor, context: Any, forge: Any) -> None:
    forge(context)
    with pytest.raises(Parked):
        sensor.execute(context)


def test_what_somebody_wrote_over_the_plan_is_not_shown(sensor: PlanApprovalSensor, context: Any) -> None:
    explained(context, {"environment": "prod", "modelsAdded": 1})
    context["ti"].xcoms["result"]["plan_output"]["modelsAdded"] = 0
    with pytest.raises(Parked):
        sensor.execute(context)
    assert "cannot be shown here" in sensor.body
    assert "/pluginsv2/dagctl/plans/plangroup_1)" in sensor.body


def test_nor_is_the_conf_of_a_run(sensor: PlanApprovalSensor, context: Any) -> None:
    explained(context, {"environment": "prod"})
    context["dag_run"].conf = {"dagctl": {"commit_sha": "0" * 40, "project_name": "harmless"}}
    with pytest.raises(Parked, match="analytics f6e5d4c"):
        sensor.execute(context)
