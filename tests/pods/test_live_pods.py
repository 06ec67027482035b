"""The API server's look at runner pods, with the rights of docs/kubernetes/rbac.yaml and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes.client.exceptions import ApiException

from dagctl_provider.pods import live_pods
from tests.kubernetes.running import RunningCluster, can_run_pods, running_cluster
from tests.waiting import holds, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[2]
LABELS = {"app.kubernetes.io/managed-by": "airflow-provider-dagctl", "dagctl/step": "plan_1", "dagctl/plan-group": "plangroup_1"}


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster that runs pods as processes."""
    reason = can_run_pods()
    if reason:
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("cluster")) as running:
        running.core.create_namespace({"metadata": {"name": "dagctl-runs"}})
        yield running


@pytest.fixture
def as_user(cluster: RunningCluster, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Be the user of this name with the rules of a role in rbac.yaml, or with none."""
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_NAMESPACE", "dagctl-runs")

    def become(role: str | None) -> None:
        documents = yaml.safe_load_all((ROOT / "docs" / "kubernetes" / "rbac.yaml").read_text())
        rules = next((one["rules"] for one in documents if one["kind"] == "Role" and one["metadata"]["name"] == role), [])
        file = cluster.kubeconfig_of(tmp_path / "kubeconfig", f"token-of-{role}", rules)
        connect_by(monkeypatch, file)

    return become


def connect_by(monkeypatch: pytest.MonkeyPatch, kubeconfig: Path) -> None:
    """Let the setting name an Airflow connection with this file."""
    extra = {"kube_config_path": str(kubeconfig)}
    monkeypatch.setenv("AIRFLOW_CONN_RUNS_CLUSTER", json.dumps({"conn_type": "kubernetes", "extra": extra}))
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_CONN_ID", "runs_cluster")


def start(cluster: RunningCluster, name: str, script: str, **labels: str) -> None:
    """Start a pod."""
    container = {"name": "base", "image": "example.org/tool:1", "command": ["sh", "-c", script]}
    body = {
        "metadata": {"name": name, "labels": {**LABELS, **labels}},
        "spec": {"restartPolicy": "Never", "containers": [container]},
    }
    cluster.core.create_namespaced_pod("dagctl-runs", body)


def log_of(cluster: RunningCluster, name: str) -> str:
    """What a pod has said; nothing before it is started."""
    try:
        return str(cluster.core.read_namespaced_pod_log(name, "dagctl-runs"))
    except ApiException:
        return ""


def test_the_rights_of_the_api_server_are_enough(cluster: RunningCluster, as_user: Any) -> None:
    start(cluster, "running", "trap 'exit 0' TERM; echo trapped; while :; do sleep 0.1; done")
    start(cluster, "foreign", "sleep 60", **{"app.kubernetes.io/managed-by": "somebody"})
    # The first process of a container ignores a signal that it has no trap for yet.
    wait_for("the trap", lambda: log_of(cluster, "running"), holds("trapped"))
    as_user("dagctl-sweeper")
    (found,) = live_pods.live_pods(live_pods.MANAGED, 30)
    assert (found.name, found.step_id, found.going) == ("running", "plan_1", False)
    assert live_pods.live_pods("dagctl/plan-group=plangroup_1,dagctl/step=plan_2", 30) == []
    live_pods.stop_pod(found, 30)
    assert live_pods.await_gone(found, 30)
    assert live_pods.live_pods(live_pods.MANAGED, 30) == []
    live_pods.stop_pod(found, 30)
    assert live_pods.await_gone(found, 30), "what is gone is as good"


def test_without_rights_it_is_told_why(as_user: Any) -> None:
    as_user(None)
    with pytest.raises(live_pods.ClusterUnavailable, match="cannot list resource"):
        live_pods.live_pods(live_pods.MANAGED, 30)


def test_a_cluster_that_is_away_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    user, place = {"name": "me", "user": {}}, {"name": "here", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "now", "context": {"user": "me", "cluster": "here"}}
    file.write_text(yaml.safe_dump({"users": [user], "clusters": [place], "contexts": [context], "current-context": "now"}))
    connect_by(monkeypatch, file)
    with pytest.raises(live_pods.ClusterUnavailable, match="did not answer"):
        live_pods.live_pods(live_pods.MANAGED, 1)
