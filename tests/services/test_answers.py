"""Answers given in Airflow's Required Actions become decisions through the same checks as every other door."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services import answers, plans, transactions
from dagctl_provider.store.session import utcnow
from tests.services.world import World


@pytest.fixture
def people(world: World, monkeypatch: pytest.MonkeyPatch) -> dict[str, Actor]:
    """Users of Airflow by id."""
    known = {"1": world.actor("developer", "ada"), "2": world.actor("reader", "eve")}
    monkeypatch.setattr(answers, "actor_for_airflow_user_id", lambda user_id, organization_id: known.get(user_id))
    return known


def answer(world: World, step: PlanStep, user: str, option: str) -> None:
    """What Airflow's API stores when somebody answers."""
    from airflow.models.hitl import HITLDetail

    task = world.task(step, "await_approval")

    def work(session: Any) -> None:
        session.merge(
            HITLDetail(
                ti_id=task.id,
                options=["Approve", "Reject"],
                subject="Plan",
                responded_by={"id": user, "name": f"user {user}"},
                responded_at=utcnow(),
                chosen_options=[option],
                params={},
                params_input={},
            )
        )

    transactions.run(work)


def test_an_approval_in_airflow_becomes_a_decision(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Approve")
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "approved"
    (row,) = plans.decisions(world.actor(), step.group_id)
    assert (row["actor_name"], row["door"], row["digest"]) == ("ada", "required_actions", "sha256:1")
    assert answers.handle_answers() == 0


def test_a_rejection_in_airflow_becomes_a_decision(world: World, people: dict[str, Actor]) -> None:
    step = world.explained(world.project())
    answer(world, step, "1", "Reject")
    answers.handle_answers()
    assert plans.get_plan(world.actor(), step.id).status == "rejected"


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


def test_an_answer_survives_that_airflow_fails_and_retries_the_task(world: World, people: dict[str, Actor]) -> None:
    from airflow.models.taskinstance import TaskInstance

    step = world.explained(world.project())
    world.end_task(step, "await_approval", "up_for_retry")
    answer(world, step, "1", "Approve")
    task_id = world.task(step, "await_approval").id

    def retried(session: Any) -> None:
        session.get(TaskInstance, task_id).prepare_db_for_next_try(session)

    transactions.run(retried)
    assert answers.handle_answers() == 1
    assert plans.get_plan(world.actor(), step.id).status == "approved"
