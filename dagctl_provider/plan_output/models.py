"""The models of a plan, one record each, in the order in which a reviewer wants to see them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from types import MappingProxyType

from dagctl_provider.domain.tools import Tool
from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.marks import Marker
from dagctl_provider.plan_output.members import key_of
from dagctl_provider.plan_output.parts import MARKS, ColumnChange, Mark, ModelChange, ModelResult
from dagctl_provider.plan_output.shape import ExplainOutput, Interval, ModelRow, PlannedModel, RetypedColumn

# Characters that turn text around, or that take no room on a screen ("Trojan Source", CVE-2021-42574).
HIDDEN_CHARACTERS = re.compile("[\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")

_WHY: Mapping[str, str] = {
    "body": "its query changed",
    "config": "its configuration changed",
    "relation": "it moves to another place in the warehouse",
    "macro": "a macro it uses changed",
    "contract": "its contract changed",
    "seed_data": "its rows changed",
    "leftover": "a failed plan built it",
    "description": "its description changed",
    "vars": "a variable it uses changed",
    "source": "a source it reads changed",
    "ref": "what it reads changed",
    "path": "its file moved",
    "version": "its version changed",
    "access": "its access changed",
    "disabled": "it was disabled",
    "enabled": "it was enabled",
    "selector": "the project's default selector takes it in",
    "tags": "its tags changed",
    "group": "its group changed",
    "columns": "what is written about its columns changed",
    "meta": "its meta changed",
    "docs": "its docs changed",
}
_BECAUSE: Mapping[Mark, str] = {"downstream": "it reads ", "reader": "it reads ", "follower": "because of "}
"""How models that nobody edited say what they follow."""
WHOLE = frozenset({"FULL", "VIEW", "SEED", "EMBEDDED", "MANAGED"})
"""Kinds of SQLMesh whose rows are all computed anew each time: a span says nothing of how much that is."""
_MOST_PARENTS_NAMED = 3
Models = tuple[ModelChange, ...]
_MODELS, _NAME = key_of(ExplainOutput, "models"), key_of(PlannedModel, "name")


def models_of(output: ExplainOutput, tool: Tool, results: Mapping[str, ModelResult] = MappingProxyType({})) -> Models:
    """All models of a plan: removed ones first, then those that were edited, then by what the change means; inside that by name.

    :param output: What the explain found.
    :param tool: Whose words say what a category means.
    :param results: What the last execution did, by the name of the model.
    """
    marker = Marker(output)
    changed = {model.name for model in output.models if model.change is not None}
    made = []
    for model in output.models:
        parents = output.lineage.get(model.name, ())
        why = _why(model, marker.mark(model), [parent for parent in parents if parent in changed])
        told = _model(model, marker, parents, why)
        made.append(replace(told, about=_about(told, tool), result=results.get(model.name)))
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


def _model(model: PlannedModel, marker: Marker, parents: tuple[str, ...], why: tuple[str, ...]) -> ModelChange:
    whole = (model.kind or "").upper() in WHOLE
    return ModelChange(
        name=model.name,
        mark=marker.mark(model),
        change=model.change,
        kind=model.kind,
        category=model.category,
        why=why,
        columns_added=model.columns_added,
        columns_removed=model.columns_removed,
        columns_changed=tuple(map(_column, model.columns_changed)),
        loads=marker.loads(model),
        load=timedelta() if whole else sum(map(reading.length, model.backfill), timedelta()),
        intervals=() if whole else tuple(map(_interval, model.backfill)),
        lines=_lines(model.diff) if model.diff else None,
        diff_truncated=model.diff_truncated is True,
        hidden_characters=bool(model.diff and HIDDEN_CHARACTERS.search(model.diff)),
        whole=whole,
        parents=parents,
    )


def _about(model: ModelChange, tool: Tool) -> str:
    """What a category says: of models that were edited, what it means to readers; of others only that old rows stay."""
    category = (model.category or "").removeprefix("indirect_")
    if model.mark == "changed" or category == "forward_only":
        return tool.categories.get(category, "")
    return ""


def _why(model: PlannedModel, mark: Mark, changed_parents: list[str]) -> tuple[str, ...]:
    said = [_WHY.get(reason, reason) for reason in model.reasons]
    if not said and mark in _BECAUSE and changed_parents:
        more = len(changed_parents) - _MOST_PARENTS_NAMED
        said.append(
            _BECAUSE[mark] + ", ".join(changed_parents[:_MOST_PARENTS_NAMED]) + (f" and {more:,} more" if more > 0 else "")
        )
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


def results_of(runs: Iterable[ModelRow]) -> dict[str, ModelResult]:
    """What an execution did, by the name of the model."""
    return {run.name: ModelResult(run.status or "unknown", run.duration, run.rows, run.batches or None) for run in runs}
