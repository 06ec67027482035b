"""What a plan accepts, as it says itself, is what it accepts; and nobody is left without a way on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.services.world import World

Ask = Callable[..., Any]


def approved(ask: Ask, world: World, **output: Any) -> tuple[Any, Any]:
    """A project's id and the explain step of its approved plan."""
    project = world.project()
    step = world.explained(project, **output)
    assert ask("POST", f"/plans/{step.id}/approve").status_code == 200
    return project, step


def group(ask: Ask, step: Any) -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = ask("GET", f"/plans/group/{step.group_id}/steps").get_json()["steps"]
    return steps


def newest(ask: Ask, world: World, step: Any, state: str, code: str = "warehouse_refused") -> dict[str, Any]:
    """Let the newest execution end, and give it."""
    from dagctl_provider.services import plans

    execute = plans.get_plan(world.actor(), group(ask, step)[-1]["id"])
    world.finish_execute(execute, state, error={"code": code, "message": "no", "hint": "ask"})
    return group(ask, step)[-1]


def verbs(ask: Ask, project: Any, step: Any) -> list[list[str]]:
    """What each step of a group says that it accepts: the same in the group, alone and in the list."""
    steps = group(ask, step)
    listed = {item["id"]: item for item in ask("GET", f"/projects/{project.id}/plans").get_json()["plans"]}
    for one in steps:
        alone = ask("GET", f"/plans/{one['id']}").get_json()
        assert one["allowed_verbs"] == alone["allowed_verbs"] == listed[one["id"]]["allowed_verbs"]
    return [one["allowed_verbs"] for one in steps]


def test_an_applied_plan_accepts_nothing(ask: Ask, world: World) -> None:
    project, step = approved(ask, world)
    assert verbs(ask, project, step) == [["cancel"], ["cancel"]]
    newest(ask, world, step, "success")
    assert verbs(ask, project, step) == [[], []]
    answer = ask("POST", f"/plans/{step.id}/cancel")
    assert (answer.status_code, answer.get_json()["code"], answer.get_json()["allowed"]) == (409, "wrong_state", [])
    assert ask("GET", f"/plans/{step.id}").get_json()["status"] == "approved"


def test_only_the_newest_execution_can_be_tried_again_and_only_three_times(ask: Ask, world: World) -> None:
    project, step = approved(ask, world)
    first = newest(ask, world, step, "failed")
    assert verbs(ask, project, step) == [["cancel"], ["retry"]]
    ask("POST", f"/plans/{first['id']}/retry")
    assert verbs(ask, project, step) == [["cancel"], [], ["cancel"]]
    answer = ask("POST", f"/plans/{first['id']}/retry")
    assert (answer.status_code, answer.get_json()["allowed"]) == (409, [])
    for _ in range(2):
        ask("POST", f"/plans/{newest(ask, world, step, 'failed')['id']}/retry")
    last = newest(ask, world, step, "failed")
    assert verbs(ask, project, step) == [["cancel"], [], [], [], []]
    answer = ask("POST", f"/plans/{last['id']}/retry")
    assert (answer.status_code, answer.get_json()["code"]) == (409, "retries_exhausted")


def test_an_approval_can_be_withdrawn_after_its_execution_failed(ask: Ask, world: World) -> None:
    """The document: approved plans can be cancelled. Otherwise the commit could only be planned again after three retries."""
    project, step = approved(ask, world)
    failed = newest(ask, world, step, "failed")
    assert ask("POST", f"/projects/{project.id}/plans").get_json()["status"] == "existing_plan"
    answer = ask("POST", f"/plans/{step.id}/cancel")
    assert (answer.status_code, answer.get_json()["plan_id"]) == (200, step.id)
    assert ask("GET", f"/plans/group/{step.group_id}/steps").get_json()["current_status"] == "cancelled"
    assert ask("GET", f"/plans/{failed['id']}").get_json()["status"] == "failed", "what happened stays on record"
    assert verbs(ask, project, step) == [[], []]
    assert ask("POST", f"/plans/{failed['id']}/retry").get_json()["code"] == "wrong_state"
    assert ask("POST", f"/projects/{project.id}/plans").status_code == 201


def test_a_drifted_plan_makes_room_for_a_new_one(ask: Ask, world: World) -> None:
    """Its error says "create a new plan", so that has to be possible at once."""
    project, step = approved(ask, world)
    failed = newest(ask, world, step, "failed", "plan_drifted")
    assert failed["error"]["code"] == "plan_drifted"
    assert verbs(ask, project, step) == [["cancel"], ["retry"]]
    made = ask("POST", f"/projects/{project.id}/plans")
    assert made.status_code == 201
    assert verbs(ask, project, step) == [[], []], "the old approval is withdrawn, so there is one plan for the commit"
    assert ask("POST", f"/projects/{project.id}/plans").get_json()["plan_id"] == made.get_json()["plan_id"]
    assert ask("POST", f"/plans/{failed['id']}/retry").status_code == 409


def test_the_reason_of_a_decision_can_be_read(ask: Ask, world: World) -> None:
    project = world.project()
    step = world.explained(project)
    assert "comment" not in ask("GET", f"/plans/{step.id}").get_json()
    ask("POST", f"/plans/{step.id}/reject", json={"comment": "Not on a Friday."})
    assert ask("GET", f"/plans/{step.id}").get_json()["comment"] == "Not on a Friday."
    assert group(ask, step)[0]["comment"] == "Not on a Friday."
    again = world.explained(project)
    ask("POST", f"/plans/{again.id}/reject")
    assert "comment" not in ask("GET", f"/plans/{again.id}").get_json()


def test_a_step_that_is_cancelled_right_after_its_start_keeps_its_log(ask: Ask, world: World) -> None:
    """Which try to read is known to Airflow before the controller has looked."""
    from dagctl_provider.store import plans as plan_rows
    from dagctl_provider.store import transactions

    project = world.project()
    made = ask("POST", f"/projects/{project.id}/plans").get_json()
    step: Any = transactions.run(lambda session: plan_rows.get_step(session, made["plan_id"]))
    world.end_task(step, "explain", "running", tries=2)
    assert ask("POST", f"/plans/{step.id}/cancel").status_code == 200
    cancelled: Any = transactions.run(lambda session: plan_rows.get_step(session, step.id))
    assert (cancelled.status, cancelled.try_number) == ("cancelled", 2)
    assert cancelled.started_at is not None
