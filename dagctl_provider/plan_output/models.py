"""The models of a plan, one record each, in the order in which a reviewer wants to see them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.parts import MARKS, ColumnChange, Mark, ModelChange, ModelResult

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


def models_of(output: Mapping[str, Any], results: Mapping[str, ModelResult]) -> tuple[ModelChange, ...]:
    """All models of a plan: removed and breaking ones first, then by what the change means; inside that by name.

    :param output: ``plan_output`` of the explain step.
    :param results: What the last execution did, by the name of the model.
    """
    lineage = reading.mapping(output.get("lineage"))
    listed = [row for row in reading.rows(output.get("models")) if reading.text(row.get("name"))]
    changed = {str(row["name"]) for row in listed if row.get("change") is not None}
    made = [_model(row, reading.texts(lineage.get(str(row["name"]))), changed, results) for row in listed]
    return tuple(sorted(made, key=_weight))


def _weight(model: ModelChange) -> tuple[int, bool, str]:
    return MARKS.index(model.mark), not model.columns_removed, model.name


def _model(
    row: Mapping[str, Any], parents: tuple[str, ...], changed: set[str], results: Mapping[str, ModelResult]
) -> ModelChange:
    name, change, category = (
        str(row["name"])[: reading.LONGEST_TEXT],
        reading.text(row.get("change")),
        reading.text(row.get("category")),
    )
    intervals = reading.rows(row.get("backfill"))
    diff = row.get("diff") if isinstance(row.get("diff"), str) else None
    return ModelChange(
        name=name,
        mark=_mark(change, category),
        change=change,
        kind=reading.text(row.get("kind")),
        category=category,
        why=_why(row, change, [parent for parent in parents if parent in changed]),
        columns_added=reading.texts(row.get("columns_added")),
        columns_removed=reading.texts(row.get("columns_removed")),
        columns_changed=_columns(row.get("columns_changed")),
        load=sum(map(reading.length, intervals), timedelta()),
        intervals=tuple(_interval(interval) for interval in intervals),
        lines=_lines(diff) if diff else None,
        diff_truncated=row.get("diff_truncated") is True,
        hidden_characters=bool(diff and HIDDEN_CHARACTERS.search(diff)),
        parents=parents,
        result=results.get(name),
    )


def _mark(change: str | None, category: str | None) -> Mark:
    if change is None:
        return "load"
    if change == "directly_modified" and category == "breaking":
        return "breaking"
    return _CHANGE_MARKS.get(change, "changed")


def _why(row: Mapping[str, Any], change: str | None, changed_parents: list[str]) -> tuple[str, ...]:
    said = [_WHY.get(reason, reason) for reason in reading.texts(row.get("reasons"))]
    if not said and change == "indirectly_modified" and changed_parents:
        more = len(changed_parents) - _MOST_PARENTS_NAMED
        said.append(f"it reads {', '.join(changed_parents[:_MOST_PARENTS_NAMED])}" + (f" and {more:,} more" if more > 0 else ""))
    if change is None:
        said.append("it has intervals that were never loaded")
    return (*said, *reading.texts(row.get("details")))


def _columns(value: Any) -> tuple[ColumnChange, ...]:
    return tuple(filter(None, map(_column, value))) if isinstance(value, list) else ()


def _column(value: Any) -> ColumnChange | None:
    """SQLMesh tells of a column as an object, dbt as a text: ``amount: INT -> TEXT``."""
    if text := reading.text(value):
        name, _, types = text.partition(": ")
        before, _, after = types.partition(" -> ")
        return ColumnChange(name, before or "?", after or "?")
    row = reading.mapping(value)
    column = reading.text(row.get("name"))
    return ColumnChange(column, reading.text(row.get("from")) or "?", reading.text(row.get("to")) or "?") if column else None


def _interval(interval: Mapping[str, Any]) -> str:
    start, end = reading.text(interval.get("start")) or "?", reading.text(interval.get("end")) or "?"
    return start if start == end else f"{start} to {end}"


def _lines(diff: str) -> tuple[int, int]:
    """How many lines a unified diff adds and removes; the names of files in its head are none."""
    lines = diff.splitlines()
    added = sum(line.startswith("+") and not line.startswith("+++ ") for line in lines)
    return added, sum(line.startswith("-") and not line.startswith("--- ") for line in lines)


def results_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, ModelResult]:
    """What an execution did, by the name of the model.

    :param rows: As a runner reports them, each with a name.
    """
    return {
        str(row["name"]): ModelResult(
            reading.text(row.get("status")) or "unknown",
            reading.seconds(row.get("duration")),
            reading.number(row["rows"]) if "rows" in row else None,
            reading.number(row.get("batches")) or None,
        )
        for row in rows
    }
