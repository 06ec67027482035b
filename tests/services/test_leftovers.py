"""What a plan that did not end well left, as the next explain and execute are told of it."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import plans, projects
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import reconcile
from tests.services.test_dbt import dbt, executed
from tests.services.test_detection import Remotes, remotes
from tests.services.world import World, runs_do, sha

__all__ = ["remotes"]

pytestmark = [pytest.mark.slow]

STG = {"node": "model.shop.stg", "name": "stg", "relation": "main.stg"}
NODES = ["model.shop.stg", "model.shop.fct", "test.shop.t", "unit_test.shop.u"]


def told(world: World, step: PlanStep) -> list[Mapping[str, Any]]:
    """The rows that a step is handed out."""
    task = "execute" if step.plan_type == "explain" else "explain"
    packed = (world.decision(step, "inputs", task) or {}).get("leftovers")
    return json.loads(gzip.decompress(base64.b64decode(packed)))["rows"] if packed else []


def approved(world: World, project: Project, commit: str, digest: str = "sha256:2") -> PlanStep:
    """The execute of a plan for a commit that selects two models."""
    world.head = commit
    step = world.explained(project, digest=digest, selection={"mode": "selected", "nodes": NODES})
    decided = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(decided, PlanApproved)
    return decided.execute


def broken(world: World, project: Project, commit: str = "second", **result: Any) -> PlanStep:
    """An execute that failed with a result."""
    execute = approved(world, project, commit)
    world.begin(execute)
    return world.finish_execute(execute, "failed", error={"code": "model_failed", "message": "fct"}, **result)


def planned(world: World, project: Project, commit: str) -> PlanStep:
    world.head = commit
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    return step


@pytest.fixture
def project(world: World) -> Project:
    made = dbt(world, version_strategy="continuous")
    executed(world, made)
    return made


def test_the_next_plan_is_told_what_a_failed_execute_began(world: World, project: Project) -> None:
    broken(world, project, left=[STG])
    assert told(world, planned(world, project, "third")) == [{**STG, "plan_id": "tool-1", "commit": sha("second")}]


def test_nothing_begun_is_nothing_left(world: World, project: Project) -> None:
    broken(world, project, left=[])
    assert told(world, planned(world, project, "third")) == []


def test_all_counts_that_an_execute_without_an_answer_may_have_begun(world: World, project: Project) -> None:
    execute = approved(world, project, "second")
    world.begin(execute)
    world.end_task(execute, "execute", "failed")
    reconcile.settle(execute)
    found = told(world, planned(world, project, "third"))
    assert [row["node"] for row in found] == ["model.shop.stg", "model.shop.fct"]


def test_an_explain_may_say_itself_what_would_be_left(world: World, project: Project) -> None:
    world.head = "second"
    step = world.explained(project, digest="sha256:2", leaves=[STG])
    decided = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(decided, PlanApproved)
    world.begin(decided.execute)
    world.end_task(decided.execute, "execute", "failed")
    reconcile.settle(decided.execute)
    assert [row["node"] for row in told(world, planned(world, project, "third"))] == ["model.shop.stg"]


def test_an_execute_that_was_cancelled_before_it_began_left_nothing(world: World, project: Project) -> None:
    execute = approved(world, project, "second")
    plans.cancel(world.actor(), execute.id, door="rest")
    assert told(world, planned(world, project, "third")) == []


def test_a_cancelled_execute_tells_after_it_is_on_record(world: World, project: Project) -> None:
    execute = approved(world, project, "second")
    world.begin(execute)
    plans.cancel(world.actor(), execute.id, door="rest")
    result = {"outcome": "cancelled", "step_id": execute.id, "left": [STG]}
    world.end_task(execute, "execute", "failed", result)
    assert [row["node"] for row in told(world, planned(world, project, "third"))] == ["model.shop.stg"]


def test_a_retry_is_not_told_of_its_own_plan_and_keeps_what_its_first_try_left(world: World, project: Project) -> None:
    first = broken(world, project, left=[STG])
    second = plans.retry(world.actor(), first.id, door="rest")
    assert told(world, second) == []
    world.begin(second)
    fct = {"node": "model.shop.fct", "name": "fct"}
    world.finish_execute(second, "failed", error={"code": "model_failed", "message": "fct"}, left=[fct])
    found = told(world, planned(world, project, "third"))
    assert [row["node"] for row in found] == ["model.shop.stg", "model.shop.fct"]


def test_the_execute_of_the_next_plan_is_told_too_and_its_success_ends_it(world: World, project: Project) -> None:
    broken(world, project, left=[STG])
    execute = approved(world, project, "third", digest="sha256:3")
    assert [row["node"] for row in told(world, execute)] == ["model.shop.stg"]
    world.finish_execute(execute)
    assert told(world, planned(world, project, "fourth")) == []


def test_the_deployed_commit_is_worth_a_plan_while_something_is_left(world: World, project: Project) -> None:
    broken(world, project, left=[STG])
    world.head = "first"
    created = plans.create_plan(world.actor(), project.id)
    assert created.outcome == "created"
    assert created.step is not None
    assert [row["node"] for row in told(world, created.step)] == ["model.shop.stg"]


def test_a_branch_that_is_set_back_is_planned_by_itself(world: World, project: Project, remotes: Remotes) -> None:
    assert remotes.poll() == 0
    broken(world, project, left=[STG])
    world.head = "first"
    assert remotes.poll() == 1
    assert remotes.poll() == 0, "once"


def test_runs_of_a_tool_with_a_state_are_told(world: World) -> None:
    mesh = world.project("mesh")
    executed(world, mesh, left=None)
    assert run_input(mesh) is None
    failed = broken(world, mesh, left=[STG])
    (row,) = json.loads(gzip.decompress(base64.b64decode(run_input(mesh) or "")))["rows"]
    assert (row["node"], row["commit"]) == ("model.shop.stg", sha("second"))
    again = plans.retry(world.actor(), failed.id, door="rest")
    world.finish_execute(again)
    assert run_input(mesh) is None


def run_input(project: Project) -> str | None:
    found: str | None = (runs_do(project).get("inputs") or {}).get("leftovers")
    return found


def test_environments_do_not_share_what_is_left(world: World, project: Project) -> None:
    broken(world, project, left=[STG])
    projects.update_project(world.actor(), project.id, {"dbt_target": "staging"})
    assert told(world, planned(world, project, "third")) == []
