"""The SQL that an approval is for, where the fingerprint alone does not say it.

SQLMesh's fingerprint holds a macro's code, not what it answered. A macro that reads a variable, a file, the clock or the
warehouse can give other SQL with the same code. So the SQL of such models is worked out, at fixed dates, and its hash is a part
of the plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dagctl_common.channel import StepFailed
from dagctl_common.digests import hash_of

from dagctl_sqlmesh.failures import text_of
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.outside import model_looks_outside

if TYPE_CHECKING:
    from sqlglot.expressions import Expression
    from sqlmesh.core.engine_adapter import EngineAdapter
    from sqlmesh.core.model import Model
    from sqlmesh.core.plan import Plan

DATES = {"start": "2020-01-01", "end": "2020-01-01", "execution_time": "2020-01-02"}
"""Of every rendering: the moment of a plan must not be in it."""
_READ_ONLY = "read-only transaction"
"""What PostgreSQL says of a function that writes in a session that may not."""
_STATEMENTS = ("render_pre_statements", "render_post_statements", "render_on_virtual_update")


@dataclass
class Rendered:
    """What was rendered.

    :param hashes: Of each model's SQL, by the model's full name.
    :param asked: Full names of models whose SQL was made from what the warehouse answered.
    :param missing: Why the SQL of others is not known, by full name.
    """

    hashes: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)


def render_plan(step: Step, plan: Plan, adapters: Mapping[str, EngineAdapter]) -> Rendered:
    """Render what the plan's fingerprints do not say.

    :param step: Its guard counts what is asked of the warehouse.
    :param plan: SQLMesh's plan.
    :param adapters: Of the warehouse, by gateway; macros may ask it, in an explain for reading only.
    """
    found = Rendered()
    snapshots = {snapshot.name: snapshot for snapshot in plan.snapshots.values()}
    default = next(iter(adapters.values()), None)
    for name in sorted(_wanted(step, plan)):
        model = snapshots[name].node
        adapter = adapters.get(getattr(model, "gateway", None) or "", default)
        before = step.guard.reads
        try:
            found.hashes[name] = render(model, engine_adapter=adapter, snapshots=snapshots)
        except Exception as error:
            step.watch.check()
            text = str(error)
            if _READ_ONLY in text:
                who = f"{step.journal.names.of(name)} ({step.shorten(str(getattr(model, '_path', '')))})"
                raise StepFailed("explain_writes", f"{who}: its macros write to the warehouse: {_READ_ONLY}.") from error
            found.missing[name] = step.shorten(text_of(step, error))[-300:]
        if step.guard.reads != before:
            found.asked.append(name)
    return found


def _wanted(step: Step, plan: Plan) -> set[str]:
    """Models to render: new and changed ones; an execute renders those that its explain has rendered.

    What else is due is loaded as well, but that changes by the hour, and with it the plan would.
    """
    found = {snapshot.name for snapshot in plan.snapshots.values() if getattr(snapshot, "is_model", False)}
    expected = step.job["expected_digest_parts"]
    if step.job["command"] == "execute" and expected:
        return {name for name in found if f"rendered:{step.journal.names.of(name)}" in expected}
    touched = {snapshot_id.name for snapshot_id in plan.context_diff.added} | set(plan.context_diff.modified_snapshots)
    nodes = {snapshot.name: snapshot.node for snapshot in plan.snapshots.values()}
    return {name for name in found & touched if model_looks_outside(nodes[name])}


def render(model: Model, **context: Any) -> str:
    """Hash of everything a model is rendered to.

    :param model: The model.
    :param context: What else its macros may see.
    """
    from sqlmesh.core.macros import RuntimeStage

    options = {**DATES, "runtime_stage": RuntimeStage.EVALUATING, **context}
    # Optimizing takes far longer than rendering, and its outcome follows from what it is given.
    texts = [_sql(model, [model.render_query(**options, needs_optimization=False)])]
    for name in _STATEMENTS:
        function = getattr(model, name, None)
        if function is not None:
            texts.append(_sql(model, function(**options)))
    return hash_of(texts)


def _sql(model: Model, expressions: Iterable[Expression | None]) -> list[str]:
    return [expression.sql(dialect=model.dialect) for expression in expressions if expression is not None]
