"""Brings one commit of a repository into a scratch folder, trusting neither the remote nor the repository.

Git runs without any configuration of the machine, talks to the judged addresses of the repository's own host alone, asks nobody
for a password, runs no hook, and follows neither redirects nor submodules. Secrets travel in files: never in an argument, an
address or the output.
"""

from __future__ import annotations

import os
import re
import shlex
import time
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.runner.addresses import addresses_to_contact
from dagctl_provider.runner.causes import CERTIFICATE_REFUSED, REDIRECTED, cause_of_end
from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.git_settings import HARDENED, https_pin, ssh_pin
from dagctl_provider.runner.hosts import HostRefused
from dagctl_provider.runner.processes import Child, base_environment, run_child
from dagctl_provider.runner.progress import Progress, Ticker
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.repositories import RepositoryAddress
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.stopping import Stop

GIT_TIMEOUT = 600.0
RESOLVE_TIMEOUT = 60.0
LAST_MOMENT = 253_402_300_799
"""The last second of the year 9999."""
OLDEST_GIT = (2, 31)
"""The first that takes settings from its environment. An older one would start, and be held by none of them."""
PINNING_GIT = (2, 37)
"""The first that can be held to an address of an https host."""
_PRIVATE_FILES = ("git_ssh_key", "git_known_hosts", "git_token")

_REFUSED = re.compile(
    r"authentication failed|permission denied|could not read (username|password)|host key verification failed|access denied"
    r"|invalid username or (password|token)|returned error: 40[13]|unable to load key|error in libcrypto",
    re.IGNORECASE,
)
_NO_SUCH_REF = re.compile(
    r"couldn't find remote ref|not our ref|upload-pack: not our ref|no such remote ref|unadvertised object", re.IGNORECASE
)
# The first that fits counts; any other failure to fetch means that the remote could not be reached.
_SIGNS = (
    ("repository_moved", re.compile(REDIRECTED, re.IGNORECASE)),
    ("certificate_refused", re.compile(CERTIFICATE_REFUSED, re.IGNORECASE)),
    ("repository_authentication_failed", _REFUSED),
)
_TELLING = re.compile(r"(fatal|error|remote|ssh|ERROR|Permission|Host key)\b.*")


@dataclass
class _Git:
    """Runs git in one folder with one environment."""

    folder: Path
    env: dict[str, str]
    progress: Progress
    stop: Stop

    def run(self, *arguments: str) -> tuple[int, str]:
        lines: list[str] = []
        ticker = Ticker(self.progress, f"still waiting for git {arguments[0]}")
        child = Child(["git", *arguments], self.env, self.folder, lines.append, ticker.tick, GIT_TIMEOUT)
        try:
            status = run_child(child, self.stop)
        except (FileNotFoundError, PermissionError) as error:
            raise RunnerError("git_missing", f"git cannot be started where the step runs: {error.strerror}.") from error
        self.stop.check()
        return status, "\n".join(lines)

    def must(self, code: str, *arguments: str) -> str:
        """Run what fails only when the machine does, or for the one reason that the code stands for."""
        status, output = self.run(*arguments)
        if status:
            raise RunnerError(
                cause_of_end(status, output, self.folder) or code, f"git {arguments[0]}: {_telling(output) or status}"
            )
        return output


def fetch_project(
    request: Request, credentials: Credentials, scratch: Path, progress: Progress, stop: Stop, reach: Reach
) -> tuple[Path, Path, int]:
    """Check a commit out.

    :param request: Names repository, branch, commit and folder.
    :param credentials: Key or token for the remote.
    :param scratch: Private folder of the step.
    :param progress: The log.
    :param stop: Ends a fetch.
    :param reach: Which repositories this machine allows.
    :return: The checkout, inside it the project's folder, and when the commit was made, in seconds since 1970.
    :raises RunnerError: for the remote ``private_host``, ``repository_moved``, ``certificate_refused``,
        ``repository_authentication_failed``, ``repository_unreachable``, ``commit_not_found`` or ``project_path_not_found``; for
        the machine ``disk_full``, ``folder_not_writable``, ``git_missing`` or ``git_too_old``.
    """
    root = scratch / "checkout"
    root.mkdir()
    address = request.address(reach)
    addresses = _judged(address, reach, stop)
    git = _Git(root, git_environment(address, credentials, scratch, addresses), progress, stop)
    try:
        _check_version(git, pinned=bool(https_pin(address, addresses)))
        git.must("internal", "init", "--quiet", "--template=")
        _fetch_commit(git, request)
        git.must("commit_not_found", "checkout", "--quiet", "--detach", "--force", request.commit_sha)
        committed_at = git.must("internal", "show", "--no-patch", "--format=%ct", request.commit_sha)
    finally:
        # The project's code runs next and has no business with them.
        for name in _PRIVATE_FILES:
            (scratch / name).unlink(missing_ok=True)
    # Anybody can write any moment into a commit; tools take it for a day of the calendar.
    return root, project_folder(root, request.git_path), min(int(committed_at.strip() or 0), LAST_MOMENT)


def _judged(address: RepositoryAddress, reach: Reach, stop: Stop) -> tuple[str, ...]:
    """The addresses that git is held to, judged by the rules of :mod:`dagctl_provider.runner.addresses`.

    :raises RunnerError: ``private_host``, without the address, which is not for everybody who may read a plan;
        ``repository_unreachable`` when the name leads nowhere.
    """
    end = time.monotonic() + RESOLVE_TIMEOUT

    def soon() -> float:
        stop.check()
        if time.monotonic() > end:
            raise RunnerError(
                "repository_unreachable", f"The name server did not say in {RESOLVE_TIMEOUT:.0f} s where {host} is."
            )
        return 0.2

    host = address.host
    try:
        return addresses_to_contact(address, allow_private=reach.private, soon=soon)
    except HostRefused:
        raise RunnerError("private_host", f"The name {host} leads to an address that is not on the public internet.") from None
    except OSError as error:
        raise RunnerError("repository_unreachable", f"The name {host} leads nowhere: {error.strerror or error}.") from error


def _check_version(git: _Git, *, pinned: bool) -> None:
    output = git.must("git_missing", "version")
    found = re.search(r"(\d+)\.(\d+)", output)
    version = (int(found[1]), int(found[2])) if found else (0, 0)
    if version < OLDEST_GIT:
        raise RunnerError("git_too_old", f"{output.strip()[:100]} does not take its settings from its environment.")
    if pinned and version < PINNING_GIT:
        git.progress.line("this git is older than 2.37: the host was judged, but git asks the name server once more")


def _fetch_commit(git: _Git, request: Request) -> None:
    fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
    status, output = git.run(*fetch, "--depth=1", "--end-of-options", request.repository_url, request.commit_sha)
    if status and not _is_about_the_commit(output):
        raise _remote_error(status, output, git.folder)
    if status:
        # Servers may refuse a commit that is no branch's tip; its branch's history has it, unless it was pushed away.
        git.progress.line(f"the remote does not hand out the commit alone; fetching {request.branch}")
        status, output = git.run(*fetch, "--end-of-options", request.repository_url, f"refs/heads/{request.branch}")
        if status and not _is_about_the_commit(output):
            raise _remote_error(status, output, git.folder)
    if git.run("cat-file", "-e", f"{request.commit_sha}^{{commit}}")[0]:
        raise RunnerError(
            "commit_not_found", f"Commit {request.commit_sha[:12]} is not in branch {request.branch!r} of the repository."
        )


def _is_about_the_commit(output: str) -> bool:
    return bool(_NO_SUCH_REF.search(output)) and not _REFUSED.search(output)


def _remote_error(status: int, output: str, folder: Path) -> RunnerError:
    code = next((code for code, words in _SIGNS if words.search(output)), "repository_unreachable")
    return RunnerError(cause_of_end(status, output, folder) or code, _telling(output) or "git gave no reason")


def _telling(output: str) -> str:
    telling = [match[0] for line in output.splitlines() if (match := _TELLING.search(line))]
    return "; ".join(telling) or output


def project_folder(root: Path, git_path: str) -> Path:
    """The project's folder, after links are followed.

    :param root: The checkout.
    :param git_path: Folder inside it.
    :raises RunnerError: ``project_path_not_found`` when it does not exist or a link leads out of the checkout.
    """
    folder = (root / git_path).resolve()
    inside = folder.is_relative_to(root.resolve()) and not folder.is_relative_to(root.resolve() / ".git")
    if not inside or not folder.is_dir():
        raise RunnerError("project_path_not_found", f"{git_path!r} is not a folder of the repository at this commit.")
    return folder


def git_environment(
    address: RepositoryAddress, credentials: Credentials, scratch: Path, addresses: tuple[str, ...] = ()
) -> dict[str, str]:
    """Everything git is told by its environment.

    :param address: The remote; no other transport than its own is allowed.
    :param credentials: Key or token for it.
    :param scratch: Private folder; holds what git needs as a file.
    :param addresses: The judged addresses of its host; git contacts no other when there are any.
    """
    config = {
        **HARDENED,
        f"protocol.{address.scheme}.allow": "always",
        **https_pin(address, addresses),
        "advice.detachedHead": "false",
        "init.defaultBranch": "main",
        "http.lowSpeedLimit": "1000",
        "http.lowSpeedTime": "60",
    }
    env = {
        **base_environment(),
        "HOME": str(scratch),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_ALLOW_PROTOCOL": address.scheme,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": _ssh_command(address, credentials, scratch, addresses),
        "GIT_SSH_VARIANT": "ssh",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    config.update(_token_config(address, credentials, scratch, env))
    env["GIT_CONFIG_COUNT"] = str(len(config))
    for number, (key, value) in enumerate(config.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    return env


def _private_file(scratch: Path, name: str, text: str) -> Path:
    path = scratch / name
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text if text.endswith("\n") else text + "\n")
    return path


def _ssh_command(address: RepositoryAddress, credentials: Credentials, scratch: Path, addresses: tuple[str, ...]) -> str:
    words = ["ssh", "-F", os.devnull, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=30"]
    if credentials.git_ssh_key:
        # Copied, since ssh refuses a key that others may read and mounted Secrets often are.
        words += ["-i", str(_private_file(scratch, "git_ssh_key", credentials.git_ssh_key)), "-o", "IdentitiesOnly=yes"]
    if credentials.git_known_hosts:
        words += ["-o", f"UserKnownHostsFile={_private_file(scratch, 'git_known_hosts', credentials.git_known_hosts)}"]
    for name, value in ssh_pin(address, addresses).items():
        words += ["-o", f"{name}={value}"]
    return shlex.join(words)


def _token_config(address: RepositoryAddress, credentials: Credentials, scratch: Path, env: dict[str, str]) -> dict[str, str]:
    """A credential helper that reads the token's file, asked for the repository's host only."""
    url = urllib.parse.urlsplit(address.url)
    if not credentials.git_token or url.scheme != "https":
        return {}
    env["DAGCTL_GIT_TOKEN_FILE"] = str(_private_file(scratch, "git_token", credentials.git_token))
    answer = 'printf "password=%s\\n" "$(cat "$DAGCTL_GIT_TOKEN_FILE")"'
    helper = '!f() { test "$1" = get && echo username=x-access-token && ' + answer + "; }; f"
    return {f"credential.https://{url.netloc}.helper": helper}
