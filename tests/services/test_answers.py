"""Answers given in Airflow's Required Actions become decisions through the same checks as every other door."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.orchestration import approvals
from dagctl_provider.services import plans, variables
from dagctl_provider.services.turns import answers
from dagctl_provider.store import answers as answer_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import utcnow
from dagctl_provider.version_compat import AIRFLOW_V_3_3_PLUS
from tests.services.world import World


@pytest.fixture
def people(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, Actor]:
    """Users of Airflow by id."""
    known = {"1": world.actor("developer", "ada"), "2": world.actor("reader", "eve")}
    monkeypatch.setattr(answers.members, "actor_by_airflow_id", lambda user_id, organization_id: known.get(user_id))
    return known


@pytest.fixture(autouse=True)
def kept() -> None:
    """What the API server does when it starts."""
    approvals.keep_answers()
    approvals.keep_answers()


def ask(world: World, step: PlanStep) -> None:
    """What Airflow's API does when the task asks, also when it asks again: it forgets what was answered."""
    from airflow.models.hitl import HITLDetail

    task = world.task(step, "await_approval")

    def work(session: Any) -> None:
        detail = session.get(HITLDetail, task.id)
        if detail is None:
            detail = HITLDetail(ti_id=task.id, options=["Approve", "Reject"], subject="Plan", params={}, params_input={})
        detail.responded_by = detail.responded_at = detail.chosen_options = None
        session.add(detail)

    transactions.run(work)


def answer(world: World, step: PlanStep, user: str, option: str, comment: Any = None) -> None:
    """What Airflow's API stores when somebody answers."""
    from airflow.models.hitl import HITLDetail

    ask(world, step)
    task = world.task(step, "await_approval")

    def work(session: Any) -> None:
        detail = session.get(HITLDetail, task.id)
        detail.responded_by = {"id": user, "name": f"user {user}"}
        detail.responded_at, detail.chosen_options = utcnow(), [option]
        detail.params_input = {"comment": comment}

    transactions.run(work)


def test_an_approval_in_airflow_becomes_a_decision(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Approve")
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "approved"
    (row,) = plans.decisions(world.actor(), step.group_id)
    assert (row.actor_name, row.door, row.digest) == ("ada", "required_actions", "sha256:1")
    assert answers.handle_answers() == 0


def test_a_rejection_in_airflow_becomes_a_decision(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Reject")
    answers.handle_answers()
    assert plans.get_plan(world.actor(), step.id).status == "rejected"


@pytest.mark.parametrize(
    ("written", "kept"),
    [(" Too late in the quarter. ", "Too late in the quarter."), ("", None), (7, None), ("x" * 9000, "x" * 2000)],
)
def test_what_was_written_beside_an_answer_stays_with_the_decision(
    world: World, people: dict[str, Actor], written: Any, kept: str | None
) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Reject", written)
    answers.handle_answers()
    (row,) = plans.decisions(world.actor(), step.group_id)
    assert (row.decision, row.comment) == ("rejected", kept)


@pytest.mark.parametrize("user", ["2", "3"], ids=["reader", "stranger"])
def test_an_answer_without_the_right_is_refused_and_told(world: World, people: dict[str, Actor], user: str) -> None:
    step = world.explained(world.project())
    answer(world, step, user, "Approve")
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "pending"
    refusal = world.decision(step, "answer")
    assert refusal is not None
    assert refusal["code"] == "forbidden"
    assert answers.handle_answers() == 0, "a refused answer is judged once"
    answer(world, step, "1", "Approve")
    answers.handle_answers()
    assert plans.get_plan(world.actor(), step.id).status == "approved", "somebody else may answer afterwards"


def test_an_approval_that_comes_after_head_moved_discards(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    world.head = "second"
    answer(world, step, "1", "Approve")
    answers.handle_answers()
    assert plans.get_plan(world.actor(), step.id).auto_discarded


def test_an_answer_survives_that_the_task_asks_again_before_anybody_looked(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Approve")
    ask(world, step)
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "approved"


def test_an_answer_that_comes_before_the_result_is_known_waits_for_it(world: World, people: dict[str, Actor]) -> None:
    created = plans.create_plan(world.actor(), world.project().id).step
    assert created is not None
    step = created
    answer(world, step, "1", "Reject")
    assert answers.handle_answers() == 0
    world.finish_explain(step)
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "rejected"


def test_an_answer_to_a_plan_that_waits_no_more_is_dropped(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    plans.reject(world.actor(), step.id, door="rest")
    answer(world, step, "1", "Approve")
    assert answers.handle_answers() == 0
    assert transactions.run(answer_rows.unjudged_answers) == []
    assert plans.get_plan(world.actor(), step.id).status == "rejected"


@pytest.mark.skipif(not AIRFLOW_V_3_3_PLUS, reason="before, the task waits for its trigger, which the triggerer runs")
def test_what_wakes_the_task_is_no_answer(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    ask(world, step)
    world.end_task(step, "await_approval", "awaiting_input")
    plans.approve(world.actor(), step.id, door="rest")
    assert world.task(step, "await_approval").state == "scheduled"
    assert transactions.run(answer_rows.unjudged_answers) == []


def test_a_broken_moment_does_not_cost_the_answer(
    world: World, people: dict[str, Actor], monkeypatch: pytest.MonkeyPatch
) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Approve")
    with monkeypatch.context() as broken:
        broken.setattr(plans, "approve", lambda *_, **__: 1 / 0)
        assert answers.handle_answers() == 0
        broken.setattr(answers, "_PATIENCE", timedelta(0))
        assert answers.handle_answers() == 1
        refusal = world.decision(step, "answer")
        assert refusal is not None
        assert refusal["code"] == "internal_error"
    answer(world, step, "1", "Approve")
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "approved"


def test_an_approval_of_a_plan_with_other_variables_is_refused(world: World, people: dict[str, Actor]) -> None:
    variables.create_variable(world.actor(), {"name": "TOKEN", "value": "planted"})
    step = world.explained(world.project())
    variables.update_variable(world.actor(), "TOKEN", {"value": "other"})
    answer(world, step, "1", "Approve")
    answers.handle_answers()
    assert plans.get_plan(world.actor(), step.id).status == "pending"
    told = world.decision(step, key="answer")
    assert told is not None
    assert (told["code"], "TOKEN" in told["detail"], "planted" in str(told)) == ("variables_changed", True, False)
