"""The controller: one leader among several processes, and a part that fails does not stop the others."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest

from dagctl_provider.controller import runtime
from dagctl_provider.controller.runtime import Controller, controller_lifespan


@pytest.fixture
def turns(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which parts had a turn."""
    done: list[str] = []
    parts = {"dispatching": ("dispatch_waiting_plans", "dispatch_waiting_runs"), "reconcile": ("reconcile_all", "wake_decided")}
    for module, names in parts.items():
        for name in names:
            monkeypatch.setattr(getattr(runtime, module), name, lambda name=name: done.append(name))
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


def test_an_idle_leader_writes_nothing(database: None, turns: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    controller = Controller("only")
    controller.tick()
    monkeypatch.setattr(runtime.transactions, "run", lambda work: pytest.fail("an idle turn went to the database"))
    controller.tick()
    assert turns.count("reconcile_all") == 2


def test_it_runs_for_as_long_as_the_api_server_lives(database: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, threading.Event] = {name: threading.Event() for name in ("tick", "answers", "poll")}

    def note(name: str) -> Callable[..., Any]:
        return lambda *_: asked[name].set()

    monkeypatch.setenv("AIRFLOW__DAGCTL__TICK_SECONDS", "0.01")
    monkeypatch.setattr(runtime.answers, "handle_answers", note("answers"))
    monkeypatch.setattr(runtime.detection.Poller, "poll", note("poll"))
    monkeypatch.setattr(runtime.reconcile, "reconcile_all", note("tick"))

    async def live() -> None:
        async with controller_lifespan(None):
            for event in asked.values():
                assert await asyncio.to_thread(event.wait, 30)

    asyncio.run(live())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("dagctl-")]
