"""The cluster for tests behaves like Kubernetes where pod operators look."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes import client, config, watch
from kubernetes.client import ApiException
from kubernetes.stream import stream

from tests.kubernetes.running import RunningCluster
from tests.waiting import equals, holds, nothing, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SECONDS = 240.0


def pod(name: str, script: str = "exit 0", *, container: Any = None, **spec: Any) -> dict[str, Any]:
    base = {"name": "base", "image": "example.org/tool:1", "command": ["sh", "-c", script], **(container or {})}
    return {"metadata": {"name": name}, "spec": {"restartPolicy": "Never", "containers": [base], **spec}}


class Looker:
    """Reads pods of a namespace."""

    def __init__(self, cluster: RunningCluster, namespace: str) -> None:
        self.core, self.namespace = cluster.core, namespace

    def make(self, **arguments: Any) -> None:
        self.core.create_namespaced_pod(self.namespace, pod(**arguments))

    def read(self, name: str) -> Any:
        return self.core.read_namespaced_pod(name, self.namespace)

    def over(self, name: str) -> Any:
        return wait_for(f"{name} to end", lambda: self.read(name), lambda pod: pod.status.phase in ("Succeeded", "Failed"))

    def state(self, name: str) -> Any:
        return self.read(name).status.container_statuses[0].state

    def waits(self, name: str, reason: str) -> Any:
        def waiting() -> Any:
            statuses = self.read(name).status.container_statuses
            return statuses and statuses[0].state.waiting

        return wait_for(f"{name} to wait for {reason}", waiting, lambda state: state and state.reason == reason)

    def is_gone(self, name: str) -> bool:
        try:
            self.read(name)
        except ApiException as error:
            return error.status == 404  # type: ignore[no-any-return]
        return False

    def events(self, name: str) -> list[str]:
        found = self.core.list_namespaced_event(self.namespace, field_selector=f"involvedObject.name={name}").items
        return [f"{event.reason}: {event.message}" for event in found]


@pytest.fixture
def look(cluster: RunningCluster, namespace: str) -> Looker:
    return Looker(cluster, namespace)


def test_every_end_of_a_pod_in_the_words_of_kubernetes(look: Looker, cluster: RunningCluster) -> None:
    init = {"name": "prepare", "image": "example.org/tool:1", "command": ["sh", "-c", "exit 4"]}
    hungry = {
        "command": ["python", "-c", "x = b'x' * 300_000_000; import time; time.sleep(600)"],
        "resources": {"limits": {"memory": "100Mi"}},
    }
    full = {"volumeMounts": [{"name": "work", "mountPath": "/work-here"}]}
    work = {"name": "work", "emptyDir": {"sizeLimit": "1Mi"}}
    regcred = {"metadata": {"name": "regcred"}, "stringData": {".dockerconfigjson": '{"auths": {}}'}}
    cluster.core.create_namespaced_secret(look.namespace, regcred)
    look.make(name="fails", script="echo because > /dev/termination-log; exit 7")
    look.make(name="hungry", container=hungry)
    look.make(name="late", script="sleep 600 & wait", activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
    look.make(name="init", initContainers=[init])
    look.make(name="missing", container={"image": "example.org/missing/tool:1"})
    look.make(name="private", container={"image": "private.example.org/tool:1"}, imagePullSecrets=[{"name": "regcred"}])
    look.make(name="nowhere", nodeSelector={"pool": "none"})
    look.make(name="evicted", script="sleep 600 & wait", terminationGracePeriodSeconds=1)
    look.make(name="full", script="head -c 3000000 /dev/zero > /work-here/x; sleep 600 & wait", container=full, volumes=[work])
    look.make(name="absent", container={"envFrom": [{"secretRef": {"name": "none"}}]})
    look.make(name="nothing", container={"command": ["no-such-program"]})

    ended = look.over("fails").status.container_statuses[0].state.terminated
    assert (ended.exit_code, ended.reason, ended.message) == (7, "Error", "because\n")
    assert look.over("hungry").status.container_statuses[0].state.terminated.reason == "OOMKilled"
    late = look.over("late").status
    assert (late.reason, late.message) == ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    failed = look.over("init").status
    assert failed.init_container_statuses[0].state.terminated.exit_code == 4
    assert failed.container_statuses[0].state.waiting.reason == "PodInitializing"
    waiting = look.waits("missing", "ImagePullBackOff")
    assert waiting.message.startswith(
        'Back-off pulling image "example.org/missing/tool:1": ErrImagePull: rpc error: code = NotFound'
    )
    assert "no basic auth credentials" in look.waits("private", "ImagePullBackOff").message
    condition = wait_for("a condition", lambda: look.read("nowhere").status.conditions)[0]
    assert (condition.type, condition.status, condition.reason) == ("PodScheduled", "False", "Unschedulable")
    assert any(event.startswith("FailedScheduling: 0/1 nodes are available: 1 node(s)") for event in look.events("nowhere"))
    cluster.evict(look.namespace, "evicted")
    assert look.over("evicted").status.reason == "Evicted"
    assert look.over("full").status.message == 'Usage of EmptyDir volume "work" exceeds the limit "1Mi". '
    assert look.waits("absent", "CreateContainerConfigError").message == 'secret "none" not found'
    assert look.over("nothing").status.container_statuses[0].state.terminated.reason == "StartError"


def test_a_deleted_pod_gets_its_grace_and_is_seen_to_go(look: Looker) -> None:
    graces = {"polite": 600, "deaf": 1}
    for name, trap in (("polite", "echo told; exit 0"), ("deaf", "")):
        script = f"trap '{trap}' TERM; echo ready; while true; do sleep 0.1; done"
        look.make(name=name, script=script, terminationGracePeriodSeconds=graces[name])
    for name in graces:
        wait_for(f"{name} to run", lambda name=name: look.read(name).status.phase, equals("Running"))
        wait_for("its log", lambda name=name: look.core.read_namespaced_pod_log(name, look.namespace), holds("ready"))
    seen = look.core.list_namespaced_pod(look.namespace).metadata.resource_version
    begun = time.monotonic()
    for name in graces:
        look.core.delete_namespaced_pod(name, look.namespace)
    going: dict[str, int] = {}
    gone: dict[str, float] = {}
    stream_of = {"resource_version": seen, "timeout_seconds": int(SECONDS)}
    for change in watch.Watch().stream(look.core.list_namespaced_pod, look.namespace, **stream_of):
        metadata = change["object"].metadata
        if change["type"] == "MODIFIED" and metadata.deletion_timestamp:
            going[metadata.name] = metadata.deletion_grace_period_seconds
        elif change["type"] == "DELETED":
            assert metadata.name in going, "it was seen to go"
            gone[metadata.name] = time.monotonic() - begun
            if len(gone) == 2:
                break
    assert going == graces
    assert gone.keys() == graces.keys(), "the polite one needs nothing like its grace"
    assert gone["deaf"] >= 1
    assert look.is_gone("deaf")
    assert any(event.startswith("Killing: Stopping container base") for event in look.events("polite"))


def test_logs_follow_and_exec_joins_the_container(look: Looker) -> None:
    volumes = [{"name": "share", "emptyDir": {}}]
    mounts = {"volumeMounts": [{"name": "share", "mountPath": "/var/run/share"}]}
    script = "echo one; until [ -e /var/run/share/go ]; do sleep 0.05; done; printf two"
    look.make(
        name="talks", script=script, container=mounts, volumes=volumes, securityContext={"runAsUser": 1000, "runAsGroup": 1000}
    )
    wait_for("it to run", lambda: look.read("talks").status.phase, equals("Running"))
    follow = look.core.read_namespaced_pod_log("talks", look.namespace, follow=True, timestamps=True, _preload_content=False)
    lines = iter(follow)
    first = next(lines).decode()
    assert first.endswith(" one\n")
    assert first[4] == "-"
    joined = stream(
        look.core.connect_get_namespaced_pod_exec,
        "talks",
        look.namespace,
        command=["sh", "-c", "id -u; pgrep -c python; read name; touch /var/run/share/$name.part; echo bad >&2; exit 3"],
        stdin=True,
        stdout=True,
        stderr=True,
        _preload_content=False,
    )
    joined.write_stdin("go\n")
    joined.run_forever(timeout=SECONDS)
    assert joined.read_stdout().split() == ["1000", "0"], "only the container's own processes are seen"
    assert joined.read_stderr() == "bad\n"
    assert joined.returncode == 3
    # A command of its own: with its first process the container ends, and all that runs beside it.
    open_it = ["mv", "/var/run/share/go.part", "/var/run/share/go"]
    stream(look.core.connect_get_namespaced_pod_exec, "talks", look.namespace, command=open_it, stdout=True)
    assert next(lines).decode().endswith(" two\n")
    assert look.over("talks").status.phase == "Succeeded"


def test_what_a_pod_owns_goes_with_it(look: Looker) -> None:
    look.make(name="owner")
    uid = look.read("owner").metadata.uid
    reference = {"apiVersion": "v1", "kind": "Pod", "name": "owner", "uid": uid}
    look.core.create_namespaced_secret(look.namespace, {"metadata": {"name": "owned", "ownerReferences": [reference]}})
    look.core.delete_namespaced_pod("owner", look.namespace)
    wait_for("the secret to go", lambda: look.core.list_namespaced_secret(look.namespace).items, nothing)


def refused(call: Callable[[], Any], status: int, words: str) -> None:
    with pytest.raises(ApiException) as caught:
        call()
    assert (caught.value.status, words in str(caught.value.body)) == (status, True), caught.value.body


def test_what_is_refused(look: Looker, cluster: RunningCluster, tmp_path: Any) -> None:
    labelled = pod("labelled")
    labelled["metadata"]["labels"] = {"dagctl/project": "not a label!"}
    refused(lambda: look.core.create_namespaced_pod(look.namespace, labelled), 422, "a valid label must be")
    refused(lambda: look.make(name="Upper"), 422, "RFC 1123")
    refused(lambda: look.make(name="nobody", serviceAccountName="nobody"), 403, "error looking up service account")
    refused(lambda: look.core.create_namespaced_pod("nowhere", pod("x")), 404, "namespaces")
    large = {"metadata": {"name": "large"}, "stringData": {"x": "y" * (2**20 + 1)}}
    refused(lambda: look.core.create_namespaced_secret(look.namespace, large), 422, "Too long")

    restricted = f"{look.namespace}-restricted"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.core.create_namespace({"metadata": {"name": restricted, "labels": labels}})
    refused(lambda: look.core.create_namespaced_pod(restricted, pod("loose")), 403, "violates PodSecurity")

    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]
    file = cluster.kubeconfig_of(tmp_path / "config", "reader", rules)
    reader = client.CoreV1Api(config.new_client_from_config(str(file)))
    refused(lambda: reader.list_namespaced_pod(look.namespace), 403, "cannot list resource")
    refused(lambda: reader.read_namespaced_pod("x", look.namespace), 404, "not found")

    cluster.unavailable(SECONDS)
    refused(lambda: look.core.list_namespaced_pod(look.namespace), 503, "unable to handle the request")
    cluster.unavailable(0)
    assert look.core.list_namespaced_pod(look.namespace).items == []
