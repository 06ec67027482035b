"""Tool versions as the use cases need them: supported or refused, newer or older than what is deployed."""

from __future__ import annotations

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.tools import tool_of
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.versions import check_python, is_downgrade, resolve_version, supported_versions


def supported(tool: str) -> list[str]:
    """All versions of a tool that a project may ask for, the newest first."""
    return supported_versions(tool)[::-1]


def checked(tool: str, version: str | None) -> str:
    """A supported version: the given one, or the newest.

    :raises DagctlError: ``unsupported_version``, naming the nearest ones that are.
    """
    try:
        return resolve_version(tool, version).version
    except RunnerError as error:
        message = str(error)
        errors = [{"field": tool_of(tool).version_field, "message": message}]
        raise DagctlError("unsupported_version", message, errors=errors) from None


def require_fitting_python(tool: str, version: str, python: str | None) -> None:
    """Refuse a Python that the tool's version does not run on.

    :raises DagctlError: ``unsupported_version``.
    """
    try:
        if python:
            check_python(tool, version, python)
    except RunnerError as error:
        message = str(error)
        raise DagctlError("unsupported_version", message, errors=[{"field": "python_version", "message": message}]) from None


def require_no_downgrade(tool: str, deployed: str | None, wanted: str) -> None:
    """Refuse to go back behind the version that wrote the deployed state, where the tool has a state.

    :raises DagctlError: ``downgrade_refused``.
    """
    if tool_of(tool).has_state and is_downgrade(deployed, wanted):
        raise DagctlError(
            "downgrade_refused",
            f"The deployed state was written by {deployed}; {wanted} cannot read it.",
            deployed_version=deployed,
        )
