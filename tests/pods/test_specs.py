"""The pod that a step becomes: name, labels, image, arguments, security, secrets by reference, settings and the template file."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client import ApiClient

from dagctl_provider.domain.pods import check_label_key, check_label_name, label_value
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.domain.wire.variables import GivenVariable
from dagctl_provider.operators.pod import PodStepOperator
from dagctl_provider.pods.inputs import PIECE_BYTES, StepFiles, step_files
from dagctl_provider.pods.specs import labels_for, pod_name
from tests.pods.objects import REQUEST, model


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What a deployment sets; more by test."""
    values = {
        "RUNNER_IMAGE": "registry.example.com/runner:<tool>-<version>-py<python>",
        "KUBERNETES_SECRET": "dagctl-<project>",
        "KUBERNETES_NAMESPACE": "data",
    }
    for name, value in values.items():
        monkeypatch.setenv(f"AIRFLOW__DAGCTL__{name}", value)
    monkeypatch.setattr(PodStepOperator, "hook", SilentHook())
    return monkeypatch


class SilentHook:
    """A connection to Kubernetes that sets nothing; no cluster is asked."""

    is_in_cluster = False

    def __getattr__(self, name: str) -> Any:
        return lambda: None


def files(request: dict[str, Any] | None = None, **credentials: str) -> StepFiles:
    return step_files(StepRequest.from_json(request or REQUEST).for_runner(), credentials, "analytics-x", "analytics-x-1")


def made(given: StepFiles | None = None, kind: str = "explain", **more: Any) -> dict[str, Any]:
    """The pod as it would be sent to Kubernetes."""
    operator = PodStepOperator(task_id="explain", kind=kind)  # type: ignore[arg-type]
    pod = operator.build_step_pod(None, StepRequest.from_json({**REQUEST, **more}), given or files())
    return dict(ApiClient().sanitize_for_serialization(pod))


def volume(pod: dict[str, Any], name: str) -> Any:
    return next(volume for volume in pod["spec"]["volumes"] if volume["name"] == name)


def test_the_pod_follows_from_the_request() -> None:
    pod = made()
    runner, sidecar = pod["spec"]["containers"]
    assert pod["metadata"]["namespace"] == "data"
    assert re.fullmatch(r"analytics-plan-explain-20260428-100000-[a-z0-9]{5}", pod["metadata"]["name"])
    assert runner["image"] == sidecar["image"] == "registry.example.com/runner:sqlmesh-0.236.4-py3.11"
    assert runner["command"] == ["python", "-m", "dagctl_provider.runner"]
    assert runner["args"][:5] == ["explain", "--request", "/var/run/dagctl/request", "--result", "/airflow/xcom/return.json"]
    assert runner["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2000m", "memory": "4Gi"}}
    assert sidecar["name"] == "airflow-xcom-sidecar"
    assert pod["spec"]["restartPolicy"] == "Never"
    assert pod["spec"]["activeDeadlineSeconds"] > 21600
    assert made(python_version="3.12")["spec"]["containers"][0]["image"].endswith("-py3.12")


def test_a_project_can_have_an_image_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__RUNNER_IMAGE", "registry.example.com/<project>:<tool>-<version>")
    image = made(project_name="Shop EU")["spec"]["containers"][0]["image"]
    assert image == "registry.example.com/shop-eu:sqlmesh-0.236.4"


def test_names_follow_from_the_step() -> None:
    assert pod_name("shop-plan-execute-20260428-100500", "plan_1") == pod_name("shop-plan-execute-20260428-100500", "plan_1")
    assert pod_name("shop-plan-execute-20260428-100500", "plan_1") != pod_name("shop-plan-execute-20260428-100500", "plan_2")
    check_label_name(pod_name("Évil $(name) " * 20, "plan_1"))


@pytest.mark.parametrize("name", ["Shop EU", "*" * 300, "日本", "-", "a" * 300, "x\n---\nkind: Secret"])
def test_labels_are_valid_whatever_the_names(name: str) -> None:
    named = {**REQUEST, "project_name": name, "environment": name, "step_id": name, "commit_sha": "a" * 64}
    labels = labels_for(StepRequest.from_json(named), "execute")
    for key, value in labels.items():
        check_label_key(key)
        assert label_value(value) == value
    assert labels["dagctl/commit"] == "a" * 40


def test_labels_find_the_pods_of_a_project() -> None:
    labels = made()["metadata"]["labels"]
    assert labels["dagctl/project"] == "analytics-7-7"
    assert labels["dagctl/step"] == "plan_1"
    assert labels["dagctl/organization"] == "org-1"
    assert "dagctl/writer" not in labels
    assert made(kind="execute")["metadata"]["labels"]["dagctl/writer"] == made(kind="run")["metadata"]["labels"]["dagctl/writer"]
    annotations = made()["metadata"]["annotations"]
    assert annotations["dagctl/project-name"] == "Analytics {{ 7 * 7 }}", "nothing of a request is a template"
    assert "rm -rf" not in json.dumps(made())


def test_a_pod_has_the_restricted_standard_s_rights_and_no_token() -> None:
    pod = made()
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["spec"]["enableServiceLinks"] is False
    assert pod["spec"]["securityContext"] == {
        "runAsNonRoot": True,
        "fsGroup": 10001,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    for container in pod["spec"]["containers"]:
        context = container["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    writable = {mount["mountPath"] for mount in pod["spec"]["containers"][0]["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp", "/airflow/xcom"}


def test_secrets_come_by_reference_only() -> None:
    given = files(**{"env.json": '{"PASSWORD": "planted"}', "state_connection.json": "planted-too"})
    pod = made(given)
    sources = volume(pod, "dagctl-secrets")["projected"]["sources"]
    assert sources[0]["secret"] == {
        "name": "analytics-x-1-0",
        "items": [{"key": name, "path": name} for name in ("env.json", "state_connection.json")],
    }
    assert sources[1]["secret"] == {"name": "dagctl-analytics-7-7"}
    assert volume(pod, "dagctl-git")["projected"]["sources"] == [{"secret": {"name": "deploy-key"}}]
    assert volume(pod, "dagctl-secrets")["projected"]["defaultMode"] == 0o440
    text = json.dumps(pod)
    assert "planted" not in text
    assert "example.com/shop" not in text, "the address of the repository is nobody's business who may read pods"
    assert "planted" not in repr(given)


def test_git_credentials_can_come_from_the_worker(settings: pytest.MonkeyPatch) -> None:
    settings.setenv("AIRFLOW__DAGCTL__KUBERNETES_GIT_CREDENTIALS", "connection")
    assert "dagctl-git" not in json.dumps(made())
    settings.setenv("AIRFLOW__DAGCTL__KUBERNETES_GIT_CREDENTIALS", "secret")
    with pytest.raises(ValueError, match="git_secret_ref"):
        made(git_secret_ref="Deploy_Key")
    assert "dagctl-git" not in json.dumps(made(git_auth_method="none"))


def test_big_requests_are_cut_into_secrets_that_the_pod_owns() -> None:
    request = {**REQUEST, "inputs": {"deployed": base64.b64encode(os.urandom(2_000_000)).decode()}}
    given = files(request, **{"env.json": "{}"})
    owner = model({"metadata": {"name": "analytics-x", "namespace": "data", "uid": "u1", "labels": {"dagctl/step": "plan_1"}}})
    objects = [ApiClient().sanitize_for_serialization(secret) for secret in given.objects(owner)]
    assert len(objects) == len(given.names) >= 3
    for secret in objects:
        assert sum(len(base64.b64decode(value)) for value in secret["data"].values()) <= PIECE_BYTES
        assert secret["metadata"]["ownerReferences"] == [{"apiVersion": "v1", "kind": "Pod", "name": "analytics-x", "uid": "u1"}]
    found: dict[str, bytes] = {}
    for source in volume(made(given), "dagctl-request")["projected"]["sources"]:
        data = next(secret["data"] for secret in objects if secret["metadata"]["name"] == source["secret"]["name"])
        found.update({item["path"]: base64.b64decode(data[item["key"]]) for item in source["secret"]["items"]})
    sent = json.loads(gzip.decompress(b"".join(found[name] for name in sorted(found))))
    assert sent["inputs"] == request["inputs"]
    assert not {"git_secret_ref", "state_connection_id", "commit_message"} & set(sent)


def test_settings_say_where_pods_run(settings: pytest.MonkeyPatch) -> None:
    for name, value in {
        "SERVICE_ACCOUNT": "runner",
        "IMAGE_PULL_SECRETS": "one, two",
        "NODE_SELECTOR": '{"disktype": "ssd"}',
        "TOLERATIONS": '[{"key": "data", "operator": "Exists", "tolerationSeconds": 5}]',
        "ENV_SECRET": "warehouse-<project>",
        "FS_GROUP": "",
        "XCOM_IMAGE": "busybox:1",
    }.items():
        settings.setenv(f"AIRFLOW__DAGCTL__KUBERNETES_{name}", value)
    pod = made()
    spec = pod["spec"]
    assert spec["serviceAccountName"] == "runner"
    assert spec["imagePullSecrets"] == [{"name": "one"}, {"name": "two"}]
    assert spec["nodeSelector"] == {"disktype": "ssd"}
    assert spec["tolerations"] == [{"key": "data", "operator": "Exists", "tolerationSeconds": 5}]
    assert "fsGroup" not in spec["securityContext"]
    assert volume(pod, "dagctl-env")["projected"]["sources"] == [{"secret": {"name": "warehouse-analytics-7-7"}}]
    assert {"name": "DAGCTL_ENV_SECRETS", "value": "/var/run/secrets/dagctl-env"} in spec["containers"][0]["env"]
    assert spec["containers"][1]["image"] == "busybox:1"
    assert spec["containers"][1]["securityContext"]["runAsUser"] == 65534


def test_an_explain_may_have_secrets_of_its_own_and_has_none_of_its_execute_s(settings: pytest.MonkeyPatch) -> None:
    def mounted(kind: str) -> dict[str, Any]:
        volumes = {volume["name"]: volume.get("projected") for volume in made(kind=kind)["spec"]["volumes"]}
        return {name: projected["sources"][-1]["secret"]["name"] for name, projected in volumes.items() if projected}

    settings.setenv("AIRFLOW__DAGCTL__KUBERNETES_ENV_SECRET", "warehouse-<project>")
    usual = mounted("explain")
    assert usual == mounted("execute")
    settings.setenv("AIRFLOW__DAGCTL__KUBERNETES_EXPLAIN_SECRET", "dagctl-<project>-reader")
    settings.setenv("AIRFLOW__DAGCTL__KUBERNETES_EXPLAIN_ENV_SECRET", "warehouse-<project>-reader")
    assert mounted("execute") == mounted("run") == usual
    own = {"dagctl-secrets": "dagctl-analytics-7-7-reader", "dagctl-env": "warehouse-analytics-7-7-reader"}
    assert mounted("explain") == {**usual, **own}


@pytest.mark.parametrize("name", ["EXPLAIN_SECRET", "EXPLAIN_ENV_SECRET"])
def test_the_runner_of_an_explain_is_told_that_it_has_secrets_of_its_own(settings: pytest.MonkeyPatch, name: str) -> None:
    def told(kind: str) -> str | None:
        variables = {one["name"]: one["value"] for one in made(kind=kind)["spec"]["containers"][0]["env"]}
        return variables.get("DAGCTL_EXPLAIN_SECRETS")

    assert told("explain") is None
    settings.setenv(f"AIRFLOW__DAGCTL__KUBERNETES_{name}", "<project>-reader")
    assert (told("explain"), told("execute"), told("run")) == ("1", None, None)


def test_the_template_adds_and_replaces_but_the_step_stays_the_step(settings: pytest.MonkeyPatch, tmp_path: Path) -> None:
    base = {
        "name": "anything",
        "image": "evil",
        "command": ["evil"],
        "env": [
            {"name": "PYTHONUNBUFFERED", "value": "0"},
            {"name": "HTTPS_PROXY", "value": "http://proxy"},
            {"name": "DAGCTL_ALLOW_PRIVATE_HOSTS", "value": "1"},
        ],
        "volumeMounts": [{"name": "ca", "mountPath": "/ca"}],
        "securityContext": {"runAsUser": 7},
    }
    spec = {"containers": [base, {"name": "proxy", "image": "p"}], "volumes": [{"name": "ca", "configMap": {"name": "ca"}}]}
    metadata = {"labels": {"team": "data", "dagctl/step": "x"}, "annotations": {"sidecar.istio.io/inject": "false"}}
    path = tmp_path / "pod.yaml"
    path.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}))
    settings.setenv("AIRFLOW__DAGCTL__KUBERNETES_POD_TEMPLATE", str(path))
    pod = made()
    runner, proxy, sidecar = pod["spec"]["containers"]
    assert (runner["name"], runner["command"][0]) == ("base", "python")
    assert runner["image"].startswith("registry.example.com/")
    assert runner["securityContext"] == sidecar["securityContext"] == {"runAsUser": 7}
    seen = {variable["name"]: variable["value"] for variable in runner["env"]}
    assert (seen["PYTHONUNBUFFERED"], seen["HTTPS_PROXY"]) == ("1", "http://proxy")
    assert seen["DAGCTL_GIT_SECRETS"] == "/var/run/secrets/dagctl-git"
    assert seen["DAGCTL_ALLOW_PRIVATE_HOSTS"] == "0", "neither the template nor the image opens what the configuration does not"
    assert "/ca" in [mount["mountPath"] for mount in runner["volumeMounts"]]
    assert proxy["name"] == "proxy"
    assert pod["metadata"]["labels"]["team"] == "data"
    assert pod["metadata"]["labels"]["dagctl/step"] == "plan_1"
    assert pod["metadata"]["annotations"]["sidecar.istio.io/inject"] == "false"
    path.write_text("kind: Deployment")
    with pytest.raises(ValueError, match="kubernetes_pod_template"):
        made()


def test_the_configuration_of_the_worker_says_how_far_git_reaches(settings: pytest.MonkeyPatch) -> None:
    def told(**request: Any) -> tuple[str, str]:
        seen = {one["name"]: one["value"] for one in made(**request)["spec"]["containers"][0]["env"]}
        return seen["DAGCTL_ALLOW_LOCAL_REPOSITORIES"], seen["DAGCTL_ALLOW_PRIVATE_HOSTS"]

    settings.setenv("AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES", "False")
    assert told(allow_local_repositories=True) == ("0", "0"), "the request has no say"
    settings.setenv("AIRFLOW__DAGCTL__ALLOW_PRIVATE_HOSTS", "True")
    assert told() == ("0", "1")
    settings.setenv("AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES", "True")
    assert told() == ("1", "1")


def test_files_of_variables_get_a_place_in_memory_and_nothing_more_is_said_of_them() -> None:
    given = {
        "TOKEN": GivenVariable(value="planted"),
        "KEY": GivenVariable(value="planted", file_mount_path="/secrets/planted/key.p8", file_permissions=0o400),
        "OTHER": GivenVariable(value="planted", file_mount_path="/mnt/secrets/b"),
    }
    operator = PodStepOperator(task_id="explain", kind="explain")
    request = replace(StepRequest.from_json(REQUEST), variables=given)
    pod = dict(
        ApiClient().sanitize_for_serialization(operator.build_step_pod(None, request, files(**{"variables.json": "planted"})))
    )
    container = pod["spec"]["containers"][0]
    writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    assert writable == {"/tmp", "/airflow/xcom", "/secrets", "/mnt/secrets"}
    assert {"name": "DAGCTL_FILE_FOLDERS", "value": "/secrets:/mnt/secrets"} in container["env"]
    for name in ("dagctl-files-secrets", "dagctl-files-mnt-secrets"):
        assert volume(pod, name)["emptyDir"]["medium"] == "Memory"
    assert "planted" not in json.dumps(pod)
    assert "DAGCTL_FILE_FOLDERS" not in json.dumps(made())
