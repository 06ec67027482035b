"""Brings one commit of a repository into a scratch folder, trusting neither the remote nor the repository.

Git runs without any configuration of the machine, allows only the transports a request may name, asks nobody for a password,
runs no hook and follows no submodule. Secrets travel in files: never in an argument, an address or the output.
"""

from __future__ import annotations

import os
import re
import shlex
import urllib.parse
from dataclasses import dataclass
from pathlib import Path

from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.processes import Child, base_environment, run_child
from dagctl_provider.runner.progress import Progress, Ticker
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.stopping import Stop

GIT_TIMEOUT = 600.0
_PRIVATE_FILES = ("git_ssh_key", "git_known_hosts", "git_token")

_REFUSED = re.compile(
    r"authentication failed|permission denied|could not read (username|password)|host key verification failed|access denied"
    r"|invalid username or (password|token)|returned error: 40[13]|unable to load key|error in libcrypto",
    re.IGNORECASE,
)
_NO_SUCH_REF = re.compile(
    r"couldn't find remote ref|not our ref|upload-pack: not our ref|no such remote ref|unadvertised object", re.IGNORECASE
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
        except FileNotFoundError as error:
            raise RunnerError("internal", "git is not installed where the step runs.") from error
        self.stop.check()
        return status, "\n".join(lines)


def fetch_project(
    request: Request, credentials: Credentials, scratch: Path, progress: Progress, stop: Stop
) -> tuple[Path, Path, int]:
    """Check a commit out.

    :param request: Names repository, branch, commit and folder.
    :param credentials: Key or token for the remote.
    :param scratch: Private folder of the step.
    :param progress: The log.
    :param stop: Ends a fetch.
    :return: The checkout, inside it the project's folder, and when the commit was made, in seconds since 1970.
    :raises RunnerError: ``repository_unreachable``, ``repository_authentication_failed``, ``commit_not_found`` or
        ``project_path_not_found``.
    """
    root = scratch / "checkout"
    root.mkdir()
    git = _Git(root, git_environment(request, credentials, scratch), progress, stop)
    try:
        _must(git.run("init", "--quiet", "--template="), "internal")
        _fetch_commit(git, request)
        _must(git.run("checkout", "--quiet", "--detach", "--force", request.commit_sha), "commit_not_found")
        committed_at = _must(git.run("show", "--no-patch", "--format=%ct", request.commit_sha), "internal")
    finally:
        # The project's code runs next and has no business with them.
        for name in _PRIVATE_FILES:
            (scratch / name).unlink(missing_ok=True)
    return root, project_folder(root, request.git_path), int(committed_at.strip() or 0)


def _fetch_commit(git: _Git, request: Request) -> None:
    fetch = ("fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head")
    status, output = git.run(*fetch, "--depth=1", "--end-of-options", request.repository_url, request.commit_sha)
    if status and not _is_about_the_commit(output):
        raise _remote_error(output)
    if status:
        # Servers may refuse a commit that is no branch's tip; its branch's history has it, unless it was pushed away.
        git.progress.line(f"the remote does not hand out the commit alone; fetching {request.branch}")
        status, output = git.run(*fetch, "--end-of-options", request.repository_url, f"refs/heads/{request.branch}")
        if status and not _is_about_the_commit(output):
            raise _remote_error(output)
    if git.run("cat-file", "-e", f"{request.commit_sha}^{{commit}}")[0]:
        raise RunnerError(
            "commit_not_found", f"Commit {request.commit_sha[:12]} is not in branch {request.branch!r} of the repository."
        )


def _is_about_the_commit(output: str) -> bool:
    return bool(_NO_SUCH_REF.search(output)) and not _REFUSED.search(output)


def _remote_error(output: str) -> RunnerError:
    code = "repository_authentication_failed" if _REFUSED.search(output) else "repository_unreachable"
    telling = [match[0] for line in output.splitlines() if (match := _TELLING.search(line))]
    return RunnerError(code, "; ".join(telling) or output or "git gave no reason")


def _must(outcome: tuple[int, str], code: str) -> str:
    status, output = outcome
    if status:
        raise RunnerError(code, f"git: {output or status}")
    return output


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


def git_environment(request: Request, credentials: Credentials, scratch: Path) -> dict[str, str]:
    """Everything git is told by its environment.

    :param request: Names the remote.
    :param credentials: Key or token for it.
    :param scratch: Private folder; holds what git needs as a file.
    """
    local = request.allow_local_repositories
    config = {
        "protocol.allow": "never",
        "protocol.https.allow": "always",
        "protocol.ssh.allow": "always",
        "protocol.file.allow": "always" if local else "never",
        "core.hooksPath": os.devnull,
        "core.fsmonitor": "false",
        "credential.helper": "",
        "submodule.recurse": "false",
        "gc.auto": "0",
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
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "",
        "SSH_ASKPASS": "",
        "GIT_SSH_COMMAND": _ssh_command(credentials, scratch),
        "GIT_SSH_VARIANT": "ssh",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "LC_ALL": "C",
    }
    config.update(_token_config(request, credentials, scratch, env))
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


def _ssh_command(credentials: Credentials, scratch: Path) -> str:
    words = ["ssh", "-F", os.devnull, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ConnectTimeout=30"]
    if credentials.git_ssh_key:
        # Copied, since ssh refuses a key that others may read and mounted Secrets often are.
        words += ["-i", str(_private_file(scratch, "git_ssh_key", credentials.git_ssh_key)), "-o", "IdentitiesOnly=yes"]
    if credentials.git_known_hosts:
        words += ["-o", f"UserKnownHostsFile={_private_file(scratch, 'git_known_hosts', credentials.git_known_hosts)}"]
    return shlex.join(words)


def _token_config(request: Request, credentials: Credentials, scratch: Path, env: dict[str, str]) -> dict[str, str]:
    """A credential helper that reads the token's file, asked for the request's host only: a redirect does not get the token."""
    url = urllib.parse.urlsplit(request.repository_url)
    if not credentials.git_token or url.scheme != "https":
        return {}
    env["DAGCTL_GIT_TOKEN_FILE"] = str(_private_file(scratch, "git_token", credentials.git_token))
    answer = 'printf "password=%s\\n" "$(cat "$DAGCTL_GIT_TOKEN_FILE")"'
    helper = '!f() { test "$1" = get && echo username=x-access-token && ' + answer + "; }; f"
    return {f"credential.https://{url.netloc}.helper": helper}
