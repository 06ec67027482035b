"""A pod's life: scheduled, given its volumes, pulled, started, watched, ended; in the words of scheduler and kubelet.

Sources of the words: pkg/scheduler (FailedScheduling), pkg/kubelet/kuberuntime (Created, Started, Killing), pkg/kubelet/images
(Pulling, Pulled, Failed, BackOff), pkg/kubelet/eviction (Evicted), pkg/kubelet/active_deadline.go (DeadlineExceeded), and
https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.kubernetes.cluster.containers import Container, StartError, quantity
from tests.kubernetes.cluster.images import PullFailure, pull
from tests.kubernetes.cluster.objects import CONFIGMAPS, EVENTS, PODS, SECRETS, Object, Store, now

NODE = "node-1"
NODE_LABELS = {"kubernetes.io/hostname": NODE, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
_ALLOCATABLE = {"cpu": 64.0, "memory": 256.0 * 2**30}
_TOLD_APART = {"cpu": "Insufficient cpu", "memory": "Insufficient memory"}
_DEADLINE_MESSAGE = "Pod was active on the node longer than the specified deadline"
_PRESSURE = "The node was low on resource: {resource}. Threshold quantity: 100Mi, available: 52Mi. "
_RETRY_SECONDS = 0.5
_BACKOFF_SECONDS = 2.0
_VOLUMES_EVERY = 1.0
_DEADLINE_EVERY = 0.5
# A node needs a second or more after the end of a pod's containers before the pod is removed: volumes, cgroups. Only in that time
# can be seen how they ended and who evicted them; on a machine that is busy with everything, looks may come later than that.
_LOOKED_AT_WITHIN = 30.0
# Hard eviction: immediateEvictionGracePeriodSeconds in pkg/kubelet/eviction/eviction_manager.go.
_EVICTION_GRACE = 1.0
CONTAINER_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Image:
    """What every image holds: this machine's programs.

    :param env: The image's environment.
    :param paths: Folders of this machine that are in it and must be readable by any user.
    :param uid: The user, and group, it runs as unless the pod says otherwise.
    """

    env: dict[str, str]
    paths: tuple[str, ...] = ()
    uid: int = 0


class Waiting(Exception):
    """A container has to wait.

    :param reason: As in its status.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass
class Pod:
    """A pod on its way through life.

    :param obj: The stored object.
    """

    store: Store
    obj: Object
    folder: Path
    image: Image
    containers: dict[str, Container] = field(default_factory=dict)
    states: dict[str, dict[str, Any]] = field(default_factory=dict)
    volumes: dict[str, Path] = field(default_factory=dict)
    ending: tuple[str, str] | None = None
    is_drained: bool = False
    looked_at: asyncio.Event = field(default_factory=asyncio.Event)
    _life: asyncio.Task[None] | None = None
    _end: asyncio.Task[None] | None = None

    # Facts

    @property
    def spec(self) -> Object:
        return dict(self.obj["spec"])

    @property
    def name(self) -> str:
        return str(self.obj["metadata"]["name"])

    @property
    def namespace(self) -> str:
        return str(self.obj["metadata"]["namespace"])

    @property
    def status(self) -> Object:
        return self.obj["status"]  # type: ignore[no-any-return]

    @property
    def is_over(self) -> bool:
        return self.status["phase"] in ("Succeeded", "Failed")

    def container(self, name: str) -> Container | None:
        return self.containers.get(name)

    # Telling

    def event(self, kind: str, reason: str, message: str, container: str | None = None, component: str = "kubelet") -> None:
        """Record an event of this pod."""
        fields = {"fieldPath": f"spec.containers{{{container}}}"} if container else {}
        moment = now()
        # In the order of time, as Kubernetes names them: lists are sorted by name, and times are whole seconds.
        name = f"{self.name}.{self.store.version:016x}"
        event: Object = {
            "metadata": {"name": name},
            "involvedObject": {
                "apiVersion": "v1",
                "kind": "Pod",
                "name": self.name,
                "namespace": self.namespace,
                "uid": self.obj["metadata"]["uid"],
                "resourceVersion": self.obj["metadata"]["resourceVersion"],
                **fields,
            },
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": component, **({"host": NODE} if component == "kubelet" else {})},
            "firstTimestamp": moment,
            "lastTimestamp": moment,
            "count": 1,
            "reportingComponent": component,
            "reportingInstance": NODE if component == "kubelet" else "",
        }
        self.store.create(EVENTS, self.namespace, event)

    def condition(self, kind: str, value: bool, reason: str | None = None, message: str | None = None) -> None:
        """Set a condition of the pod."""
        conditions = self.status.setdefault("conditions", [])
        conditions[:] = [condition for condition in conditions if condition["type"] != kind]
        more = {key: text for key, text in (("reason", reason), ("message", message)) if text}
        conditions.append({"type": kind, "status": str(value), "lastTransitionTime": now(), **more})

    def publish(self) -> None:
        """Put the containers' states into the pod's status and tell watches."""
        inits = self.spec.get("initContainers") or []
        if "startTime" in self.status:
            for key, specs in (("initContainerStatuses", inits), ("containerStatuses", self.spec["containers"])):
                if specs:
                    self.status[key] = [self._container_status(spec) for spec in specs]
        running = [state for state in self.states.values() if "running" in state]
        ready = bool(self.states) and len(running) == len(self.spec["containers"])
        if not self.is_over and any("running" in self.states.get(spec["name"], {}) for spec in self.spec["containers"]):
            self.status["phase"] = "Running"
        for kind in ("Ready", "ContainersReady"):
            if "startTime" in self.status:
                self.condition(kind, ready)
        self.store.update(PODS, self.obj)

    def _container_status(self, spec: Object) -> Object:
        waiting = "PodInitializing" if self.spec.get("initContainers") else "ContainerCreating"
        state = self.states.get(spec["name"], {"waiting": {"reason": waiting}})
        container = self.containers.get(spec["name"])
        status: Object = {
            "name": spec["name"],
            "image": spec["image"],
            "imageID": f"{spec['image']}@sha256:{'0' * 64}" if container else "",
            "ready": "running" in state,
            "started": "running" in state,
            "restartCount": 0,
            "state": state,
            "lastState": {},
        }
        if container:
            status["containerID"] = container.container_id
        return status

    # Life

    def begin(self) -> None:
        """Let it live."""
        self._life = asyncio.create_task(self._live())

    async def _live(self) -> None:
        await self._be_scheduled()
        await self._prepare_volumes()
        self._deadline_watch = asyncio.create_task(self._watch_deadline())
        for spec in self.spec.get("initContainers") or ():
            code = await self._run(spec)
            if code != 0:
                self._finish("Failed")
                return
        self.condition("Initialized", True)
        codes = await asyncio.gather(*(self._run(spec) for spec in self.spec["containers"]))
        if self.ending is None:
            self._finish("Failed" if any(codes) else "Succeeded")

    def _finish(self, phase: str, reason: str | None = None, message: str | None = None) -> None:
        self.status["phase"] = phase
        self._empty_memory()
        self.status.update({key: text for key, text in (("reason", reason), ("message", message)) if text})
        self.publish()

    def _empty_memory(self) -> None:
        """Unmount what a node has in memory, once all containers have ended."""
        for volume in self.spec["volumes"]:
            in_memory = (volume.get("emptyDir") or {}).get("medium") == "Memory" or {"secret", "projected"} & set(volume)
            if in_memory and volume["name"] in self.volumes:
                shutil.rmtree(self.volumes[volume["name"]], ignore_errors=True)

    async def _be_scheduled(self) -> None:
        told = None
        while (problem := self._why_unschedulable()) is not None:
            if problem != told:
                told = problem
                text = f"0/1 nodes are available: {problem}. preemption: 0/1 nodes are available: "
                text += "1 Preemption is not helpful for scheduling."
                self.condition("PodScheduled", False, "Unschedulable", text)
                self.event("Warning", "FailedScheduling", text, component="default-scheduler")
                self.publish()
            await asyncio.sleep(_RETRY_SECONDS)
        self.obj["spec"]["nodeName"] = NODE
        self.condition("PodScheduled", True)
        self.status.update(startTime=now(), hostIP="127.0.0.1", podIP="127.0.0.1")
        self.condition("Initialized", not self.spec.get("initContainers"))
        text = f"Successfully assigned {self.namespace}/{self.name} to {NODE}"
        self.event("Normal", "Scheduled", text, component="default-scheduler")
        self.publish()

    def _why_unschedulable(self) -> str | None:
        wanted = self.spec.get("nodeSelector") or {}
        if any(NODE_LABELS.get(key) != value for key, value in wanted.items()):
            return "1 node(s) didn't match Pod's node affinity/selector"
        for kind, words in _TOLD_APART.items():
            asked = sum(
                quantity((spec["resources"].get("requests") or spec["resources"].get("limits") or {}).get(kind))
                for spec in self.spec["containers"]
            )
            if asked > _ALLOCATABLE[kind]:
                return f"1 {words}"
        return None

    async def _prepare_volumes(self) -> None:
        told: set[str] = set()
        while True:
            problems = []
            for volume in self.spec["volumes"]:
                if volume["name"] not in self.volumes:
                    try:
                        self.volumes[volume["name"]] = self._volume(volume)
                    except Waiting as error:
                        problems.append(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {error.message}')
            if not problems:
                break
            for problem in problems:
                if problem not in told:
                    told.add(problem)
                    self.event("Warning", "FailedMount", problem)
            await asyncio.sleep(_RETRY_SECONDS)
        limited = [volume for volume in self.spec["volumes"] if (volume.get("emptyDir") or {}).get("sizeLimit")]
        if limited:
            self._sizes = asyncio.create_task(self._watch_sizes(limited))

    async def _watch_sizes(self, limited: list[Object]) -> None:
        while not self.is_over and self.ending is None:
            for volume in limited:
                limit = volume["emptyDir"]["sizeLimit"]
                if _size(self.volumes[volume["name"]]) > quantity(limit):
                    self.evict(f'Usage of EmptyDir volume "{volume["name"]}" exceeds the limit "{limit}". ')
                    return
            await asyncio.sleep(_VOLUMES_EVERY)

    def _volume(self, volume: Object) -> Path:
        """Where a volume's content is on this machine.

        :raises Waiting: while it is not there.
        """
        path = self.folder / "volumes" / volume["name"]
        if "hostPath" in volume:
            host = Path(volume["hostPath"]["path"])
            if volume["hostPath"].get("type") == "DirectoryOrCreate":
                host.mkdir(parents=True, exist_ok=True)
            if not host.exists():
                raise Waiting("ContainerCreating", f"hostPath type check failed: {host} is not a directory")
            return host
        sources = _sources(volume)
        files = [item for source in sources for item in self._files(source)]
        path.mkdir(parents=True, exist_ok=True)
        group = self.spec["securityContext"].get("fsGroup")
        path.chmod(0o777 if "emptyDir" in volume else 0o755)
        for name, content, mode in files:
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
            (path / name).chmod(mode | (0o440 if group is not None else 0))
        if group is not None and os.geteuid() == 0:
            for each in (path, *path.rglob("*")):
                os.chown(each, -1, int(group))
            path.chmod(path.stat().st_mode | 0o2070)
        return path

    def _files(self, source: tuple[str, str, bool, list[Object] | None, int]) -> Iterable[tuple[str, bytes, int]]:
        kind, name, optional, items, mode = source
        data = self._data(kind, name, optional)
        if items is None:
            return [(key, content, mode) for key, content in data.items()]
        for item in items:
            if item["key"] not in data and not optional:
                raise Waiting("ContainerCreating", f"references non-existent {kind} key: {item['key']}")
        return [(item["path"], data[item["key"]], item.get("mode", mode)) for item in items if item["key"] in data]

    def _data(self, kind: str, name: str, optional: bool) -> dict[str, bytes]:
        found = self.store.find(SECRETS if kind == "secret" else CONFIGMAPS, self.namespace, name)
        if found is None:
            if optional:
                return {}
            raise Waiting("CreateContainerConfigError", f'{kind} "{name}" not found')
        if kind == "secret":
            return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
        plain = {key: value.encode() for key, value in (found.get("data") or {}).items()}
        return {**plain, **{key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}}

    # Containers

    async def _run(self, spec: Object) -> int:
        """Pull, start and wait for a container; its exit code."""
        name = spec["name"]
        await self._pull(spec)
        inside = await self._configured(spec)
        if self.ending is not None:
            return 137
        folder = self.folder / "containers" / name
        folder.mkdir(parents=True)
        container = self.containers[name] = Container(spec, folder)
        container.message_file.touch(mode=0o666)
        container.message_file.chmod(0o666)
        self.event("Normal", "Created", f"Created container: {name}", name)
        started = now()
        try:
            await container.start(inside)
        except StartError as error:
            text = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
            text += f"unable to start container process: {error}"
            self.event("Warning", "Failed", f"Error: {text}", name)
            self._terminated(container, 128, "StartError", text, started)
            return 128
        self.event("Normal", "Started", f"Started container {name}", name)
        self.states[name] = {"running": {"startedAt": started}}
        self.publish()
        code = await container.wait()
        reason = container.killed_for or ("Completed" if code == 0 else "Error")
        self._terminated(container, code, reason, container.message(code), started)
        return code

    def _terminated(self, container: Container, code: int, reason: str, message: str | None, started: str) -> None:
        state = {"exitCode": code, "reason": reason, "startedAt": started, "finishedAt": now()}
        if message:
            state["message"] = message
        self.states[container.name] = {"terminated": {**state, "containerID": container.container_id}}
        self.publish()

    async def _pull(self, spec: Object) -> None:
        image, name = spec["image"], spec["name"]
        begun = time.monotonic()
        tries = 0
        while (failure := pull(image, spec["imagePullPolicy"], self._pull_secrets())) is not None:
            if tries == 0 and failure.then:
                self.event("Normal", "Pulling", f'Pulling image "{image}"', name)
            self._not_pulled(spec, failure, tries)
            tries += 1
            await asyncio.sleep(_BACKOFF_SECONDS if tries > 1 else _RETRY_SECONDS)
        if tries or spec["imagePullPolicy"] == "Always":
            took = f"{time.monotonic() - begun:.3f}s"
            text = f'Successfully pulled image "{image}" in {took} ({took} including waiting). Image size: 98304000 bytes.'
            self.event("Normal", "Pulled", text, name)
        else:
            self.event("Normal", "Pulled", f'Container image "{image}" already present on machine', name)

    def _not_pulled(self, spec: Object, failure: PullFailure, tries: int) -> None:
        image, name = spec["image"], spec["name"]
        if failure.then is None:
            reason, message = failure.first, failure.message
            self.event("Warning", "InspectFailed" if reason == "InvalidImageName" else reason, message, name)
        elif tries == 0:
            reason, message = failure.first, failure.message
            self.event("Warning", "Failed", f'Failed to pull image "{image}": {message}', name)
        else:
            reason, message = failure.then, f'Back-off pulling image "{image}": {failure.first}: {failure.message}'
            self.event("Normal", "BackOff", f'Back-off pulling image "{image}"', name)
        self.event("Warning", "Failed", f"Error: {reason}", name)
        self.states[name] = {"waiting": {"reason": reason, "message": message}}
        self.publish()

    def _pull_secrets(self) -> list[Object]:
        found, absent = [], []
        for reference in self.spec.get("imagePullSecrets") or ():
            secret = self.store.find(SECRETS, self.namespace, reference["name"])
            found.append(secret) if secret else absent.append(reference["name"])
        if absent:
            text = (
                f"Unable to retrieve some image pull secrets ({', '.join(absent)}); attempting to pull the image may not succeed."
            )
            self.event("Warning", "FailedToRetrieveImagePullSecret", text)
        return [secret for secret in found if secret]

    async def _configured(self, spec: Object) -> Object:
        """What ``inside.py`` needs to know; waits until everything it refers to is there."""
        told = None
        while True:
            try:
                return self._inside(spec)
            except Waiting as error:
                if error.message != told:
                    told = error.message
                    self.event("Warning", "Failed", f"Error: {error.message}", spec["name"])
                    self.states[spec["name"]] = {"waiting": {"reason": error.reason, "message": error.message}}
                    self.publish()
            await asyncio.sleep(_RETRY_SECONDS)

    def _inside(self, spec: Object) -> Object:
        whole, own = self.spec["securityContext"], spec.get("securityContext") or {}
        uid = own.get("runAsUser", whole.get("runAsUser", self.image.uid))
        if own.get("runAsNonRoot", whole.get("runAsNonRoot")) and uid == 0:
            text = "container has runAsNonRoot and image will run as root"
            raise Waiting(
                "CreateContainerConfigError", f'{text} (pod: "{self.name}_{self.namespace}", container: {spec["name"]})'
            )
        group = whole.get("fsGroup")
        folder = self.folder / "containers" / spec["name"]
        mounts = [self._mount(mount) for mount in spec.get("volumeMounts") or ()]
        message = {"source": str(folder / "termination"), "target": spec["terminationMessagePath"], "read_only": False}
        return {
            "argv": [*(spec.get("command") or ["python", "-m", "dagctl_provider.runner"]), *(spec.get("args") or ())],
            "env": self._environment(spec),
            "cwd": spec.get("workingDir") or "/",
            "mounts": [*mounts, message],
            "image_paths": list(self.image.paths),
            "root": os.geteuid() == 0,
            "read_only_root": bool(own.get("readOnlyRootFilesystem")),
            "uid": uid,
            "gid": own.get("runAsGroup", whole.get("runAsGroup", self.image.uid)),
            "groups": [*([int(group)] if group is not None else []), *(whole.get("supplementalGroups") or ())],
        }

    def _mount(self, mount: Object) -> Object:
        source = self.volumes[mount["name"]]
        if mount.get("subPath"):
            source = source / mount["subPath"]
            if not source.exists():
                source.mkdir(parents=True)
        volume = next(volume for volume in self.spec["volumes"] if volume["name"] == mount["name"])
        read_only = bool(mount.get("readOnly")) or not {"emptyDir", "hostPath"} & set(volume)
        return {"source": str(source), "target": mount["mountPath"], "read_only": read_only}

    def _environment(self, spec: Object) -> dict[str, str]:
        values = {"PATH": CONTAINER_PATH, "HOME": "/root", "HOSTNAME": self.name, **self.image.env}
        for source in spec.get("envFrom") or ():
            kind = "secret" if "secretRef" in source else "configmap"
            reference = source.get("secretRef") or source["configMapRef"]
            found = self._data(kind, reference["name"], bool(reference.get("optional")))
            values.update({f"{source.get('prefix', '')}{key}": content.decode() for key, content in found.items()})
        for variable in spec.get("env") or ():
            value = self._value(variable)
            if value is not None:
                values[variable["name"]] = value
        return values

    def _value(self, variable: Object) -> str | None:
        source = variable.get("valueFrom") or {}
        if not source:
            return str(variable.get("value") or "")
        if "fieldRef" in source:
            value: Any = self.obj
            for part in source["fieldRef"]["fieldPath"].split("."):
                value = (value or {}).get(part)
            return str(value or "")
        kind = "secret" if "secretKeyRef" in source else "configmap"
        reference = source.get("secretKeyRef") or source["configMapKeyRef"]
        data = self._data(kind, reference["name"], bool(reference.get("optional")))
        if reference["key"] in data:
            return data[reference["key"]].decode()
        if reference.get("optional"):
            return None
        text = f"couldn't find key {reference['key']} in {kind.capitalize()} {self.namespace}/{reference['name']}"
        raise Waiting("CreateContainerConfigError", text)

    # Ends

    async def _watch_deadline(self) -> None:
        """The deadline of a running pod may be changed, so it is looked at again and again."""
        begun = time.monotonic()
        while not self.is_over and self.ending is None:
            deadline = self.spec.get("activeDeadlineSeconds")
            if deadline and time.monotonic() - begun >= deadline:
                self.event("Normal", "DeadlineExceeded", _DEADLINE_MESSAGE)
                self._give_up("DeadlineExceeded", _DEADLINE_MESSAGE, self.spec["terminationGracePeriodSeconds"])
            await asyncio.sleep(_DEADLINE_EVERY)

    def evict(self, message: str | None = None) -> None:
        """As kubelet does under pressure; by default for want of memory on the node."""
        if message is None:
            message = _PRESSURE.format(resource="memory")
            for spec in self.spec["containers"]:
                asked = (spec["resources"].get("requests") or {}).get("memory", "0")
                message += f"Container {spec['name']} was using 1Gi, request is {asked}, has larger consumption of memory. "
        self.event("Warning", "Evicted", message)
        self.condition("DisruptionTarget", True, "TerminationByKubelet", message)
        self._give_up("Evicted", message, _EVICTION_GRACE)

    def _give_up(self, reason: str, message: str, grace: float) -> None:
        """Kill what runs; the pod stays, as failed."""
        self.ending = (reason, message)
        self.status.update(phase="Failed", reason=reason, message=message)
        self.publish()
        self._end = asyncio.create_task(self._stop(grace))

    def delete(self, grace: float, gone: Callable[[], None]) -> None:
        """Stop it and have it removed; a shorter grace than that of a deletion under way shortens that."""
        if self._end is not None:
            self._end.cancel()
        self.ending = self.ending or ("", "")
        self._end = asyncio.create_task(self._delete(grace, gone))

    async def _delete(self, grace: float, gone: Callable[[], None]) -> None:
        await self._stop(grace)
        if self.is_drained:
            self.looked_at.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self.looked_at.wait(), _LOOKED_AT_WITHIN)
        gone()
        await asyncio.to_thread(shutil.rmtree, self.folder, True)

    async def _stop(self, grace: float) -> None:
        told: set[str] = set()
        deadline = time.monotonic() + grace
        while left := [container for container in self.containers.values() if not container.is_over]:
            for container in left:
                if not grace or time.monotonic() >= deadline:
                    container.signal(signal.SIGKILL)
                elif container.pid is not None and container.name not in told:
                    told.add(container.name)
                    self.event("Normal", "Killing", f"Stopping container {container.name}", container.name)
                    container.signal(signal.SIGTERM)
            await asyncio.sleep(0.05)
        life = self._life
        while life is not None and not life.done():
            if all("terminated" in self.states.get(name, {}) for name in self.containers):
                # What ran has ended and its states are published; nothing further starts.
                life.cancel()
            await asyncio.sleep(0.02)

    async def end(self) -> None:
        """Kill everything at once; the cluster stops."""
        if self._life is not None:
            self._life.cancel()
        for container in self.containers.values():
            container.signal(signal.SIGKILL)


def _sources(volume: Object) -> list[tuple[str, str, bool, list[Object] | None, int]]:
    """Secrets and ConfigMaps that a volume shows: kind, name, optional, items, mode of files."""
    found = []
    entries = [volume, *((volume.get("projected") or {}).get("sources") or ())]
    default = next((volume[kind]["defaultMode"] for kind in ("secret", "configMap", "projected")
                    if (volume.get(kind) or {}).get("defaultMode") is not None), 0o644)  # fmt: skip
    for entry in entries:
        for key, kind in (("secret", "secret"), ("configMap", "configmap")):
            if key in entry:
                name = entry[key].get("secretName") or entry[key]["name"]
                found.append((kind, name, bool(entry[key].get("optional")), entry[key].get("items"), default))
    return found


def _size(folder: Path) -> int:
    """What the files take; a container may remove some of them meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += os.lstat(os.path.join(place, name)).st_size
    return total
