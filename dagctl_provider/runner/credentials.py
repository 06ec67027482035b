"""Reads the secrets folder of a step: a folder only its owner can read, made by the launcher or mounted from a Secret."""

from __future__ import annotations

import contextlib
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.masking import has_telling_name, secret_parts

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIZE_LIMIT = 1024 * 1024

# Folders that a pod has from Secrets which people made: git credentials, and one file for each environment variable.
GIT_SECRETS, ENV_SECRETS = "DAGCTL_GIT_SECRETS", "DAGCTL_ENV_SECRETS"
# The same for an explain that has Secrets of its own: those that its execute will have in their place.
APPROVED_SECRETS, APPROVED_ENV_SECRETS = "DAGCTL_APPROVED_SECRETS", "DAGCTL_APPROVED_ENV_SECRETS"
# Our names, then those of Kubernetes' own type kubernetes.io/ssh-auth and of other tools.
_GIT_NAMES = {
    "git_ssh_key": ("git_ssh_key", "ssh-privatekey", "identity"),
    "git_known_hosts": ("git_known_hosts", "known_hosts"),
    "git_token": ("git_token", "token", "password"),
}


@dataclass(frozen=True)
class Credentials:
    """What the secrets folder held.

    :param state_connection: Managed state database, when there is one.
    :param env: Extra environment of the tool's process.
    :param git_ssh_key: Private key for the git remote.
    :param git_known_hosts: Host keys of the git remote.
    :param git_token: Token for https remotes.
    :param plan_key: Key by which the project's plans hide the values of variables.
    :param approved_env: Of an explain with credentials of its own: what ``env`` will be when its plan is executed. It enters the
        digest, and the tool never gets it.
    """

    state_connection: dict[str, Any] | None = None
    env: dict[str, str] = field(default_factory=dict)
    git_ssh_key: str | None = None
    git_known_hosts: str | None = None
    git_token: str | None = None
    plan_key: str | None = None
    approved_env: dict[str, str] | None = None

    def secrets(self) -> set[str]:
        """Every value that must not leave the step."""
        found: set[str] = set()
        files = (("git_ssh_key", self.git_ssh_key), ("git_token", self.git_token), ("plan_key", self.plan_key))
        for name, value in (*files, *(self.approved_env or {}).items(), *self.env.items()):
            if value:
                found |= secret_parts(name, value)
        password = (self.state_connection or {}).get("password")
        return found | ({password} if password and len(password) >= 4 else set())

    def telling_secrets(self) -> set[str]:
        """Values under telling names alone: what may be cut out of a file that must stay usable."""
        named = {value for name, value in self.env.items() if has_telling_name(name) and len(value) >= 8}
        return named | ({self.git_token} if self.git_token and len(self.git_token) >= 8 else set())


def read_credentials(folder: Path | None) -> Credentials:
    """Read the secrets folder; each file is optional.

    :param folder: The folder, or ``None`` when the step needs no secret.
    :raises RunnerError: ``invalid_request`` when a file is not what it should be. The message never quotes a file.
    """
    if folder is None:
        return Credentials()
    if not folder.is_dir():
        raise RunnerError("invalid_request", "The secrets folder does not exist.")
    return Credentials(
        state_connection=_state_connection(folder),
        env={**_env_files(ENV_SECRETS), **(_env(folder, "env.json") or {})},
        git_ssh_key=_git(folder, "git_ssh_key"),
        git_known_hosts=_git(folder, "git_known_hosts"),
        git_token=(_git(folder, "git_token") or "").strip() or None,
        plan_key=(_text(folder, "plan_key") or "").strip() or None,
        approved_env=_approved_env(folder),
    )


def _git(folder: Path, name: str) -> str | None:
    found = _text(folder, name)
    other = os.environ.get(GIT_SECRETS)
    if found is None and other:
        found = next((text for key in _GIT_NAMES[name] if (text := _text(Path(other), key)) is not None), None)
    return found


def _approved_env(folder: Path) -> dict[str, str] | None:
    """The environment of the execute, where it is another: from the worker, or from the Secrets that an explain does without."""
    left = folder / "approved_env.json"
    whole, single = os.environ.get(APPROVED_SECRETS), os.environ.get(APPROVED_ENV_SECRETS)
    if not (left.is_file() or whole or single):
        return None
    places = [*([(Path(whole), "env.json")] if whole else []), (folder, left.name), (folder, "env.json")]
    found = next((env for place, name in places if (env := _env(place, name)) is not None), {})
    # Project code that the explain runs shall not find it. In a pod the folder cannot be written to.
    with contextlib.suppress(OSError):
        left.unlink()
    return {**_env_files(APPROVED_ENV_SECRETS if single else ENV_SECRETS), **found}


def _env_files(variable: str) -> dict[str, str]:
    folder = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not folder.is_dir():
        return {}
    names = sorted(path.name for path in folder.iterdir() if _NAME.fullmatch(path.name))
    # A file made with an editor or echo ends with a line break that nobody means.
    return {name: (_text(folder, name) or "").rstrip("\r\n") for name in names}


def _text(folder: Path, name: str) -> str | None:
    path = folder / name
    if not path.is_file():
        return None
    if path.stat().st_size > _SIZE_LIMIT:
        raise RunnerError("invalid_request", f"The secret {name!r} is larger than 1 MiB.")
    return path.read_text(encoding="utf-8")


def _object(folder: Path, name: str) -> dict[str, object] | None:
    text = _text(folder, name)
    if text is None:
        return None
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise RunnerError("invalid_request", f"The secret {name!r} is not a JSON object.")
    return value


def _state_connection(folder: Path) -> dict[str, object] | None:
    value = _object(folder, "state_connection.json")
    if value is None:
        return None
    if value.get("type", "postgres") != "postgres":
        raise RunnerError("invalid_request", "The managed state database must be of type 'postgres'.")
    missing = [key for key in ("host", "user", "password", "database") if not isinstance(value.get(key), str)]
    if missing:
        raise RunnerError("invalid_request", f"The secret 'state_connection.json' lacks {', '.join(missing)}.")
    return value


def _env(folder: Path, file: str) -> dict[str, str] | None:
    found = _object(folder, file)
    if found is None:
        return None
    env: dict[str, str] = {}
    for name, value in found.items():
        if not _NAME.fullmatch(name) or isinstance(value, (dict, list)) or "\x00" in str(value):
            raise RunnerError("invalid_request", f"The secret {file!r} must map variable names to texts.")
        env[name] = value if isinstance(value, str) else json.dumps(value)
    return env
