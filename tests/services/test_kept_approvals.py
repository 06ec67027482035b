"""Plan again keeps an approval when nothing but the drift is over: the same digest, the same person, for a few days."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

import pytest
from sqlalchemy import update

from dagctl_provider.domain.decisions import KEPT_FOR, DecisionRecord
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.domain.plans import MAX_RETRIES, PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import plans, projects
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import reconcile
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import utcnow
from tests.services.world import World, sha

D = "sha256:1"


@pytest.fixture
def project(world: World) -> Project:
    return world.project()


def approved(world: World, project: Project, digest: str = D) -> PlanStep:
    """A plan that Grace has approved: its execute step."""
    decided = plans.approve(world.actor(name="grace"), world.explained(project, digest).id, "page", "Looks right.")
    assert isinstance(decided, PlanApproved)
    return decided.execute


def drifted(world: World, execute: PlanStep) -> PlanStep:
    """The execution finds that its plan is not the approved one any more."""
    failed = world.finish_execute(
        execute, "failed", error={"code": "plan_drifted", "message": "variable TENANT"}, digest="sha256:2"
    )
    assert (failed.status, failed.error_code) == ("failed", "plan_drifted")
    return failed


def execution(step: PlanStep) -> PlanStep:
    """The newest execution of a plan."""
    return transactions.run(partial(plan_rows.group_steps, group_id=step.group_id))[-1]


def decisions(world: World, step: PlanStep) -> list[DecisionRecord]:
    return plans.decisions(world.actor(), step.group_id)


def test_the_same_digest_is_approved_at_once_by_who_approved_it_before(world: World, project: Project) -> None:
    first = drifted(world, approved(world, project))
    again = world.explained(project, D)
    assert (again.status, again.decided_by) == ("approved", "grace")
    assert again.group_id != first.group_id
    (record,) = decisions(world, again)
    (original, withdrawn) = decisions(world, first)
    assert (record.decision, record.digest, record.actor_name, record.door) == ("approved", D, "grace", "system")
    assert (record.actor_kind, record.actor_id) == (original.actor_kind, original.actor_id) == ("token", "tok_grace")
    assert record.comment == f"The approval of {original.step_id} is kept: the digest is the same."
    assert record.is_kept
    assert not original.is_kept
    assert (withdrawn.decision, withdrawn.actor_name) == ("cancelled", "planned_again")
    told = world.decision(again)
    assert told is not None
    assert (told["decision"], told["digest"], told["decided_by"]) == ("approved", D, "grace")
    execute = execution(again)
    assert (execute.plan_type, execute.status, execute.id) == ("execute", "running", told["execution_plan_id"])
    assert world.finish_execute(execute).status == "completed"


def test_another_digest_waits_for_a_decision(world: World, project: Project) -> None:
    drifted(world, approved(world, project))
    assert world.explained(project, "sha256:2").status == "pending"


def test_it_is_kept_again_and_no_longer_than_the_first_was_to_be(world: World, project: Project) -> None:
    first = approved(world, project)
    drifted(world, first)
    second = world.explained(project, D)
    drifted(world, execution(second))
    third = world.explained(project, D)
    assert third.status == "approved"
    assert first.retry_of is None
    assert decisions(world, third)[0].comment == decisions(world, second)[0].comment, "the plan that somebody looked at"
    drifted(world, execution(third))
    _make_older(first, KEPT_FOR)
    assert world.explained(project, D).status == "pending"


def test_a_retry_that_drifted_as_well_takes_nothing_back(world: World, project: Project) -> None:
    failed = drifted(world, approved(world, project))
    drifted(world, plans.retry(world.actor(), failed.id, "page"))
    assert world.explained(project, D).status == "approved"


def test_a_failed_explain_in_between_decides_nothing(world: World, project: Project) -> None:
    drifted(world, approved(world, project))
    created = plans.create_plan(world.actor(), project.id)
    assert created.step is not None
    world.end_task(created.step, "explain", "failed")
    assert reconcile.settle(created.step).status == "failed"
    assert world.explained(project, D).status == "approved"


def _make_older(step: PlanStep, age: timedelta) -> None:
    """As if the decisions on a plan had been taken so long ago."""
    c = tables.decision.c
    statement = update(tables.decision).where(c.group_id == step.group_id).values(created_at=utcnow() - age)
    transactions.run(lambda session: session.execute(statement))


def _older(world: World, project: Project, step: PlanStep) -> None:
    _make_older(step, KEPT_FOR)


def _rejected(world: World, project: Project, step: PlanStep) -> None:
    plans.reject(world.actor(), world.explained(project, "sha256:2").id, "page", "Not so.")


def _deleted(world: World, project: Project, step: PlanStep) -> None:
    plans.delete(world.actor(), world.explained(project, "sha256:2").id, "page")


def _withdrawn(world: World, project: Project, step: PlanStep) -> None:
    explain = transactions.run(partial(plan_rows.group_steps, group_id=step.group_id))[0]
    plans.cancel(world.actor(), explain.id, "page")


def _moved_on(world: World, project: Project, step: PlanStep) -> None:
    """The explain of the same commit is still running when polling sees a newer one."""
    created = plans.create_plan(world.actor(), project.id)
    explain = created.step
    assert explain is not None
    transactions.run(partial(project_rows.note_head, project_id=project.id, sha=sha("second"), message=None, behind=None))
    world.explained = lambda *_: world.finish_explain(explain, D)  # type: ignore[method-assign]


@pytest.mark.parametrize("happened", [_older, _rejected, _deleted, _withdrawn, _moved_on])
def test_it_is_not_kept_when(world: World, project: Project, happened: Callable[[World, Project, PlanStep], None]) -> None:
    happened(world, project, drifted(world, approved(world, project)))
    assert world.explained(project, D).status == "pending"


@pytest.mark.parametrize("code", ["model_failed", "warehouse_refused"])
def test_an_execution_that_may_have_written_keeps_nothing(world: World, project: Project, code: str) -> None:
    failed = world.finish_execute(approved(world, project), "failed", error={"code": code})
    for _ in range(MAX_RETRIES):
        failed = world.finish_execute(plans.retry(world.actor(), failed.id, "page"), "failed", error={"code": code})
    assert world.explained(project, D).status == "pending"


def test_what_nobody_looked_at_is_not_kept(world: World, project: Project) -> None:
    projects.update_project(world.actor(), project.id, {"auto_apply": True})
    applied = world.explained(project, D)
    assert applied.decided_by == system_actor("", "auto_apply").name
    drifted(world, execution(applied))
    projects.update_project(world.actor(), project.id, {"auto_apply": False})
    assert world.explained(project, D).status == "pending"


def test_another_environment_keeps_nothing(world: World, project: Project) -> None:
    drifted(world, approved(world, project))
    projects.update_project(world.actor(), project.id, {"sqlmesh_environment": "staging"})
    assert world.explained(project, D).status == "pending"


def test_it_waits_for_an_execution_that_runs(world: World, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    drifted(world, approved(world, project))
    with monkeypatch.context() as busy:
        busy.setattr(plan_rows, "count_steps", lambda *_: 1)
        waiting = world.explained(project, D)
    assert waiting.status == "running"
    assert reconcile.settle(waiting).status == "approved"
