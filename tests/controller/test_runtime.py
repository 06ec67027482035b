"""The controller: one leader among several processes, and a part that fails does not stop the others."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from dagctl_provider.controller import runtime
from dagctl_provider.controller.runtime import Controller, controller_lifespan
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.pods.live_pods import ClusterUnavailable
from dagctl_provider.services import projects
from tests.services.world import World
from tests.waiting import wait_for


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which parts had a turn."""
    done: list[str] = []
    parts = {"dispatching": ("dispatch_waiting_plans", "dispatch_waiting_runs"), "reconcile": ("reconcile_all", "wake_decided")}
    for module, names in parts.items():
        for name in names:
            monkeypatch.setattr(getattr(runtime, module), name, lambda name=name: done.append(name))
    monkeypatch.setattr(runtime.scheduled_runs, "follow", lambda: None)
    monkeypatch.setattr(runtime.granting, "grant_all", lambda: None)
    monkeypatch.setattr(runtime.recording.Recorder, "turn", lambda self: None)
    return done


def test_one_of_two_leads_and_the_other_takes_over(database: None, turns: list[str]) -> None:
    first, second = Controller("first"), Controller("second")
    first.tick()
    second.tick()
    assert turns.count("reconcile_all") == 1
    first.stop()
    second.tick()
    assert turns.count("reconcile_all") == 2, "a leader that stops gives its lease back"


def test_a_part_that_fails_does_not_stop_the_others(database: None, turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("database away")

    monkeypatch.setattr(runtime.dispatching, "dispatch_waiting_plans", fail)
    Controller("only").tick()
    assert turns == ["dispatch_waiting_runs", "reconcile_all", "wake_decided"]


def test_that_nobody_migrated_is_said_once_and_not_by_each_part(
    database: None, turns: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise DagctlError("database_not_migrated", "The tables are others.")

    for name in ("dispatch_waiting_plans", "dispatch_waiting_runs"):
        monkeypatch.setattr(runtime.dispatching, name, fail)
    Controller("only").tick()
    said = "The dagctl controller waits: The tables are others. Run 'airflow db migrate'."
    assert [(record.getMessage(), record.exc_info) for record in caplog.records if record.levelname == "ERROR"] == [(said, None)]


def test_an_idle_leader_writes_nothing(database: None, turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    controller = Controller("only")
    controller.tick()
    monkeypatch.setattr(runtime.transactions, "run", lambda work: pytest.fail("an idle turn went to the database"))
    controller.tick()
    assert turns.count("reconcile_all") == 2


def test_it_runs_for_as_long_as_the_api_server_lives(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, threading.Event] = {name: threading.Event() for name in ("tick", "answers", "poll")}
    # Other tests of this process may have left threads that still wait for a name server, say.
    others = set(threading.enumerate())

    def note(name: str) -> Callable[..., Any]:
        return lambda *_: asked[name].set()

    monkeypatch.setenv("AIRFLOW__DAGCTL__TICK_SECONDS", "0.01")
    monkeypatch.setattr(runtime, "_STOP_SECONDS", 60)
    monkeypatch.setattr(runtime.answers, "handle_answers", note("answers"))
    monkeypatch.setattr(runtime.detection.Poller, "poll", note("poll"))
    monkeypatch.setattr(runtime.reconcile, "reconcile_all", note("tick"))

    async def live() -> None:
        async with controller_lifespan(None):
            for event in asked.values():
                assert await asyncio.to_thread(event.wait, 120)

    asyncio.run(live())
    assert not [thread for thread in set(threading.enumerate()) - others if thread.name.startswith("dagctl-")]


def test_a_paused_leader_leads_no_more_when_it_wakes(database: None, turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    controller = Controller("paused")
    controller.tick()
    assert controller._leads
    now += 21
    assert not controller._leads, "the parts that only look here stop as well, before anybody asks the database"


def test_a_turn_ends_with_the_lease(database: None, turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A part that takes longer than the lease is the last one, when another process has taken over meanwhile."""
    now = time.monotonic()
    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    slow, other = Controller("slow"), Controller("other")

    def take_long() -> None:
        nonlocal now
        now += 21
        monkeypatch.setattr(runtime, "utcnow", lambda real=runtime.utcnow: real() + runtime.timedelta(seconds=21))
        other.tick()

    monkeypatch.setattr(runtime.dispatching, "dispatch_waiting_plans", take_long)
    monkeypatch.setattr(other, "_guarded", lambda work: turns.append("other"))
    slow.tick()
    assert set(turns) == {"other"}


def test_a_part_that_hangs_does_not_keep_the_server_from_stopping(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__TICK_SECONDS", "0.01")
    monkeypatch.setattr(runtime, "_STOP_SECONDS", 0.5)
    hanging, free = threading.Semaphore(0), threading.Event()

    def hang(*_: Any) -> None:
        hanging.release()
        free.wait()

    for target, name in ((runtime.answers, "handle_answers"), (runtime.detection.Poller, "poll"), (runtime.stray_pods, "sweep")):
        monkeypatch.setattr(target, name, hang)
    controller = Controller()
    controller.start()
    try:
        for _ in range(3):
            assert hanging.acquire(timeout=60)
        controller.stop()
        second = Controller()
        second.tick()
        assert second._leads, "the lease was given back all the same"
    finally:
        free.set()
        # The next test has the database for itself.
        for thread in controller._threads:
            thread.join(60)


def test_a_server_that_stops_leaves_no_git_and_no_credentials_behind(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # GitPython asks git for its version while it is imported; that must be the real one.
    import git.cmd  # noqa: F401

    began = tmp_path / "pid"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\necho $$ > {began}.new; mv {began}.new {began}; exec sleep 600\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("AIRFLOW__DAGCTL__TICK_SECONDS", "0.05")
    monkeypatch.setattr(runtime, "_STOP_SECONDS", 60)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    world.project(repository_url=f"file://{tmp_path}")

    async def live() -> None:
        async with controller_lifespan(None):
            await asyncio.to_thread(wait_for, "git to start", began.exists)

    asyncio.run(live())
    assert not psutil.pid_exists(int(began.read_text()))
    assert list(temporary.iterdir()) == []
    (project,) = projects.list_projects(world.actor())
    assert project.sync_error is None, "that the server stopped is nothing that the repository did"


def test_a_cluster_that_is_away_is_asked_ever_more_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    now, asked = 0.0, []
    away = True

    def sweep() -> None:
        asked.append(now)
        if away:
            raise ClusterUnavailable("away")

    monkeypatch.setattr(runtime.time, "monotonic", lambda: now)
    monkeypatch.setattr(runtime.stray_pods, "sweep", sweep)
    controller = Controller()
    for now in range(0, 2400, 2):  # noqa: B007
        controller._sweep_pods()
    assert [after - before for before, after in pairwise(asked)][:6] == [30, 60, 120, 240, 480, 600]
    away = False
    for now in range(2400, 3600, 2):  # noqa: B007
        controller._sweep_pods()
    assert asked[-1] - asked[-2] == 16, "and as often as ever once it answers"
