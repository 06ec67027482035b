"""Pods whose step is over: a cancel answers when they are gone, and nothing that belongs to nobody runs on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from dagctl_provider.pods import live_pods as cluster
from dagctl_provider.pods.live_pods import ClusterUnavailable, LivePod
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import stray_pods
from dagctl_provider.store.session import utcnow
from tests.services.test_runs import deployed, end, start
from tests.services.world import World


class Pods:
    """A cluster with pods that go when told to, or do not.

    :param stubborn: Names of those that stay.
    """

    def __init__(self) -> None:
        self.alive: dict[str, tuple[str, LivePod]] = {}
        self.stubborn: set[str] = set()
        self.asked: list[str] = []
        self.away = False

    def add(self, step_id: str, group_id: str = "", going: bool = False) -> str:
        """A pod of a step; its name."""
        name = f"pod-of-{step_id}".replace("_", "-")
        self.alive[name] = (group_id, LivePod(name, f"uid-{step_id}", step_id, going))
        return name

    def live_pods(self, selector: str, patience: float) -> list[LivePod]:
        """As the real one."""
        if self.away:
            raise ClusterUnavailable("403 Forbidden")
        label, _, value = selector.partition("=")
        return [pod for group, pod in self.alive.values() if label != "dagctl/plan-group" or group == value]

    def stop_pod(self, pod: LivePod, patience: float) -> None:
        """As the real one."""
        self.asked.append(pod.name)
        if pod.name not in self.stubborn:
            del self.alive[pod.name]

    def await_gone(self, pod: LivePod, seconds: float) -> bool:
        """As the real one, without waiting."""
        return pod.name not in self.alive


@pytest.fixture
def cluster_pods(monkeypatch: pytest.MonkeyPatch) -> Pods:
    made = Pods()
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    for name in ("live_pods", "stop_pod", "await_gone"):
        monkeypatch.setattr(cluster, name, getattr(made, name))
    return made


def executing(world: World, name: str = "analytics") -> Any:
    """An execute step that runs."""
    approved = plans.approve(world.actor(), world.explained(world.project(name)).id, door="rest")
    assert isinstance(approved, PlanApproved)
    return approved.execute


def test_a_cancel_answers_when_the_pod_is_gone(world: World, cluster_pods: Pods) -> None:
    step = executing(world)
    name = cluster_pods.add(step.id, step.group_id)
    foreign = cluster_pods.add("plan_other", "plangroup_other")
    assert plans.cancel(world.actor(), step.id, door="rest").status == "cancelled"
    assert cluster_pods.asked == [name]
    assert list(cluster_pods.alive) == [foreign]


def test_a_cancel_is_one_even_where_the_cluster_cannot_be_asked(
    world: World, cluster_pods: Pods, caplog: pytest.LogCaptureFixture
) -> None:
    step = executing(world)
    cluster_pods.away = True
    assert plans.cancel(world.actor(), step.id, door="rest").status == "cancelled"
    assert "left to its worker: 403" in caplog.text


def test_a_pod_that_takes_long_does_not_hold_the_answer_for_ever(
    world: World, cluster_pods: Pods, caplog: pytest.LogCaptureFixture
) -> None:
    step = executing(world)
    cluster_pods.stubborn.add(cluster_pods.add(step.id, step.group_id))
    assert plans.cancel(world.actor(), step.id, door="rest").status == "cancelled"
    assert "is still stopping" in caplog.text


def test_pods_of_cancelled_steps_are_swept_at_once_and_others_after_a_while(world: World, cluster_pods: Pods) -> None:
    running, cancelled, done = executing(world, "one"), executing(world, "two"), executing(world, "three")
    plans.cancel(world.actor(), cancelled.id, door="rest")
    world.finish_execute(done)
    kept = cluster_pods.add(running.id)
    unknown = cluster_pods.add("plan_of_another_airflow")
    going = cluster_pods.add("plan_going", going=True)
    orphan, tidying = cluster_pods.add(cancelled.id), cluster_pods.add(done.id)
    assert stray_pods.sweep() == 1
    assert cluster_pods.asked == [orphan]
    assert stray_pods.sweep(utcnow() + stray_pods.TIDYING + timedelta(seconds=1)) == 1
    assert cluster_pods.asked == [orphan, tidying]
    assert set(cluster_pods.alive) == {kept, unknown, going}


def test_pods_of_runs_that_are_over_are_swept(world: World, cluster_pods: Pods) -> None:
    project = deployed(world)
    over, queued = start(world, project), start(world, project)
    end(over, "failed", minutes_ago=10)
    name = cluster_pods.add(over)
    cluster_pods.add(queued)
    assert stray_pods.sweep() == 1
    assert cluster_pods.asked == [name]


def test_nothing_is_asked_with_another_launcher(world: World, cluster_pods: Pods, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "process")
    step = executing(world)
    cluster_pods.add(step.id, step.group_id)
    plans.cancel(world.actor(), step.id, door="rest")
    assert stray_pods.sweep() == 0
    assert cluster_pods.asked == []
