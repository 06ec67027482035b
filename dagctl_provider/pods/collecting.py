"""Reads what a step left; of a step that left nothing, why. The pod stays, for its result is reported before it goes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from kubernetes.client import models as k8s

from dagctl_provider.config import setting
from dagctl_provider.pods.causes import PodTrouble, end_of, explains_more, keeps_from_starting
from dagctl_provider.pods.cluster import ExecFailed
from dagctl_provider.pods.removing import remove
from dagctl_provider.pods.specs import RESULT, SIDECAR
from dagctl_provider.pods.states import describe, ended, is_going, runs, spent
from dagctl_provider.pods.step_pod import StepPod


def collect(pod: StepPod, limits: Mapping[str, str]) -> dict[str, Any]:
    """What the step left; when it left nothing, why.

    :param limits: Of the step's container, named when it used more.
    :return: A result document (docs/runner.md).
    :raises PodTrouble: when the result is there but cannot be read.
    """
    now = pod.read()
    result = _read_result(pod, now) if now is not None and ended(now) is not None else None
    pod.check()
    last = pod.seen
    if last is not None and is_going(last):
        # Whoever retries must not meet it.
        remove(pod.cluster, pod.name, last)
    if last is None or result is None:
        return end_of(last, pod.events, limits).result()
    more = explains_more(last, result, limits)
    return {**result, **more.result()} if more is not None else result


def _read_result(pod: StepPod, now: k8s.V1Pod | None) -> dict[str, Any] | None:
    """The runner's result from the sidecar that holds it.

    :return: ``None`` when it left none, or when the sidecar is gone.
    :raises PodTrouble: when the sidecar does not come up or cannot be asked.
    """
    until, pause = time.monotonic() + float(setting("kubernetes_api_patience")), 0.2
    while now is not None and not spent(now):
        pod.check()
        if runs(now, SIDECAR):
            try:
                return pod.cluster.read_json(pod.name, SIDECAR, RESULT)
            except ExecFailed as error:
                said = str(error)
        else:
            found = keeps_from_starting(now, pod.events)
            said = found[0].error()["message"] if found else describe(now)
        if time.monotonic() > until or " 403 " in said:
            raise PodTrouble("pod_result_missing", said)
        pod.cluster.sleep(pause)
        pause = min(pause * 2, 5.0)
        now = pod.read()
    return None
