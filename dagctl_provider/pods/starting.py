"""Finds the pod that an earlier try of a step left, or starts one: one pod per step, one writer per project and environment,
whatever died in between.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubernetes.client import models as k8s

from dagctl_provider.domain.pods import label_value
from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.inputs import StepFiles, stem_of
from dagctl_provider.pods.removing import QUICK, remove
from dagctl_provider.pods.specs import PROJECT_LABEL, STEP_LABEL, WRITER_LABEL, labels_for, step_pod_name
from dagctl_provider.pods.states import began, is_going, may_run, name_of, spec_of, spent
from dagctl_provider.pods.step_pod import StepPod

if TYPE_CHECKING:
    from dagctl_provider.domain.wire.requests import StepRequest


@dataclass(frozen=True)
class Order:
    """What a step wants of its pod.

    :param kind: ``explain``, ``execute`` or ``run``.
    :param request: The step's.
    :param pack: Packs what the pod is given, by the pod's name; for a pod that is there already also by the stem that its Secrets
        have to have.
    :param build: Makes the pod as it is sent to Kubernetes, with the files that it is given.
    """

    kind: str
    request: StepRequest
    pack: Callable[[str, str | None], StepFiles]
    build: Callable[[StepFiles], k8s.V1Pod]


def find_or_start(pod: StepPod, order: Order) -> k8s.V1Pod:
    """Find or start the step's pod; ``pod`` has its name from then on.

    :return: The pod as it is now.
    :raises PodTrouble: when it cannot be started.
    :raises ValueError: when a setting is none that Kubernetes would take.
    """
    found = _attach(pod, order) or _start(pod, order)
    pod.check()
    return found


def _attach(pod: StepPod, order: Order) -> k8s.V1Pod | None:
    """The pod that an earlier try of this step left, when it still has something to do or to say."""
    live: list[k8s.V1Pod] = []
    # With the project, since who starts a Dag run in Airflow may choose its id.
    wanted = {STEP_LABEL: order.request.runner.step_id, PROJECT_LABEL: order.request.runner.project_id}
    for found in pod.cluster.list_pods(",".join(f"{label}={label_value(str(value))}" for label, value in wanted.items())):
        if is_going(found) or spent(found):
            remove(pod.cluster, name_of(found), found, QUICK)
        else:
            live.append(found)
    if not live:
        return None
    pod.name, pod.seen = name_of(live[0]), live[0]
    pod.log.info("Attaching to pod %s, which an earlier try of this step started", pod.name)
    if not began(live[0]):
        # The earlier try may have died between the pod and its Secrets.
        _give(pod, order.pack(pod.name, stem_of(live[0])), live[0])
    return live[0]


def _start(pod: StepPod, order: Order) -> k8s.V1Pod:
    """Start the step's pod, as the only one that writes to the project's environment."""
    _end_other_writers(pod, order)
    name = step_pod_name(order.request, order.kind)
    files = order.pack(name, None)
    made = order.build(files)
    pod.check()
    pod.name = name
    created = pod.seen = pod.cluster.create_pod(made)
    if (stem := stem_of(created)) != files.stem:
        # It was there already, and waits for Secrets of the names that it was made with.
        files = order.pack(name, stem)
    pod.check()
    _give(pod, files, created)
    image = spec_of(created).containers[0].image
    pod.log.info("Started pod %s in namespace %s, image %s", name, pod.cluster.namespace, image)
    return created


def _give(pod: StepPod, files: StepFiles, owner: k8s.V1Pod) -> None:
    try:
        for secret in files.objects(owner):
            pod.cluster.create_secret(secret)
    except PodTrouble:
        # Without them it would wait for ever.
        remove(pod.cluster, name_of(owner), owner, QUICK)
        raise


def _end_other_writers(pod: StepPod, order: Order) -> None:
    """End what still writes to this environment. Airflow lets one writer of a project run at a time, so it is nobody's.

    :raises PodTrouble: ``earlier_pod_remains``.
    """
    mark = labels_for(order.request, order.kind).get(WRITER_LABEL)
    for other in pod.cluster.list_pods(f"{WRITER_LABEL}={mark}") if mark else []:
        if may_run(other):
            pod.log.warning("Pod %s of an earlier step still runs and is stopped first", name_of(other))
            remove(pod.cluster, name_of(other), other)
