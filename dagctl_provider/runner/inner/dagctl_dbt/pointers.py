"""Finds files whose content is not there: a pointer of Git LFS would be loaded as data, or parsed as SQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from dagctl_common.channel import StepFailed

from dagctl_dbt.differ_types import Manifest
from dagctl_dbt.journals import Step

_MARK = b"version https://git-lfs"
_LARGEST = 1024
_CODE = (".sql", ".yml", ".yaml", ".py")


def refuse_pointers(step: Step) -> None:
    """Look at the project's code before dbt parses it.

    :raises StepFailed: ``file_missing``.
    """
    project = Path(step.job["project"])
    for path in _files(project):
        if path.suffix in _CODE and is_pointer(path):
            _refuse(path.relative_to(project).as_posix())


def refuse_seed_pointers(step: Step, manifest: Manifest) -> None:
    """Look at the project's seeds: other files of data are not dbt's.

    :param step: The step.
    :param manifest: Of the commit.
    :raises StepFailed: ``file_missing``.
    """
    project = Path(step.job["project"])
    for node in manifest["nodes"].values():
        name = str(node.get("original_file_path") or "")
        if node["resource_type"] == "seed" and is_pointer(project / name):
            _refuse(name)


def _files(project: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(project):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("target", "node_modules")]
        yield from (Path(folder) / name for name in names)


def is_pointer(path: Path) -> bool:
    """Whether a file is a pointer of Git LFS.

    :param path: The file.
    """
    try:
        if path.stat().st_size > _LARGEST:
            return False
        with open(path, "rb") as file:
            return file.read(len(_MARK)) == _MARK
    except OSError:
        return False


def _refuse(name: str) -> None:
    raise StepFailed("file_missing", f"{name} is a pointer of Git LFS: the file itself is not in the repository.")
