"""Pods as Kubernetes reports them, for tests without a cluster: plain dicts turned into the client's objects."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

from kubernetes.client import ApiClient

REQUEST = {
    "tool": "sqlmesh",
    "tool_version": "0.236.4",
    "project_name": "Analytics {{ 7 * 7 }}",
    "project_id": "proj_1",
    "organization_id": "org-1",
    "plan_group_id": "plangroup_1",
    "step_id": "plan_1",
    "job_name": "analytics-plan-explain-20260428-100000",
    "commit_sha": "f6e5d4c" * 5 + "abcde",
    "commit_message": "Tune; $(rm -rf /) {{ conn.x }}",
    "repository_url": "https://example.com/shop",
    "branch": "main",
    "environment": "prod",
    "git_auth_method": "ssh",
    "git_secret_ref": "deploy-key",
    "state_connection_id": "dagctl_state_proj_1",
    "resources": {"cpu_request": "500m", "cpu_limit": "2000m", "memory_request": "1Gi", "memory_limit": "4Gi"},
}


def model(value: dict[str, Any], kind: str = "V1Pod") -> Any:
    """An object of the client from what the API would send."""
    return ApiClient().deserialize(SimpleNamespace(data=json.dumps(value)), kind)


def pod(base: dict[str, Any] | None = None, sidecar: dict[str, Any] | None = None, **status: Any) -> Any:
    """A pod by the states of its containers.

    :param base: ``state`` of the runner's container.
    :param sidecar: ``state`` of the sidecar.
    :param status: More of ``status``; ``deleted`` sets a deletion time.
    """
    metadata: dict[str, Any] = {
        "name": "analytics-x",
        "namespace": "data",
        "uid": "u1",
        "creationTimestamp": "2026-04-28T10:00:00Z",
    }
    if status.pop("deleted", False):
        metadata["deletionTimestamp"] = "2026-04-28T10:01:00Z"
    states = {"base": base, "airflow-xcom-sidecar": sidecar}
    shared = {"image": "i", "imageID": "", "ready": False, "restartCount": 0}
    statuses = [{"name": name, "state": state, **shared} for name, state in states.items() if state is not None]
    full = {"phase": "Running", "containerStatuses": statuses, **status}
    return model({"metadata": metadata, "spec": {"containers": [{"name": "base"}], "nodeName": "n1"}, "status": full})


def event(reason: str, message: str) -> Any:
    """An event of a pod."""
    return SimpleNamespace(reason=reason, message=message)


def terminated(code: int, reason: str = "Error", message: str = "") -> dict[str, Any]:
    return {"terminated": {"exitCode": code, "reason": reason, "message": message}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNS: dict[str, Any] = {"running": {"startedAt": "2026-04-28T10:00:01Z"}}
