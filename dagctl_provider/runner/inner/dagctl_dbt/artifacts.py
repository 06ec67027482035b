"""What an execute leaves for later steps: the deployed manifest, and the SQL that stands in the warehouse.

Which plan a deployed manifest comes from stands inside it, beside its facts (see :mod:`dagctl_dbt.differ_facts`), where dbt
allows texts of somebody else's.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagctl_dbt.differ_facts import KEY as FACTS_KEY
from dagctl_dbt.differ_facts import attach, facts_of
from dagctl_dbt.differ_types import Facts, Manifest
from dagctl_dbt.journals import Step
from dagctl_dbt.states import note_of, read_state

PLAN_KEY = "DAGCTL_PLAN"
_COMPILED = ("model", "snapshot")


@dataclass
class Deployed:
    """The state that is deployed.

    :param manifest: Of the last successful execute; ``None`` before the first.
    :param facts: What was known beside it.
    :param note: ``plan_id``, ``digest`` and ``commit`` of that execute.
    :param identity: Hash of its content.
    :param unaffected: Unique ids of the commit's nodes that compile to the same with the variables of then and of now.
    """

    manifest: Manifest | None = None
    facts: Facts = field(default_factory=Facts)
    note: dict[str, Any] = field(default_factory=dict)
    identity: str | None = None
    unaffected: frozenset[str] = frozenset()


def read_deployed(step: Step) -> Deployed:
    """The deployed state that came with the request.

    :raises StepFailed: ``state_damaged``, ``state_unknown_version``.
    """
    path = step.job["inputs"].get("deployed")
    if not path:
        return Deployed()
    content = Path(path).read_bytes()
    manifest = read_state(content)
    # A manifest that a team's own dbt wrote, as a start, has neither.
    note, facts = note_of(manifest, PLAN_KEY) or {}, note_of(manifest, FACTS_KEY)
    return Deployed(manifest, facts_of(facts), note, hashlib.sha256(content).hexdigest())


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
