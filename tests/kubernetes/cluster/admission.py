"""What the API server itself does with a pod before it keeps it: defaults, refusals, Pod Security.

Texts are those of k8s.io/apimachinery/pkg/util/validation, pkg/apis/core/validation and k8s.io/pod-security-admission.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from types import SimpleNamespace

from kubernetes.client import ApiClient

from tests.kubernetes.cluster.objects import SERVICE_ACCOUNTS, ApiError, Object, Store

_CLIENT = ApiClient()
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_LABEL_KEY = re.compile(r"([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_WORDS = "alphanumeric characters, '-', '_' or '.'"
_LABEL_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_NAME_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with "
    "an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_DATA_BYTES = 1 << 20
_ANNOTATION_BYTES = 256 * 1024
_ENFORCE = "pod-security.kubernetes.io/enforce"
_RESTRICTED_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}


def invalid(kind: str, name: str, problem: str) -> ApiError:
    """The 422 for an object that breaks a rule."""
    return ApiError(422, "Invalid", f'{kind} "{name}" is invalid: {problem}')


def check_metadata(kind: str, obj: Object) -> None:
    """Names, labels and annotations.

    :raises ApiError: 422.
    """
    metadata = obj.get("metadata") or {}
    name = str(metadata.get("name") or "")
    if name and (not _NAME.fullmatch(name) or len(name) > 253):
        raise invalid(kind, name, f'metadata.name: Invalid value: "{name}": {_NAME_WORDS}')
    for key, value in (metadata.get("labels") or {}).items():
        if not isinstance(value, str):
            raise ApiError(400, "BadRequest", f'{kind} in version "v1" cannot be handled as a {kind}: json: cannot unmarshal')
        if not _LABEL_KEY.fullmatch(key):
            raise invalid(kind, name, f'metadata.labels: Invalid value: "{key}": name part must consist of {_WORDS}')
        if len(value) > 63:
            raise invalid(kind, name, f'metadata.labels: Invalid value: "{value}": must be no more than 63 characters')
        if not _LABEL_VALUE.fullmatch(value):
            raise invalid(kind, name, f'metadata.labels: Invalid value: "{value}": {_LABEL_WORDS}')
    annotations = metadata.get("annotations") or {}
    if sum(len(key.encode()) + len(str(value).encode()) for key, value in annotations.items()) > _ANNOTATION_BYTES:
        raise invalid(kind, name, f"metadata.annotations: Too long: may not be more than {_ANNOTATION_BYTES} bytes")


def check_data(kind: str, obj: Object) -> None:
    """Keys and size of a Secret or ConfigMap.

    :raises ApiError: 422.
    """
    name, data = obj["metadata"].get("name", ""), obj.get("data") or {}
    for key in data:
        if not _DATA_KEY.fullmatch(key):
            raise invalid(kind, name, f'data[{key}]: Invalid value: "{key}": a valid config key must consist of {_WORDS}')
    size = sum(len(value) * (3 if kind == "Secret" else 4) // 4 for value in data.values())
    if size > _DATA_BYTES:
        raise invalid(kind, name, f"data: Too long: may not be more than {_DATA_BYTES} bytes")


def admitted(store: Store, namespace: Object, obj: Object) -> Object:
    """A pod as the API server keeps it: unknown fields dropped, defaults filled in.

    :raises ApiError: when the pod is not allowed.
    """
    name = str((obj.get("metadata") or {}).get("name") or (obj.get("metadata") or {}).get("generateName") or "")
    try:
        typed = _CLIENT.deserialize(SimpleNamespace(data=json.dumps(obj)), "V1Pod")
    except ValueError as error:
        raise invalid("Pod", name, str(error)) from None
    pod: Object = _CLIENT.sanitize_for_serialization(typed)
    if not (pod.get("spec") or {}).get("containers"):
        raise invalid("Pod", name, "spec.containers: Required value")
    _check_spec(name, pod["spec"])
    _fill_in(pod["spec"])
    account = pod["spec"]["serviceAccountName"]
    if store.find(SERVICE_ACCOUNTS, namespace["metadata"]["name"], account) is None:
        where = f'{namespace["metadata"]["name"]}/{account}: serviceaccount "{account}" not found'
        raise ApiError(403, "Forbidden", f'pods "{name}" is forbidden: error looking up service account {where}')
    level = (namespace["metadata"].get("labels") or {}).get(_ENFORCE)
    problems = list(_violations(pod["spec"])) if level == "restricted" else []
    if problems:
        text = f'violates PodSecurity "restricted:latest": {", ".join(problems)}'
        raise ApiError(403, "Forbidden", f'pods "{name}" is forbidden: {text}')
    pod["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    return pod


def _check_spec(name: str, spec: Object) -> None:
    if spec.get("restartPolicy") != "Never":
        raise ApiError(501, "NotImplemented", "this cluster runs pods with restartPolicy Never only")
    volumes = {volume["name"] for volume in spec.get("volumes") or ()}
    seen: set[str] = set()
    for where in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(where) or ()):
            path = f"spec.{where}[{index}]"
            if container["name"] in seen:
                raise invalid("Pod", name, f'{path}.name: Duplicate value: "{container["name"]}"')
            seen.add(container["name"])
            if not container.get("image"):
                raise invalid("Pod", name, f"{path}.image: Required value")
            targets: set[str] = set()
            for number, mount in enumerate(container.get("volumeMounts") or ()):
                if mount["name"] not in volumes:
                    raise invalid("Pod", name, f'{path}.volumeMounts[{number}].name: Not found: "{mount["name"]}"')
                if mount["mountPath"] in targets:
                    text = f'{path}.volumeMounts[{number}].mountPath: Invalid value: "{mount["mountPath"]}": must be unique'
                    raise invalid("Pod", name, text)
                targets.add(mount["mountPath"])


def _fill_in(spec: Object) -> None:
    for key, value in (
        ("terminationGracePeriodSeconds", 30),
        ("serviceAccountName", "default"),
        ("securityContext", {}),
        ("volumes", []),
        ("schedulerName", "default-scheduler"),
        ("dnsPolicy", "ClusterFirst"),
        ("priority", 0),
    ):
        spec.setdefault(key, value)
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        tag = container["image"].rpartition("/")[2].partition(":")[2]
        container.setdefault("imagePullPolicy", "Always" if tag in ("", "latest") else "IfNotPresent")
        container.setdefault("terminationMessagePath", "/dev/termination-log")
        container.setdefault("terminationMessagePolicy", "File")
        container.setdefault("resources", {})


def _violations(spec: Object) -> Iterator[str]:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted"""
    whole = spec["securityContext"]
    for container in (*(spec.get("initContainers") or ()), *spec["containers"]):
        own = container.get("securityContext") or {}
        name = f'container "{container["name"]}"'
        if own.get("privileged"):
            yield f"privileged ({name} must not set securityContext.privileged=true)"
        if own.get("allowPrivilegeEscalation") is not False:
            yield f"allowPrivilegeEscalation != false ({name} must set securityContext.allowPrivilegeEscalation=false)"
        if "ALL" not in ((own.get("capabilities") or {}).get("drop") or ()):
            yield f'unrestricted capabilities ({name} must set securityContext.capabilities.drop=["ALL"])'
        if not own.get("runAsNonRoot", whole.get("runAsNonRoot")):
            yield f"runAsNonRoot != true (pod or {name} must set securityContext.runAsNonRoot=true)"
        if own.get("runAsUser", whole.get("runAsUser")) == 0:
            yield f"runAsUser=0 ({name} must not set runAsUser=0)"
        if (own.get("seccompProfile") or whole.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            yield f'seccompProfile (pod or {name} must set securityContext.seccompProfile.type to "RuntimeDefault")'
    for volume in spec["volumes"]:
        kinds = set(volume) - {"name"}
        if not kinds <= _RESTRICTED_VOLUMES:
            yield f'restricted volume types (volume "{volume["name"]}" uses restricted volume type "{kinds.pop()}")'
