"""Reads the secrets folder of a step: a folder only its owner can read, made by the launcher or mounted from a Secret."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.masking import has_telling_name, secret_parts
from dagctl_provider.runner.organization import FILE, GivenVariable, place_files, read_variables, secrets_of

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SIZE_LIMIT = 1024 * 1024

# Folders that a pod has from Secrets which people made: git credentials, and one file for each environment variable.
GIT_SECRETS, ENV_SECRETS = "DAGCTL_GIT_SECRETS", "DAGCTL_ENV_SECRETS"
# Set for an explain that has other such Secrets than its execute.
EXPLAIN_SECRETS = "DAGCTL_EXPLAIN_SECRETS"
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
    :param mounted: What of ``env`` comes from a folder with a file for each variable, as it stands there.
    :param approved: Of an explain with a connection of its own: hashes of the variables from the connection of its execute, by
        name. The project's code runs before anybody has approved it, so it must not meet the values.
    :param variables: Those of the project's organization. What ``env`` also has is nearer, and wins.
    :param files: Where those of them stand that are files, by name, once they have been written.
    :param own_secrets: Whether this is an explain with Secrets of its own: nobody here knows what the execute will find in its.
    """

    state_connection: dict[str, Any] | None = None
    env: dict[str, str] = field(default_factory=dict)
    git_ssh_key: str | None = None
    git_known_hosts: str | None = None
    git_token: str | None = None
    plan_key: str | None = None
    mounted: dict[str, str] = field(default_factory=dict)
    approved: dict[str, str] | None = None
    own_secrets: bool = False
    variables: Mapping[str, GivenVariable] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        """All variables that the project's code gets."""
        return {**{name: self.files.get(name, one.value) for name, one in self.variables.items()}, **self.env}

    def placed(self, folder: Path) -> Credentials:
        """The same, once the variables that are files have been written.

        :param folder: The step's own; what is in it is gone when the step is.
        """
        return replace(self, files=place_files({k: v for k, v in self.variables.items() if k not in self.env}, folder))

    def secrets(self) -> set[str]:
        """Every value that must not leave the step."""
        found: set[str] = set()
        files = (("git_ssh_key", self.git_ssh_key), ("git_token", self.git_token), ("plan_key", self.plan_key))
        for name, value in (*files, *self.env.items()):
            if value:
                found |= secret_parts(name, value)
        password = (self.state_connection or {}).get("password")
        found |= secrets_of(self.variables)
        return found | ({password} if password and len(password) >= 4 else set())

    def telling_secrets(self) -> set[str]:
        """Values under telling names alone: what may be cut out of a file that must stay usable."""
        named = {text for text in secrets_of(self.variables) if len(text) >= 8}
        named |= {value for name, value in self.env.items() if has_telling_name(name) and len(value) >= 8}
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
    mounted = _env_files()
    return Credentials(
        state_connection=_state_connection(folder),
        env={**mounted, **(_env(folder, "env.json") or {})},
        git_ssh_key=_git(folder, "git_ssh_key"),
        git_known_hosts=_git(folder, "git_known_hosts"),
        git_token=(_git(folder, "git_token") or "").strip() or None,
        plan_key=(_text(folder, "plan_key") or "").strip() or None,
        mounted=mounted,
        variables=read_variables(_text(folder, FILE)),
        approved=_env(folder, "approved.json"),
        own_secrets=bool(os.environ.get(EXPLAIN_SECRETS)),
    )


def forget_git_credentials(folder: Path | None) -> None:
    """Remove the files for git, once they are read: the project's code is the same user and has no business with them.

    What Kubernetes mounted cannot be removed.

    :param folder: The secrets folder.
    """
    if folder is None:
        return
    for name in _GIT_NAMES:
        with contextlib.suppress(OSError):
            (folder / name).unlink()


def _git(folder: Path, name: str) -> str | None:
    found = _text(folder, name)
    other = os.environ.get(GIT_SECRETS)
    if found is None and other:
        found = next((text for key in _GIT_NAMES[name] if (text := _text(Path(other), key)) is not None), None)
    return found


def _env_files() -> dict[str, str]:
    folder = Path(os.environ.get(ENV_SECRETS, ""))
    if not os.environ.get(ENV_SECRETS) or not folder.is_dir():
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
