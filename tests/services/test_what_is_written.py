"""What a decision leaves behind: the answer in Airflow's Required Actions, and when a step was over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow
from tests.services.test_waking import park
from tests.services.world import World


def answer(world: World, step: PlanStep) -> tuple[Any, Any, bool]:
    """What stands in the request for input of the step's approval task: chosen options, by whom, and whether with a time."""
    from airflow.models.hitl import HITLDetail

    task = world.task(step, "await_approval")

    def work(session: Any) -> tuple[Any, Any, bool]:
        detail = session.get(HITLDetail, task.id)
        return detail.chosen_options, detail.responded_by, detail.responded_at is not None

    return transactions.run(work)


def approve(world: World, step: PlanStep) -> None:
    plans.approve(world.actor(), step.id, door="rest")


def reject(world: World, step: PlanStep) -> None:
    plans.reject(world.actor(), step.id, door="rest")


def move_head_and_approve(world: World, step: PlanStep) -> None:
    world.head = "second"
    plans.approve(world.actor(), step.id, door="rest")


# What is done, what Airflow shows, and whose word it is: a plan is discarded by the product, whoever asked.
DECISIONS = [(approve, "Approve", "ada"), (reject, "Reject", "ada"), (move_head_and_approve, "Reject", "head_check")]


@pytest.mark.parametrize(("decide", "option", "by"), DECISIONS)
def test_required_actions_show_what_was_decided_and_by_whom(
    world: World, decide: Callable[[World, PlanStep], None], option: str, by: str
) -> None:
    step = world.explained(world.project())
    park(world, step)
    assert answer(world, step) == (None, None, False)

    decide(world, step)

    assert answer(world, step) == ([option], {"id": "tok_ada" if by == "ada" else by, "name": by}, True)


@pytest.mark.parametrize(("decide", "option", "by"), DECISIONS)
def test_required_actions_show_it_also_when_the_task_parked_later(
    world: World, decide: Callable[[World, PlanStep], None], option: str, by: str
) -> None:
    step = world.explained(world.project())
    decide(world, step)
    park(world, step)

    assert reconcile.wake_decided() == 1

    assert answer(world, step) == ([option], {"id": by, "name": by}, True)


def ended_between(world: World, step_id: str, before: Any) -> bool:
    finished = plans.get_plan(world.actor(), step_id).finished_at
    return finished is not None and before <= finished <= utcnow()


@pytest.mark.parametrize("end", [reject, move_head_and_approve])
def test_a_pending_plan_that_is_decided_against_is_over_at_that_moment(
    world: World, end: Callable[[World, PlanStep], None]
) -> None:
    step = world.explained(world.project())
    before = utcnow()
    end(world, step)
    assert plans.get_plan(world.actor(), step.id).status == "rejected"
    assert ended_between(world, step.id, before)


def test_a_cancelled_explain_is_over_at_that_moment(world: World) -> None:
    created = plans.create_plan(world.actor(), world.project().id).step
    assert created is not None
    assert plans.get_plan(world.actor(), created.id).finished_at is None
    before = utcnow()
    plans.cancel(world.actor(), created.id, door="rest")
    assert ended_between(world, created.id, before)


@pytest.mark.parametrize("state", ["success", "failed"])
def test_an_execution_is_over_when_its_task_is(world: World, state: str) -> None:
    step = world.explained(world.project())
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    execute = approved.execute
    assert plans.get_plan(world.actor(), execute.id).finished_at is None
    before = utcnow()
    world.finish_execute(execute, state)
    assert ended_between(world, execute.id, before)
