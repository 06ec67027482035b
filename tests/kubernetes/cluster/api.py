"""The API server: paths, verbs, errors, and who may do what.

Answers follow https://kubernetes.io/docs/reference/using-api/api-concepts/. Beside the API there is a second door for tests,
``/control``, on a port of its own: faults that no request to Kubernetes makes.
"""

from __future__ import annotations

import asyncio
import base64
import copy
import json
import shutil
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.kubernetes.cluster import streams
from tests.kubernetes.cluster.admission import admitted, check_data, check_metadata, invalid
from tests.kubernetes.cluster.kubelet import NODE, NODE_LABELS, Image, Pod
from tests.kubernetes.cluster.objects import (
    NAMESPACES,
    PODS,
    RESOURCES,
    SERVICE_ACCOUNTS,
    ApiError,
    Object,
    Resource,
    Store,
    json_patched,
    merged,
    now,
)

_VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
# etcd refuses larger requests: --max-request-bytes, 1.5 MiB.
_REQUEST_BYTES = 3 << 19
_MUTABLE_SPEC = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
ADMINISTRATOR = "admin-token"


@dataclass(frozen=True)
class Target:
    """What a path names."""

    resource: Resource
    namespace: str
    name: str
    sub: str

    @property
    def plural(self) -> str:
        return f"{self.resource.plural}/{self.sub}" if self.sub else self.resource.plural


def target(path: str) -> Target:
    """Read a path of the API.

    :raises ApiError: 404.
    """
    parts = path.strip("/").split("/")
    group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1] if len(parts) > 1 else "", parts[3:])
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = (*rest, "", "", "")[:3]
    resource = RESOURCES.get((group, plural))
    if parts[0] not in ("api", "apis") or resource is None or len(rest) > 3:
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    return Target(resource, namespace, name, sub)


class Cluster:
    """The API over a store, and the pods that live from it.

    :param folder: Where pods keep their files.
    :param image: What images hold.
    """

    def __init__(self, folder: Path, image: Image) -> None:
        self.store = Store()
        self.folder = folder
        self.image = image
        self.pods: dict[str, Pod] = {}
        self.users: dict[str, list[Object] | None] = {ADMINISTRATOR: None}
        self.unavailable_until = 0.0
        self._sweeper: set[asyncio.Task[None]] = set()
        self.store.create(
            RESOURCES["", "nodes"], "", {"metadata": {"name": NODE, "labels": NODE_LABELS}, "status": {"conditions": []}}
        )
        self.add_namespace({"metadata": {"name": "default"}})

    def add_namespace(self, obj: Object) -> Object:
        """A namespace with its default service account."""
        made = self.store.create(NAMESPACES, "", {**obj, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
        self.store.create(SERVICE_ACCOUNTS, made["metadata"]["name"], {"metadata": {"name": "default"}})
        return made

    # Doors

    def application(self) -> web.Application:
        """The API."""
        app = web.Application(client_max_size=_REQUEST_BYTES, middlewares=[self._answer_errors])
        app.router.add_get("/version", self._version)
        app.router.add_get("/{probe:healthz|readyz|livez}", self._healthy)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        return app

    @web.middleware
    async def _answer_errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        try:
            if time.monotonic() < self.unavailable_until:
                raise ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
            return await handler(request)
        except ApiError as error:
            return _failure(error)
        except web.HTTPRequestEntityTooLarge:
            return _failure(ApiError(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"))
        except (json.JSONDecodeError, UnicodeDecodeError):
            return _failure(ApiError(400, "BadRequest", "the object provided is unrecognized: couldn't get version/kind"))

    async def _version(self, request: web.Request) -> web.Response:
        return web.json_response({"major": "1", "minor": "34", "gitVersion": "v1.34.0", "platform": "linux/amd64"})

    async def _healthy(self, request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        where = target(request.path)
        watching = request.query.get("watch") in ("true", "1", "True")
        verb = self._verb(request, where, watching)
        self._authorize(request, where, verb)
        if where.resource.namespaced and where.namespace and verb == "create":
            self.store.get(NAMESPACES, "", where.namespace)
        if where.sub in ("log", "exec", "eviction"):
            return await self._subresource(request, where)
        if watching:
            return await self._watch(request, where)
        body = await request.json() if request.can_read_body else {}
        answer = {"list": self._list, "deletecollection": self._delete_all}.get(verb) or getattr(self, f"_{verb}")
        result, status = answer(request, where, body), 201 if verb == "create" else 200
        return web.json_response(result, status=status)

    @staticmethod
    def _verb(request: web.Request, where: Target, watching: bool) -> str:
        if where.name or request.method == "POST":
            return _VERBS[request.method]
        if request.method == "DELETE":
            return "deletecollection"
        if request.method != "GET":
            raise ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return "watch" if watching else "list"

    def _authorize(self, request: web.Request, where: Target, verb: str) -> None:
        """RBAC. Exec over WebSocket is a GET; Kubernetes 1.35 asks for ``create`` as well, so both are asked for here."""
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if token not in self.users:
            raise ApiError(401, "Unauthorized", "Unauthorized")
        rules = self.users[token]
        for needed in ("get", "create") if where.sub == "exec" else (verb,):
            if rules is not None and not any(_allows(rule, where, needed) for rule in rules):
                text = (
                    f'{where.resource.plural} "{where.name}" is forbidden: User "test" cannot {needed} resource "{where.plural}" '
                )
                text += f'in API group "{where.resource.group}" in the namespace "{where.namespace}"'
                raise ApiError(403, "Forbidden", text)

    # Verbs

    def _get(self, request: web.Request, where: Target, body: Object) -> Object:
        found = self.store.get(where.resource, where.namespace, where.name)
        if where.resource == PODS:
            self.pods[found["metadata"]["uid"]].looked_at.set()
        return found

    def _list(self, request: web.Request, where: Target, body: Object) -> Object:
        labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")
        found = self.store.list(where.resource, where.namespace, labels, fields)
        return {
            "apiVersion": where.resource.api_version,
            "kind": f"{where.resource.kind}List",
            "metadata": {"resourceVersion": str(self.store.version)},
            "items": found,
        }

    async def _watch(self, request: web.Request, where: Target) -> web.StreamResponse:
        query = request.query
        since = int(query.get("resourceVersion") or 0)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        labels, fields = query.get("labelSelector", ""), query.get("fieldSelector", "")
        if query.get("fieldSelector", "") == "" and where.name:
            fields = f"metadata.name={where.name}"
        if not since:
            since = self.store.version
            for obj in self.store.list(where.resource, where.namespace, labels, fields):
                await response.write(json.dumps({"type": "ADDED", "object": obj}).encode() + b"\n")
        deadline = time.monotonic() + float(query.get("timeoutSeconds") or 1800)
        changes = self.store.watch(where.resource, where.namespace, labels, fields, since)
        try:
            while True:
                change = await asyncio.wait_for(anext(changes), deadline - time.monotonic())
                await response.write(json.dumps(change).encode() + b"\n")
        except ApiError as error:
            await response.write(json.dumps({"type": "ERROR", "object": _document(error)}).encode() + b"\n")
        except asyncio.TimeoutError:
            pass
        await response.write_eof()
        return response

    def _create(self, request: web.Request, where: Target, body: Object) -> Object:
        check_metadata(where.resource.kind, body)
        if where.resource == NAMESPACES:
            return self.add_namespace(body)
        if where.resource.kind == "Secret":
            _encode_string_data(body)
        if where.resource.kind in ("Secret", "ConfigMap"):
            check_data(where.resource.kind, body)
        if where.resource != PODS:
            made = self.store.create(where.resource, where.namespace, body)
            self._collect_if_orphaned(where.resource, made)
            return made
        namespace = self.store.get(NAMESPACES, "", where.namespace)
        body = admitted(self.store, namespace, body)
        made = self.store.create(PODS, where.namespace, body)
        uid = made["metadata"]["uid"]
        pod = self.pods[uid] = Pod(self.store, made, self.folder / uid, self.image)
        pod.folder.mkdir(parents=True)
        # The caller sees the pod as it is when it is made.
        answer = copy.deepcopy(made)
        pod.begin()
        return answer

    def _update(self, request: web.Request, where: Target, body: Object) -> Object:
        return self._replace(where, body)

    def _patch(self, request: web.Request, where: Target, body: Any) -> Object:
        current = self.store.get(where.resource, where.namespace, where.name)
        patched = json_patched(current, body) if isinstance(body, list) else merged(current, body)
        return self._replace(where, patched)

    def _replace(self, where: Target, wanted: Object) -> Object:
        current = self.store.get(where.resource, where.namespace, where.name)
        check_metadata(where.resource.kind, wanted)
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version and version != current["metadata"]["resourceVersion"]:
            text = f'Operation cannot be fulfilled on {where.resource.plural} "{where.name}": the object has been modified; '
            raise ApiError(409, "Conflict", f"{text}please apply your changes to the latest version and try again")
        if where.resource == PODS:
            self._check_pod_update(current, wanted)
        kept = {key: current["metadata"][key] for key in ("uid", "creationTimestamp", "name") if key in current["metadata"]}
        # In place: a pod's life goes on with the same object.
        wanted = copy.deepcopy(wanted)
        wanted["metadata"].update(kept)
        status = current.get("status")
        current.clear()
        current.update(wanted)
        if status is not None:
            current["status"] = status
        self.store.update(where.resource, current)
        return current

    @staticmethod
    def _check_pod_update(current: Object, wanted: Object) -> None:
        def fixed(obj: Object) -> Object:
            spec = {key: value for key, value in obj["spec"].items() if key not in _MUTABLE_SPEC}
            for key in ("containers", "initContainers"):
                if key in spec:
                    spec[key] = [{**container, "image": ""} for container in spec[key]]
            return spec

        if fixed(current) != fixed(wanted):
            text = "spec: Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            text += "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing "
            text += "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
            raise invalid("Pod", current["metadata"]["name"], text)

    def _delete(self, request: web.Request, where: Target, body: Object) -> Object:
        obj = self.store.get(where.resource, where.namespace, where.name)
        expected = (body.get("preconditions") or {}).get("uid")
        if expected and expected != obj["metadata"]["uid"]:
            text = f"the UID in the precondition ({expected}) does not match the UID in record ({obj['metadata']['uid']})"
            raise ApiError(409, "Conflict", text)
        grace = body.get("gracePeriodSeconds", request.query.get("gracePeriodSeconds"))
        return self.remove(where.resource, obj, None if grace is None else int(grace))

    def _delete_all(self, request: web.Request, where: Target, body: Object) -> Object:
        found = self._list(request, where, body)
        for obj in found["items"]:
            self.remove(where.resource, obj, body.get("gracePeriodSeconds"))
        return found

    # Ends

    def remove(self, resource: Resource, obj: Object, grace: int | None = None) -> Object:
        """Delete an object and, in time, what it owns; a pod after its grace period."""
        if resource == PODS:
            return self._remove_pod(obj, grace)
        if resource == NAMESPACES:
            obj["status"]["phase"] = "Terminating"
            self._later(self._empty(obj))
            return copy.deepcopy(obj)
        self._gone(resource, obj)
        return {**_STATUS, "status": "Success", "details": {"name": obj["metadata"]["name"], "uid": obj["metadata"]["uid"]}}

    def _remove_pod(self, obj: Object, grace: int | None) -> Object:
        pod = self.pods[obj["metadata"]["uid"]]
        seconds = obj["spec"]["terminationGracePeriodSeconds"] if grace is None else grace
        if pod.is_over or "nodeName" not in obj["spec"]:
            seconds = 0
        metadata = obj["metadata"]
        if "deletionTimestamp" in metadata and seconds >= metadata["deletionGracePeriodSeconds"]:
            return copy.deepcopy(obj)
        metadata.update(deletionTimestamp=now(), deletionGracePeriodSeconds=seconds)
        self.store.update(PODS, obj)
        answer = copy.deepcopy(obj)

        def gone() -> None:
            self._gone(PODS, obj)
            self.pods.pop(metadata["uid"], None)

        pod.delete(seconds, gone)
        return answer

    def _gone(self, resource: Resource, obj: Object) -> None:
        for kind, owned in self.store.remove(resource, obj):
            self.remove(kind, owned)

    def _collect_if_orphaned(self, resource: Resource, obj: Object) -> None:
        if self.store.owner_is_gone(obj):
            self._later(self._collect(resource, obj))

    async def _collect(self, resource: Resource, obj: Object) -> None:
        self.remove(resource, obj)

    async def _empty(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        while left := self.store.in_namespace(name):
            for resource, obj in left:
                if "deletionTimestamp" not in obj["metadata"]:
                    self.remove(resource, obj)
            await asyncio.sleep(0.1)
        self._gone(NAMESPACES, namespace)

    def _later(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._sweeper.add(task)
        task.add_done_callback(self._sweeper.discard)

    async def end(self) -> None:
        """Kill all pods and remove their files."""
        await asyncio.gather(*(pod.end() for pod in self.pods.values()))
        shutil.rmtree(self.folder, ignore_errors=True)

    # Subresources

    def pod(self, namespace: str, name: str) -> Pod:
        """A living pod.

        :raises ApiError: 404.
        """
        return self.pods[self.store.get(PODS, namespace, name)["metadata"]["uid"]]

    async def _subresource(self, request: web.Request, where: Target) -> web.StreamResponse:
        pod = self.pod(where.namespace, where.name)
        if where.sub == "log":
            return await streams.log(request, pod)
        if where.sub == "exec":
            return await streams.execute(request, pod)
        pod.is_drained = True
        pod.condition("DisruptionTarget", True, "EvictionByEvictionAPI", "Eviction API: evicting")
        self.remove(PODS, pod.obj, ((await request.json()).get("deleteOptions") or {}).get("gracePeriodSeconds"))
        return web.json_response({**_STATUS, "status": "Success", "code": 201}, status=201)

    # Control

    def control(self) -> web.Application:
        """The second door: what a person or the weather does to a cluster."""
        app = web.Application()
        app.router.add_post("/pods/{namespace}/{name}/evict", self._control_evict)
        app.router.add_post("/unavailable/{seconds}", self._control_unavailable)
        app.router.add_put("/users/{token}", self._control_user)
        return app

    async def _control_evict(self, request: web.Request) -> web.Response:
        self.pod(request.match_info["namespace"], request.match_info["name"]).evict()
        return web.json_response({})

    async def _control_unavailable(self, request: web.Request) -> web.Response:
        self.unavailable_until = time.monotonic() + float(request.match_info["seconds"])
        return web.json_response({})

    async def _control_user(self, request: web.Request) -> web.Response:
        """A user with the rules of a Role, known by a token."""
        self.users[request.match_info["token"]] = (await request.json())["rules"]
        return web.json_response({})


def _allows(rule: Object, where: Target, verb: str) -> bool:
    def has(key: str, value: str) -> bool:
        return value in (rule.get(key) or ()) or "*" in (rule.get(key) or ())

    names = rule.get("resourceNames")
    return (
        has("apiGroups", where.resource.group)
        and has("resources", where.plural)
        and has("verbs", verb)
        and (not names or where.name in names)
    )


def _encode_string_data(secret: Object) -> None:
    for key, value in (secret.pop("stringData", None) or {}).items():
        secret.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
    secret.setdefault("type", "Opaque")


def _document(error: ApiError) -> Object:
    return {**_STATUS, "status": "Failure", "message": error.message, "reason": error.reason, "code": error.code}


def _failure(error: ApiError) -> web.Response:
    return web.json_response(_document(error), status=error.code)
