"""What the API server asks of a cluster: which runner pods are alive, and the end of those whose steps are over.

Workers look after their pods themselves. This is for pods whose worker is gone, and for knowing that a cancelled step has
stopped. The client is imported when it is first needed: only deployments with pods pay for it.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from dagctl_provider.config import setting

if TYPE_CHECKING:
    from dagctl_provider.pods.cluster import Cluster

log = logging.getLogger(__name__)

MANAGED = "app.kubernetes.io/managed-by=airflow-provider-dagctl"


class ClusterUnavailable(Exception):
    """The cluster did not answer, or the API server may not ask it."""


@dataclass(frozen=True)
class LivePod:
    """A runner pod that has not ended.

    :param step_id: Plan step or run that it belongs to.
    :param going: Whether it has been told to end.
    """

    name: str
    uid: str
    step_id: str
    going: bool


def live_pods(selector: str, patience: float) -> list[LivePod]:
    """The runner pods with these labels that still run, or hold a result that nobody fetched.

    :param selector: As for ``kubectl get pods -l``.
    :param patience: Seconds to wait for a cluster that does not answer.
    :raises ClusterUnavailable: when it cannot be asked.
    """
    from dagctl_provider.pods.specs import STEP_LABEL
    from dagctl_provider.pods.states import is_going, metadata_of, name_of, over, uid_of

    try:
        found = _cluster(patience).list_pods(selector)
    except Exception as error:
        raise ClusterUnavailable(str(error)) from error
    return [
        LivePod(name_of(pod), uid_of(pod), (metadata_of(pod).labels or {}).get(STEP_LABEL, ""), is_going(pod))
        for pod in found
        if not over(pod)
    ]


def stop_pod(pod: LivePod, patience: float) -> None:
    """Tell a pod to end; its runner has the grace to stop the tool, and the tool its queries.

    :raises ClusterUnavailable: when the cluster cannot be asked.
    """
    from dagctl_provider.pods.specs import POD_GRACE_SECONDS

    try:
        _cluster(patience).delete_pod(pod.name, POD_GRACE_SECONDS)
    except Exception as error:
        raise ClusterUnavailable(str(error)) from error


def await_gone(pod: LivePod, seconds: float) -> bool:
    """Wait until a pod is gone.

    :return: False when it is still there.
    :raises ClusterUnavailable: when the cluster cannot be asked.
    """
    try:
        return _cluster(seconds).await_gone(pod.name, pod.uid, seconds)
    except Exception as error:
        raise ClusterUnavailable(str(error)) from error


def _cluster(patience: float) -> Cluster:
    from dagctl_provider.pods.clients import core_client
    from dagctl_provider.pods.cluster import Cluster

    connect = partial(core_client, setting("kubernetes_conn_id") or None)
    return Cluster(connect, str(setting("kubernetes_namespace")), patience, log)
