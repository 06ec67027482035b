"""What the use cases ask of git, with the project's credentials and this deployment's limits; errors become answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

from packaging.version import Version

from dagctl_provider.config import cache_folder, setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.gateways import NO_GATEWAYS, Gateways
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.releases import MAX_RELEASE_FILE_BYTES, RELEASE_FILE, read_release
from dagctl_provider.domain.repository import (
    InvalidRepository,
    RepositoryAddress,
    check_branch,
    check_git_path,
    parse_repository_url,
)
from dagctl_provider.git.commits import CommitFacts
from dagctl_provider.git.environment import GitCredentials
from dagctl_provider.git.errors import (
    AuthenticationFailed,
    BranchNotFound,
    CertificateRefused,
    CommitNotFound,
    DiskFull,
    FileTooLarge,
    FolderNotWritable,
    GitError,
    GitMissing,
    HostKeyRejected,
    HostNotAllowed,
    RepositoryEmpty,
    RepositoryNotAllowed,
)
from dagctl_provider.git.remotes import HeadRequest, RemoteGit
from dagctl_provider.orchestration.connections import read_connection
from dagctl_provider.services.outside.waiting import outside

K = TypeVar("K", bound=Hashable)

_MAX_CONFIG_BYTES = 1_000_000


def check_location(repository_url: str, branch: str, git_path: str | None) -> tuple[RepositoryAddress, str, str]:
    """The three strings that name a project in git, checked before any process starts.

    :raises DagctlError: ``invalid_repository``, naming the field.
    """
    try:
        address = parse_repository_url(
            repository_url, allow_local=setting("allow_local_repositories"), allow_private=setting("allow_private_hosts")
        )
        return address, check_branch(branch), check_git_path(git_path or "")
    except InvalidRepository as error:
        raise DagctlError(
            "invalid_repository", str(error), errors=[{"field": error.field, "message": str(error), "code": error.code}]
        ) from None


def remote() -> RemoteGit:
    """Git with this deployment's limits."""
    return RemoteGit(
        cache_folder() / "git",
        allow_local=setting("allow_local_repositories"),
        allow_private=setting("allow_private_hosts"),
        timeout_seconds=setting("git_timeout"),
    )


def credentials_for(settings: dict[str, object]) -> GitCredentials | None:
    """Git credentials of a project from the Airflow connection that ``git_secret_ref`` names.

    :raises DagctlError: ``repository_authentication_failed`` when the connection is missing.
    """
    method, reference = settings.get("git_auth_method", "none"), settings.get("git_secret_ref")
    if method == "none" or not reference:
        return None
    stored = read_connection(str(reference))
    if stored is None:
        raise DagctlError("repository_authentication_failed", f"There is no Airflow connection {reference!r}.")
    if method == "ssh":
        return GitCredentials(
            ssh_private_key=stored.extra.get("private_key") or stored.password,
            known_hosts=stored.extra.get("known_hosts"),
            token=None,
        )
    return GitCredentials(token=stored.password)


# The first row that fits wins; any other git error means that the remote could not be read.
_CODES: tuple[tuple[tuple[type[GitError], ...], str], ...] = (
    ((BranchNotFound,), "branch_not_found"),
    ((CommitNotFound,), "commit_not_found"),
    ((RepositoryEmpty,), "repository_empty"),
    ((AuthenticationFailed, HostKeyRejected), "repository_authentication_failed"),
    ((HostNotAllowed, RepositoryNotAllowed), "invalid_repository"),
    ((CertificateRefused,), "certificate_refused"),
    ((GitMissing,), "git_missing"),
    ((DiskFull,), "disk_full"),
    ((FolderNotWritable,), "folder_not_writable"),
    ((GitError,), "repository_unreachable"),
)


def as_answer(error: GitError) -> DagctlError:
    """The answer for what git says."""
    code = next(code for kinds, code in _CODES if isinstance(error, kinds))
    return DagctlError(code, str(error))


@contextmanager
def _asking() -> Iterator[None]:
    """Ask a remote: in a place to wait, and with an answer for what git says."""
    with outside():
        try:
            yield
        except GitError as error:
            raise as_answer(error) from None


def head_of(project: Project) -> str:
    """Full commit id of the branch HEAD, asked from the remote now.

    :raises DagctlError: when the remote, the branch or the credentials fail.
    """
    address, branch, _ = check_location(project.repository_url, project.branch, project.settings.get("git_path"))
    with _asking():
        return remote().head(address, branch, credentials_for(project.settings))


def heads_of(projects: Mapping[K, Project], max_workers: int) -> Iterator[tuple[K, str | DagctlError]]:
    """Branch HEADs of many projects, or why there is none, as the answers come; each distinct remote and branch is asked once.

    :param projects: By a key of the caller's.
    """
    requests: dict[K, HeadRequest] = {}
    for key, project in projects.items():
        try:
            address, branch, _ = check_location(project.repository_url, project.branch, project.settings.get("git_path"))
            requests[key] = HeadRequest(address, branch, credentials_for(project.settings))
        except DagctlError as error:
            yield key, error
    for key, answer in remote().heads(requests, max_workers=max_workers):
        yield key, answer if isinstance(answer, str) else as_answer(answer)


def facts_of(project: Project, sha: str, base_sha: str | None) -> CommitFacts:
    """Message, author and distance of a commit.

    :param base_sha: The deployed commit, for ``commits_behind``.
    """
    address, branch, _ = check_location(project.repository_url, project.branch, project.settings.get("git_path"))
    with _asking():
        return remote().facts(address, branch, sha, base_sha, credentials_for(project.settings))


def gateways_of(project: Project, sha: str) -> Gateways:
    """What the files of a project say of gateways at a commit, without executing its code; nothing for tools without gateways.

    :raises DagctlError: ``project_not_found_in_repository`` where the folder holds no project of the tool.
    """
    names, find = project.tool.project_files, project.tool.find_gateways
    folder, found = _files_of(project, sha, names, _MAX_CONFIG_BYTES)
    if not found:
        raise _no_project(project, folder, names)
    return find(found) if find is not None else NO_GATEWAYS


def release_of(project: Project, sha: str) -> Version | None:
    """The version that ``.dagctl/config.yaml`` gives at a commit: in the project's folder, or at the top of the repository.

    :return: ``None`` when there is no such file.
    :raises InvalidRelease: when the file gives no version.
    :raises DagctlError: when git cannot say.
    """
    folder, found = _files_of(project, sha, [RELEASE_FILE], MAX_RELEASE_FILE_BYTES)
    if not found and folder:
        _, found = _files_of(project, sha, [RELEASE_FILE], MAX_RELEASE_FILE_BYTES, folder="")
    return read_release(found[RELEASE_FILE]) if found else None


def project_name_of(project: Project, sha: str) -> str | None:
    """The name that the project's own files give it at a commit; ``None`` where they give none, or the tool knows no names.

    :raises DagctlError: ``project_not_found_in_repository`` where the folder holds no project of the tool.
    """
    names, find = project.tool.project_files, project.tool.find_name
    folder, found = _files_of(project, sha, names, _MAX_CONFIG_BYTES)
    if not found:
        raise _no_project(project, folder, names)
    return find(found) if find is not None else None


def files_at(project: Project, sha: str, paths: Iterable[str], max_bytes: int) -> dict[str, str]:
    """Those of the files that a commit has, by their place in the repository.

    :raises DagctlError: what git answers.
    :raises FileTooLarge: one of them is larger than ``max_bytes``.
    """
    address, branch, _ = check_location(project.repository_url, project.branch, project.settings.get("git_path"))
    credentials = credentials_for(project.settings)
    with outside():
        try:
            return remote().read_files(address, branch, sha, paths, max_bytes=max_bytes, credentials=credentials)
        except FileTooLarge:
            raise
        except GitError as error:
            raise as_answer(error) from None


def _files_of(
    project: Project, sha: str, names: Iterable[str], max_bytes: int, folder: str | None = None
) -> tuple[str, dict[str, str]]:
    """Those of the files that a commit has in a folder, by name, and the folder.

    :param folder: The project's when absent.
    """
    address, branch, own = check_location(project.repository_url, project.branch, project.settings.get("git_path"))
    folder = own if folder is None else folder
    prefix = f"{folder}/" if folder else ""
    with _asking():
        found = remote().read_files(
            address,
            branch,
            sha,
            [prefix + name for name in names],
            max_bytes=max_bytes,
            credentials=credentials_for(project.settings),
        )
    return folder, {path.removeprefix(prefix): text for path, text in found.items()}


def _no_project(project: Project, folder: str, names: Iterable[str]) -> DagctlError:
    place = f"folder {folder!r}" if folder else "top folder"
    return DagctlError(
        "project_not_found_in_repository", f"The {place} of branch {project.branch!r} holds none of {', '.join(names)}."
    )
