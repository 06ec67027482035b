"""Requests that wait for something outside have places of their own, and nobody else waits for them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dagctl_provider.api.bridge import Bridge
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services import plans, projects
from dagctl_provider.services.lifecycle import explains
from dagctl_provider.services.outside import repositories, waiting
from dagctl_provider.services.outside.waiting import Places
from tests.services.test_plans import refused
from tests.services.world import World
from tests.waiting import wait_for


def code_of(error: pytest.ExceptionInfo[DagctlError]) -> str:
    return error.value.code


class TestPlaces:
    def test_so_many_have_a_place_and_so_many_wait_for_one(self) -> None:
        places, go = Places(), threading.Event()

        def ask() -> str:
            try:
                with places.place(2, 3, 30):
                    go.wait(30)
            except DagctlError as error:
                return error.code
            return "served"

        with ThreadPoolExecutor(6) as threads:
            first = [threads.submit(ask) for _ in range(5)]
            wait_for("five in places and queue", lambda: len(places) == 5)
            assert threads.submit(ask).result(30) == "server_busy"
            go.set()
            assert [one.result(30) for one in first] == ["served"] * 5
        assert len(places) == 0

    def test_who_waits_too_long_is_told_to_come_back(self) -> None:
        places = Places()
        with places.place(1, 5, 1), pytest.raises(DagctlError) as error, places.place(1, 5, 0.01):
            pass
        assert (code_of(error), error.value.extra) == ("server_busy", {"retry_after": waiting.RETRY_SECONDS})
        assert len(places) == 0

    def test_a_place_is_free_again_whatever_happened(self) -> None:
        places = Places()
        with pytest.raises(RuntimeError), places.place(1, 0, 0):
            raise RuntimeError
        with places.place(1, 0, 0):
            pass


def test_there_are_threads_left_when_all_places_are_taken() -> None:
    bridge = Bridge(lambda environ, start_response: [])
    assert bridge._executor._max_workers - waiting.most_waiting() >= 32


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No place is free, and nobody may wait for one."""
    monkeypatch.setenv("AIRFLOW__DAGCTL__OUTSIDE_REQUESTS", "1")
    monkeypatch.setenv("AIRFLOW__DAGCTL__OUTSIDE_QUEUE", "0")
    with waiting.at_a_door(), waiting.outside():
        yield


@pytest.fixture
def real_git(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """The world, with the real functions in front of a git that must not be asked."""
    project = world.project()
    monkeypatch.undo()
    monkeypatch.setattr(repositories, "remote", lambda: pytest.fail("git was asked"))
    world.__dict__["made"] = project
    return world


def test_what_asks_git_is_refused_when_no_place_is_free(real_git: World, full: None) -> None:
    project = real_git.__dict__["made"]
    with refused("server_busy"):
        plans.create_plan(real_git.actor(), project.id)
    before = projects.get_project(real_git.actor(), project.id)
    with refused("server_busy"):
        projects.sync_status(real_git.actor(), project.id)
    assert projects.get_project(real_git.actor(), project.id) == before, "that is no fault of the remote"


def test_reading_and_deciding_without_git_go_on(real_git: World, full: None) -> None:
    actor, project = real_git.actor(), real_git.__dict__["made"]
    assert projects.list_projects(actor)
    assert plans.list_plans(actor, project.id).total == 0


def test_the_controller_needs_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__OUTSIDE_REQUESTS", "1")
    monkeypatch.setenv("AIRFLOW__DAGCTL__OUTSIDE_QUEUE", "0")
    with waiting.outside(), waiting.outside():
        assert len(waiting.PLACES) == 0


def test_logs_are_waited_for_in_other_places(world: World, full: None) -> None:
    step = world.explained(world.project())
    assert plans.get_logs(world.actor(), step.id).step.id == step.id


class TestExplains:
    def planned(self, world: World, name: str, actor: Any) -> PlanStep:
        step = plans.create_plan(actor, world.project(name).id).step
        assert step is not None
        return step

    def test_so_many_at_a_time_for_each_actor(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__DAGCTL__EXPLAINS_PER_ACTOR", "2")
        ada, bob = world.actor(name="ada"), world.actor(name="bob")
        first = self.planned(world, "one", ada)
        self.planned(world, "two", ada)
        with refused("too_many_explains") as error:
            self.planned(world, "three", ada)
        assert error.value.extra["retry_after"] == explains.RETRY_SECONDS
        self.planned(world, "four", bob)
        world.finish_explain(first)
        self.planned(world, "five", ada)
        with refused("too_many_explains"):
            self.planned(world, "six", ada)

    def test_what_the_product_plans_by_itself_is_not_counted(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        from dagctl_provider.domain.permissions import system_actor

        monkeypatch.setenv("AIRFLOW__DAGCTL__EXPLAINS_PER_ACTOR", "1")
        system = system_actor(world.organization_id, "git_polling")
        for name in ("one", "two", "three"):
            self.planned(world, name, system)
