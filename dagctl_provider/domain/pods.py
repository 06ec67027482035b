"""What Kubernetes accepts in a pod, as pure checks, so that a wrong setting is told when a project is saved and not by a pod
that never starts.

Sources: Kubernetes API conventions (names, labels, quantities) and the grammar of image references of the OCI distribution
project. Nothing here asks a cluster; whether a name exists there only the cluster knows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import TypeVar

import yaml

DEFAULT_PYTHON = "3.11"
"""What ``<python>`` stands for where a project names no version; the default of images/runner/Dockerfile as well."""

POD_TEMPLATE_LIMIT = 256 * 1024
"""Bytes of a pod template file that are read at most."""

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_LABEL_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_QUANTITY = re.compile(r"(?P<number>[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?P<unit>[eE][+-]?[0-9]{1,2}|[KMGTPE]i|[numkMGTPE]?)")
_UNITS: Mapping[str, Decimal] = {
    "n": Decimal(10) ** -9,
    "u": Decimal(10) ** -6,
    "m": Decimal(10) ** -3,
    "": Decimal(1),
    **{unit: Decimal(10) ** (3 * power) for power, unit in enumerate("kMGTPE", 1)},
    **{f"{unit}i": Decimal(2) ** (10 * power) for power, unit in enumerate("KMGTPE", 1)},
}
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    r"(?P<name>(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])"
    rf"(?::[0-9]{{1,5}})?/)?{_COMPONENT}(?:/{_COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-f]{32,}))?"
)
_MAX_IMAGE_NAME = 255
_PLACE = re.compile(r"<[^<>]*>")
KindT = TypeVar("KindT")

_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True)
class Problem:
    """One thing that a pod would be refused for.

    :param where: Field of the project, or setting in the section ``[dagctl]``.
    :param message: What is wrong with it.
    """

    where: str
    message: str


def parse_quantity(text: str) -> Decimal:
    """A Kubernetes quantity as a number: cores for ``500m``, bytes for ``1Gi``.

    :raises ValueError: when ``text`` is no quantity.
    """
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no Kubernetes quantity such as 500m, 2, 512Mi or 4Gi")
    unit = match["unit"]
    factor = _UNITS[unit] if unit in _UNITS else Decimal(10) ** int(unit[1:])
    return Decimal(match["number"]) * factor


def resource_problems(settings: Mapping[str, object]) -> list[Problem]:
    """Quantities that are none, and requests above their limits: Kubernetes refuses such a pod.

    :param settings: Of a project: ``cpu_request``, ``cpu_limit``, ``memory_request``, ``memory_limit``, each if set.
    """
    problems: list[Problem] = []
    amounts: dict[str, Decimal] = {}
    for name in ("cpu_request", "cpu_limit", "memory_request", "memory_limit"):
        if settings.get(name) is None:
            continue
        try:
            amounts[name] = parse_quantity(str(settings[name]))
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    for kind in ("cpu", "memory"):
        request, limit = amounts.get(f"{kind}_request"), amounts.get(f"{kind}_limit")
        if request is not None and limit is not None and request > limit:
            text = f"{settings[f'{kind}_request']} is more than {kind}_limit {settings[f'{kind}_limit']}"
            problems.append(Problem(f"{kind}_request", text))
    return problems


def check_label_name(text: str) -> None:
    """A namespace: one DNS label (RFC 1123).

    :raises ValueError: when it is none.
    """
    if not re.fullmatch(_LABEL, text):
        raise ValueError(f"{text!r} is no DNS label: lower-case letters, digits and '-', at most 63 characters")


def check_object_name(text: str) -> None:
    """Name of a Secret, a service account and most other objects: a DNS subdomain (RFC 1123).

    :raises ValueError: when it is none.
    """
    if len(text) > 253 or not re.fullmatch(rf"{_LABEL}(?:\.{_LABEL})*", text):
        raise ValueError(f"{text!r} is no name of a Kubernetes object: lower-case letters, digits, '-' and '.', at most 253")


def check_object_names(text: str) -> None:
    """A list of names with commas between them.

    :raises ValueError: naming the first that is none.
    """
    for name in object_names(text):
        check_object_name(name)


def object_names(text: str) -> list[str]:
    """The names of a list with commas, without what is empty."""
    return [name for name in (part.strip() for part in text.split(",")) if name]


def check_image(text: str) -> None:
    """An image reference: ``[registry/]repository[:tag][@digest]``.

    :raises ValueError: when it is none.
    """
    place = _PLACE.search(text)
    if place is not None:
        raise ValueError(f"{text!r} still holds {place[0]}; known are <tool>, <version>, <python> and <project>")
    match = _IMAGE.fullmatch(text)
    if match is None or len(match["name"]) > _MAX_IMAGE_NAME:
        raise ValueError(f"{text!r} is no image reference: [registry/]repository[:tag], the repository in lower case")


def label_value(text: str) -> str:
    """``text`` as a label value, whatever it holds; cut values stay different from each other.

    What Kubernetes accepts stays as it is: letters, digits, ``-``, ``_`` and ``.``, at most 63, a letter or digit at each end.
    """
    if _LABEL_VALUE.fullmatch(text):
        return text
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", text)[:54].strip("._-")
    mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{stem}-{mark}" if stem else mark


def check_label_key(text: str) -> None:
    """Key of a label or of a node selector: ``[prefix/]name``.

    :raises ValueError: when it is none.
    """
    prefix, slash, name = text.rpartition("/")
    if slash:
        check_object_name(prefix)
    if not name or not _LABEL_VALUE.fullmatch(name):
        raise ValueError(f"{text!r} is no label key: [prefix/]name, the name at most 63 letters, digits, '-', '_' and '.'")


def check_node_selector(text: str) -> None:
    """A node selector as a JSON object of label keys and values.

    :raises ValueError: when it is none.
    """
    found = _json(text, dict, '{"disktype": "ssd"}')
    for key, value in found.items():
        check_label_key(key)
        if not isinstance(value, str) or not _LABEL_VALUE.fullmatch(value):
            raise ValueError(f'the value of {key!r} must be a text that is a label value; write "true", not true')


def check_tolerations(text: str) -> None:
    """Tolerations as a JSON list of the objects that stand under ``tolerations`` of a pod.

    :raises ValueError: when one is none.
    """
    for number, one in enumerate(_json(text, list, '[{"key": "data", "operator": "Exists"}]'), 1):
        if not isinstance(one, dict):
            raise ValueError(f"toleration {number} is no object")
        unknown = set(one) - {"key", "operator", "value", "effect", "tolerationSeconds"}
        if unknown:
            raise ValueError(f"toleration {number} has the unknown key {sorted(unknown)[0]!r}")
        if one.get("operator", "Equal") not in ("Equal", "Exists"):
            raise ValueError(f"toleration {number}: operator must be Equal or Exists")
        if one.get("effect") is not None and one["effect"] not in _EFFECTS:
            raise ValueError(f"toleration {number}: effect must be one of {', '.join(_EFFECTS)}")
        if one.get("operator", "Equal") == "Equal" and not one.get("key"):
            raise ValueError(f"toleration {number} needs a key; without one its operator must be Exists")


def check_git_credentials(text: str) -> None:
    """Where pods get git credentials.

    :raises ValueError: for anything but ``secret`` and ``connection``.
    """
    if text not in ("secret", "connection"):
        raise ValueError(f"must be 'secret' or 'connection', not {text!r}")


def check_group(text: str) -> None:
    """Number of a Unix group.

    :raises ValueError: when it is none.
    """
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) >= 2**31:
        raise ValueError(f"{text!r} is no group: a number below 2147483648")


def _json(text: str, kind: type[KindT], example: str) -> KindT:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON: {error}; an example: {example}") from None
    if not isinstance(found, kind):
        raise ValueError(f"must look like {example}")
    return found


def check_pod_template(text: str) -> None:
    """The text of a pod template file: YAML of one object of kind Pod.

    Containers are merged by their place, so the first one of a template is the runner's.

    :raises ValueError: when it is none; the message quotes nothing of the file but names and line numbers.
    """
    if len(text.encode("utf-8", "surrogatepass")) > POD_TEMPLATE_LIMIT:
        raise ValueError("is larger than 256 KiB")
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ValueError(f"is no YAML of one object: {error.problem}{line}") from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise ValueError("is no YAML of one object") from None
    if not isinstance(found, dict) or found.get("kind") != "Pod" or found.get("apiVersion") != "v1":
        raise ValueError("must be one object with 'apiVersion: v1' and 'kind: Pod'")
    for name in ("metadata", "spec"):
        if not isinstance(found.get(name) or {}, dict):
            raise ValueError(f"'{name}' must be an object")
    spec = found.get("spec") or {}
    for name in ("containers", "initContainers", "volumes", "tolerations", "imagePullSecrets"):
        entries = spec.get(name) or []
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"'spec.{name}' must be a list of objects")


SETTING_CHECKS: Mapping[str, Callable[[str], None]] = {
    "runner_image": check_image,
    "kubernetes_namespace": check_label_name,
    "kubernetes_service_account": check_object_name,
    "kubernetes_secret": check_object_names,
    "kubernetes_env_secret": check_object_name,
    "kubernetes_explain_secret": check_object_names,
    "kubernetes_explain_env_secret": check_object_name,
    "kubernetes_git_credentials": check_git_credentials,
    "kubernetes_image_pull_secrets": check_object_names,
    "kubernetes_node_selector": check_node_selector,
    "kubernetes_tolerations": check_tolerations,
    "kubernetes_fs_group": check_group,
    "kubernetes_xcom_image": check_image,
}
"""What each setting of the kubernetes launcher must be, after its places are filled in. Empty ones are not checked, except for
those in :data:`NEEDED`. The pod template is a file, which is read elsewhere: :func:`check_pod_template`."""

NEEDED = frozenset({"runner_image", "kubernetes_namespace", "kubernetes_git_credentials"})


def setting_problems(values: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the settings of the kubernetes launcher.

    :param values: Text by name of the setting, places filled in.
    """
    problems: list[Problem] = []
    for name, check in SETTING_CHECKS.items():
        text = values.get(name, "")
        if not text:
            if name in NEEDED:
                problems.append(Problem(name, "must not be empty"))
            continue
        try:
            check(text)
        except ValueError as error:
            problems.append(Problem(name, str(error)))
    return problems


@dataclass(frozen=True)
class Finished:
    """Something that is over and may be removed: a pod or a Dag run.

    :param name: Identifies it.
    :param ended_at: When it was over.
    :param succeeded: How it ended.
    """

    name: str
    ended_at: datetime
    succeeded: bool


def beyond_history(finished: Iterable[Finished], successful_limit: int, failed_limit: int) -> list[Finished]:
    """What is older than the newest so many of each outcome, newest first, as a CronJob's history limits mean it.

    :param successful_limit: How many that succeeded are kept; 0 keeps none.
    :param failed_limit: How many that failed are kept.
    """
    seen = {True: 0, False: 0}
    limits = {True: successful_limit, False: failed_limit}
    beyond: list[Finished] = []
    for one in sorted(finished, key=lambda item: (item.ended_at, item.name), reverse=True):
        seen[one.succeeded] += 1
        if seen[one.succeeded] > limits[one.succeeded]:
            beyond.append(one)
    return beyond
