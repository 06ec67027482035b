"""The pod of one step as the worker that looks after it knows it, and the one thing that may come between them: a stop.

A stop is a signal. It may come at any moment, also while the pod is being made, so its name is known before it is asked for, and
what takes time looks for a stop first (:meth:`StepPod.check`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubernetes.client import CoreV1Api
from kubernetes.client import models as k8s

from dagctl_provider.config import setting
from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.cluster import Cluster, Log
from dagctl_provider.pods.removing import remove

_STOP_PATIENCE = 30.0


class StepStopped(Exception):
    """Somebody stopped the task. Its pod is gone or going, or goes on for the next try."""


@dataclass
class Stop:
    """Whether somebody stopped the task; set by who handles the signal, read by who works on the pod.

    :param asked: The task is to end.
    :param pod_goes_on: Only the worker goes; the next try of the task attaches to the pod.
    """

    asked: bool = False
    pod_goes_on: bool = False


class StepPod:
    """One step's pod.

    :param connect: Makes a client of the cluster.
    :param namespace: Where the pod is.
    :param stop: Looked for before what takes time.
    :param log: The task's.
    """

    def __init__(self, connect: Callable[[], CoreV1Api], namespace: str, stop: Stop, log: Log) -> None:
        self.name = ""
        """Empty until there may be a pod of that name."""
        self.seen: k8s.V1Pod | None = None
        """The pod as it was last seen, also when it is gone by now."""
        self.log = log
        self._stop = stop
        # A client of its own for a signal, which interrupts whatever the other one is doing.
        self._stopper = Cluster(connect, namespace, _STOP_PATIENCE, log)
        self.cluster = Cluster(connect, namespace, float(setting("kubernetes_api_patience")), log)

    def read(self) -> k8s.V1Pod | None:
        """The pod as it is now; ``None`` when it is gone."""
        pod = self.cluster.read_pod(self.name)
        self.seen = pod or self.seen
        return pod

    def events(self) -> Sequence[k8s.CoreV1Event]:
        """The pod's events, oldest first."""
        return self.cluster.events(self.name)

    def check(self) -> None:
        """Leave as soon as the step is to stop.

        :raises StepStopped: then. A pod that was made while :meth:`end` looked is removed first.
        """
        if not self._stop.asked:
            return
        if self.name and not self._stop.pod_goes_on:
            with contextlib.suppress(PodTrouble):
                remove(self.cluster, self.name)
        raise StepStopped

    def end(self) -> None:
        """Delete the pod and wait until it is gone; for who handles a signal. The log says when that could not be done."""
        if not self.name:
            return
        self.log.info("Stopping pod %s", self.name)
        try:
            remove(self._stopper, self.name)
        except PodTrouble as trouble:
            self.log.error("Pod %s could not be stopped: %s", self.name, trouble)
