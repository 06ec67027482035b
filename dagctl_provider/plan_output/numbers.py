"""How many models a plan touches, for lists: read in the database out of many outputs at once, so here are only the names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagctl_provider.plan_output.members import key_of
from dagctl_provider.plan_output.shape import ExplainOutput

_COUNTS = ("added", "modified", "removed", "backfill")

COUNT_KEYS: Mapping[str, str] = {name: key_of(ExplainOutput, name) for name in _COUNTS}
"""Whole numbers to read: what they are called here, and in the output."""
FLAG_KEYS: Mapping[str, str] = {name: key_of(ExplainOutput, name) for name in ("has_changes", "auto_discarded")}
"""Truth values to read, in the same way."""


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


def counts_of(numbers: Mapping[str, Any] | None) -> Counts | None:
    """The counts of a plan; ``None`` while nothing is known.

    :param numbers: What was read for :data:`COUNT_KEYS` and :data:`FLAG_KEYS`, by the names used here.
    """
    if numbers is None or numbers["added"] is None:
        return None
    added, modified, removed, backfill = (int(numbers[name] or 0) for name in _COUNTS)
    return Counts(added, modified, removed, backfill, nothing=numbers["has_changes"] is False)


def was_discarded(numbers: Mapping[str, Any] | None) -> bool:
    """Whether a plan was rejected because the branch or the deployed state moved on; see :func:`counts_of`."""
    return bool(numbers and numbers["auto_discarded"])
