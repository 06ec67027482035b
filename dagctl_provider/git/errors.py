"""What can go wrong between this machine and a repository, as types with stable codes.

Messages and hints are written here and never contain anything that git, a server or a member said, so they can be shown
and stored as they are. What git said is in `detail`, cleaned of secrets and control characters, for the server's log.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from dagctl_provider.runner.causes import CERTIFICATE_REFUSED, REDIRECTED, cause_here, cause_in, cause_of

MAX_DETAIL_LENGTH = 500


class GitError(Exception):
    """A question to a repository was not answered.

    :param detail: what git said, already scrubbed; not part of the message.
    """

    code = "git_failed"
    message = "Git failed."
    hint = "The API server's log has what git said."

    def __init__(self, *, detail: str = "") -> None:
        super().__init__(self.message)
        self.detail = detail


class RepositoryUnreachable(GitError):
    """The repository does not exist, is not visible to these credentials, or its host does not answer."""

    code = "repository_unreachable"
    message = "The repository cannot be reached."
    hint = "Check the address, that the host answers, and that the credentials may see this repository."


class RepositoryMoved(RepositoryUnreachable):
    """The server answers with a redirect, which is not followed."""

    code = "repository_moved"
    message = "The repository answers with a redirect, which is not followed."
    hint = "Give the address the server redirects to; on GitLab it ends in .git."


class RepositoryNotAllowed(GitError):
    """The repository lies on this machine and the configuration does not allow that."""

    code = "local_not_allowed"
    message = "Repositories on this machine are not allowed."
    hint = "Use an https or ssh address, or set [dagctl] allow_local_repositories."


class HostNotAllowed(GitError):
    """The host's name leads to an address that is not on the public internet."""

    code = "private_host"
    message = "The repository's host is not on the public internet."
    hint = "Use a public host, or set [dagctl] allow_private_hosts."


class RepositoryEmpty(GitError):
    """The repository has no commits yet."""

    code = "repository_empty"
    message = "The repository is empty."
    hint = "Push a first commit."


class BranchNotFound(GitError):
    """The repository has no such branch."""

    code = "branch_not_found"
    message = "The repository has no such branch."
    hint = "Check the branch's name; upper and lower case matter."


class CommitNotFound(GitError):
    """The repository has no such commit, or gives it to nobody because no branch leads to it any more."""

    code = "commit_not_found"
    message = "The repository has no such commit."
    hint = "The branch may have been overwritten; plan its newest commit."


class AuthenticationFailed(GitError):
    """The server wants credentials, or other ones."""

    code = "authentication_failed"
    message = "The repository refused the credentials, or wants some."
    hint = "Check the token or the deploy key and that it may read this repository."


class HostKeyRejected(GitError):
    """The ssh server's key is not among the known host keys."""

    code = "host_key_rejected"
    message = "The ssh server's host key is not among the known ones."
    hint = "Add the host's keys, from its operator's own documentation, to known_hosts of the git connection."


class GitTimeout(GitError):
    """Git did not finish in time and was stopped."""

    code = "git_timeout"
    message = "The repository did not answer in time."
    hint = "Check that the host answers from where the API server runs."


class RepositoryTooLarge(GitError):
    """The answer passed the size limit and was cut off."""

    code = "repository_too_large"
    message = "The repository's answer is larger than allowed."
    hint = "Keep the project in a repository with fewer branches and commits; the limit is fixed."


class FileTooLarge(GitError):
    """A file that should be read is larger than the limit given for it."""

    code = "file_too_large"
    message = "A configuration file in the repository is larger than allowed."
    hint = "Make the file smaller."


class GitMissing(GitError):
    """A program is missing where the API server runs."""

    code = "git_missing"
    message = "Git, or ssh for an ssh address, is not installed where the API server runs."
    hint = "Install git and openssh-client there."


class DiskFull(GitError):
    """The disk where the API server keeps its git caches or temporary files is full, or its quota is."""

    code = "disk_full"
    message = "The disk is full where the API server keeps its git caches or temporary files."
    hint = "Free space there, or let [dagctl] cache_folder or TMPDIR name a larger disk."


class FolderNotWritable(GitError):
    """The folder of git caches, or of temporary files, cannot be written."""

    code = "folder_not_writable"
    message = "The API server cannot write to its folder of git caches or of temporary files."
    hint = "Let its user write there, or let [dagctl] cache_folder or TMPDIR name folders of its own."


class CertificateRefused(RepositoryUnreachable):
    """The https server's certificate is not trusted, or not valid by the clock of this machine."""

    code = "certificate_refused"
    message = "The repository's certificate is not trusted where the API server runs, or not valid at the time its clock shows."
    hint = "Check the clock; let GIT_SSL_CAINFO or SSL_CERT_FILE name the authority, or correct the certificate."


_OF_THE_MACHINE: Mapping[str, type[GitError]] = {kind.code: kind for kind in (DiskFull, FolderNotWritable, GitMissing)}


def of_the_machine(error: OSError) -> GitError:
    """What an error of the system means here; the detail is for the server's log."""
    kind = _OF_THE_MACHINE.get(cause_of(error) or "", GitError)
    return kind(detail=str(error))


def kind_here(folder: Path) -> type[GitError] | None:
    """What keeps a folder from being written to; git does not always say."""
    return _OF_THE_MACHINE.get(cause_here(folder) or "")


@contextmanager
def machine_told() -> Iterator[None]:
    """Turn errors of the system into types of this room.

    :raises GitError: one of them, for a full disk, a folder that cannot be written and so on.
    """
    try:
        yield
    except OSError as error:
        raise of_the_machine(error) from error


# Searched in this order in what git wrote with LC_ALL=C; the first match decides.
_SIGNS: tuple[tuple[type[GitError], str], ...] = (
    (HostKeyRejected, r"host key verification failed|host identification has changed|no .* host key is known"),
    (RepositoryTooLarge, r"file too large|signal 25|pack exceeds maximum allowed size"),
    (CertificateRefused, CERTIFICATE_REFUSED),
    (BranchNotFound, r"couldn't find remote ref"),
    (CommitNotFound, r"not our ref|unadvertised object|no such remote ref"),
    (
        AuthenticationFailed,
        r"authentication failed|could not read (username|password)|terminal prompts disabled|permission denied"
        r"|returned error: (401|403|407)|invalid username or|access denied|load key|too many authentication failures",
    ),
    (RepositoryMoved, REDIRECTED),
    (GitTimeout, r"timed out|timeout|operation too slow"),
    (
        RepositoryUnreachable,
        r"repository .*not found|returned error: \d{3}|could not resolve|couldn't resolve|failed to connect|couldn't connect"
        r"|connection (refused|reset|closed)|does not appear to be a git repository|no route to host|network is unreachable"
        r"|ssl|tls|certificate|unable to access|could not read from remote repository|hung up|empty reply"
        r"|transport .* not allowed|dubious ownership|protocol error|unexpected disconnect",
    ),
)


def recognise(stderr: str) -> type[GitError] | None:
    """Tell from git's own words what went wrong; None when they are not about the remote repository."""
    first = next((kind for kind, signs in _SIGNS if re.search(signs, stderr, re.IGNORECASE)), None)
    # What git writes here is limited, so "file too large" is about the repository, and comes first.
    return first if first is RepositoryTooLarge else _OF_THE_MACHINE.get(cause_in(stderr) or "", first)


def scrub(text: str, secrets: Iterable[str]) -> str:
    """Make git's words fit for a log: one line, no control characters, no secrets, not too long."""
    for secret in secrets:
        text = text.replace(secret, "***")
    text = re.sub(r"//[^/@\s]*@", "//***@", text)
    visible = "".join(character if character.isprintable() else " " for character in text)
    return " ".join(visible.split())[-MAX_DETAIL_LENGTH:]
