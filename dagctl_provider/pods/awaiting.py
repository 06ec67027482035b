"""Waits until a step runs, or until there is no more hope for it. What is waited for, and for how long, stands in ``causes``."""

from __future__ import annotations

import time
from collections.abc import Callable

from kubernetes.client import models as k8s

from dagctl_provider.config import setting
from dagctl_provider.pods.causes import Events, PodTrouble, event_before_start, keeps_from_starting
from dagctl_provider.pods.states import began, describe, is_going, name_of, over, spec_of
from dagctl_provider.pods.step_pod import StepPod

_EVENT_SECONDS = 5.0


def await_start(pod: StepPod) -> None:
    """Wait until the step runs, or its pod has ended or is going.

    :raises PodTrouble: when something keeps it from running for longer than the table of causes has patience.
    """
    watch = _StartWatch(pod.events, pod.log.info)
    pause = 0.2
    while True:
        pod.check()
        now = pod.read()
        if now is None or is_going(now) or began(now) or over(now):
            return
        watch.look(now)
        pod.cluster.sleep(pause)
        pause = min(pause * 1.3, 1.0)


class _StartWatch:
    """Judges a pod that has not started, from one look to the next.

    :param events: Reads the pod's events.
    :param tell: Gets a line when something changes.
    """

    def __init__(self, events: Events, tell: Callable[[str, str, str], object]) -> None:
        self._events = events
        self._tell = tell
        self._began = self._looked = time.monotonic()
        self._scheduled: float | None = None
        self._since: dict[str, float] = {}
        self._said = ""

    def look(self, pod: k8s.V1Pod) -> None:
        """Judge the pod as it is now.

        :raises PodTrouble: when there is no more hope for it.
        """
        now = time.monotonic()
        text = describe(pod)
        if text != self._said:
            self._said = text
            self._tell("Pod %s: %s", name_of(pod), text)
        if spec_of(pod).node_name and self._scheduled is None:
            self._scheduled = now
        found = keeps_from_starting(pod, self._events)
        if found is None and now - self._looked >= _EVENT_SECONDS:
            self._looked = now
            found = event_before_start(self._events)
        elif found is None and now - self._looked < _EVENT_SECONDS:
            # Between two looks at the events, what they said stands.
            return self._out_of_time(pod, now)
        self._since = {found[0].code: self._since.get(found[0].code, now)} if found else {}
        if found:
            finding, patience = found
            limit = float(setting("kubernetes_schedule_timeout")) if patience is None else patience
            if now - self._since[finding.code] >= limit:
                raise PodTrouble(finding.code, finding.detail)
        return self._out_of_time(pod, now)

    def _out_of_time(self, pod: k8s.V1Pod, now: float) -> None:
        if self._scheduled is not None:
            if now - self._scheduled >= float(setting("kubernetes_startup_timeout")):
                raise PodTrouble("pod_not_started", describe(pod))
        elif now - self._began >= float(setting("kubernetes_schedule_timeout")):
            raise PodTrouble("pod_unschedulable", describe(pod))
