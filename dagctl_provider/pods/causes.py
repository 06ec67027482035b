"""Why a pod did not do its step, told from what Kubernetes says of it.

People who approve plans cannot run ``kubectl``, so the plan's error has to hold what they would find there: what happened in one
line, and what to change. Words of Kubernetes are matched in the tables below and nowhere else; status first, and the events of
the pod only where its status does not tell. Sources: pod lifecycle and pod failure policy in the Kubernetes documentation, the
kubelet's and the scheduler's event reasons, and containerd's messages for pulls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes.client import models as k8s

from dagctl_provider.pods.states import condition, ended, is_going, status_of
from dagctl_provider.runner.errors import one_line

MESSAGE_LIMIT = 400


@dataclass(frozen=True)
class Cause:
    """One row of the table of causes.

    :param meaning: What happened, for people.
    :param hint: What to change.
    """

    meaning: str
    hint: str


CAUSES: Mapping[str, Cause] = {
    "pod_out_of_memory": Cause(
        "The step used more memory than its pod may (OOMKilled).", "Raise 'memory_limit' of the project; a retry resumes."
    ),
    "pod_evicted": Cause(
        "The pod was evicted from its node.",
        "Raise 'memory_request' of the project or give the step quieter nodes ([dagctl] kubernetes_node_selector); then retry.",
    ),
    "pod_unschedulable": Cause(
        "No node took the pod.",
        "Lower 'cpu_request' and 'memory_request', add nodes, or correct [dagctl] kubernetes_node_selector and "
        "kubernetes_tolerations.",
    ),
    "image_not_found": Cause(
        "The image does not exist in its registry.",
        "Build and push it (make image), or correct [dagctl] runner_image and kubernetes_xcom_image.",
    ),
    "image_name_invalid": Cause("The image's name is not valid.", "Correct [dagctl] runner_image and kubernetes_xcom_image."),
    "image_pull_refused": Cause(
        "The registry refused to hand out the image: the pull secret is missing or wrong, or there is no such repository.",
        "Correct the Secret that [dagctl] kubernetes_image_pull_secrets names, in the namespace of the pods.",
    ),
    "image_pull_failed": Cause(
        "The image could not be pulled.", "Check that the nodes reach the registry, then retry; the message is the node's."
    ),
    "init_container_failed": Cause(
        "A container of the pod that runs before the step failed.",
        "Read that container's log; it comes from [dagctl] kubernetes_pod_template or an admission webhook.",
    ),
    "secret_missing": Cause(
        "A Secret or ConfigMap that the pod refers to does not exist.",
        "Create it in the namespace of the pods, or correct the name: [dagctl] kubernetes_secret, kubernetes_env_secret, those "
        "for explains, or the project's 'git_secret_ref'.",
    ),
    "pod_volume_failed": Cause(
        "A volume of the pod could not be mounted.", "Check the volumes of [dagctl] kubernetes_pod_template."
    ),
    "pod_sandbox_failed": Cause(
        "The node could not make the pod's sandbox.",
        "Show the message to whoever runs the cluster: the node's network plugin or container runtime fails; then retry.",
    ),
    "container_not_started": Cause(
        "The node could not start the container.",
        "Check that the image is a runner image that runs as non-root, and the security context of the pod template.",
    ),
    "pod_not_started": Cause(
        "The pod did not start in time.", "Look at 'kubectl describe pod', or raise [dagctl] kubernetes_startup_timeout."
    ),
    "pod_refused": Cause(
        "Kubernetes did not accept the pod.",
        "The message is the cluster's: a quota, an admission policy or a missing right of Airflow's service account.",
    ),
    "pod_settings_invalid": Cause("The settings of the pods are not valid.", "Correct what the message names."),
    "pod_failed": Cause("The container ended with an error of its own.", "Read the step's log."),
    "pod_killed": Cause(
        "The container was killed from outside (signal 9), and the node does not say by whom.",
        "Look at the node's and the pod's memory; a retry resumes.",
    ),
    "pod_deadline_exceeded": Cause(
        "The pod ran longer than it may (DeadlineExceeded).", "Raise [dagctl] step_timeout or make the change smaller."
    ),
    "pod_deleted": Cause(
        "The pod was deleted while the step ran, not by dagctl.",
        "Find out who deletes pods in this namespace; a retry resumes.",
    ),
    "pod_node_lost": Cause("The node of the pod was lost or shut down.", "Retry; the step resumes on another node."),
    "pod_result_missing": Cause(
        "The step ended, but its result could not be read from the pod.",
        "Check that Airflow's service account may exec into pods and that the sidecar's image has sh, gzip and base64.",
    ),
    "earlier_pod_remains": Cause(
        "A pod of an earlier step of this project does not go away, and two must never write at once.",
        "When its node is dead for certain, delete the pod with --force; then retry.",
    ),
    "cluster_unreachable": Cause(
        "The Kubernetes API did not answer for too long.",
        "Check the cluster and [dagctl] kubernetes_conn_id; the pod may still be running, and a retry looks for it first.",
    ),
}


@dataclass(frozen=True)
class Finding:
    """A cause and what is particular about this case.

    :param code: Key into :data:`CAUSES`.
    :param detail: The cluster's own words, one line.
    """

    code: str
    detail: str = ""

    def error(self) -> dict[str, str]:
        """As the ``error`` of a result."""
        row = CAUSES[self.code]
        message = one_line(f"{row.meaning} {self.detail}" if self.detail else row.meaning, MESSAGE_LIMIT)
        return {"code": self.code, "message": message, "hint": row.hint}

    def result(self) -> dict[str, Any]:
        """As a result document, for a pod that left none."""
        return {"outcome": "failed", "exit_code": 1, "error": self.error()}


class PodTrouble(Exception):
    """The pod cannot do the step.

    :param code: Key into :data:`CAUSES`.
    :param detail: The cluster's own words.
    """

    def __init__(self, code: str, detail: str = "") -> None:
        self.finding = Finding(code, one_line(detail, MESSAGE_LIMIT))
        super().__init__(self.finding.error()["message"])


@dataclass(frozen=True)
class Waiting:
    """One way in which a container waits for something that may never come.

    :param reasons: ``state.waiting.reason`` of the container.
    :param words: Pattern for its message, or for an event of the pod; ``None`` for any.
    :param code: What it means.
    :param patience: Seconds in which it may still mend itself.
    """

    reasons: tuple[str, ...]
    words: str | None
    code: str
    patience: float


_PULLING = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError")
_CREATING = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError", "StartError", "ContainerCannotRun")

# The first row that fits wins. A registry says "denied" for a repository it hides as well as for one that does not exist.
WAITING: Sequence[Waiting] = (
    Waiting(("InvalidImageName",), None, "image_name_invalid", 0),
    Waiting(("ErrImageNeverPull",), None, "image_not_found", 0),
    Waiting(
        _PULLING,
        r"unauthorized|authentication required|authorization failed|access denied|denied:|no basic auth|\b40[13]\b|forbidden"
        r"|image pull secret",
        "image_pull_refused",
        0,
    ),
    Waiting(_PULLING, r"not found|notfound|manifest unknown|name unknown|no such (?:image|manifest)", "image_not_found", 0),
    Waiting(_PULLING, None, "image_pull_failed", 120),
    Waiting(_CREATING, r"(?:secret|configmap)s? .*not found|couldn't find key", "secret_missing", 10),
    Waiting(_CREATING, None, "container_not_started", 10),
)

# Events that tell why a container is still being created: reason, pattern for the message, meaning, seconds of patience.
EVENTS_BEFORE_START: Sequence[tuple[str, str, str, float]] = (
    ("FailedMount", r"(?:secret|configmap) .*not found|references non-existent (?:secret|config) key", "secret_missing", 15),
    ("FailedMount", r"", "pod_volume_failed", 120),
    ("FailedAttachVolume", r"", "pod_volume_failed", 120),
    ("FailedCreatePodSandBox", r"", "pod_sandbox_failed", 120),
)
# What the node does when it has the volumes and the sandbox: what failed before has mended itself.
_PAST_PREPARATION = frozenset({"Pulling", "Pulled", "Created", "Started"})
EVENTS_AT_THE_END: Mapping[str, str] = {
    "Evicted": "pod_evicted",
    "TaintManagerEviction": "pod_evicted",
    "Preempted": "pod_evicted",
    "Preempting": "pod_evicted",
    "NodeNotReady": "pod_node_lost",
}
_PULL_SECRET_EVENT = "FailedToRetrieveImagePullSecret"  # noqa: S105 - the name of an event

# pod.status.reason of a failed pod.
REASONS: Mapping[str, str] = {
    "Evicted": "pod_evicted",
    "Preempting": "pod_evicted",
    "DeadlineExceeded": "pod_deadline_exceeded",
    "NodeLost": "pod_node_lost",
    "NodeShutdown": "pod_node_lost",
    "Shutdown": "pod_node_lost",
    "Terminated": "pod_node_lost",
    "OutOfcpu": "pod_unschedulable",
    "OutOfmemory": "pod_unschedulable",
    "OutOfpods": "pod_unschedulable",
    "NodeAffinity": "pod_unschedulable",
    "UnexpectedAdmissionError": "pod_not_started",
}
# Reasons of the condition DisruptionTarget.
DISRUPTIONS: Mapping[str, str] = {
    "PreemptionByScheduler": "pod_evicted",
    "DeletionByTaintManager": "pod_evicted",
    "EvictionByEvictionAPI": "pod_evicted",
    "DeletionByPodGC": "pod_node_lost",
    "TerminationByKubelet": "pod_evicted",
}

Events = Callable[[], Sequence[k8s.CoreV1Event]]
"""Reads the events of a pod."""


def keeps_from_starting(pod: k8s.V1Pod, events: Events) -> tuple[Finding, float | None] | None:
    """What a pod that has not started waits for, when that is more than its turn.

    :param events: Reads the events of the pod.
    :return: The finding and the seconds it may still mend itself in; ``None`` for those: as long as a node may take.
    """
    statuses = [*(status_of(pod).init_container_statuses or []), *(status_of(pod).container_statuses or [])]
    for waiting in [status.state.waiting for status in statuses if status.state and status.state.waiting]:
        row = _waiting_row(waiting.reason, _words(waiting, events)) if waiting.reason else None
        if row is not None:
            return Finding(row.code, _pull_detail(waiting, events)), row.patience
    scheduled = condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.status == "False":
        return Finding("pod_unschedulable", scheduled.message or scheduled.reason or ""), None
    return None


def event_before_start(events: Events) -> tuple[Finding, float] | None:
    """What the events say of a pod whose containers are still being created: mostly a Secret or volume that is missing."""
    for event in reversed(events()):
        if event.reason in _PAST_PREPARATION:
            return None
        for reason, words, code, patience in EVENTS_BEFORE_START:
            if event.reason == reason and re.search(words, event.message or "", re.IGNORECASE):
                return Finding(code, one_line(event.message or "")), patience
    return None


def end_of(pod: k8s.V1Pod | None, events: Events, limits: Mapping[str, str] | None = None) -> Finding:
    """Why a pod that left no result is over.

    :param pod: As last seen; ``None`` when it was never seen.
    :param events: Reads the events of the pod.
    :param limits: The container's limits, named when it used more.
    """
    if pod is None:
        return Finding("pod_deleted")
    found = _from_status(pod) or _from_containers(pod, limits or {})
    if found is not None:
        return found
    for event in events():
        if code := EVENTS_AT_THE_END.get(event.reason or ""):
            return Finding(code, one_line(event.message or ""))
    if ended(pod) is not None and not is_going(pod):
        return Finding("pod_result_missing")
    return Finding("pod_deleted")


def explains_more(pod: k8s.V1Pod, result: Mapping[str, Any], limits: Mapping[str, str]) -> Finding | None:
    """What Kubernetes knows better than the runner: who told it to stop, and that the tool was killed for its memory.

    :param result: The runner's.
    """
    state = ended(pod)
    if result.get("outcome") == "cancelled":
        # The runner only sees a signal.
        disrupted = _from_status(pod)
        return disrupted or (Finding("pod_deleted") if is_going(pod) else None)
    if (result.get("error") or {}).get("code") == "tool_killed" and state is not None and state.reason == "OOMKilled":
        return _out_of_memory(limits)
    return None


def _waiting_row(reason: str, words: str) -> Waiting | None:
    for row in WAITING:
        if reason in row.reasons and (row.words is None or re.search(row.words, words, re.IGNORECASE)):
            return row
    return None


def _words(waiting: k8s.V1ContainerStateWaiting, events: Events) -> str:
    """What is known of a wait. "Back-off pulling image" says nothing of why, so the events of the pulls before it are read."""
    message = waiting.message or ""
    if waiting.reason not in _PULLING:
        return message
    return " ".join([message, *(event.message or "" for event in _pull_events(events))])


def _pull_events(events: Events) -> list[k8s.CoreV1Event]:
    def about_a_pull(event: k8s.CoreV1Event) -> bool:
        return event.reason == _PULL_SECRET_EVENT or (event.reason == "Failed" and "pull" in (event.message or ""))

    return [event for event in events() if about_a_pull(event)]


def _pull_detail(waiting: k8s.V1ContainerStateWaiting, events: Events) -> str:
    parts = [waiting.message or str(waiting.reason)]
    if waiting.reason in _PULLING:
        found = _pull_events(events)
        secrets = [event.message or "" for event in found if event.reason == _PULL_SECRET_EVENT]
        pulls = [event.message for event in found if event.reason == "Failed" and event.message and ":" in event.message]
        parts = secrets[-1:] or ([] if "rpc error" in parts[0] else pulls[-1:]) or parts
    return one_line(" ".join(parts), MESSAGE_LIMIT)


def _from_status(pod: k8s.V1Pod) -> Finding | None:
    status = status_of(pod)
    if code := REASONS.get(status.reason or ""):
        return Finding(code, one_line(status.message or ""))
    disruption = condition(pod, "DisruptionTarget")
    if disruption is None or disruption.status != "True":
        return None
    if code := DISRUPTIONS.get(disruption.reason or ""):
        return Finding(code, one_line(disruption.message or str(disruption.reason)))
    return None


def _from_containers(pod: k8s.V1Pod, limits: Mapping[str, str]) -> Finding | None:
    for status in status_of(pod).init_container_statuses or []:
        state = status.state.terminated if status.state else None
        if state is not None and state.exit_code:
            return Finding("init_container_failed", f"{status.name}: {_exit(state)}")
    state = ended(pod)
    if state is None:
        return None
    if state.reason == "OOMKilled":
        return _out_of_memory(limits)
    if state.reason == "ContainerStatusUnknown":
        return Finding("pod_node_lost", one_line(state.message or ""))
    if state.reason in _CREATING:
        return Finding("container_not_started", one_line(state.message or ""))
    if state.exit_code == 137 and not is_going(pod):
        return Finding("pod_killed")
    if state.exit_code and not is_going(pod):
        return Finding("pod_failed", _exit(state))
    return None


def _out_of_memory(limits: Mapping[str, str]) -> Finding:
    limit = limits.get("memory")
    return Finding("pod_out_of_memory", f"Its limit is {limit}." if limit else "")


def _exit(state: k8s.V1ContainerStateTerminated) -> str:
    """Exit code and the last line that the container left; the message may be the end of its log."""
    lines = [line.strip() for line in (state.message or "").splitlines() if line.strip()]
    return f"exit code {state.exit_code}" + (f": {one_line(lines[-1], 300)}" if lines else "")
