"""Objects of the cluster: kept with versions, found by selectors, watched, patched, collected with their owners."""

from __future__ import annotations

import asyncio
import copy
import re
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

Object = dict[str, Any]
_HISTORY = 20_000


@dataclass(frozen=True)
class Resource:
    """One kind of object."""

    plural: str
    kind: str
    group: str = ""
    version: str = "v1"
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version


RESOURCES = {
    (resource.group, resource.plural): resource
    for resource in (
        Resource("pods", "Pod"),
        Resource("secrets", "Secret"),
        Resource("configmaps", "ConfigMap"),
        Resource("events", "Event"),
        Resource("serviceaccounts", "ServiceAccount"),
        Resource("namespaces", "Namespace", namespaced=False),
        Resource("nodes", "Node", namespaced=False),
        Resource("roles", "Role", "rbac.authorization.k8s.io"),
        Resource("rolebindings", "RoleBinding", "rbac.authorization.k8s.io"),
    )
}
PODS, SECRETS, CONFIGMAPS, EVENTS = (RESOURCES["", name] for name in ("pods", "secrets", "configmaps", "events"))
NAMESPACES, SERVICE_ACCOUNTS = RESOURCES["", "namespaces"], RESOURCES["", "serviceaccounts"]


class ApiError(Exception):
    """A failure as the API answers it.

    :param code: HTTP status.
    :param reason: ``NotFound``, ``AlreadyExists``, ``Invalid`` ...
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason, self.message = code, reason, message


def now() -> str:
    """This second, as Kubernetes writes times."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def missing(resource: Resource, name: str) -> ApiError:
    """The 404 for an object."""
    return ApiError(404, "NotFound", f'{resource.plural} "{name}" not found')


class Selector:
    """A label or field selector: ``a=b,c!=d,e in (x,y),f,!g``."""

    _TERM = re.compile(r"\s*(!?)\s*([A-Za-z0-9_./-]+)\s*(?:(==|=|!=|\bin\b|\bnotin\b)\s*(\([^)]*\)|[^,()]*))?\s*(?:,|$)")

    def __init__(self, text: str) -> None:
        self.terms: list[tuple[str, str, set[str]]] = []
        position = 0
        while position < len(text):
            match = self._TERM.match(text, position)
            if not match or match.end() == position:
                raise ApiError(400, "BadRequest", f"unable to parse requirement: found '{text[position:]}'")
            absent, key, operator, values = match.groups()
            position = match.end()
            wanted = {value.strip() for value in (values or "").strip("()").split(",")}
            self.terms.append((key, "absent" if absent else operator or "present", wanted))

    def matches(self, look: Callable[[str], str | None]) -> bool:
        """Whether all terms hold for the values that ``look`` finds."""
        return all(self._holds(operator, wanted, look(key)) for key, operator, wanted in self.terms)

    @staticmethod
    def _holds(operator: str, wanted: set[str], value: str | None) -> bool:
        if operator in ("present", "absent"):
            return (value is not None) == (operator == "present")
        if operator in ("!=", "notin"):
            return value not in wanted
        return value is not None and value in wanted


def selected(obj: Object, labels: Selector, fields: Selector) -> bool:
    """Whether an object passes both selectors."""

    def field(path: str) -> str | None:
        value: Any = obj
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        return "" if value is None else str(value)

    return labels.matches((obj["metadata"].get("labels") or {}).get) and fields.matches(field)


class Store:
    """All objects. Whoever changes one of them calls :meth:`update`, so that watches hear of it."""

    def __init__(self) -> None:
        self.version = 1
        self._objects: dict[tuple[Resource, str, str], Object] = {}
        self._history: deque[tuple[int, str, Resource, Object]] = deque(maxlen=_HISTORY)
        self._changed = asyncio.Event()

    # Reading

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        """The object itself, not a copy.

        :raises ApiError: 404.
        """
        try:
            return self._objects[resource, namespace, name]
        except KeyError:
            raise missing(resource, name) from None

    def find(self, resource: Resource, namespace: str, name: str) -> Object | None:
        return self._objects.get((resource, namespace, name))

    def list(self, resource: Resource, namespace: str = "", labels: str = "", fields: str = "") -> list[Object]:
        """Objects of a namespace, or of all."""
        by_label, by_field = Selector(labels), Selector(fields)
        return [
            obj
            for (kind, where, _), obj in sorted(self._objects.items(), key=lambda item: item[0][1:])
            if kind == resource and namespace in ("", where) and selected(obj, by_label, by_field)
        ]

    async def watch(self, resource: Resource, namespace: str, labels: str, fields: str, since: int) -> AsyncIterator[Object]:
        """Changes after a version, for ever.

        :raises ApiError: 410 when the version is too old.
        """
        by_label, by_field = Selector(labels), Selector(fields)
        if since and self._history and self._history[0][0] > since + 1 and len(self._history) == _HISTORY:
            raise ApiError(410, "Expired", f"too old resource version: {since} ({self._history[0][0]})")
        while True:
            changed = self._changed
            for version, kind, what, obj in tuple(self._history):
                if version > since and what == resource and namespace in ("", obj["metadata"].get("namespace", "")):
                    since = version
                    if selected(obj, by_label, by_field):
                        yield {"type": kind, "object": obj}
            await changed.wait()

    # Writing

    def create(self, resource: Resource, namespace: str, obj: Object) -> Object:
        """Add an object; fills in what the API server fills in.

        :raises ApiError: 409 when the name is taken.
        """
        metadata = obj.setdefault("metadata", {})
        if not metadata.get("name"):
            metadata["name"] = f"{metadata.get('generateName', '')}{uuid.uuid4().hex[:5]}"
        key = (resource, namespace, metadata["name"])
        if key in self._objects:
            raise ApiError(409, "AlreadyExists", f'{resource.plural} "{metadata["name"]}" already exists')
        metadata.update(uid=str(uuid.uuid4()), creationTimestamp=now())
        if resource.namespaced:
            metadata["namespace"] = namespace
        obj.update(apiVersion=resource.api_version, kind=resource.kind)
        self._objects[key] = obj
        self._record("ADDED", resource, obj)
        return obj

    def update(self, resource: Resource, obj: Object) -> None:
        """Tell watches that an object changed."""
        self._record("MODIFIED", resource, obj)

    def remove(self, resource: Resource, obj: Object) -> list[tuple[Resource, Object]]:
        """Drop an object.

        :return: What it owned, to be deleted next.
        """
        metadata = obj["metadata"]
        if self._objects.pop((resource, metadata.get("namespace", ""), metadata["name"]), None) is None:
            return []
        self._record("DELETED", resource, obj)
        return [(kind, owned) for (kind, _, _), owned in list(self._objects.items()) if metadata["uid"] in owners(owned)]

    def in_namespace(self, namespace: str) -> list[tuple[Resource, Object]]:
        """All objects of a namespace."""
        return [(kind, obj) for (kind, where, _), obj in list(self._objects.items()) if where == namespace]

    def owner_is_gone(self, obj: Object) -> bool:
        """Whether an object names owners, and none of them exists."""
        wanted = owners(obj)
        return bool(wanted) and not any(other["metadata"]["uid"] in wanted for other in self._objects.values())

    def _record(self, kind: str, resource: Resource, obj: Object) -> None:
        self.version += 1
        obj["metadata"]["resourceVersion"] = str(self.version)
        self._history.append((self.version, kind, resource, copy.deepcopy(obj)))
        self._changed.set()
        self._changed = asyncio.Event()


def owners(obj: Object) -> set[str]:
    """Ids of an object's owners."""
    return {reference["uid"] for reference in obj["metadata"].get("ownerReferences") or ()}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386. Serves for strategic merge patches too, whose lists are then replaced; nothing here patches lists."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def json_patched(target: Object, operations: Iterable[dict[str, Any]]) -> Object:
    """RFC 6902: add, replace and remove in objects.

    :raises ApiError: for an operation or a path that is not there.
    """
    result = copy.deepcopy(target)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        where: Any = result
        try:
            for part in parents:
                where = where[part]
            if operation["op"] == "remove":
                del where[last]
            elif operation["op"] in ("add", "replace"):
                where[last] = operation["value"]
            else:
                raise KeyError(operation["op"])
        except (KeyError, TypeError):
            raise ApiError(
                422, "Invalid", f"the server rejected our request due to an error in our request: {operation}"
            ) from None
    return result
