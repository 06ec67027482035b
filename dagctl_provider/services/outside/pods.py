"""Pods as the use cases see them: settings that Kubernetes would refuse, and pods that must not run any more.

Settings are refused when a project is saved, while somebody is there to correct them. What follows from the project alone
(requests and limits) is checked with every launcher, so that a later change of the launcher meets no surprise; the settings of
``[dagctl]`` are checked for the launcher that uses them.

Workers end their pods themselves, if they live and within the five seconds that Airflow gives a task it stops. For the rest the
API server looks: nothing is said to be cancelled before its pod is gone, and a pod whose step is over does not stay.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import Any

from dagctl_provider.config import filled_in, setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import slug
from dagctl_provider.domain.pods import (
    DEFAULT_PYTHON,
    POD_TEMPLATE_LIMIT,
    SETTING_CHECKS,
    Problem,
    check_object_name,
    check_pod_template,
    label_value,
    resource_problems,
    setting_problems,
)
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.tools import DEFAULT_TOOL, TOOLS
from dagctl_provider.pods import live_pods
from dagctl_provider.pods.live_pods import ClusterUnavailable
from dagctl_provider.services.outside.waiting import outside

log = logging.getLogger(__name__)

SHAPES_THE_POD = frozenset(
    {
        *("name", "cpu_request", "cpu_limit", "memory_request", "memory_limit"),
        *(tool.version_field for tool in TOOLS.values()),
        *("python_version", "git_auth_method", "git_secret_ref"),
    }
)
"""Fields of a project that its pods follow from. A change of others, such as ``suspended``, goes through whatever stands in
``[dagctl]``."""

CANCEL_SECONDS = 30.0
"""How long the answer to a cancel waits for the pod's end. Most runners need a second or two; the pod's own grace is 60."""
_PATIENCE = 5.0

_PROBE = {"tool": DEFAULT_TOOL, "version": "0.0.0", "python": DEFAULT_PYTHON, "project": "project"}


def require_acceptable(project: Project) -> None:
    """Refuse a project whose pods Kubernetes would not accept.

    :raises DagctlError: ``invalid_request`` naming fields of the project, ``pod_settings_refused`` naming settings.
    """
    found = resource_problems(project.settings)
    on_kubernetes = setting("launcher") == "kubernetes"
    if on_kubernetes:
        found += _git_problems(project)
    if found:
        raise _refusal("invalid_request", found)
    if not on_kubernetes:
        return
    found = _problems(
        tool=project.project_type,
        version=project.tool_version or _PROBE["version"],
        python=str(project.settings.get("python_version") or DEFAULT_PYTHON),
        project=slug(project.name),
    )
    if found:
        raise _refusal("pod_settings_refused", [Problem(f"[dagctl] {one.where}", one.message) for one in found])


def warn_of_settings() -> list[Problem]:
    """Log what is wrong with the settings of the kubernetes launcher, for the start of the API server.

    :return: What was found; nothing with another launcher.
    """
    found = _problems(**_PROBE) if setting("launcher") == "kubernetes" else []
    for problem in found:
        log.error("[dagctl] %s: %s; no project can be saved before it is corrected", problem.where, problem.message)
    return found


def _git_problems(project: Project) -> list[Problem]:
    """Pods find git credentials in the Kubernetes Secret that the project names, unless workers copy them."""
    reference = project.settings.get("git_secret_ref")
    if not reference or setting("kubernetes_git_credentials") != "secret" or project.settings.get("git_auth_method") == "none":
        return []
    try:
        check_object_name(str(reference))
    except ValueError as error:
        return [Problem("git_secret_ref", str(error))]
    return []


def _problems(**places: str) -> list[Problem]:
    return [*setting_problems({name: filled_in(name, **places).strip() for name in SETTING_CHECKS}), *_template_problems()]


def _template_problems() -> list[Problem]:
    path = str(setting("kubernetes_pod_template"))
    if not path:
        return []
    try:
        with Path(path).open(encoding="utf-8") as file:
            check_pod_template(file.read(POD_TEMPLATE_LIMIT + 1))
    except OSError as error:
        return [Problem("kubernetes_pod_template", f"{path} cannot be read by the API server: {error.strerror}")]
    except ValueError as error:
        return [Problem("kubernetes_pod_template", f"{path} {error}")]
    return []


def _refusal(code: str, problems: list[Problem]) -> DagctlError:
    errors: list[dict[str, Any]] = [{"field": one.where, "message": one.message} for one in problems]
    return DagctlError(code, f"{problems[0].where}: {problems[0].message}", errors=errors)


def await_stopped(step_id: str, group_id: str) -> bool:
    """End the pods of a cancelled step and wait until they are gone. Without the right to ask the cluster the worker does it.

    :param step_id: Of a plan's step or of a run, for the log.
    :param group_id: Its pods are found by: the plan's, or the run's own.
    :return: Whether they are known to be gone.
    """
    if setting("launcher") != "kubernetes":
        return False
    try:
        with outside():
            return _stopped(step_id, group_id, time.monotonic() + CANCEL_SECONDS)
    except DagctlError as error:
        # The step is cancelled already; too many others wait for their pods' ends.
        log.warning("The pods of cancelled step %s were left to its worker: %s", step_id, error.detail)
        return False


def _stopped(step_id: str, group_id: str, until: float) -> bool:
    try:
        found = live_pods.live_pods(f"dagctl/plan-group={label_value(group_id)}", _PATIENCE)
        for pod in found:
            if not pod.going:
                live_pods.stop_pod(pod, _PATIENCE)
        for pod in found:
            if not live_pods.await_gone(pod, max(0.0, until - time.monotonic())):
                log.warning("Pod %s of cancelled step %s is still stopping", pod.name, step_id)
                return False
    except ClusterUnavailable as error:
        log.warning("The pods of cancelled step %s were left to its worker: %s", step_id, error)
        return False
    return True
