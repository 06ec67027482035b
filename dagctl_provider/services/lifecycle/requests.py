"""What a step's runner is asked to do: made once when a plan or run is created and carried in the run's conf.

So explain and execute of a group use the same settings even when the project changes in between. No secret is in it.
"""

from __future__ import annotations

from typing import Any

from dagctl_provider.config import setting
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.repository import InvalidRepository, parse_repository_url

_POD_FIELDS = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")


def step_request(project: Project, commit_sha: str, group_id: str, step_id: str) -> dict[str, Any]:
    """The request for the runner and the resources for its pod (see docs/runner.md)."""
    settings = project.settings
    return {
        "tool": project.project_type,
        "tool_version": project.tool_version,
        "python_version": settings.get("python_version"),
        "deployed_tool_version": project.current_tool_version,
        "repository_url": _as_git_is_asked(project.repository_url),
        "branch": project.branch,
        "commit_sha": commit_sha,
        "git_path": settings.get("git_path") or "",
        "git_auth_method": settings.get("git_auth_method", "none"),
        "git_secret_ref": settings.get("git_secret_ref"),
        "environment": project.environment,
        "run_tests": bool(settings.get("run_tests", True)),
        "project_id": project.id,
        "project_name": project.name,
        "plan_group_id": group_id,
        "step_id": step_id,
        "state_connection_id": project.state_connection_id,
        "allow_local_repositories": bool(setting("allow_local_repositories")),
        "resources": {name: settings[name] for name in _POD_FIELDS if settings.get(name)},
    }


def _as_git_is_asked(repository_url: str) -> str:
    """The address in its canonical spelling; as it is where the rules refuse it by now: the runner then says so."""
    try:
        return parse_repository_url(repository_url, allow_local=True, allow_private=True).url
    except InvalidRepository:
        return repository_url
