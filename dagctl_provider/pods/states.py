"""What a pod says of itself: its name, whether it is going, and what its containers do. Nothing here asks a cluster, and nothing
judges; why a pod came to nothing is told by ``causes``.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from kubernetes.client import models as k8s

from dagctl_provider.pods.specs import BASE, SIDECAR
from dagctl_provider.runner.errors import one_line


def metadata_of(pod: k8s.V1Pod) -> k8s.V1ObjectMeta:
    """The pod's metadata, which each pod of a cluster has."""
    assert pod.metadata is not None
    return pod.metadata


def spec_of(pod: k8s.V1Pod) -> k8s.V1PodSpec:
    """What the pod is to be, which each pod of a cluster tells."""
    assert pod.spec is not None
    return pod.spec


def status_of(pod: k8s.V1Pod) -> k8s.V1PodStatus:
    """How the pod is, which each pod of a cluster tells."""
    assert pod.status is not None
    return pod.status


def name_of(pod: k8s.V1Pod) -> str:
    """The pod's name; another pod may have had it before."""
    return str(metadata_of(pod).name)


def uid_of(pod: k8s.V1Pod) -> str:
    """What tells the pod from all others, also from those of its name."""
    return str(metadata_of(pod).uid)


def is_going(pod: k8s.V1Pod) -> bool:
    """Whether somebody has told the pod to end."""
    return metadata_of(pod).deletion_timestamp is not None


def created_at(pod: k8s.V1Pod) -> datetime:
    """When Kubernetes took the pod."""
    moment: datetime | None = metadata_of(pod).creation_timestamp
    assert moment is not None
    return moment


def container_state(pod: k8s.V1Pod, name: str) -> k8s.V1ContainerState | None:
    """What a container of the pod does, or ``None`` before it is known."""
    return next((found.state for found in status_of(pod).container_statuses or [] if found.name == name), None)


def ended(pod: k8s.V1Pod, name: str = BASE) -> k8s.V1ContainerStateTerminated | None:
    """How a container ended, or ``None`` while it has not."""
    state = container_state(pod, name)
    return state.terminated if state else None


def runs(pod: k8s.V1Pod, name: str = BASE) -> bool:
    """Whether a container of the pod runs now."""
    state = container_state(pod, name)
    return bool(state and state.running)


def began(pod: k8s.V1Pod) -> bool:
    """Whether the step's container runs or ran."""
    return runs(pod) or ended(pod) is not None


def over(pod: k8s.V1Pod) -> bool:
    """Whether nothing of the pod will start any more."""
    return status_of(pod).phase in ("Succeeded", "Failed")


def may_run(pod: k8s.V1Pod) -> bool:
    """Whether the step may still run, or start: one in a pod that failed has its grace first."""
    return ended(pod) is None and (runs(pod) or not over(pod))


def spent(pod: k8s.V1Pod) -> bool:
    """Whether nothing can be had from the pod any more: no work, and no result."""
    return over(pod) or (ended(pod) is not None and ended(pod, SIDECAR) is not None)


def condition(pod: k8s.V1Pod, kind: str) -> k8s.V1PodCondition | None:
    """One of the pod's conditions, or ``None`` before it is known."""
    return next((found for found in status_of(pod).conditions or [] if found.type == kind), None)


def describe(pod: k8s.V1Pod, names: Iterable[str] = (BASE, SIDECAR)) -> str:
    """The state of a pod in a few words, for the log."""
    parts = [str(status_of(pod).phase)]
    for name in names:
        state = container_state(pod, name)
        if state is not None and state.waiting is not None and state.waiting.reason:
            parts.append(f"{name} waits: {state.waiting.reason}")
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        parts.append(one_line(f"{scheduled.reason}: {scheduled.message}", 200))
    return ", ".join(parts)
