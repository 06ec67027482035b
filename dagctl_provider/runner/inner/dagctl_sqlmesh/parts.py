"""Puts the parts of a SQLMesh plan together: what SQLMesh says, what macros made of it, where it goes, and what came from around.

The order matters to an execute: what it was given is compared before anything is planned, the rest before its first statement.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dagctl_common.channel import StepFailed
from dagctl_common.digests import hash_of, hashes_of, named, readable
from dagctl_common.frames import Answer
from dagctl_common.inputs import given_parts, input_parts
from dagctl_common.twice import Twice

from dagctl_sqlmesh.altering import Altered, altered_parts, altered_tables
from dagctl_sqlmesh.digests import asked_parts, digest_parts, without
from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.leftovers import left_parts, rows_left
from dagctl_sqlmesh.outside import code_of_statements_looks_outside
from dagctl_sqlmesh.rendering import DATES, Rendered, render_plan
from dagctl_sqlmesh.twice import RENDERED, unstable
from dagctl_sqlmesh.warehouses import warehouse_fields

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.engine_adapter import EngineAdapter
    from sqlmesh.core.plan import Plan

NAMED_LIMIT = 5


@dataclass
class Found:
    """The parts of a plan, and what the reviewer is told about them.

    :param parts: By name.
    :param warehouse: Where it writes.
    :param rendered: What macros made.
    :param altered: Tables that are altered in place.
    """

    parts: dict[str, str]
    warehouse: dict[str, str]
    rendered: Rendered
    altered: list[Altered] = field(default_factory=list)

    def output(self, step: Step) -> dict[str, object]:
        """Members of ``plan_output``."""
        asked = step.journal.names.sorted(self.rendered.asked)
        warnings = list(step.journal.warnings)
        for name, reason in sorted(self.rendered.missing.items()):
            warnings.append(f"The SQL of {step.journal.names.of(name)} could not be worked out before it runs: {reason}")
        lists = {"asked": asked, "destructive": self.altered, "assumed": step.journal.names.sorted(step.assumed)}
        return {"warehouse": self.warehouse, "warnings": warnings, **{key: rows for key, rows in lists.items() if rows}}


def early_parts(step: Step, context: Context) -> dict[str, str]:
    """The parts that are known before the project is loaded.

    :param step: The step.
    :param context: Its config is loaded.
    """
    job = step.job
    asked = hashes_of({"commit": [job["commit_sha"], job["git_path"]], **asked_parts(job)})
    parts = {**asked, "tool": readable(f"{job['tool']} {job['tool_version']}"), **given_parts(step)}
    return {**parts, **named("warehouse", warehouse_fields(step, context)), **step.state}


def plan_parts(step: Step, context: Context, plan: Plan, migration: Mapping[str, str] | None) -> Found:
    """All parts of a plan.

    :param step: The step.
    :param context: The context that made the plan.
    :param plan: SQLMesh's plan.
    :param migration: The state's migration that belongs to the plan.
    """
    names, warehouse = step.journal.names, warehouse_fields(step, context)
    rendered = render_plan(step, plan, _adapters(context))
    altered = altered_tables(context, plan, names)
    parts = {
        **digest_parts(plan, step.job, names, migration),
        **named("rendered", {names.of(name): value for name, value in rendered.hashes.items()}),
        **_statements(context, plan),
        **named("destructive", altered_parts(altered)),
        **named("warehouse", warehouse),
        **step.state,
        **input_parts(step),
        **left_parts(rows_left(step)),
    }
    return Found(parts, warehouse, rendered, [row for rows in altered.values() for row in rows])


def _adapters(context: Context) -> dict[str, EngineAdapter]:
    """Adapters of the warehouse by gateway; the first one is the selected gateway's."""
    found = {context.gateway or "": context.engine_adapter}
    return {**found, **(getattr(context, "engine_adapters", None) or {})}


def _statements(context: Context, plan: Plan) -> dict[str, str]:
    """What the statements before and after all models are rendered to, where their code does not say it."""
    statements = getattr(plan.context_diff, "environment_statements", None) or []
    if not any(code_of_statements_looks_outside(statement) for statement in statements):
        return {}
    dialect = context.engine_adapter.dialect
    texts = []
    for statement in statements:
        for function in (statement.render_before_all, statement.render_after_all):
            try:
                texts.append(function(dialect, context.default_catalog, engine_adapter=context.engine_adapter, **DATES))
            except Exception as error:
                texts.append([type(error).__name__])
    return {"rendered:before_all/after_all": hash_of(texts)}


def compare_again(
    step: Step, context: Context, again: Twice | None, parts: dict[str, str]
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Leave out of the parts what came out differently the second time, and say what it is.

    :param step: The step.
    :param context: The project is loaded in it.
    :param again: The second computation, if there was one.
    :param parts: Parts of the plan.
    :return: The parts, and rows of ``plan_output.unstable``.
    """
    facts = again.answer() if again else None
    if again and again.failure:
        told = f"the project could not be loaded a second time ({again.failure})"
        step.journal.warn(f"What differs each time is not known: {told}.")
    if not facts:
        return parts, []
    rows, left_out = [], []
    for fqn, differing in unstable(context, facts):
        name = step.journal.names.of(fqn)
        only_sql = differing == [RENDERED]
        model = context.models.get(fqn)
        file = step.shorten(str(getattr(model, "_path", "") or "")) if model is not None else ""
        what = "the SQL that its macros make" if only_sql else ", ".join(_words(differing))
        rows.append({"kind": "rendered" if only_sql else "model", "name": name, "file": file, "what": what})
        left_out += [f"rendered:{name}", *([] if only_sql else [f"model:{name}"])]
    for row in rows:
        step.channel.line(f"{row['name']} ({row['file']}) comes out differently each time: {row['what']}")
    return without(parts, left_out), rows


def _words(differing: list[str]) -> list[str]:
    """What differs, for people: the definition always does when something in it does, and is only named when nothing else is."""
    telling = [word for word in differing if word not in ("the definition", RENDERED)]
    return telling[:NAMED_LIMIT] or [word for word in differing if word != RENDERED] or differing


def refuse_unstable(step: Step, rows: list[dict[str, str]], answer: Answer) -> None:
    """End the explain where plans are refused of which a part differs each time.

    :raises StepFailed: ``plan_unstable``.
    """
    if rows and step.job.get("unstable") == "refuse":
        named_ones = "; ".join(f"{row['name']} ({row['file']}): {row['what']}" for row in rows[:NAMED_LIMIT])
        raise StepFailed("plan_unstable", f"{len(rows)} parts of the plan differ each time: {named_ones}", **answer)
