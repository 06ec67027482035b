"""The pods that the tasks of the Kubernetes launcher start, as a cluster gets them, and what a task makes of its answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.compare.believing import believing
from tests.compare.dags import as_environment, build, environment, stored_variables
from tests.compare.doors import Answers


class Cluster:
    """Takes what it is given and knows nothing of it afterwards.

    :param refusal: HTTP status of the answer to each new pod; 0 where they are taken.
    """

    def __init__(self, refusal: int = 0) -> None:
        from kubernetes.client import ApiClient

        self.api_client = ApiClient()
        self.given: list[Any] = []
        self._refusal = refusal

    def create_namespaced_pod(self, namespace: str, body: Any, **_: Any) -> Any:
        """A new pod."""
        self._note("pod", namespace, body)
        if self._refusal:
            raise self._error(self._refusal)
        sent = {**self.api_client.sanitize_for_serialization(body)}
        sent["status"] = {"phase": "Pending"}
        sent["metadata"] = {**sent["metadata"], "uid": "u1", "creationTimestamp": "2026-04-28T10:00:00Z"}
        return self.api_client.deserialize(SimpleNamespace(data=json.dumps(sent)), "V1Pod")

    def create_namespaced_secret(self, namespace: str, body: Any, **_: Any) -> Any:
        """A new Secret."""
        self._note("secret", namespace, body)

    def list_namespaced_pod(self, namespace: str, **_: Any) -> Any:
        """No pods."""
        return SimpleNamespace(items=[])

    def list_namespaced_event(self, namespace: str, **_: Any) -> Any:
        """No events."""
        return SimpleNamespace(items=[])

    def read_namespaced_pod(self, name: str, namespace: str, **_: Any) -> Any:
        """There is no such pod, or no longer."""
        raise self._error(404)

    def delete_namespaced_pod(self, name: str, namespace: str, **_: Any) -> Any:
        """That a pod is to end."""
        self.given.append(["delete", namespace, name])

    def _note(self, kind: str, namespace: str, body: Any) -> None:
        self.given.append([kind, namespace, self.api_client.sanitize_for_serialization(body)])

    @staticmethod
    def _error(status: int) -> Exception:
        from kubernetes.client.exceptions import ApiException

        error = ApiException(status=status, reason="Refused")
        error.body = json.dumps({"message": f"answer {status} of the cluster"})
        return error


_DEPLOYMENTS: Mapping[str, dict[str, str]] = {
    "plain": {},
    "full": {
        "RUNNER_IMAGE": "registry.example.com/runner:<tool>-<version>-py<python>",
        "KUBERNETES_SECRET": "dagctl-<project>",
        "KUBERNETES_ENV_SECRET": "warehouse-<project>",
        "KUBERNETES_NODE_SELECTOR": '{"disktype": "ssd"}',
        "KUBERNETES_TOLERATIONS": '[{"key": "data", "operator": "Exists", "effect": "NoSchedule"}]',
        "KUBERNETES_SERVICE_ACCOUNT": "runner",
        "KUBERNETES_IMAGE_PULL_SECRETS": "registry-login",
    },
}


def write_pods(answers: Answers) -> None:
    """What the tasks of each project with runs give to a cluster, and how they end, under some settings and refusals."""
    dags = build(stored_variables(), "kubernetes")
    for dag_id, run_id, conf, xcoms in _runs(set(dags)):
        for task in dags[dag_id].tasks:
            if task.task_id == "await_approval":
                continue
            for deployment, values in _DEPLOYMENTS.items():
                for refusal in (0, 403):
                    settings = {f"AIRFLOW__DAGCTL__{name}": value for name, value in values.items()}
                    with environment(**settings):
                        given = _given(dag_id, task.task_id, run_id, conf, xcoms, refusal)
                    answers.write_json(f"pods/{dag_id} {task.task_id} {deployment} {refusal}", given)


def _runs(known: set[str]) -> list[tuple[str, str, Any, Callable[..., Any]]]:
    """The newest run of each Dag that has one that the product started; what its tasks find as XComs."""
    from airflow.models.dagrun import DagRun
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        runs = {run.dag_id: run for run in session.execute(select(DagRun).order_by(DagRun.id)).scalars() if _is_told(run)}
        found = []
        for dag_id, run in sorted(runs.items()):
            rows = session.execute(select(XComModel).where(XComModel.dag_id == dag_id, XComModel.run_id == run.run_id)).scalars()
            values = {(row.task_id, row.key): XComModel.deserialize_value(row) for row in rows}
            if dag_id in known:
                found.append((dag_id, run.run_id, run.conf, _pull_from(values)))
    return found


def _is_told(run: Any) -> bool:
    """Whether it is one of a story; seeded ones have not all that a task needs."""
    return bool(run.conf) and "__story-" in run.dag_id


def _pull_from(values: Mapping[tuple[str, str], Any]) -> Callable[..., Any]:
    return lambda task_ids, key: values.get((task_ids, key))


def _given(dag_id: str, task_id: str, run_id: str, conf: Any, pull: Callable[..., Any], refusal: int) -> Any:
    from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook

    cluster, pushed = Cluster(refusal), []
    instance = SimpleNamespace(
        dag_id=dag_id,
        task_id=task_id,
        run_id=run_id,
        map_index=-1,
        try_number=1,
        xcom_pull=pull,
        xcom_push=lambda key, value: pushed.append([key, value]),
    )
    stored = stored_variables()
    # Made anew, since a task keeps what it has of a pod.
    dag = build(stored, "kubernetes", wanted=dag_id)[dag_id]
    task = dag.get_task(task_id)
    run = SimpleNamespace(conf=conf, run_id=run_id)
    context = {"ti": instance, "task_instance": instance, "dag_run": run, "run_id": run_id, "dag": dag, "task": task}
    with (
        believing(),
        environment(**as_environment(stored, "kubernetes")),
        mock.patch.object(KubernetesHook, "core_v1_client", cluster),
        mock.patch.object(KubernetesHook, "is_in_cluster", False),
    ):
        try:
            ended = f"done: {task.execute(context)}"
        except Exception as error:
            ended = f"{type(error).__name__}: {error}"
    return {"ended": ended, "pushed": pushed, "given": cluster.given}
