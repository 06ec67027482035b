"""Whether a file of a warehouse outlives the step, and where it is kept if it would not.

A step's folder is gone when the step ends, and with it every file that a project names beside its code. With a folder that keeps
such files they are used from there, under the name that the project gives them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEMORY = ":memory:"


@dataclass(frozen=True)
class Place:
    """Where a file lies.

    :param outlives: Whether it outlives the step as it is.
    :param kept: Where it is kept instead; ``None`` without a folder for that.
    """

    outlives: bool
    kept: Path | None = None


def place_of(job: Mapping[str, Any], path: str) -> Place:
    """Where a file lies that a project names, wherever links lead.

    :param job: Knows the folders of the step, and the folder of kept files if there is one.
    :param path: As the project says it; a relative one is looked up beside the project's files.
    """
    file = Path(os.path.expanduser(path))
    whole = Path(os.path.normpath(Path(job["project"]) / file))
    tops = [Path(job[name]) for name in ("project", "checkout", "scratch")]
    top = next((top for top in tops if whole.is_relative_to(top) or _real(whole).is_relative_to(_real(top))), None)
    if file.is_absolute() and top is None:
        return Place(outlives=True)
    folder = job.get("data_folder")
    if not folder:
        return Place(outlives=False)
    inside = whole.relative_to(top) if top is not None and whole.is_relative_to(top) else Path(whole.name)
    return Place(outlives=False, kept=Path(folder) / inside)


def make_room(kept: Path) -> None:
    """Make the folder of a file that is kept.

    :param kept: The file.
    """
    kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
