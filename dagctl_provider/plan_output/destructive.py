"""Changes of tables that exist, and which of them an approval has to name: those that the model's own policy calls an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagctl_provider.plan_output.reading import counted
from dagctl_provider.plan_output.shape import ExplainOutput


@dataclass(frozen=True)
class ToAllow:
    """A model that an approval has to name.

    :param columns: What of its table goes, changes or comes.
    :param statements: What is sent to the warehouse.
    :param remedies: What could be done instead.
    """

    name: str
    columns: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    remedies: tuple[str, ...] = ()


def must_be_named(output: ExplainOutput) -> tuple[str, ...]:
    """The models that an approval has to name, each once, in the order of the report."""
    return tuple(row.name for row in to_allow(output))


def to_allow(output: ExplainOutput) -> tuple[ToAllow, ...]:
    """The same with what is to be known of each. A model may have several rows; they are allowed together."""
    found: dict[str, ToAllow] = {}
    for row in output.destructive:
        if row.policy != "error":
            continue
        seen = found.get(row.name, ToAllow(row.name))
        found[row.name] = ToAllow(
            row.name,
            _with(seen.columns, row.columns),
            _with(seen.statements, row.statements),
            _with(seen.remedies, row.remedies),
        )
    return tuple(found.values())


def not_named(output: ExplainOutput, allowed: Sequence[str]) -> tuple[ToAllow, ...]:
    """What an approval with these names lacks."""
    return tuple(row for row in to_allow(output) if row.name not in allowed)


def unknown_names(output: ExplainOutput, allowed: Sequence[str]) -> tuple[str, ...]:
    """Names that are none of a model with such a change: a slip that would otherwise look like consent."""
    known = {row.name for row in output.destructive}
    return tuple(dict.fromkeys(name for name in allowed if name not in known))


def refusal(missing: Sequence[ToAllow]) -> str:
    """One sentence on an approval that lacks names.

    :param missing: Not empty.
    """
    named = "; ".join(_named(row) for row in missing[:10])
    more = f" and {len(missing) - 10:,} more" if len(missing) > 10 else ""
    verb = "changes its table" if len(missing) == 1 else "change their tables"
    return f"{counted(len(missing), 'model')} {verb} destructively, and the approval does not name {_it(missing)}: {named}{more}."


def _it(missing: Sequence[ToAllow]) -> str:
    return "it" if len(missing) == 1 else "them"


def _named(row: ToAllow) -> str:
    return row.name + (f" ({', '.join(row.columns)})" if row.columns else "")


def _with(seen: tuple[str, ...], more: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*seen, *more)))
