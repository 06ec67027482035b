"""What happens to plan steps in pods: on the test cluster in ``make test``, on any other with ``make test-kubernetes``."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.places import Place, PodShop, one_cluster
from tests.kubernetes.worker import Work, Workers
from tests.waiting import holds, nothing, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]


def decide(crew: Workers, run: str, explained: dict[str, Any], step_id: str) -> None:
    """Leave the approval that an execute looks for."""
    decision = {"decision": "approved", "execution_plan_id": step_id, "digest": explained["digest"]}
    crew.push(run, "explain/decision", {**decision, "job_name": f"{run}-plan-execute-20260428-100500"})


def explained(crew: Workers, shop: PodShop, run: str, **settings: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Explain HEAD; the request and the result."""
    conf = shop.conf()
    work = crew.start("explain", conf, run, **settings)
    assert work.wait() == 0, work.log[-3000:]
    return conf, work.result


# From commit to warehouse


def test_explain_and_execute_in_pods(place: Place, crew: Workers) -> None:
    shop = place.shop("deploys")
    conf, result = explained(crew, shop, "deploys")
    assert result["outcome"] == "succeeded"
    assert result["plan_output"]["modelsAdded"] == 2
    assert result["pod_name"].startswith("deploys-plan-explain-20260428-100000-")
    decide(crew, "deploys", result, "plan_deploys_execute")
    work = crew.start("execute", conf, "deploys")
    assert work.wait() == 0, work.log[-3000:]
    assert {model["name"] for model in work.result["models"]} == {"shop.orders", "shop.totals"}
    assert "shop.totals" in work.log, "the runner's log is the task's log"
    if place.shared:
        assert shop.warehouse.exists()
    wait_for("the pods to be removed", lambda: place.pods(project=shop.path.parent.name), nothing)
    # By the garbage collector, in its own time.
    wait_for("their Secrets to be removed", lambda: place.secrets("deploys"), nothing)


# Causes


@dataclass
class Trouble:
    """A way in which a pod fails, made with means that any cluster has.

    :param code: The plan's error.
    :param words: In its message.
    :param settings: Of ``[dagctl]``.
    :param spec: More of the pod template, and of its runner's container.
    :param resources: Of the project.
    :param meddle: Done to the pod once its step runs; the step then waits for ever by itself.
    """

    code: str
    words: str
    settings: dict[str, str] = field(default_factory=dict)
    spec: dict[str, Any] = field(default_factory=dict)
    container: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, str] = field(default_factory=dict)
    meddle: Callable[[Place, Any], None] | None = None


def delete_by_hand(place: Place, pod: Any) -> None:
    place.core.delete_namespaced_pod(pod.metadata.name, place.namespace)


def drain(place: Place, pod: Any) -> None:
    """As ``kubectl drain`` does."""
    body = {"metadata": {"name": pod.metadata.name, "namespace": place.namespace}}
    place.core.create_namespaced_pod_eviction(pod.metadata.name, place.namespace, body)


def prepares(script: str) -> dict[str, Any]:
    """More of a pod's spec: an init container that runs this, and a small volume for it."""
    first = {
        "name": "prepare",
        "command": ["sh", "-c", script],
        "securityContext": _RESTRICTED,
        "volumeMounts": [{"name": "small", "mountPath": "/small"}],
    }
    return {"initContainers": [first], "volumes": [{"name": "small", "emptyDir": {"sizeLimit": "1Mi"}}]}


_RESTRICTED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "runAsNonRoot": True}
# An image that is there, with a program that ends by itself.
_ENDS = {"name": "PYTHONHOME", "value": "/nonexistent"}
_WAITS = {"kubernetes_schedule_timeout": "2", "kubernetes_startup_timeout": "60"}

TROUBLES = {
    "oom": Trouble("pod_out_of_memory", "100Mi", resources={"memory_request": "64Mi", "memory_limit": "100Mi"}),
    "eviction": Trouble("pod_evicted", "exceeds the limit", spec=prepares("head -c 4000000 /dev/zero > /small/ballast")),
    "drained": Trouble("pod_evicted", "evict", meddle=drain),
    "unschedulable": Trouble("pod_unschedulable", "0/", _WAITS, {"nodeSelector": {"dagctl.test/pool": "none"}}),
    "image-missing": Trouble("image_not_found", "not found", {"runner_image": "example.org/missing/dagctl-runner:1"}),
    "pull-secret-wrong": Trouble(
        "image_pull_refused",
        "401",
        {"runner_image": "private.example.org/dagctl-runner:1", "kubernetes_image_pull_secrets": "wrong"},
    ),
    "init-failure": Trouble("init_container_failed", "prepare: exit code 4", spec=prepares("exit 4")),
    "exit-1": Trouble("pod_failed", "exit code 1", container={"env": [_ENDS]}),
    "deadline": Trouble("pod_deadline_exceeded", "longer than", spec={"activeDeadlineSeconds": 3}),
    "deleted-by-hand": Trouble("pod_deleted", "deleted", meddle=delete_by_hand),
}


@pytest.fixture(scope="session")
def blocked(place: Place) -> PodShop:
    """A project whose explain waits for ever."""
    shop = place.shop("blocked")
    if place.https is None:
        shop.use_warehouse_in_pod()
    shop.block_loading()
    shop.commit("Loading waits")
    return shop


@pytest.fixture(scope="session")
def troubled(place: Place, crew: Workers, blocked: PodShop) -> dict[str, Work]:
    """All of these steps, started together since most of their time is waiting."""
    if place.cluster is None:
        # The reserved top-level domain can be pulled from nowhere; the node cannot tell more than that.
        missing = TROUBLES["image-missing"]
        missing.settings["runner_image"] = "registry.invalid/dagctl-runner:1"
        missing.code, missing.words = "image_pull_failed", "pull"
        if image := os.environ.get("TEST_PRIVATE_IMAGE"):
            refused = TROUBLES["pull-secret-wrong"]
            refused.settings["runner_image"], refused.words = image, "refused"
        else:
            del TROUBLES["pull-secret-wrong"]
        if place.version < (1, 26):
            # Such a pod does not say yet that the Eviction API deleted it (condition DisruptionTarget).
            TROUBLES["drained"].code, TROUBLES["drained"].words = "pod_deleted", "deleted"
    registry = os.environ.get("TEST_PRIVATE_IMAGE", "private.example.org").partition("/")[0]
    auths = {"auths": {registry: {"username": "robot", "password": "planted-wrong-password"}}}
    body = {"metadata": {"name": "wrong"}, "type": "kubernetes.io/dockerconfigjson"}
    place.core.create_namespaced_secret(place.namespace, {**body, "stringData": {".dockerconfigjson": json.dumps(auths)}})
    return {name: _start(place, crew, blocked, name, trouble) for name, trouble in TROUBLES.items()}


def _start(place: Place, crew: Workers, blocked: PodShop, name: str, trouble: Trouble) -> Work:
    first = [{**container, "image": place.image} for container in trouble.spec.get("initContainers", [])]
    spec = {**trouble.spec, "initContainers": first}
    conf = blocked.conf(project_id=f"proj_{name}", project_name=name, step_id=f"plan_{name}")
    conf["resources"] = {**conf["resources"], **trouble.resources}
    template = place.template(spec, trouble.container)
    return crew.start("explain", conf, name, **{**trouble.settings, "kubernetes_pod_template": str(template)})


@pytest.mark.parametrize("name", TROUBLES)
def test_the_plans_error_names_the_cause(
    place: Place, troubled: dict[str, Work], name: str, record_property: Callable[..., None]
) -> None:
    if name not in troubled:
        pytest.skip("TEST_PRIVATE_IMAGE is not set")
    trouble, work = TROUBLES[name], troubled[name]
    if trouble.meddle is not None:
        trouble.meddle(place, place.running_pod(step=f"plan_{name}"))
    # A registry that does not answer may come back, so an image from there is waited for.
    assert work.wait() in (1, 2)
    error = work.error
    record_property("note", f"{error.get('code')}: {error.get('message', '')[:90]}")
    assert error["code"] == trouble.code, error
    assert trouble.words in error["message"]
    assert error["hint"]
    assert "planted-wrong-password" not in work.log + json.dumps(work.xcom)


def test_a_namespace_that_enforces_restricted_takes_the_pod(place: Place, crew: Workers, blocked: PodShop) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    name = f"{place.namespace}-restricted"
    place.core.create_namespace({"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    try:
        wait_for("the default service account", lambda: place.core.list_namespaced_service_account(name).items)
        place.let_launch(name)
        settings = {
            "kubernetes_namespace": name,
            "kubernetes_pod_template": "",
            # No node takes long to say no to that.
            "runner_image": "registry.invalid/Not-A-Name:1",
        }
        work = crew.start("explain", blocked.conf(project_id="proj_restricted"), "restricted", **settings)
        assert work.wait() in (1, 2)
        assert work.error["code"] == "image_name_invalid", "the pod itself was accepted"
    finally:
        place.core.delete_namespace(name)


# The API is away


class Door:
    """The way to the API server, through this process, which can shut it: connections are refused and running ones end."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port = self._server.getsockname()[1]
        self._open = True
        self._pairs: list[socket.socket] = []
        # Who is let in while the door is being shut is either shut out or among those that are ended.
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if not self._open:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target, timeout=10)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self._lock:
                if not self._open:
                    near.close()
                    far.close()
                    continue
                self._pairs += [near, far]
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=(source, target), daemon=True).start()

    @staticmethod
    def _pass_on(source: socket.socket, target: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                target.sendall(data)
        except OSError:
            pass
        for end in (source, target):
            # Another thread may wait for more from it, and a socket that is only closed goes on for as long.
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Nobody gets through while the block lasts."""
        with self._lock:
            self._open = False
            ended, self._pairs = self._pairs, []
        for end in ended:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self._open = True

    def close(self) -> None:
        self._server.close()


@contextmanager
def door(place: Place, folder: Path) -> Iterator[tuple[Door, Path]]:
    """A door, and a kubeconfig that leads through it."""
    document = one_cluster(place.launcher)
    cluster = document["clusters"][0]["cluster"]
    scheme, _, address = cluster["server"].partition("://")
    host, _, port = address.rstrip("/").partition(":")
    made = Door(host, int(port or 443))
    cluster["server"] = f"{scheme}://127.0.0.1:{made.port}"
    if scheme == "https":
        cluster.setdefault("tls-server-name", host)
    file = folder / "kubeconfig"
    file.touch(0o600)
    file.write_text(yaml.safe_dump(document))
    try:
        yield made, file
    finally:
        made.close()


# Longer by hand: TEST_API_AWAY_SECONDS=60.
AWAY_SECONDS = float(os.environ.get("TEST_API_AWAY_SECONDS", "5"))


@pytest.mark.parametrize(("patience", "survives"), [("300", True), ("2", False)], ids=["survived", "too-long"])
def test_the_api_server_is_away(
    place: Place, crew: Workers, tmp_path: Path, patience: str, survives: bool, record_property: Callable[..., None]
) -> None:
    name = f"away-{patience}"
    shop = place.shop(name)
    shop.block_loading()
    shop.commit("Loading waits")
    conf = shop.conf()
    with door(place, tmp_path) as (way, kubeconfig):
        work = crew.start("explain", conf, name, kubernetes_api_patience=patience, kubeconfig=kubeconfig)
        pod = place.running_pod(step=conf["step_id"])
        wait_for("the log to be followed", lambda: work.log, holds("commit"))
        if not survives:
            with way.shut():
                assert work.wait() in (1, 2)
            assert work.error["code"] == "cluster_unreachable", work.log[-2000:]
            record_property("note", work.error["message"][:100])
            assert not place.is_gone(pod), "the pod goes on; a retry looks for it first"
            place.core.delete_namespaced_pod(pod.metadata.name, place.namespace, grace_period_seconds=0)
            return
        with way.shut():
            time.sleep(AWAY_SECONDS)
        shop.open_gate()
        assert work.wait() == 0, work.log[-3000:]
        assert work.result["outcome"] == "succeeded"
        record_property("note", f"away for {AWAY_SECONDS:.0f} s, then succeeded")


# Stopping and dying


def test_a_cancelled_step_ends_when_its_pod_is_gone(place: Place, crew: Workers, blocked: PodShop) -> None:
    conf = blocked.conf(project_id="proj_cancelled", project_name="cancelled", step_id=f"plan_cancelled-{uuid.uuid4().hex[:6]}")
    work = crew.start("explain", conf, "cancelled")
    pod = place.running_pod(step=conf["step_id"])
    work.send(signal.SIGTERM)
    assert work.wait() == 2
    assert place.is_gone(pod), "the task says that it ended only when nothing of it runs any more"
    assert "was stopped" in work.log


def test_a_worker_killed_during_execute_is_followed_by_one_that_attaches(place: Place, crew: Workers) -> None:
    shop = place.shop("killed")
    shop.add_slow_model()
    shop.commit("Something slow")
    conf, result = explained(crew, shop, "killed")
    decide(crew, "killed", result, "plan_killed_execute")
    first = crew.start("execute", conf, "killed")
    pod = place.running_pod(step="plan_killed_execute")
    wait_for("the slow model", lambda: place.pod_log(pod), holds("slow"))
    first.send(signal.SIGKILL)
    assert first.wait() is None
    second = crew.start("execute", conf, "killed", try_number=2)
    wait_for("the second worker to attach", lambda: second.log, holds("Attaching to pod"))
    shop.open_gate()
    assert second.wait() == 0, second.log[-3000:]
    assert second.result["pod_name"] == pod.metadata.name
    assert _pods_made(place, pod) == 1
    assert {model["status"] for model in second.result["models"]} == {"succeeded"}


def _pods_made(place: Place, pod: Any) -> int:
    """How many pods of this name ever began, as far as their events tell."""
    selector = f"involvedObject.name={pod.metadata.name},reason=Scheduled"
    return len(place.core.list_namespaced_event(place.namespace, field_selector=selector).items)
