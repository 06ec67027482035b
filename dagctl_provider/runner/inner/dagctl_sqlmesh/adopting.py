"""A project that was told to begin with what is deployed: a state of another project would have everything replaced."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed

from dagctl_sqlmesh.journals import Step

if TYPE_CHECKING:
    from sqlmesh.core.plan import Plan


def refuse_foreign(step: Step, plan: Plan) -> None:
    """Refuse a first plan after an adoption that finds nothing of the project in its state.

    :param step: Says whether what is deployed was adopted.
    :param plan: SQLMesh's plan.
    :raises StepFailed: ``state_foreign``.
    """
    if not step.job.get("adopted"):
        return
    diff, environment = plan.context_diff, step.job["environment"]
    if diff.is_new_environment:
        raise StepFailed("state_foreign", f"The state knows no environment {environment!r}, which was to be adopted.")
    kept = {snapshot.name for snapshot in plan.snapshots.values()} - {snapshot_id.name for snapshot_id in diff.added}
    if not kept:
        removed = step.journal.names.sorted(diff.removed_snapshots)
        others = f", but {len(removed)} others, such as {removed[0]}" if removed else ""
        raise StepFailed("state_foreign", f"Environment {environment!r} of the state has no model of this project{others}.")
