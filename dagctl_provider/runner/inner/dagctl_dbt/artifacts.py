"""What one step leaves for the next: the deployed manifest, and how far a failed execution came.

Which plan a deployed manifest comes from stands inside it, beside its facts (see :mod:`dagctl_dbt.differ_facts`), where dbt
allows texts of somebody else's.
"""

from __future__ import annotations

import base64
import contextlib
import gzip
import hashlib
import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagctl_dbt.differ_facts import attach, attached
from dagctl_dbt.differ_types import Facts, Manifest
from dagctl_dbt.journals import Step

PLAN_KEY = "DAGCTL_PLAN"
KEPT_FOR = 14 * 86_400
_COMPILED = ("model", "snapshot")


@dataclass
class Deployed:
    """The state that is deployed.

    :param manifest: Of the last successful execute; ``None`` before the first.
    :param facts: What was known beside it.
    :param note: ``plan_id``, ``digest`` and ``commit`` of that execute.
    :param identity: Hash of its content.
    """

    manifest: Manifest | None = None
    facts: Facts = field(default_factory=Facts)
    note: dict[str, Any] = field(default_factory=dict)
    identity: str | None = None


def read_deployed(step: Step) -> Deployed:
    """The deployed state that came with the request."""
    path = step.job["inputs"].get("deployed")
    if not path:
        return Deployed()
    content = Path(path).read_bytes()
    manifest = json.loads(content)
    try:
        note = json.loads(manifest["metadata"]["env"][PLAN_KEY])
        facts = attached(manifest)
    except (KeyError, TypeError, ValueError):
        # A manifest that a team's own dbt wrote, as a start.
        note, facts = {}, Facts()
    return Deployed(manifest, facts, note, hashlib.sha256(content).hexdigest())


def write_state(deployed: Deployed, folder: Path) -> Path:
    """Put the deployed manifest where dbt's ``--state`` can read it."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(deployed.manifest), encoding="utf-8")
    return folder


def pack_deployed(
    step: Step,
    manifest: Manifest,
    facts: Facts,
    deployed: Deployed,
    final: Manifest | None,
    ran: Iterable[str],
) -> str:
    """The new deployed state: the parsed manifest with the SQL that stands in the warehouse, as far as it is known.

    :param manifest: Of the commit, as it was compared.
    :param facts: Beside it.
    :param deployed: What was deployed before; what did not change keeps its compiled SQL.
    :param final: The manifest that dbt wrote after the build; it has the compiled SQL of what ran.
    :param ran: Unique ids of the whole selection, those of earlier attempts included.
    """
    built = set(ran)
    after = (final or {}).get("nodes") or {}
    before = (deployed.manifest or {}).get("nodes") or {}
    for key, node in manifest["nodes"].items():
        if node["resource_type"] not in _COMPILED:
            continue
        source = after if key in after and after[key].get("compiled_code") and key in built else {} if key in built else before
        code = (source.get(key) or {}).get("compiled_code")
        if code:
            node["compiled_code"] = step.hide(code) if source is after else code
    packed = attach(manifest, facts)
    note = {"plan_id": step.job["explained_plan_id"], "digest": step.job["expected_digest"], "commit": step.job["commit_sha"]}
    packed["metadata"]["env"][PLAN_KEY] = json.dumps(note)
    return pack(packed)


def pack(value: object) -> str:
    """Base64 text of gzip bytes of JSON, the same for the same value."""
    return base64.b64encode(gzip.compress(json.dumps(value, separators=(",", ":")).encode(), 6, mtime=0)).decode()


class ProgressFile:
    """What an execution has done so far, on this machine's disk: it outlives the process and its parents.

    :param step: Names the execution.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        key = hashlib.sha256(f"{step.job['project_id']}/{step.job['explained_plan_id']}".encode()).hexdigest()[:32]
        self._path = Path(step.job["shared"]) / "progress" / f"{key}.json"
        self._before: list[str] = []

    def read(self) -> list[str]:
        """Unique ids that succeeded in earlier attempts, here or wherever the request's ``progress`` comes from."""
        given = self._step.job["inputs"].get("progress")
        done: dict[str, None] = {}
        for path in [*([Path(given)] if given else []), self._path]:
            done.update(dict.fromkeys(self._succeeded(path)))
        self._before = list(done)
        return self._before

    def _succeeded(self, path: Path) -> list[str]:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return []
        same = isinstance(content, dict) and content.get("digest") == self._step.job["expected_digest"]
        return [key for key in content.get("succeeded") or [] if isinstance(key, str)] if same else []

    def write(self, succeeded: list[str]) -> None:
        """Keep what succeeded; a full disk must not end the build."""
        content = {"digest": self._step.job["expected_digest"], "succeeded": [*self._before, *succeeded]}
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
