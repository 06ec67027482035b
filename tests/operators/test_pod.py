"""The pod that a step becomes: name, image, arguments, resources, secrets by reference, result path."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException

from dagctl_provider.operators.pod import PodStepOperator
from dagctl_provider.operators.steps import StepFailed

REQUEST = {
    "tool": "sqlmesh",
    "tool_version": "0.236.4",
    "project_name": "Analytics {{ 7 * 7 }}",
    "project_id": "proj_1",
    "organization_id": "org-1",
    "plan_group_id": "plangroup_1",
    "step_id": "plan_1",
    "job_name": "analytics-plan-explain-20260428-100000",
    "commit_sha": "f6e5d4c" * 5,
    "git_secret_ref": "deploy_key",
    "state_connection_id": "dagctl_state_proj_1",
    "resources": {"cpu_request": "500m", "cpu_limit": "2000m", "memory_request": "1Gi", "memory_limit": "4Gi"},
}


class SilentHook:
    """A connection to Kubernetes that sets nothing; no cluster is asked."""

    is_in_cluster = False

    def __getattr__(self, name: str) -> Any:
        return lambda: None


@pytest.fixture
def operator(monkeypatch: pytest.MonkeyPatch) -> PodStepOperator:
    monkeypatch.setenv("AIRFLOW__DAGCTL__RUNNER_IMAGE", "registry.example.com/runner:<tool>-<version>")
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_SECRET", "dagctl-<project>")
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_NAMESPACE", "data")
    monkeypatch.setattr(PodStepOperator, "hook", SilentHook())
    return PodStepOperator(task_id="explain", kind="explain")


def pod(operator: PodStepOperator) -> dict[str, Any]:
    """The pod as it would be sent to Kubernetes."""
    from kubernetes.client import ApiClient

    operator._request = dict(REQUEST)
    operator._prepare()
    return dict(ApiClient().sanitize_for_serialization(operator.build_pod_request_obj()))


def test_the_pod_follows_from_the_request(operator: PodStepOperator) -> None:
    made = pod(operator)
    (runner, sidecar) = made["spec"]["containers"]
    assert made["metadata"]["namespace"] == "data"
    assert made["metadata"]["name"].startswith("analytics-plan-explain-20260428-100000-")
    assert runner["image"] == "registry.example.com/runner:sqlmesh-0.236.4"
    assert runner["command"] == ["python", "-m", "dagctl_provider.runner"]
    assert runner["args"][:3] == ["explain", "--result", "/airflow/xcom/return.json"]
    assert runner["resources"] == {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "2000m", "memory": "4Gi"}}
    assert sidecar["name"] == "airflow-xcom-sidecar"
    assert made["metadata"]["labels"]["dagctl/step"] == "plan_1"
    assert made["spec"]["automountServiceAccountToken"] is False


def test_secrets_come_by_reference_only(operator: PodStepOperator) -> None:
    made = pod(operator)
    (volume,) = [volume for volume in made["spec"]["volumes"] if volume["name"] == "dagctl-secrets"]
    assert volume["secret"] == {"secretName": "dagctl-analytics-7-7", "defaultMode": 0o400}
    (request,) = [variable for variable in made["spec"]["containers"][0]["env"] if variable["name"] == "DAGCTL_REQUEST"]
    sent = json.loads(request["value"])
    assert "git_secret_ref" not in sent
    assert "state_connection_id" not in sent
    assert sent["project_name"] == "Analytics {{ 7 * 7 }}", "nothing of a request is a template"


@pytest.fixture
def context() -> Any:
    pushed: dict[str, Any] = {}
    task = SimpleNamespace(
        try_number=1,
        xcom_pull=lambda task_ids, key: None,
        xcom_push=lambda key, value: pushed.__setitem__(key, value),
        pushed=pushed,
    )
    return {"ti": task, "dag_run": SimpleNamespace(conf={"dagctl": REQUEST})}


def run_with(monkeypatch: pytest.MonkeyPatch, result: Any, fails: bool) -> None:
    """Stand in for the pod: it leaves a result, and succeeds or fails."""
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

    def execute(self: Any, context: Any) -> None:
        self._result = result
        if fails:
            raise AirflowException("Pod returned a failure")

    monkeypatch.setattr(KubernetesPodOperator, "execute", execute)


def test_a_failed_pod_reports_what_the_runner_said(
    operator: PodStepOperator, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(monkeypatch, {"outcome": "failed", "error": {"code": "tests_failed", "message": "1 of 3 tests failed"}}, fails=True)
    with pytest.raises(StepFailed, match="1 of 3 tests failed"):
        operator.execute(context)
    assert context["ti"].pushed["result"]["error"]["code"] == "tests_failed"


def test_a_pod_without_a_result_reports_its_own_failure(
    operator: PodStepOperator, context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_with(monkeypatch, None, fails=True)
    with pytest.raises(AirflowException, match="Pod returned a failure"):
        operator.execute(context)
    assert "result" not in context["ti"].pushed


def test_a_good_pod_reports_its_result(operator: PodStepOperator, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run_with(monkeypatch, {"outcome": "succeeded", "digest": "sha256:1"}, fails=False)
    assert operator.execute(context) is None
    assert context["ti"].pushed["result"]["step_id"] == "plan_1"
