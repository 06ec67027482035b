"""How far an execution has come: what a retry finds done, here or told by the API server.

What was done counts only while nobody else has written to the warehouse. A run of the deployed state between two attempts builds
the deployed code over what the first attempt built; so attempts have a turn, which is another one after such a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dagctl_dbt.batches import Batches
from dagctl_dbt.journals import Journal, Step

KEPT_FOR = 14 * 86_400
_LISTS = ("succeeded", "touched")


@dataclass
class Done:
    """What earlier attempts of a plan did.

    :param succeeded: Unique ids, in order of completion or thereabouts.
    :param touched: Unique ids of all that was begun.
    :param batches: Of microbatch models: ``all`` and ``done`` by unique id.
    """

    succeeded: list[str] = field(default_factory=list)
    touched: list[str] = field(default_factory=list)
    batches: dict[str, Any] = field(default_factory=dict)

    def with_more(self, journal: Journal, batches: Batches) -> Done:
        """What is done now.

        :param journal: Of the attempt that goes on.
        :param batches: All that are known, those of earlier attempts among them.
        """
        succeeded = dict.fromkeys([*self.succeeded, *journal.succeeded()])
        return Done(list(succeeded), list(dict.fromkeys([*self.touched, *journal.touched()])), batches.as_json())


class ProgressFile:
    """What an execution has done so far, on this machine's disk: it outlives the process and its parents.

    :param step: Names the execution.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        key = hashlib.sha256(f"{step.job['project_id']}/{step.job['explained_plan_id']}".encode()).hexdigest()[:32]
        self._path = Path(step.job["shared"]) / "progress" / f"{key}.json"

    def read(self) -> Done:
        """What earlier attempts did, as told here or by the request's ``progress``."""
        given = self._step.job["inputs"].get("progress")
        done = Done()
        for path in [*([Path(given)] if given else []), self._path]:
            found = self._found(path)
            done.succeeded += [key for key in found.succeeded if key not in done.succeeded]
            done.touched += [key for key in found.touched if key not in done.touched]
            for key, lists in found.batches.items():
                known = done.batches.setdefault(key, {"all": [], "done": []})
                done.batches[key] = {name: [*known[name], *(lists.get(name) or [])] for name in ("all", "done")}
        return done

    def _found(self, path: Path) -> Done:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            job = self._step.job
            same = content.get("digest") == job["expected_digest"] and content.get("turn") == job.get("turn")
            batches = {key: dict(lists) for key, lists in (content.get("batches") or {}).items()}
            succeeded, touched = ([key for key in content.get(name) or [] if isinstance(key, str)] for name in _LISTS)
        except (OSError, ValueError, AttributeError, TypeError):
            return Done()
        return Done(succeeded, touched, batches) if same else Done()

    def write(self, done: Done) -> None:
        """Keep what is done; a full disk must not end the build."""
        job = self._step.job
        content = {"digest": job["expected_digest"], "turn": job.get("turn"), **asdict(done)}
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            temporary = self._path.with_suffix(f".{os.getpid()}")
            temporary.write_text(json.dumps(content), encoding="utf-8")
            os.replace(temporary, self._path)

    def tidy(self) -> None:
        """Remove what nobody came back for."""
        with contextlib.suppress(OSError):
            for path in self._path.parent.iterdir():
                if path.stat().st_mtime < time.time() - KEPT_FOR:
                    path.unlink(missing_ok=True)
