"""Environment variables of an organization: what may be one, which steps get it, and how a plan says which it was explained with.

They reach steps of every project, those of code that nobody has approved among them, so what chooses which code runs is refused
(:func:`~dagctl_provider.runner.variables.reserved_for`). A variable is a value, or a file: then its value lies in the file, and
the variable holds the file's path.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.runner.variables import reserved_for

HIDDEN = "***"
"""What a sensitive value reads as, for everybody and for ever."""
NAME_PATTERN = r"^[A-Za-z_][A-Za-z0-9_]{0,254}$"
VALUE_BYTES = 64 * 1024
TOTAL_BYTES = 512 * 1024
"""Of all variables of an organization, as they are handed to a step: a Kubernetes Secret takes 1 MiB with everything."""
MODE = 0o600
"""Of a file, where none was asked for."""
FOLDERS = ("/secrets", "/var/secrets", "/mnt/secrets")
"""Below which files may be. In a pod each is a volume of its own, which hides what the image has there."""
MOST_LIMITS = 100
_WORDS = 128
_PART = re.compile(r"[A-Za-z0-9_.-]{1,128}")
_PATH_LENGTH = 512
_ENVIRONMENT = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Variable:
    """A variable as it is stored.

    :param name: In upper case.
    :param content: Its value, encrypted.
    :param is_sensitive: Whether its value is never shown.
    :param mount_as_file: Whether the value lies in a file, whose path the variable holds.
    :param file_mount_path: The path that was asked for.
    :param file_permissions: The file's mode.
    :param project_ids: Whose steps get it; ``None`` for all projects of the organization.
    :param environments: In which environments; ``None`` for all.
    """

    id: str
    organization_id: str
    name: str
    content: bytes = field(repr=False)
    is_sensitive: bool
    mount_as_file: bool
    created_by: str
    created_at: datetime
    updated_at: datetime
    file_mount_path: str | None = None
    file_permissions: int | None = None
    project_ids: tuple[str, ...] | None = None
    environments: tuple[str, ...] | None = None

    def reaches(self, project_id: str, environment: str) -> bool:
        """Whether steps of a project in an environment get it."""
        if self.project_ids is not None and project_id not in self.project_ids:
            return False
        return self.environments is None or environment.casefold() in {name.casefold() for name in self.environments}

    def told(self) -> dict[str, object]:
        """What may be said of it to anybody who may read the record of changes: all but its value."""
        names = ("name", "is_sensitive", *CHANGEABLE[2:])
        return {name: _plain(getattr(self, name)) for name in names}


CHANGEABLE = ("value", "is_sensitive", "mount_as_file", "file_mount_path", "file_permissions", "project_ids", "environments")
"""What a change may be of; the name is what a variable is known by."""


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value


def stored_name(name: str) -> str:
    """A name as it is stored. Names are the same without regard to case."""
    return name.upper()


def refused(errors: Mapping[str, str]) -> DagctlError:
    """The refusal of fields, by name, with what is wrong with each."""
    listed = [{"field": name, "message": message} for name, message in errors.items()]
    return DagctlError("invalid_request", f"Not accepted: {', '.join(errors)}.", errors=listed)


def check_name(name: str) -> None:
    """Refuse what no variable may be called.

    :raises ValueError: saying what is wrong with it.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise ValueError("must be letters, digits and underscores, at most 255, and not begin with a digit")
    if what := reserved_for(stored_name(name)):
        raise ValueError(f"is reserved: it says {what}")


def _check_value(value: str) -> None:
    if "\x00" in value:
        raise ValueError("must not contain the NUL character")
    try:
        length = len(value.encode())
    except UnicodeEncodeError:
        raise ValueError("must not contain half of a surrogate pair") from None
    if length > VALUE_BYTES:
        raise ValueError(f"must not be longer than {VALUE_BYTES // 1024} KiB")


def _check_path(path: str) -> None:
    folder = next((folder for folder in FOLDERS if path.startswith(f"{folder}/")), None)
    if folder is None:
        raise ValueError(f"must be an absolute path below {', '.join(FOLDERS)}")
    parts = path.removeprefix(f"{folder}/").split("/")
    if len(path) > _PATH_LENGTH or not all(_PART.fullmatch(part) and set(part) != {"."} for part in parts):
        raise ValueError(
            f"must be names of letters, digits, '_', '-' and '.', without '.' and '..', at most {_PATH_LENGTH} characters"
        )


def _check_mode(mode: int) -> None:
    if not 0 <= mode <= 0o777:
        raise ValueError("must be a mode from 0 to 511 (0777), as a decimal number: 384 is 0600")
    if mode & 0o033:
        raise ValueError(f"must not let group or others write or execute: {mode} is {mode:04o}")
    if not mode & 0o400:
        raise ValueError(f"must let the owner read: {mode} is {mode:04o}")


def _check_environments(names: Iterable[str]) -> None:
    if unknown := [name for name in names if not _ENVIRONMENT.fullmatch(name)]:
        raise ValueError(f"holds {unknown[0][:64]!r}, which is no name of an environment")


RULES: Mapping[str, Callable[..., None]] = {
    "name": check_name,
    "value": _check_value,
    "file_mount_path": _check_path,
    "file_permissions": _check_mode,
    "environments": _check_environments,
}
"""What a field may hold; each raises :class:`ValueError` with the reason, which never quotes a value."""
_LISTS = ("project_ids", "environments")


def check_fields(sent: Mapping[str, object]) -> None:
    """Refuse what no variable may be.

    :param sent: The fields that were sent, by name.
    :raises DagctlError: ``invalid_request``, which names the fields.
    """
    errors = {}
    for name, value in sent.items():
        try:
            if value is not None and name in RULES:
                RULES[name](value)
            if isinstance(value, (list, tuple)) and name in _LISTS:
                _check_count(value)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        raise refused(errors)


def _check_count(values: list[str] | tuple[str, ...]) -> None:
    if not 1 <= len(values) <= MOST_LIMITS:
        raise ValueError(f"must name 1 to {MOST_LIMITS}; leave it out for all")


def file_settings(name: str, merged: Mapping[str, object], sent: Mapping[str, object]) -> tuple[str | None, int | None]:
    """Path and mode of a variable's file; nothing of the kind for one that is none.

    :param name: The variable's.
    :param merged: What the variable is to be.
    :param sent: What of it was sent.
    :raises DagctlError: ``invalid_request`` for settings of a file where there is none.
    """
    if not merged.get("mount_as_file"):
        stray = [key for key in ("file_mount_path", "file_permissions") if sent.get(key) is not None]
        if stray:
            raise refused(dict.fromkeys(stray, "only with 'mount_as_file': true"))
        return None, None
    path, mode = merged.get("file_mount_path"), merged.get("file_permissions")
    return (str(path) if path is not None else f"{FOLDERS[0]}/{name}", mode if isinstance(mode, int) else MODE)


def require_own_path(path: str, others: Iterable[Variable]) -> None:
    """Refuse a path that another variable's file has, or that lies below it or above it.

    :param others: The other variables of the organization.
    :raises DagctlError: ``invalid_request``.
    """
    for other in others:
        theirs = other.file_mount_path
        if theirs is not None and (f"{path}/".startswith(f"{theirs}/") or f"{theirs}/".startswith(f"{path}/")):
            raise refused({"file_mount_path": f"is taken: the file of {other.name} is {theirs}"})


def weight(name: str, value: str, path: str | None) -> int:
    """What a variable takes of :data:`TOTAL_BYTES`, with the words around it."""
    return _WORDS + len(json.dumps([name, value, path or ""], ensure_ascii=False).encode())


def require_room(weights: Iterable[int]) -> None:
    """Refuse more than a step can be handed.

    :param weights: Of all variables of the organization, see :func:`weight`.
    :raises DagctlError: ``invalid_request``.
    """
    total = sum(weights)
    if total > TOTAL_BYTES:
        most = f"{TOTAL_BYTES // 1024} KiB"
        raise refused(
            {"value": f"makes the variables of the organization {total // 1024} KiB together; at most {most} are handed on"}
        )


def keyed_hash(key: str, variable: Variable, value: str) -> str:
    """What a plan says of a variable that it was explained with: another value or another file is another hash.

    :param key: One that only the API server has, so that a guess at a value cannot be tried.
    """
    file = [variable.file_mount_path, variable.file_permissions] if variable.mount_as_file else []
    said = json.dumps([variable.organization_id, variable.name, value, *file])
    return hmac.new(key.encode(), said.encode(), hashlib.sha256).hexdigest()


def differing(before: Mapping[str, str] | None, now: Mapping[str, str]) -> list[str]:
    """Names of the variables that are not as they were.

    :param before: Hashes by name; ``None`` for a plan that was explained when there were no variables.
    """
    known = before or {}
    return sorted(name for name in {*known, *now} if known.get(name) != now.get(name))
