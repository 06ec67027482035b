"""Pod settings that Kubernetes would refuse are refused while somebody is there to correct them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.domain.pods import SETTING_CHECKS
from dagctl_provider.domain.settings import SETTINGS
from dagctl_provider.services import projects
from dagctl_provider.services.outside import pods
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
    ("kubernetes_secret", "dagctl-<project>, second_one"),
    ("kubernetes_env_secret", "warehouse_<project>"),
    ("kubernetes_git_credentials", "vault"),
    ("kubernetes_image_pull_secrets", "one two"),
    ("kubernetes_node_selector", '{"ssd": true}'),
    ("kubernetes_tolerations", '{"key": "data"}'),
    ("kubernetes_fs_group", "-1"),
    ("kubernetes_xcom_image", "Alpine"),
    ("kubernetes_pod_template", "/no/such/file.yaml"),
    ("kubernetes_pod_template", "/etc/hostname"),
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


def test_every_setting_of_pods_is_checked_or_needs_no_check() -> None:
    free = {"kubernetes_conn_id", "kubernetes_pod_template"}
    numbers = {name for name, row in SETTINGS.items() if row.kind in ("float", "integer")}
    assert {name for name in SETTINGS if name.startswith("kubernetes_")} - free - numbers <= set(SETTING_CHECKS)
    assert set(SETTING_CHECKS) <= set(SETTINGS)


def test_the_defaults_are_right(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    assert pods.warn_of_settings() == []
    template = tmp_path / "pod.yaml"
    template.write_text("apiVersion: v1\nkind: Pod\nspec: {priorityClassName: low}\n")
    for name, row in SETTINGS.items():
        if name.startswith("kubernetes_") and row.example:
            monkeypatch.setenv(f"AIRFLOW__DAGCTL__{name.upper()}", row.example)
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_POD_TEMPLATE", str(template))
    assert pods.warn_of_settings() == [], "what the documents show as examples"


def test_the_git_secret_must_be_one_where_pods_look_for_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = {"git_auth_method": "ssh", "git_secret_ref": "Deploy_Key"}
    world.project("process", **wanted)
    monkeypatch.setenv("AIRFLOW__DAGCTL__LAUNCHER", "kubernetes")
    with refused("invalid_request") as caught:
        world.project("pods", **wanted)
    assert [error["field"] for error in caught.value.extra["errors"]] == ["git_secret_ref"]
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_GIT_CREDENTIALS", "connection")
    world.project("pods", **wanted)


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
