"""What is asked for of one plan beside its commit."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.options import OPTIONS, PlanOptions
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.tools import TOOLS
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved, PlanCreated
from tests.services.test_dbt import dbt, executed
from tests.services.test_plans import refused
from tests.services.world import World, runs_do

pytestmark = [pytest.mark.slow]

FULL = PlanOptions(full_refresh=("fct",))


def create(world: World, project: Project, **options: Any) -> PlanCreated:
    return plans.create_plan(world.actor(), project.id, options=PlanOptions(**options))


def test_options_stand_in_the_settings_of_both_steps(world: World) -> None:
    project = dbt(world)
    step = create(world, project, full_refresh=("fct",), vars={"x": [1]}).step
    assert step is not None
    approved = plans.approve(world.actor(), world.finish_explain(step).id, door="rest")
    assert isinstance(approved, PlanApproved)
    for settings in (approved.explain.settings, approved.execute.settings):
        assert (settings["full_refresh"], settings["vars"]) == (["fct"], {"x": [1]})


def test_variables_stay_in_force_and_a_full_refresh_does_not(world: World) -> None:
    project = dbt(world)
    step = create(world, project, full_refresh=("fct",), vars={"x": 1}).step
    assert step is not None
    approved = plans.approve(world.actor(), world.finish_explain(step).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)

    run = runs_do(project)
    assert run["vars"] == {"x": 1}
    assert "full_refresh" not in run
    world.head = "second"
    later = create(world, project).step
    assert later is not None
    assert later.settings["vars"] == {"x": 1}
    assert "full_refresh" not in later.settings
    other = create(world, project, vars={}).step
    assert other is not None
    assert "vars" not in other.settings, "an empty object takes them away"


def test_other_variables_make_the_deployed_commit_worth_a_plan(world: World) -> None:
    project = dbt(world)
    executed(world, project)
    assert create(world, project).outcome == "already_deployed"
    assert create(world, project, vars={}).outcome == "already_deployed"
    with pytest.raises(DagctlError, match="is deployed already, so nothing of it is made from scratch") as refused:
        create(world, project, full_refresh=("fct",))
    assert refused.value.code == "invalid_request"
    assert create(world, project, vars={"x": 1}).outcome == "created"


def test_an_undecided_plan_gives_way_to_one_with_other_options(world: World) -> None:
    project = dbt(world)
    pending = world.explained(project)
    assert create(world, project).outcome == "existing_plan"
    again = create(world, project, full_refresh=("fct",))
    assert again.outcome == "created"
    assert plans.get_plan(world.actor(), pending.id).status in ("cancelled", "rejected")
    assert create(world, project, full_refresh=("fct",)).outcome == "existing_plan"
    assert create(world, project).outcome == "existing_plan", "who names none does not mean none"


def test_a_decided_plan_does_not(world: World) -> None:
    project = dbt(world)
    plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert create(world, project, full_refresh=("fct",)).outcome == "existing_plan"


@pytest.mark.parametrize(
    "options",
    [
        {"full_refresh": ("a b",)},
        {"full_refresh": ("-x",)},
        {"vars": {"a\n": 1}},
        {"vars": {"a": "x" * 20_000}},
        {"vars": {"": 1}},
    ],
)
def test_bad_options_are_refused(world: World, options: dict[str, Any]) -> None:
    with refused("invalid_request"):
        create(world, dbt(world), **options)


def test_a_tool_refuses_options_that_it_does_not_have(world: World) -> None:
    project = world.project()
    with refused("invalid_request"):
        create(world, project, full_refresh=("fct",))
    assert create(world, project).outcome == "created"


def test_each_option_belongs_to_a_tool() -> None:
    named = {name for tool in TOOLS.values() for name in tool.plan_options}
    assert named == set(OPTIONS) == set(PlanOptions.__dataclass_fields__)
