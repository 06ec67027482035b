"""The facts by which attacks are judged. None of them is what dagctl or Airflow says about itself.

Code leaves marks, plans leave rows in the warehouse, and the folders that steps are started in are read while they are there.
"""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.attacks.scene import Scene
from benchmarks.common import await_value
from benchmarks.common_projects import rows_if_there
from demo.options import DemoError

_EVERY_SECONDS = 0.05


@dataclass
class Step:
    """A step that was started, as its folder showed it.

    :param texts: Its files by name, secrets among them.
    """

    started: float
    request: dict[str, Any]
    texts: dict[str, str] = field(default_factory=dict)


class Watch(threading.Thread):
    """Reads the folder of every step of a stack while the step lives.

    :param folder: Where steps make their folders.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self._folder, self._ended = folder, threading.Event()
        self.steps: dict[str, Step] = {}

    def run(self) -> None:
        """Until :meth:`stop`."""
        while not self._ended.wait(_EVERY_SECONDS):
            for folder in self._folder.glob("dagctl-step-*"):
                self._look(folder)

    def _look(self, folder: Path) -> None:
        try:
            known = self.steps.get(folder.name)
            if known is None:
                known = self.steps[folder.name] = Step(time.time(), json.loads((folder / "request.json").read_text()))
                known.texts.update({file.name: file.read_text() for file in (folder / "secrets").iterdir()})
        except (OSError, ValueError):
            # Not written yet, or gone already.
            return

    def stop(self) -> None:
        """End it."""
        self._ended.set()
        self.join(10)


class Witnesses:
    """All facts of one stack.

    :param python: An interpreter that has DuckDB.
    """

    def __init__(self, scene: Scene, python: Path) -> None:
        self.scene, self._python = scene, python
        self.watch = Watch(scene.stack.home / "steps")
        self.watch.start()
        self._marks: dict[str, dict[str, str]] = {}

    def marks(self) -> dict[str, dict[str, str]]:
        """All that code has seen, by the name of its mark: label, dash, a number nobody knows before."""
        for file in self.scene.marks.glob("*.json"):
            if file.stem not in self._marks:
                seen = json.loads(file.read_text())
                self._marks[file.stem] = {
                    name: text if isinstance(text, str) else json.dumps(text) for name, text in seen.items()
                }
        return dict(self._marks)

    def ran(self, label: str) -> list[str]:
        """The marks of the code of one commit."""
        return [name for name in self.marks() if name.rpartition("-")[0] == label]

    def started(self, commit: str) -> list[str]:
        """The steps that were started for a commit."""
        return [name for name, step in list(self.watch.steps.items()) if step.request.get("commit_sha") == commit]

    def applied(self, project: str) -> Counter[str]:
        """How often each commit was applied to a project's warehouse, by label."""

        def look() -> list[list[Any]] | None:
            try:
                return rows_if_there(self.scene.repositories[project].warehouse, self._python, "applied", "label") or [[None]]
            except DemoError:
                # Somebody writes at this moment, which DuckDB lets nobody read.
                return None

        rows = await_value(look, 30, f"A look into the warehouse of {project}", every=0.25)
        return Counter(str(label) for (label,) in rows if label is not None)

    def handed(self) -> set[tuple[str, str]]:
        """Which planted password was where: its connection, and the step's folder or the mark of the code that saw it."""
        found = set()
        places = {f"step {name}": step.texts for name, step in list(self.watch.steps.items())}
        places |= {f"mark {name}": texts for name, texts in self.marks().items()}
        for place, texts in places.items():
            every = "\n".join(texts.values())
            found |= {(name, place) for name, secret in self.scene.planted.items() if secret in every}
        return found
