"""The environment variables of a step's organization: read from the secrets folder, and those that are files written as files.

A file stands where it was asked for when the launcher has made a place for it there, as it does in pods; elsewhere it stands in
the step's own folder, below the same path. The variable holds the path at which it is.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.masking import sensitive_parts

FILE = "variables.json"
"""Of the secrets folder."""
FOLDERS = "DAGCTL_FILE_FOLDERS"
"""Names the folders, with a colon between them, that were made for these files."""
_OWN_FOLDER = "files"
_MODE = 0o600


@dataclass(frozen=True)
class GivenVariable:
    """One variable.

    :param value: Its value, or the content of its file. ``repr`` does not show it.
    :param path: Of one that is a file: where it was asked for.
    :param mode: The file's mode.
    """

    value: str = field(repr=False)
    is_sensitive: bool = True
    path: str | None = None
    mode: int = _MODE

    @property
    def identity(self) -> str:
        """What a plan depends on: where a file stands by itself says nothing."""
        return self.value if self.path is None else json.dumps([self.path, self.mode, self.value])


def read_variables(text: str | None) -> dict[str, GivenVariable]:
    """The variables of the file in the secrets folder.

    :param text: The file; ``None`` when there is none.
    :raises RunnerError: ``invalid_request``. The message never quotes the file.
    """
    if text is None:
        return {}
    try:
        return {str(name): _variable(one) for name, one in json.loads(text).items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RunnerError("invalid_request", f"The secret {FILE!r} is not an object of variables.") from None


def _variable(found: Mapping[str, object]) -> GivenVariable:
    value, path, mode = found["value"], found.get("file_mount_path"), found.get("file_permissions") or _MODE
    if not isinstance(value, str) or "\x00" in value or not isinstance(mode, int) or not isinstance(path, (str, type(None))):
        raise ValueError
    if path is not None and (not path.startswith("/") or ".." in PurePosixPath(path).parts):
        raise ValueError
    return GivenVariable(value, found.get("is_sensitive") is not False, path, mode & 0o777)


def secrets_of(variables: Mapping[str, GivenVariable]) -> set[str]:
    """What of the sensitive ones must not be seen."""
    return {part for one in variables.values() if one.is_sensitive for part in sensitive_parts(one.value)}


def place_files(variables: Mapping[str, GivenVariable], folder: Path) -> dict[str, str]:
    """Write those that are files.

    :param folder: The step's own.
    :return: Where each stands, by the variable's name.
    """
    placed = {}
    for name, one in sorted(variables.items()):
        if one.path is not None:
            path = _place(one.path, folder)
            _write(path, one)
            placed[name] = str(path)
    return placed


def forget_files(paths: Iterable[str]) -> None:
    """Remove what :func:`place_files` has written."""
    for path in paths:
        with contextlib.suppress(OSError):
            Path(path).unlink()


def _place(asked: str, folder: Path) -> Path:
    made = [text for text in os.environ.get(FOLDERS, "").split(":") if text]
    if any(asked.startswith(f"{text}/") for text in made):
        return Path(asked)
    return folder / _OWN_FOLDER / asked.lstrip("/")


def _write(path: Path, variable: GivenVariable) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        file.write(variable.value)
        os.fchmod(file.fileno(), variable.mode)
