"""Reads a Dockerfile as far as ours go, so that what tests build follows the file and cannot drift from it."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass
class Stage:
    """One build stage: its instructions in order, as (word, rest)."""

    base: str
    name: str | None
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def of(self, word: str) -> list[str]:
        """What stands behind each instruction of a kind."""
        return [rest for name, rest in self.instructions if name == word]

    @property
    def env(self) -> dict[str, str]:
        """Variables that ENV sets."""
        return {key: value.strip('"') for rest in self.of("ENV") for key, value in re.findall(r"(\w+)=(\"[^\"]*\"|\S+)", rest)}


def read_stages(path: Path) -> list[Stage]:
    """The stages of a Dockerfile; instructions before the first FROM are left out."""
    text = re.sub(r"\\\n\s*", " ", re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE))
    stages: list[Stage] = []
    for line in filter(None, (line.strip() for line in text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stages.append(Stage(base, name or None))
        elif stages:
            stages[-1].instructions.append((word, rest))
    return stages


def is_in_context(source: str) -> bool:
    """Whether .dockerignore lets a file or folder through to the engine."""
    ignored = False
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        pattern = line.removeprefix("!")
        if pattern in ("*", source) or source.startswith(f"{pattern}/") or fnmatch(source, pattern):
            ignored = not line.startswith("!")
    return not ignored


def copy_into(stage: Stage, root: Path) -> None:
    """Do a stage's COPY instructions from the build context, with ``root`` as the root of its file system."""
    for rest in stage.of("COPY"):
        *sources, destination = rest.split()
        assert not sources[0].startswith("--"), "only COPY from the build context"
        for source in sources:
            assert is_in_context(source), f"{source} is left out by .dockerignore"
            target = root / destination.lstrip("/")
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
            else:
                target = target / Path(source).name if destination.endswith("/") else target
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / source, target)
