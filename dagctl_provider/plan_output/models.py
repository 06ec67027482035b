"""The models of a plan, one record each, in the order in which a reviewer wants to see them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta

from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.members import key_of
from dagctl_provider.plan_output.parts import MARKS, ColumnChange, Mark, ModelChange, ModelResult
from dagctl_provider.plan_output.shape import ExplainOutput, Interval, ModelRun, PlannedModel, RetypedColumn

# Characters that turn text around, or that take no room on a screen ("Trojan Source", CVE-2021-42574).
HIDDEN_CHARACTERS = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

_CHANGE_MARKS: Mapping[str, Mark] = {
    "added": "added",
    "removed": "removed",
    "directly_modified": "changed",
    "indirectly_modified": "downstream",
    "metadata": "metadata",
}
_WHY: Mapping[str, str] = {
    "body": "its query changed",
    "config": "its configuration changed",
    "relation": "it moves to another place in the warehouse",
    "macro": "a macro it uses changed",
    "contract": "its contract changed",
    "seed_data": "its rows changed",
    "description": "its description changed",
    "vars": "a variable it uses changed",
    "source": "a source it reads changed",
    "ref": "what it reads changed",
    "path": "its file moved",
    "version": "its version changed",
    "access": "its access changed",
    "disabled": "it was disabled",
    "enabled": "it was enabled",
}
_MOST_PARENTS_NAMED = 3
_MODELS, _NAME = key_of(ExplainOutput, "models"), key_of(PlannedModel, "name")


def models_of(output: ExplainOutput, results: Mapping[str, ModelResult]) -> tuple[ModelChange, ...]:
    """All models of a plan: removed and breaking ones first, then by what the change means; inside that by name.

    :param output: What the explain found.
    :param results: What the last execution did, by the name of the model.
    """
    changed = {model.name for model in output.models if model.change is not None}
    made = [_model(model, output.lineage.get(model.name, ()), changed, results) for model in output.models]
    return tuple(sorted(made, key=_weight))


def find_model(output: object, name: str) -> PlannedModel | None:
    """One model of a plan, without reading all others.

    :param output: ``plan_output`` of the explain step, as it is stored.
    """
    for row in reading.rows(reading.mapping(output).get(_MODELS)):
        if row.get(_NAME) == name:
            return reading.read(PlannedModel, row)
    return None


def _weight(model: ModelChange) -> tuple[int, bool, str]:
    return MARKS.index(model.mark), not model.columns_removed, model.name


def _model(model: PlannedModel, parents: tuple[str, ...], changed: set[str], results: Mapping[str, ModelResult]) -> ModelChange:
    return ModelChange(
        name=model.name,
        mark=_mark(model.change, model.category),
        change=model.change,
        kind=model.kind,
        category=model.category,
        why=_why(model, [parent for parent in parents if parent in changed]),
        columns_added=model.columns_added,
        columns_removed=model.columns_removed,
        columns_changed=tuple(map(_column, model.columns_changed)),
        load=sum(map(reading.length, model.backfill), timedelta()),
        intervals=tuple(map(_interval, model.backfill)),
        lines=_lines(model.diff) if model.diff else None,
        diff_truncated=model.diff_truncated is True,
        hidden_characters=bool(model.diff and HIDDEN_CHARACTERS.search(model.diff)),
        parents=parents,
        result=results.get(model.name),
    )


def _mark(change: str | None, category: str | None) -> Mark:
    if change is None:
        return "load"
    if change == "directly_modified" and category == "breaking":
        return "breaking"
    return _CHANGE_MARKS.get(change, "changed")


def _why(model: PlannedModel, changed_parents: list[str]) -> tuple[str, ...]:
    said = [_WHY.get(reason, reason) for reason in model.reasons]
    if not said and model.change == "indirectly_modified" and changed_parents:
        more = len(changed_parents) - _MOST_PARENTS_NAMED
        said.append(f"it reads {', '.join(changed_parents[:_MOST_PARENTS_NAMED])}" + (f" and {more:,} more" if more > 0 else ""))
    if model.change is None:
        said.append("it has intervals that were never loaded")
    return (*said, *model.details)


def _column(told: RetypedColumn | str) -> ColumnChange:
    """SQLMesh tells of a column as an object, dbt as a text: ``amount: INT -> TEXT``."""
    if isinstance(told, str):
        name, _, types = told.partition(": ")
        before, _, after = types.partition(" -> ")
        return ColumnChange(name, before or "?", after or "?")
    return ColumnChange(told.name, told.before or "?", told.after or "?")


def _interval(interval: Interval) -> str:
    start, end = interval.start or "?", interval.end or "?"
    return start if start == end else f"{start} to {end}"


def _lines(diff: str) -> tuple[int, int]:
    """How many lines a unified diff adds and removes; the names of files in its head are none."""
    lines = diff.splitlines()
    added = sum(line.startswith("+") and not line.startswith("+++ ") for line in lines)
    return added, sum(line.startswith("-") and not line.startswith("--- ") for line in lines)


def results_of(runs: Iterable[ModelRun]) -> dict[str, ModelResult]:
    """What an execution did, by the name of the model."""
    return {run.name: ModelResult(run.status or "unknown", run.duration, run.rows, run.batches or None) for run in runs}
