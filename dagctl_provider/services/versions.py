"""Tool versions as the use cases need them: supported or refused, newer or older than what is deployed."""

from __future__ import annotations

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.runner.versions import UnsupportedVersion, default_version, resolve_version


def checked(tool: str, version: str | None) -> str:
    """A supported version: the given one, or the newest.

    :raises DagctlError: ``unsupported_version``, saying which ones are supported.
    """
    if version is None:
        return default_version(tool)
    try:
        resolve_version(tool, version)
    except UnsupportedVersion as error:
        raise DagctlError(
            "unsupported_version", str(error), errors=[{"field": f"{tool}_version", "message": str(error)}]
        ) from None
    return version


def as_numbers(version: str) -> tuple[int, ...]:
    """A version as numbers that compare."""
    return tuple(int(part) for part in version.split("."))


def require_no_downgrade(deployed: str | None, wanted: str) -> None:
    """Refuse to go back behind the version that wrote the deployed state.

    :raises DagctlError: ``downgrade_refused``.
    """
    if deployed is not None and as_numbers(wanted) < as_numbers(deployed):
        raise DagctlError(
            "downgrade_refused",
            f"The deployed state was written by {deployed}; {wanted} cannot read it.",
            deployed_version=deployed,
        )
