"""How many models a plan touches, for lists: read in the database out of many outputs at once, so here are only the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypedDict

from dagctl_provider.plan_output.members import key_of
from dagctl_provider.plan_output.shape import ExplainOutput

_COUNTS = ("added", "modified", "removed", "backfill")

COUNT_KEYS: Mapping[str, str] = {name: key_of(ExplainOutput, name) for name in _COUNTS}
"""Whole numbers to read: what they are called here, and in the output."""
FLAG_KEYS: Mapping[str, str] = {name: key_of(ExplainOutput, name) for name in ("has_changes", "auto_discarded")}
"""Truth values to read, in the same way."""


class Numbers(TypedDict):
    """What was read out of an output for :data:`COUNT_KEYS` and :data:`FLAG_KEYS`; ``None`` for what it does not have."""

    added: int | None
    modified: int | None
    removed: int | None
    backfill: int | None
    has_changes: bool | None
    auto_discarded: bool | None


@dataclass(frozen=True)
class Counts:
    """How many models a plan touches.

    :param nothing: Whether executing it would do nothing.
    """

    added: int
    modified: int
    removed: int
    backfill: int
    nothing: bool


def counts_of(numbers: Numbers | None) -> Counts | None:
    """The counts of a plan; ``None`` while nothing is known.

    :param numbers: What was read for :data:`COUNT_KEYS` and :data:`FLAG_KEYS`.
    """
    if numbers is None or numbers["added"] is None:
        return None
    return Counts(
        added=numbers["added"],
        modified=numbers["modified"] or 0,
        removed=numbers["removed"] or 0,
        backfill=numbers["backfill"] or 0,
        nothing=numbers["has_changes"] is False,
    )


def was_discarded(numbers: Numbers | None) -> bool:
    """Whether a plan was rejected because the branch or the deployed state moved on; see :func:`counts_of`."""
    return bool(numbers and numbers["auto_discarded"])
