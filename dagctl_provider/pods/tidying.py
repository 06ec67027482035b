"""Tidies up after a step whose result is reported: its pod goes, or stays for a look within the history limits."""

from __future__ import annotations

import contextlib
import time
from datetime import datetime, timezone

from kubernetes.client import models as k8s

from dagctl_provider.config import setting
from dagctl_provider.domain.pods import Finished, beyond_history, label_value
from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.cluster import ExecFailed
from dagctl_provider.pods.inputs import secrets_of
from dagctl_provider.pods.removing import QUICK, remove
from dagctl_provider.pods.specs import PROJECT_LABEL, RELEASE, SIDECAR
from dagctl_provider.pods.states import created_at, may_run, name_of, over, runs, status_of
from dagctl_provider.pods.step_pod import StepPod

_RELEASE_SECONDS = 10.0


def tidy(pod: StepPod, project_id: str, succeeded: bool) -> None:
    """Remove the pod, or keep it for a look within the history limits. The result is reported, so nothing here may fail.

    :param project_id: Whose pods count for the limits.
    :param succeeded: Whether the step did.
    """
    seen = pod.seen
    if seen is None or not pod.name:
        return
    limits = (int(setting("kubernetes_successful_pods_kept")), int(setting("kubernetes_failed_pods_kept")))
    wanted = limits[0] if succeeded else limits[1]
    try:
        if may_run(seen):
            remove(pod.cluster, pod.name)
        elif wanted <= 0 or not _release(pod, seen):
            pod.cluster.delete_pod(pod.name, QUICK)
        else:
            for name in secrets_of(seen):
                pod.cluster.delete_secret(name)
            _prune(pod, project_id, succeeded, limits)
    except PodTrouble as trouble:
        pod.log.warning("Pod %s could not be tidied away: %s", pod.name, trouble)


def _release(pod: StepPod, seen: k8s.V1Pod) -> bool:
    """Let the sidecar end, so that a pod that is kept uses nothing."""
    if not runs(seen, SIDECAR):
        return over(seen)
    # The end of the sidecar may cut the command off before it has told how it ended, so that counts which comes of it.
    with contextlib.suppress(ExecFailed):
        pod.cluster.exec(pod.name, SIDECAR, f": > {RELEASE}")
    until = time.monotonic() + _RELEASE_SECONDS
    while (now := pod.read()) is not None and not over(now):
        if time.monotonic() > until:
            return False
        pod.cluster.sleep(0.2)
    return now is not None


def _prune(pod: StepPod, project_id: str, succeeded: bool, limits: tuple[int, int]) -> None:
    others = pod.cluster.list_pods(f"{PROJECT_LABEL}={label_value(project_id)}")
    done = [other for other in others if over(other) and name_of(other) != pod.name]
    finished = [Finished(name_of(other), created_at(other), status_of(other).phase == "Succeeded") for other in done]
    finished.append(Finished(pod.name, datetime.now(timezone.utc), succeeded))
    for one in beyond_history(finished, *limits):
        pod.cluster.delete_pod(one.name, QUICK)
