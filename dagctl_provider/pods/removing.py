"""Ends a pod and waits until it is gone: nothing may be started, and nothing be said to have ended, while it may still write."""

from __future__ import annotations

from kubernetes.client import models as k8s

from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.cluster import Cluster
from dagctl_provider.pods.specs import POD_GRACE_SECONDS
from dagctl_provider.pods.states import is_going, may_run, spec_of, uid_of

QUICK = 1
"""Seconds for a pod in which nothing of the step runs that would need longer."""
_GONE_SECONDS = POD_GRACE_SECONDS + 60.0


def remove(cluster: Cluster, name: str, pod: k8s.V1Pod | None = None, grace: int = POD_GRACE_SECONDS) -> None:
    """Delete a pod and wait until it is gone.

    :param pod: As it was just read; it is read here by default.
    :param grace: Seconds for a step that may still run.
    :raises PodTrouble: ``earlier_pod_remains``.
    """
    pod = pod or cluster.read_pod(name)
    if pod is None:
        return
    if not is_going(pod):
        cluster.delete_pod(name, grace if may_run(pod) else QUICK)
    if not cluster.await_gone(name, uid_of(pod), _GONE_SECONDS):
        raise PodTrouble("earlier_pod_remains", f"Pod {name} on node {spec_of(pod).node_name}.")
