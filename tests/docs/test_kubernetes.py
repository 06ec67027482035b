"""docs/kubernetes.md and its manifests: they load, fit together, and grant exactly what the operator asks of a cluster."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagctl_provider.domain import pods
from dagctl_provider.domain.settings import SETTINGS
from dagctl_provider.domain.wire.requests import StepRequest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "kubernetes.md"
MANIFESTS = ROOT / "docs" / "kubernetes"

# How a method of the Kubernetes client is called in RBAC.
_VERBS = {"read": "get", "list": "list", "create": "create", "delete": "delete", "patch": "patch", "replace": "update"}


def documents(name: str) -> list[dict[str, Any]]:
    """The objects of a manifest."""
    return [one for one in yaml.safe_load_all((MANIFESTS / name).read_text()) if one]


def only(name: str, kind: str, called: str | None = None) -> dict[str, Any]:
    """The one object of a kind in a manifest, or the one of that name."""
    (found,) = [one for one in documents(name) if one["kind"] == kind and called in (None, one["metadata"]["name"])]
    return found


def granted(role: str) -> set[tuple[str, str]]:
    """Resource and verb of everything that a role allows."""
    rules = only("rbac.yaml", "Role", role)["rules"]
    assert all(rule["apiGroups"] == [""] for rule in rules)
    return {(resource, verb) for rule in rules for resource in rule["resources"] for verb in rule["verbs"]}


def asked() -> set[tuple[str, str]]:
    """Resource and verb of every call to the Kubernetes API in our code."""
    found: set[tuple[str, str]] = set()
    for file in (ROOT / "dagctl_provider").rglob("*.py"):
        for verb, subject in re.findall(r"\.([a-z]+(?:_get)?)_namespaced_(\w+)", file.read_text()):
            if verb == "connect_get":
                found |= {("pods/exec", "get"), ("pods/exec", "create")}
            else:
                found.add((subject.replace("pod_log", "pods/log") if "_" in subject else f"{subject}s", _VERBS[verb]))
    return found


def test_the_roles_grant_exactly_what_the_code_asks() -> None:
    assert granted("dagctl-launcher") == asked()
    assert ("secrets", "get") not in asked(), "whoever starts pods need not read secrets"
    assert granted("dagctl-sweeper") == {("pods", "get"), ("pods", "list"), ("pods", "delete")}


def test_the_manifests_fit_together() -> None:
    account, space = only("rbac.yaml", "ServiceAccount"), only("rbac.yaml", "Namespace")
    placed = [one for one in documents("rbac.yaml") if one["kind"] != "Namespace"]
    placed.append(only("network-policy.yaml", "NetworkPolicy"))
    assert {one["metadata"]["namespace"] for one in placed} == {space["metadata"]["name"]}
    assert account["automountServiceAccountToken"] is False
    bound: set[str] = set()
    for binding in (one for one in placed if one["kind"] == "RoleBinding"):
        assert only("rbac.yaml", "Role", binding["roleRef"]["name"])
        bound |= {subject["name"] for subject in binding["subjects"]}
    values = documents("values.yaml")[0]
    settings = values["config"]["dagctl"]
    assert settings["kubernetes_namespace"] == space["metadata"]["name"]
    assert settings["kubernetes_service_account"] == account["metadata"]["name"]
    named = {one["serviceAccount"]["name"] for one in values.values() if isinstance(one, dict) and "serviceAccount" in one}
    assert bound == named
    mount, volume = values["volumeMounts"][0], values["volumes"][0]
    assert mount["name"] == volume["name"]
    assert settings["kubernetes_pod_template"] == f"{mount['mountPath']}/pod-template.yaml"


def test_the_values_are_settings_that_pass_the_checks() -> None:
    settings = documents("values.yaml")[0]["config"]["dagctl"]
    assert set(settings) <= set(SETTINGS)
    needed = {name: SETTINGS[name].default for name in pods.NEEDED}
    places = {"<tool>": "sqlmesh", "<version>": "0.236.4", "<project>": "shop"}
    filled = {name: str(value) for name, value in {**needed, **settings}.items()}
    for place, text in places.items():
        filled = {name: value.replace(place, text) for name, value in filled.items()}
    assert pods.setting_problems(filled) == []


def test_the_pod_template_makes_a_pod(monkeypatch: pytest.MonkeyPatch) -> None:
    from kubernetes.client import ApiClient

    from dagctl_provider.pods.specs import build_pod

    template = MANIFESTS / "pod-template.yaml"
    pods.check_pod_template(template.read_text())
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_POD_TEMPLATE", str(template))
    request = {
        "tool": "sqlmesh",
        "tool_version": "0.236.4",
        "project_id": "proj_1",
        "project_name": "shop",
        "step_id": "plan_1",
        "environment": "prod",
        "commit_sha": "0" * 40,
        "job_name": "shop-plan-explain-20260428-100000",
    }
    pod = ApiClient().sanitize_for_serialization(build_pod(StepRequest.from_json(request), "explain", "stem", []))
    runner = pod["spec"]["containers"][0]
    assert runner["command"][-1] == "dagctl_provider.runner"
    assert {"company-ca"} <= {mount["name"] for mount in runner["volumeMounts"]}
    volumes = [volume["name"] for volume in pod["spec"]["volumes"]]
    assert len(volumes) == len(set(volumes))
    assert pod["metadata"]["labels"]["team"] == "data-platform"


def test_the_network_policy_selects_what_the_pods_are_labelled_with() -> None:
    from dagctl_provider.pods.specs import labels_for

    labels = labels_for(
        StepRequest.from_json({"project_name": "shop", "project_id": "proj_1", "commit_sha": "0" * 40}), "explain"
    )
    wanted = only("network-policy.yaml", "NetworkPolicy")["spec"]["podSelector"]["matchLabels"]
    assert wanted.items() <= labels.items()


def test_the_page_names_the_manifests_and_every_label() -> None:
    from dagctl_provider.pods import specs

    page = PAGE.read_text()
    for file in MANIFESTS.iterdir():
        assert f"](kubernetes/{file.name})" in page
    request = StepRequest.from_json(dict.fromkeys((*specs._LABELS.values(), *specs._ANNOTATIONS.values()), "x"))
    for name in (*specs.labels_for(request, "execute"), *specs.annotations_for(request, "stem")):
        assert f"`{name}`" in page, name


def test_the_page_names_every_setting_of_pods() -> None:
    page = PAGE.read_text()
    named = {name for name in SETTINGS if name.startswith("kubernetes_")} | {"runner_image"}
    assert {name for name in named if f"`{name}`" not in page and f"{name} =" not in page} == set()
