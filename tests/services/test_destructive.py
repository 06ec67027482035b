"""Destructive changes that a model's own policy calls an error have to be allowed by name, through whatever door."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.plan_output.reading import executed
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.showing import plan_view
from dagctl_provider.services.turns import answers
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import transactions
from tests.services.test_answers import answer, kept, people
from tests.services.world import World

__all__ = ["kept", "people"]

ROWS = [
    {"name": "shop.orders", "columns": ["legacy"], "kind": "destructive", "policy": "error", "remedies": ["Keep the column."]},
    {"name": "shop.orders", "columns": ["status"], "kind": "destructive", "policy": "error"},
    {"name": "shop.items", "columns": ["sku"], "kind": "additive", "policy": "error"},
    {"name": "shop.days", "columns": ["day"], "kind": "destructive", "policy": "warn"},
]
BOTH = ("shop.orders", "shop.items")


@pytest.fixture
def plan(world: World) -> PlanStep:
    return world.explained(world.project(), destructive=ROWS)


def allowed(execute: PlanStep) -> tuple[str, ...]:
    return executed(execute.plan_output).allow_destructive


def status(world: World, step: PlanStep) -> str:
    return plans.get_plan(world.actor(), step.id).status


@pytest.mark.parametrize(
    ("named", "lacking"), [((), ["shop.orders", "shop.items"]), (("shop.items",), ["shop.orders"]), (("shop.days",), list(BOTH))]
)
def test_an_approval_that_lacks_names_is_refused_with_all_that_is_to_be_known(
    world: World, plan: PlanStep, named: tuple[str, ...], lacking: list[str]
) -> None:
    with pytest.raises(DagctlError) as refused:
        plans.approve(world.actor(), plan.id, "rest", allow_destructive=named)
    assert (refused.value.code, refused.value.kind.status) == ("destructive_not_allowed", 409)
    rows: Any = refused.value.extra["destructive"]
    assert [row["model"] for row in rows] == lacking
    assert "shop.orders (legacy, status)" in refused.value.detail
    assert {"model": "shop.orders", "columns": ["legacy", "status"], "remedies": ["Keep the column."]} in rows
    assert status(world, plan) == "pending"
    assert plans.decisions(world.actor(), plan.group_id) == []


def test_names_without_such_a_change_are_a_slip(world: World, plan: PlanStep) -> None:
    with pytest.raises(DagctlError) as refused:
        plans.approve(world.actor(), plan.id, "rest", allow_destructive=(*BOTH, "shop.order"))
    assert (refused.value.code, refused.value.kind.status) == ("invalid_request", 422)
    assert "shop.order." in refused.value.detail
    assert status(world, plan) == "pending"


def test_a_plan_without_such_changes_takes_no_names(world: World) -> None:
    step = world.explained(world.project())
    with pytest.raises(DagctlError, match=r"no destructive change of shop\.orders"):
        plans.approve(world.actor(), step.id, "rest", allow_destructive=("shop.orders",))


def test_what_was_allowed_stays_with_the_execution_and_its_retry_and_stands_in_the_timeline(world: World, plan: PlanStep) -> None:
    decided = plans.approve(world.actor(), plan.id, "page", "Agreed.", (*BOTH, "shop.items"))
    assert isinstance(decided, PlanApproved)
    assert allowed(decided.execute) == BOTH
    failed = world.finish_execute(decided.execute, "failed", error={"code": "model_failed", "message": "x"})
    assert allowed(failed) == BOTH
    again = plans.retry(world.actor(), failed.id, "page")
    assert allowed(again) == BOTH
    assert allowed(world.finish_execute(again)) == BOTH
    notes = [event.note for event in plan_view.get_view(world.actor(), plan.group_id).events if event.title == "Approved"]
    assert notes == ["Destructive changes allowed: shop.orders, shop.items"]


def test_an_approval_in_required_actions_is_refused_with_the_sentence(
    world: World, plan: PlanStep, people: dict[str, Actor]
) -> None:
    answer(world, plan, "1", "Approve")
    assert answers.handle_answers() == 1
    assert status(world, plan) == "pending"
    refusal = world.decision(plan, "answer")
    assert refusal is not None
    assert refusal["code"] == "destructive_not_allowed"
    assert refusal["detail"].startswith("2 models change their tables destructively, and the approval does not name them")


def test_a_rejection_needs_no_names(world: World, plan: PlanStep, people: dict[str, Actor]) -> None:
    answer(world, plan, "1", "Reject")
    answers.handle_answers()
    assert status(world, plan) == "rejected"


def test_what_applies_itself_waits_for_a_person_then_and_says_why(world: World) -> None:
    project = world.project(auto_apply=True)
    step = world.explained(project, destructive=ROWS)
    assert status(world, step) == "pending"
    found = {finding.kind: finding for finding in plan_view.get_view(world.actor(), step.group_id).findings}
    assert "So the plan waits for a person, although the project applies plans by itself." in found["destructive"].title
    world.head = "second"
    assert world.explained(project, destructive=[ROWS[3]]).status == "approved"


def test_a_kept_approval_keeps_the_names_and_without_them_nobody_is_taken_at_their_word(world: World) -> None:
    project = world.project()
    first = world.explained(project, destructive=ROWS)
    decided = plans.approve(world.actor(name="grace"), first.id, "page", allow_destructive=BOTH)
    assert isinstance(decided, PlanApproved)
    world.finish_execute(decided.execute, "failed", error={"code": "plan_drifted", "message": "x"}, digest="sha256:2")
    again = world.explained(project, destructive=ROWS)
    assert again.status == "approved"
    execute = transactions.run(lambda session: plan_rows.group_steps(session, again.group_id))[-1]
    assert allowed(execute) == BOTH
    world.finish_execute(execute, "failed", error={"code": "plan_drifted", "message": "x"}, digest="sha256:2")
    more = [*ROWS, {"name": "shop.new", "columns": ["a"], "policy": "error"}]
    assert world.explained(project, destructive=more).status == "pending"
