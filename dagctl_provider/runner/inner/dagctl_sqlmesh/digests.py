"""What makes two plans the same plan.

SQLMesh gives a plan a random id, so the id proves nothing. What is hashed here instead is what would happen: every model's
content fingerprint, version and category, what is removed, the state the environment is in, and how the step was asked. Which
intervals are still missing is left out on purpose: time passes between explain and execute, and a scheduled run may fill some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dagctl_common.digests import hashes_of
from dagctl_common.jobs import Job

from dagctl_sqlmesh.categories import category_of

if TYPE_CHECKING:
    from sqlmesh.core.plan import Plan


def digest_parts(plan: Plan, job: Job, migration: Mapping[str, str] | None) -> dict[str, str]:
    """One short hash per part of the plan, so that a drift can be named.

    :param plan: SQLMesh's plan.
    :param job: The job.
    :param migration: The state's migration that belongs to the plan.
    """
    diff = plan.context_diff
    parts = {
        "commit": [job["commit_sha"], job["git_path"]],
        "environment": plan.environment_naming_info.name,
        "options": [bool(job["run_tests"]), job["gateway"]],
        "tool": [job["tool"], job["tool_version"]],
        "base": [diff.is_new_environment, plan.previous_plan_id],
        "models": sorted(
            [snapshot.name, snapshot.identifier, snapshot.version, category_of(snapshot)] for snapshot in plan.snapshots.values()
        ),
        "removed": sorted(snapshot_id.name for snapshot_id in diff.removed_snapshots),
        "requirements": getattr(diff, "requirements", None) or getattr(diff, "provided_requirements", None),
        "statements": sorted(statement.json(sort_keys=True) for statement in getattr(diff, "environment_statements", None) or []),
        "restatements": sorted(snapshot_id.name for snapshot_id in plan.restatements),
        "migration": migration["to"] if migration else None,
    }
    return hashes_of(parts)


WORDS: Mapping[str, str] = {
    "base": "another plan was applied to the environment since",
    "commit": "commit or folder",
    "models": "models or their upstream versions",
    "migration": "the state needs a migration",
    "options": "test or gateway settings",
    "tool": "tool version",
    "statements": "before_all/after_all statements",
}
"""What the parts are called."""
