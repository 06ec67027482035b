"""Pod settings that Kubernetes would refuse are refused while somebody is there to correct them."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from dagctl_provider.services import pods, projects
from tests.services.test_plans import refused
from tests.services.world import World


@pytest.mark.parametrize("launcher", ["process", "kubernetes"])
def test_a_request_above_its_limit_is_refused_with_every_launcher(
    world: World, monkeypatch: pytest.MonkeyPatch, launcher: str
) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", launcher)
    with refused("invalid_request") as caught:
        world.project(cpu_request="3")
    assert caught.value.extra["errors"] == [{"field": "cpu_request", "message": "3 is more than cpu_limit 2000m"}]
    project = world.project()
    with refused("invalid_request"):
        projects.update_project(world.actor(), project.id, {"memory_limit": "1G"})
    changed = projects.update_project(world.actor(), project.id, {"memory_limit": "1G", "memory_request": "953Mi"})
    assert changed.settings["memory_limit"] == "1G"


WRONG = [
    ("runner_image", "Runner:<tool>-<version>"),
    ("runner_image", "runner:<flavour>"),
    ("runner_image", ""),
    ("kubernetes_namespace", "Data_Team"),
    ("kubernetes_service_account", "run ner"),
    ("kubernetes_secret", "dagctl_<project>"),
]


def test_wrong_settings_are_named_on_save(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    project = world.project()
    for name, value in WRONG:
        with monkeypatch.context() as patched:
            patched.setenv(f"AIRFLOW__DAGCTL__{name.upper()}", value)
            for save in (
                lambda: world.project("another"),
                lambda: projects.update_project(world.actor(), project.id, {"cpu_limit": "4"}),
            ):
                with refused("pod_settings_refused") as caught:
                    save()
                assert [error["field"] for error in caught.value.extra["errors"]] == [f"[dagctl] {name}"]
            # What has nothing to do with pods goes through.
            assert projects.update_project(world.actor(), project.id, {"suspended": True}).suspended
    world.project("another")


def test_the_image_may_follow_from_tool_version_and_python(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    monkeypatch.setenv("AIRFLOW__DAGCTL__RUNNER_IMAGE", "registry.example.com:5000/<tool>/runner:<version>-py<python>")
    world.project()


def test_wrong_settings_are_in_the_log_from_the_start(monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_NAMESPACE", "Data Team")
    assert pods.warn_of_settings() == [], "another launcher does not read them"
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    with caplog.at_level(logging.ERROR, logger=pods.__name__):
        assert [problem.where for problem in pods.warn_of_settings()] == ["kubernetes_namespace"]
    assert "[dagctl] kubernetes_namespace: 'Data Team'" in caplog.text
