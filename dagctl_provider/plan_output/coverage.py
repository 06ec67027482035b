"""What an approval covers and what it cannot, and what was not as approved, in words for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dagctl_provider.plan_output.reading import counted
from dagctl_provider.plan_output.shape import Drift, ExplainOutput, Unstable

MOST_NAMED = 50
MOST_FIELDS = 8
_KINDS: Mapping[str, str] = {"rendered": "SQL"}
"""Kinds of parts that are called otherwise than by their own name."""
_WHERE = ("host", "account", "project", "path", "catalog", "database", "schema", "dataset", "role")
"""Fields of a warehouse that say most about where something is written, in the order in which people say them."""


@dataclass(frozen=True)
class Cell:
    """One side of a comparison.

    :param text: The value, or a word where there is none to show.
    :param is_value: Whether it is the value.
    """

    text: str
    is_value: bool = False


@dataclass(frozen=True)
class DriftRow:
    """One part that was not as approved, as a row of a table.

    :param what: Its kind.
    :param before: As approved.
    :param after: At the execution.
    """

    what: str
    name: str
    before: Cell
    after: Cell


def unstable_title(output: ExplainOutput) -> str | None:
    """One sentence on what differs each time; ``None`` when nothing does."""
    number = len(output.unstable)
    if not number:
        return None
    if number == 1:
        return "1 part differs each time it is computed; the approval does not cover it."
    return f"{number:,} parts differ each time they are computed; the approval does not cover them."


def unstable_lines(output: ExplainOutput) -> tuple[str, ...]:
    """Each such part, with its file and what differs, as far as that was found out."""
    lines = [_unstable_line(part) for part in output.unstable[:MOST_NAMED]]
    more = len(output.unstable) - len(lines)
    return (*lines, f"and {more:,} more") if more else tuple(lines)


def _unstable_line(part: Unstable) -> str:
    kind = kind_name(part.kind) + (" of" if part.kind == "rendered" else "")
    named = " ".join(word for word in (kind, part.name) if word) or "a part without a name"
    return named + (f" ({part.file})" if part.file else "") + (f": {part.what}" if part.what else "")


def asked_title(output: ExplainOutput) -> str | None:
    """One sentence on SQL that was made from answers of the warehouse; ``None`` when none was."""
    if not output.asked:
        return None
    models = counted(len(output.asked), "model")
    return f"The SQL of {models} was made from what the warehouse answered; it is made again and compared before it runs."


def kind_name(kind: str | None) -> str:
    """What people call a kind of part."""
    return _KINDS.get(kind or "", (kind or "").replace("_", " "))


def drift_rows(drifts: tuple[Drift, ...]) -> tuple[DriftRow, ...]:
    """What was not as approved, ready to be shown. Of what may be secret there are no values."""
    return tuple(_drift_row(drift) for drift in drifts)


def _drift_row(drift: Drift) -> DriftRow:
    absent = "not there" if drift.change == "added" else "not shown"
    now = {"removed": "not there any more", "added": "new"}.get(drift.change or "", "changed")
    return DriftRow(kind_name(drift.kind), drift.name or "", _cell(drift.before, absent), _cell(drift.after, now))


def _cell(value: str | None, word: str) -> Cell:
    return Cell(word) if value is None else Cell(value, True)


def written_to(warehouse: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Where an execute writes: names and values, what says most first."""
    return tuple(_ordered(warehouse))[:MOST_FIELDS]


def _ordered(warehouse: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in (*_WHERE, *sorted(warehouse.keys() - set(_WHERE))):
        if warehouse.get(name):
            yield name.replace("_", " "), warehouse[name]
