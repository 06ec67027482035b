"""What makes two plans the same plan.

SQLMesh gives a plan a random id, so the id proves nothing. What is hashed here instead is what would happen: every model's
content, version and category, the SQL that macros make of it, where it is written to, what the step was given, what is removed,
the state the environment is in, and how the step was asked. Which intervals are still missing is left out on purpose: time
passes between explain and execute, and a scheduled run may fill some.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from dagctl_common import inputs
from dagctl_common.digests import UNSTABLE, hash_of, hashes_of, named, readable
from dagctl_common.jobs import Job

from dagctl_sqlmesh.categories import category_of
from dagctl_sqlmesh.naming import Names

if TYPE_CHECKING:
    from sqlmesh.core.plan import Plan
    from sqlmesh.core.snapshot import Snapshot

OWN_VERSION = "own"


def digest_parts(plan: Plan, job: Job, names: Names, migration: Mapping[str, str] | None) -> dict[str, str]:
    """The parts that SQLMesh's plan says, each as a short hash under a name that people know.

    :param plan: SQLMesh's plan.
    :param job: The job.
    :param names: Of models.
    :param migration: The state's migration that belongs to the plan.
    """
    diff = plan.context_diff
    parts = {
        "commit": [job["commit_sha"], job["git_path"]],
        "environment": plan.environment_naming_info.name,
        **asked_parts(job),
        "base": [diff.is_new_environment, plan.previous_plan_id, bool(diff.is_unfinalized_environment)],
        "removed": sorted(snapshot_id.name for snapshot_id in diff.removed_snapshots),
        "requirements": getattr(diff, "requirements", None) or getattr(diff, "provided_requirements", None),
        "statements": sorted(statement.json(sort_keys=True) for statement in getattr(diff, "environment_statements", None) or []),
        "restatements": sorted(snapshot_id.name for snapshot_id in plan.restatements),
        "migration": migration["to"] if migration else None,
    }
    models = {names.of(snapshot.name): hash_of(_model(snapshot)) for snapshot in plan.snapshots.values()}
    return {**hashes_of(parts), "tool": readable(f"{job['tool']} {job['tool_version']}"), **named("model", models)}


def asked_parts(job: Job) -> dict[str, object]:
    """How the step was asked.

    :param job: The job.
    """
    return {"gateway": job["gateway"], "tests": bool(job["run_tests"])}


def _model(snapshot: Snapshot) -> list[object]:
    """What is a model's own; its fingerprint also takes in what it reads, which has parts of its own."""
    fingerprint = snapshot.fingerprint
    version = OWN_VERSION if snapshot.version == fingerprint.to_version() else snapshot.version
    return [snapshot.name, fingerprint.data_hash, fingerprint.metadata_hash, version, category_of(snapshot)]


def without(parts: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Parts without what differs each time.

    :param parts: The parts of a plan.
    :param names: Parts that are not to be compared.
    """
    left_out = set(names)
    return {name: UNSTABLE if name in left_out else value for name, value in parts.items()}


WORDS: Mapping[str, str] = {
    **inputs.WORDS,
    "base": "another plan was applied to the environment since",
    "commit": "commit or folder",
    "destructive": "altered table of",
    "gateway": "the gateway",
    "leftovers": "what a failed plan left behind",
    "migration": "the state needs a migration",
    "model": "model",
    "removed": "removed models",
    "rendered": "SQL of",
    "requirements": "Python requirements",
    "state": "state connection's",
    "statements": "before_all/after_all statements",
    "tests": "whether tests run",
    "warehouse": "warehouse's",
}
"""What the kinds of parts are called."""
