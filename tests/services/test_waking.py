"""A decision that falls between an approval task's look and its parking still wakes it."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services import plans
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import transactions
from dagctl_provider.version_compat import AIRFLOW_V_3_3_PLUS
from tests.services.world import World


def park(world: World, step: PlanStep) -> None:
    """What Airflow does when the approval task found no decision."""
    from airflow.models.hitl import HITLDetail

    world.end_task(step, "await_approval", "awaiting_input")
    task = world.task(step, "await_approval")

    def work(session: Any) -> None:
        session.add(HITLDetail(ti_id=task.id, options=["Approve", "Reject"], subject="Plan", params={}, multiple=False))

    transactions.run(work)


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="before, the task waits for its trigger, which the triggerer runs")
@pytest.mark.parametrize("verb", ["approve", "reject"])
def test_a_task_that_parks_after_the_decision_is_woken(world: World, verb: str) -> None:
    step = world.explained(world.project())
    getattr(plans, verb)(world.actor(), step.id, door="rest")
    park(world, step)
    assert world.task(step, "await_approval").state == "awaiting_input"

    assert reconcile.wake_decided() == 1
    assert world.task(step, "await_approval").state == "scheduled"
    assert reconcile.wake_decided() == 0


def test_a_task_that_waits_for_a_decision_goes_on_waiting(world: World) -> None:
    step = world.explained(world.project())
    park(world, step)
    assert reconcile.wake_decided() == 0
    assert world.task(step, "await_approval").state == "awaiting_input"
