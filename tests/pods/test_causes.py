"""What Kubernetes says of a pod, in its own words, becomes one code that tells what to change."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.pods.causes import CAUSES, Finding, end_of, event_before_start, explains_more, keeps_from_starting
from tests.pods.objects import RUNS, event, pod, terminated, waiting

RESOLVE = 'rpc error: code = Unknown desc = failed to pull and unpack image "docker.io/x/y:1": failed to resolve reference: '
NOT_FOUND = 'rpc error: code = NotFound desc = failed to pull and unpack image "r.io/x:1": r.io/x:1: not found'
DENIED = f"{RESOLVE}pull access denied, repository does not exist or may require authorization: authorization failed"
PULLS = [event("Pulling", "Pulling image"), event("Failed", f'Failed to pull image "r.io/x:1": {NOT_FOUND}')]


def init(code: int) -> dict[str, Any]:
    status = {
        "name": "prepare",
        "image": "i",
        "imageID": "",
        "ready": False,
        "restartCount": 0,
        "state": terminated(code, "Error", "no\ndisk"),
    }
    return {"initContainerStatuses": [status], "phase": "Failed"}


def condition(kind: str, status: str, reason: str, message: str) -> dict[str, Any]:
    return {"conditions": [{"type": kind, "status": status, "reason": reason, "message": message}]}


ENDS: dict[str, tuple[Any, list[Any], str]] = {
    "memory": (pod(terminated(137, "OOMKilled"), RUNS), [], "pod_out_of_memory"),
    "killed": (pod(terminated(137), RUNS), [], "pod_killed"),
    "exit 1": (pod(terminated(1, "Error", "Traceback\nNo module named x\n"), RUNS), [], "pod_failed"),
    "no result": (pod(terminated(0, "Completed"), RUNS), [], "pod_result_missing"),
    "no program": (pod(terminated(128, "StartError", "exec: python: not found"), RUNS), [], "container_not_started"),
    "node pressure": (pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory."), [], "pod_evicted"),
    "deadline": (pod(terminated(137), phase="Failed", reason="DeadlineExceeded"), [], "pod_deadline_exceeded"),
    "init": (pod(waiting("PodInitializing"), **init(4)), [], "init_container_failed"),
    "init fine": (pod(terminated(1), RUNS, **init(0)), [], "pod_failed"),
    "deleted": (pod(RUNS, RUNS, deleted=True), [], "pod_deleted"),
    "deleted at its end": (pod(terminated(143), terminated(0), deleted=True), [], "pod_deleted"),
    "deleted unseen": (pod(RUNS, RUNS), [event("Killing", "Stopping container base")], "pod_deleted"),
    "never seen": (None, [], "pod_deleted"),
    "drained": (
        pod(RUNS, RUNS, deleted=True, **condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "")),
        [],
        "pod_evicted",
    ),
    "tainted": (pod(RUNS, RUNS), [event("TaintManagerEviction", "Marking for deletion")], "pod_evicted"),
    "node gone": (
        pod(RUNS, RUNS, deleted=True, **condition("DisruptionTarget", "True", "DeletionByPodGC", "")),
        [],
        "pod_node_lost",
    ),
    "shutdown": (pod(phase="Failed", reason="NodeShutdown"), [], "pod_node_lost"),
}


@pytest.mark.parametrize("case", ENDS)
def test_the_end_of_a_pod_has_a_cause(case: str) -> None:
    last, events, code = ENDS[case]
    assert end_of(last, lambda: events, {"memory": "4Gi"}).code == code


def test_a_cause_says_what_is_particular_and_what_to_change() -> None:
    found = end_of(ENDS["exit 1"][0], list).error()
    assert found["message"] == "The container ended with an error of its own. exit code 1: No module named x"
    assert "4Gi" in end_of(ENDS["memory"][0], list, {"memory": "4Gi"}).error()["message"]
    assert "memory_limit" in end_of(ENDS["memory"][0], list).error()["hint"]
    assert "prepare: exit code 4: disk" in end_of(ENDS["init"][0], list).error()["message"]
    assert end_of(ENDS["node pressure"][0], list).error()["message"].endswith("The node was low on resource: memory.")
    long = Finding("pod_failed", "word\n" * 1000).error()["message"]
    assert len(long) <= 400
    assert "\n" not in long


WAITS: dict[str, tuple[Any, list[Any], str | None, float | None]] = {
    "its turn": (pod(waiting("ContainerCreating"), phase="Pending"), [], None, None),
    "missing": (pod(waiting("ErrImagePull", NOT_FOUND), phase="Pending"), [], "image_not_found", 0),
    "missing, older kubelet": (
        pod(waiting("ImagePullBackOff", 'Back-off pulling image "r.io/x:1"'), phase="Pending"),
        PULLS,
        "image_not_found",
        0,
    ),
    "denied": (pod(waiting("ErrImagePull", DENIED), phase="Pending"), [], "image_pull_refused", 0),
    "wrong login": (
        pod(waiting("ErrImagePull", f"{RESOLVE}unexpected status: 401 Unauthorized"), phase="Pending"),
        [],
        "image_pull_refused",
        0,
    ),
    "no pull secret": (
        pod(waiting("ImagePullBackOff", NOT_FOUND), phase="Pending"),
        [event("FailedToRetrieveImagePullSecret", "Unable to retrieve some image pull secrets (login); attempting to pull")],
        "image_pull_refused",
        0,
    ),
    "registry away": (
        pod(waiting("ErrImagePull", f"{RESOLVE}dial tcp: i/o timeout"), phase="Pending"),
        [],
        "image_pull_failed",
        120,
    ),
    "name": (pod(waiting("InvalidImageName", "couldn't parse"), phase="Pending"), [], "image_name_invalid", 0),
    "root": (
        pod(waiting("CreateContainerConfigError", "container has runAsNonRoot"), phase="Pending"),
        [],
        "container_not_started",
        10,
    ),
    "env secret": (pod(waiting("CreateContainerConfigError", 'secret "x" not found'), phase="Pending"), [], "secret_missing", 10),
    "sidecar": (pod(RUNS, waiting("ErrImagePull", NOT_FOUND)), [], "image_not_found", 0),
    "no node": (
        pod(phase="Pending", **condition("PodScheduled", "False", "Unschedulable", "0/3 nodes")),
        [],
        "pod_unschedulable",
        None,
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_what_a_pod_waits_for(case: str) -> None:
    waits, events, code, patience = WAITS[case]
    found = keeps_from_starting(waits, lambda: events)
    assert (found and (found[0].code, found[1])) == (code and (code, patience))


def test_events_tell_of_missing_secrets() -> None:
    missing = event("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "deploy-key" not found')
    found = event_before_start(lambda: [event("Scheduled", "ok"), missing])
    assert found is not None
    assert found[0].code == "secret_missing"
    assert "deploy-key" in found[0].error()["message"]
    key = event("FailedMount", 'MountVolume.SetUp failed for volume "v" : references non-existent secret key: request-000')
    assert event_before_start(lambda: [key])[0].code == "secret_missing"  # type: ignore[index]
    assert event_before_start(lambda: [event("Scheduled", "ok")]) is None


@pytest.mark.parametrize("since", ["Pulling", "Pulled", "Created", "Started"])
def test_a_mount_that_failed_before_the_image_was_pulled_keeps_nothing_from_starting(since: str) -> None:
    """A node may look for the step's Secret before it is there, and then need minutes for the image."""
    missing = event("FailedMount", 'MountVolume.SetUp failed for volume "dagctl-request" : secret "request" not found')
    assert event_before_start(lambda: [missing, event(since, "image")]) is None
    assert event_before_start(lambda: [event(since, "image"), missing]) is not None


def test_a_node_without_a_working_network_is_named() -> None:
    said = 'Failed to create pod sandbox: plugin type="calico" failed (add): connection is unauthorized'
    found = event_before_start(lambda: [event("Scheduled", "ok"), event("FailedCreatePodSandBox", said)])
    assert found is not None
    assert found[0] == Finding("pod_sandbox_failed", said)
    assert found[1] >= 60, "plugins are often away for a moment"


def test_kubernetes_knows_some_ends_better_than_the_runner() -> None:
    cancelled = {"outcome": "cancelled", "error": {"code": "cancelled"}}
    assert explains_more(pod(terminated(130), deleted=True), cancelled, {}) == Finding("pod_deleted")
    evicted = explains_more(pod(terminated(130), phase="Failed", reason="Evicted"), cancelled, {})
    assert evicted is not None
    assert evicted.code == "pod_evicted"
    assert explains_more(pod(terminated(130), RUNS), cancelled, {}) is None
    killed = {"outcome": "failed", "error": {"code": "tool_killed"}}
    assert explains_more(pod(terminated(1, "OOMKilled"), RUNS), killed, {}) == Finding("pod_out_of_memory")
    assert explains_more(pod(terminated(1), RUNS), killed, {}) is None
    assert explains_more(pod(terminated(0, "OOMKilled"), RUNS), {"outcome": "succeeded"}, {}) is None


def test_every_cause_has_a_meaning_and_a_hint() -> None:
    for code, row in CAUSES.items():
        assert len(code) <= 64
        assert row.meaning.endswith("."), code
        assert row.hint.endswith("."), code
