"""Whether a file of a warehouse outlives the step, and where it is kept if it would not.

A step's folder is gone when the step ends, and with it every file that a project names beside its code. With a folder that keeps
such files they are used from there, under the name that the project gives them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Entry = tuple[str, str, Callable[[str], None]]
"""What a configuration says of one database: what it is called there, its path, and how to change that."""
MEMORY = ":memory:"
_SCHEME = re.compile(r"(?:(?:ducklake|sqlite|duckdb|file):)*", re.IGNORECASE)
"""What may stand before the path of a file."""
_ADDRESS = re.compile(r"[A-Za-z][\w+.-]+:")


@dataclass(frozen=True)
class Place:
    """Where a database lies.

    :param shown: Path of a file that is gone with the step, for people; empty when there is none.
    :param in_memory: Whether it is no file at all.
    :param kept: What the project is to name instead; ``None`` without a folder for that.
    :param file: The file of ``kept``.
    """

    shown: str = ""
    in_memory: bool = False
    kept: str | None = None
    file: Path | None = None

    @property
    def fleeting(self) -> str:
        """What is gone with the step, for people; empty when it outlives the step as it is."""
        return "a database in memory" if self.in_memory else f"the file {self.shown}" if self.shown else ""

    def make_room(self) -> None:
        """Make the folder of the file that is kept."""
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)


def place_of(job: Mapping[str, Any], path: str) -> Place:
    """Where a database lies that a project names, wherever links lead.

    :param job: Knows the folders of the step, and the folder of kept files if there is one.
    :param path: As the project says it, with the scheme of DuckDB's extensions before it or without; relative ones are looked up
        beside the project's files.
    """
    head = (_SCHEME.match(path) or [""])[0]
    rest = path[len(head) :]
    if rest in ("", MEMORY):
        return Place(in_memory=True)
    if _ADDRESS.match(rest):
        return Place()
    file = Path(os.path.expanduser(rest))
    whole = Path(os.path.normpath(Path(job["project"]) / file))
    tops = [Path(job[name]) for name in ("project", "checkout", "scratch")]
    top = next((top for top in tops if whole.is_relative_to(top) or _real(whole).is_relative_to(_real(top))), None)
    if file.is_absolute() and top is None:
        return Place()
    shown = _shown(job, rest)
    folder = job.get("data_folder")
    if not folder:
        return Place(shown)
    kept = Path(folder) / (whole.relative_to(top) if top is not None and whole.is_relative_to(top) else Path(whole.name))
    return Place(shown, kept=head + str(kept), file=kept)


def _shown(job: Mapping[str, Any], path: str) -> str:
    for name in ("project", "checkout", "scratch"):
        path = path.replace(job[name] + os.sep, "")
    return path


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
