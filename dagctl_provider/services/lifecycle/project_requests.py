"""The request for a step of a project: made once when a plan or run is created and carried in the run's conf.

So explain and execute of a group use the same settings even when the project changes in between. No secret is in it.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagctl_provider.config import setting
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.repository import InvalidRepository, parse_repository_url
from dagctl_provider.domain.wire.requests import LauncherSettings, RunnerRequest, StepRequest

_POD_FIELDS = ("cpu_request", "cpu_limit", "memory_request", "memory_limit")


def request_for_project(project: Project, commit_sha: str, deployed_packages: Mapping[str, str] | None = None) -> StepRequest:
    """What any step of the project is asked to do at a commit, before it has an id.

    :param deployed_packages: Name and version of the packages that the deployed plan was worked out with.
    """
    settings = project.settings
    runner = RunnerRequest(
        tool=project.project_type,
        tool_version=project.tool_version,
        python_version=settings.get("python_version"),
        requirements=tuple(settings.get("python_requirements") or ()) or None,
        deployed_tool_version=project.current_tool_version,
        deployed_packages=deployed_packages or None,
        repository_url=_as_git_is_asked(project.repository_url),
        branch=project.branch,
        commit_sha=commit_sha,
        git_path=settings.get("git_path") or "",
        environment=project.environment,
        run_tests=bool(settings.get("run_tests", True)),
        project_id=project.id,
        project_name=project.name,
        unstable=str(setting("unstable_plans")),
    )
    launcher = LauncherSettings(
        git_auth_method=settings.get("git_auth_method", "none"),
        git_secret_ref=settings.get("git_secret_ref"),
        state_connection_id=project.state_connection_id,
        warehouse_connection_id=settings.get("warehouse_connection_id"),
        resources={name: settings[name] for name in _POD_FIELDS if settings.get(name)},
    )
    return StepRequest(runner=runner, launcher=launcher)


def _as_git_is_asked(repository_url: str) -> str:
    """The address in its canonical spelling; as it is where the rules refuse it by now: the runner then says so."""
    try:
        return parse_repository_url(repository_url, allow_local=True, allow_private=True).url
    except InvalidRepository:
        return repository_url
