"""Detection of commits: each planned once, one question per remote and branch, failing remotes asked less often."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.services import plans, projects
from dagctl_provider.services.outside import repositories
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns.detection import Poller
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import transaction
from tests.services.world import World, sha


class Remotes:
    """The remotes as the poller sees them, and a clock."""

    def __init__(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        self.world, self.now, self.asked = world, 0.0, 0
        self.failing = False
        monkeypatch.setattr(repositories, "heads_of", self.heads_of)
        self.poller = Poller(clock=lambda: self.now)

    def heads_of(self, wanted: dict[Any, Any], max_workers: int) -> list[tuple[Any, Any]]:
        self.asked += len(wanted)
        error = DagctlError("repository_unreachable", "The remote does not answer.")
        return [(key, error if self.failing else sha(self.world.head)) for key in wanted]

    def poll(self, after: float = 61.0) -> int:
        self.now += after
        return self.poller.poll()


@pytest.fixture
def remotes(world: World, monkeypatch: pytest.MonkeyPatch) -> Remotes:
    return Remotes(world, monkeypatch)


def test_a_new_commit_is_planned_once(world: World, remotes: Remotes) -> None:
    project = world.project()
    assert remotes.poll() == 1
    assert remotes.poll() == 0
    (step,) = plans.list_plans(world.actor(), project.id).items
    assert (step.triggered_by, step.to_commit_sha) == ("git_polling", sha("first"))


@pytest.mark.parametrize("verb", [plans.reject, plans.delete])
def test_what_somebody_turned_down_is_left_alone(world: World, remotes: Remotes, verb: Any) -> None:
    project = world.project()
    verb(world.actor(), world.explained(project).id, door="rest")
    assert remotes.poll() == 0
    world.head = "second"
    assert remotes.poll() == 1


def test_what_was_discarded_by_itself_is_planned_again(world: World, remotes: Remotes) -> None:
    project = world.project()
    world.explained(project)
    world.head = "second"
    assert remotes.poll() == 1
    world.head = "first"
    assert remotes.poll() == 1, "a branch that went back shows the older commit again"


def test_a_deployed_commit_is_not_planned(world: World, remotes: Remotes) -> None:
    project = world.project()
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)
    assert remotes.poll() == 0


def test_projects_of_one_branch_share_a_question(world: World, remotes: Remotes) -> None:
    for name in ("one", "two", "three"):
        world.project(name)
    world.project("four", branch="develop")
    assert remotes.poll() == 4
    assert remotes.asked == 2


def test_nothing_is_asked_before_its_time(world: World, remotes: Remotes) -> None:
    world.project()
    remotes.poll()
    remotes.poll(after=59)
    assert remotes.asked == 1


def test_suspended_and_undeployed_projects_are_left_alone(world: World, remotes: Remotes) -> None:
    world.project("one", suspended=True)
    projects.undeploy(world.actor(), world.project("two").id)
    assert remotes.poll() == 0
    assert remotes.asked == 0


def test_failing_remotes_are_asked_less_and_less_often_and_the_project_says_so(world: World, remotes: Remotes) -> None:
    project = world.project()
    remotes.failing = True
    for _ in range(40):
        remotes.poll(after=60)
    assert 4 <= remotes.asked <= 8
    assert projects.get_project(world.actor(), project.id).sync_error == "The remote does not answer."
    remotes.failing = False
    assert remotes.poll(after=1000) == 1
    assert projects.get_project(world.actor(), project.id).sync_error is None


def test_between_rounds_not_even_the_projects_are_listed(world: World, remotes: Remotes, monkeypatch: pytest.MonkeyPatch) -> None:
    world.project("one")
    remotes.poll()
    monkeypatch.setattr("dagctl_provider.store.transactions.run", lambda work: pytest.fail("the database was asked"))
    assert remotes.poll(after=1) == 0
    monkeypatch.undo()


def test_a_new_project_is_noticed_within_seconds(world: World, remotes: Remotes) -> None:
    world.project("one")
    remotes.poll()
    world.project("two", branch="develop")
    assert remotes.poll(after=6) == 1


def test_what_is_broken_about_one_project_stops_no_other(
    world: World, remotes: Remotes, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    broken = world.project("broken", branch="a")
    fine = world.project("fine", branch="b")

    def plan_commit(actor: Any, project_id: str, *rest: Any, real: Any = plans.plan_commit) -> Any:
        if project_id == broken.id:
            raise RuntimeError("out of order")
        return real(actor, project_id, *rest)

    monkeypatch.setattr(plans, "plan_commit", plan_commit)
    assert remotes.poll() == 1
    assert plans.list_plans(world.actor(), fine.id).total == 1
    assert "could not be planned" in caplog.text


def test_a_project_that_somebody_is_changing_is_not_waited_for(world: World, remotes: Remotes) -> None:
    held = world.project("held", branch="a")
    world.project("free", branch="b")
    remotes.failing = True
    with transaction() as session:
        project_rows.get_project(session, held.id, lock=True)
        remotes.poll()
    errors = {project.name: project.sync_error for project in projects.list_projects(world.actor())}
    assert errors == {"held": None, "free": "The remote does not answer."}
