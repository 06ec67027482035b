"""Clients of a cluster from Airflow's connections: one way to it, for workers and for the API server."""

from __future__ import annotations

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from kubernetes.client import CoreV1Api


def core_client(
    conn_id: str | None, in_cluster: bool | None = None, config_file: str | None = None, cluster_context: str | None = None
) -> CoreV1Api:
    """A new client, with the credentials as they are now.

    :param conn_id: Of Airflow's connection; ``None`` for the worker's own cluster. The rest as with KubernetesPodOperator.
    """
    hook = KubernetesHook(conn_id=conn_id, in_cluster=in_cluster, config_file=config_file, cluster_context=cluster_context)
    return hook.core_v1_client
