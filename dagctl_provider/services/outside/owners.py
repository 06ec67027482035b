"""The CODEOWNERS file of a commit. What a commit holds never changes, so it is read once for each."""

from __future__ import annotations

import logging
from threading import Lock

from dagctl_provider.domain import codeowners
from dagctl_provider.domain.codeowners import CodeOwners
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.projects import Project
from dagctl_provider.git.errors import FileTooLarge
from dagctl_provider.services.outside import repositories

log = logging.getLogger(__name__)

_MOST_KEPT = 64
_kept: dict[tuple[str, str], CodeOwners] = {}
_lock = Lock()


def owners_of(project: Project, sha: str) -> CodeOwners:
    """Who owns what in a project's repository, at a commit of the branch that is deployed.

    :raises DagctlError: what git answers.
    """
    key = (project.repository_url, sha)
    with _lock:
        if key in _kept:
            return _kept[key]
    found = _read(project, sha)
    with _lock:
        if len(_kept) >= _MOST_KEPT:
            del _kept[next(iter(_kept))]
        _kept[key] = found
    return found


def owners_shown(wanted: tuple[Project, str] | None) -> CodeOwners | None:
    """The CODEOWNERS file to show how far a plan is; ``None`` where it is not asked for, or cannot be read now.

    :param wanted: Project and commit.
    """
    if wanted is None:
        return None
    try:
        return owners_of(*wanted)
    except DagctlError as error:
        log.info("The CODEOWNERS file of project %s cannot be shown now: %s", wanted[0].id, error)
        return None


def _read(project: Project, sha: str) -> CodeOwners:
    try:
        files = repositories.files_at(project, sha, codeowners.PLACES, codeowners.MOST_BYTES)
    except FileTooLarge:
        return CodeOwners("CODEOWNERS", unread="CODEOWNERS is larger than 1 MB")
    path = next((place for place in codeowners.PLACES if place in files), None)
    return codeowners.read(path, files[path]) if path is not None else CodeOwners(None)
