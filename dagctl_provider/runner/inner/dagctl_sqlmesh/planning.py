"""Makes SQLMesh's plan of a commit, the same one in explain and execute."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed

from dagctl_sqlmesh.altering import allowances, altered_tables
from dagctl_sqlmesh.failures import failure_of
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.projects import supports

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.environment import Environment
    from sqlmesh.core.plan import Plan

_ALL = ["*"]


def recorded_environment(context: Context, environment: str) -> Environment | None:
    """The environment as the state has it; ``None`` when it was never deployed."""
    from sqlmesh.core.environment import Environment

    return context.state_reader.get_environment(Environment.sanitize_name(environment))


def build_plan(step: Step, context: Context) -> Plan:
    """Build the plan; changes that the project does not let SQLMesh judge count as breaking, the safe choice.

    Tables that are altered in place are allowed as far as the plan names them: what an execute meets beyond that still ends it.

    :param step: Remembers which changes were assumed to be breaking.
    :param context: The project is loaded in it.
    """
    from sqlmesh.core.snapshot import SnapshotChangeCategory

    builder = context.plan_builder(step.job["environment"], skip_tests=True, **_options(step, context))
    plan = builder.build()
    undecided = list(plan.uncategorized)
    for snapshot in undecided:
        builder.set_choice(snapshot, SnapshotChangeCategory.BREAKING)
    step.assumed = sorted(str(snapshot.name) for snapshot in undecided)
    plan = builder.build() if undecided else plan
    found = allowances(altered_tables(context, plan, step.journal.names))
    known = {name: value for name, value in found.items() if hasattr(plan, name)}
    return plan.copy(update=known)


def _options(step: Step, context: Context) -> dict[str, object]:
    options: dict[str, object] = {"allow_destructive_models": _ALL, "allow_additive_models": _ALL}
    if _is_first_unfinished(step, context):
        options["run"] = True
    return {name: value for name, value in options.items() if supports(context.plan_builder, name)}


def _is_first_unfinished(step: Step, context: Context) -> bool:
    """Whether the environment's very first plan did not come to its end.

    SQLMesh would load no further than what is loaded already, and take a backfill that was cut off for a whole one.
    """
    recorded = recorded_environment(context, step.job["environment"])
    return recorded is not None and not recorded.finalized_ts and not recorded.previous_finalized_snapshots


def build_approved(step: Step, context: Context) -> Plan:
    """Build the plan again. The same commit could be planned when it was explained: if it cannot be now, the base has moved.

    :raises StepFailed: ``plan_drifted``.
    """
    from sqlmesh.utils.errors import PlanError

    try:
        return build_plan(step, context)
    except PlanError as error:
        raise StepFailed(
            "plan_drifted", f"The approved plan cannot be made any more: {failure_of(step, error).message}"
        ) from error
