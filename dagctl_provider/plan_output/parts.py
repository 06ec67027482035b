"""What a plan is said to change and what an execution did: frozen records without rows, sessions or markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

Severity = Literal["danger", "warning", "info"]
Mark = Literal["removed", "changed", "added", "downstream", "load", "metadata", "reader", "follower", "unchanged"]
Mood = Literal["now", "would", "done"]
"""How a plan is told: as what it does, as what it would have done, as what it did."""

MARK_TITLES: Mapping[Mark, str] = {
    "removed": "Removed",
    "changed": "Changed",
    "added": "Added",
    "downstream": "Downstream",
    "load": "Not changed",
    "metadata": "Only metadata",
    "reader": "Only read what changes",
    "follower": "Metadata of what they read",
    "unchanged": "Unchanged",
}
"""How a model is marked and what such models are called, what matters most first. What is downstream is computed too, a reader is
not; what has only other metadata was edited, a follower was not."""
MARKS: tuple[Mark, ...] = tuple(MARK_TITLES)
"""The order of the list of models and the codes of the graph."""


@dataclass(frozen=True)
class Finding:
    """Something to know before deciding.

    :param kind: Stable name.
    :param title: One sentence.
    :param models: The models it is about.
    :param detail: Longer text, shown as it is: test output, a list of requirements.
    """

    severity: Severity
    kind: str
    title: str
    models: tuple[str, ...] = ()
    detail: str | None = None


@dataclass(frozen=True)
class ColumnChange:
    """A column whose type changes."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class ModelResult:
    """What an execution did with a model, or is doing.

    :param status: Of the runner: succeeded, failed, skipped, cancelled, running.
    """

    status: str
    seconds: float | None
    rows: int | None
    batches: int | None


@dataclass(frozen=True)
class Tally:
    """How many of something are in which state; what is missing to the total has not begun.

    :param skipped: Not begun, or begun and broken off, because of something else.
    """

    total: int
    succeeded: int
    failed: int
    running: int
    skipped: int

    @property
    def done(self) -> int:
        """How many are over, however they ended."""
        return self.succeeded + self.failed + self.skipped


@dataclass(frozen=True)
class RunningModel:
    """A model that is being computed.

    :param seconds: For how long, where that is known.
    :param batch: Which of how many batches, where there are several.
    """

    name: str
    seconds: float | None
    batch: tuple[int, int] | None


@dataclass(frozen=True)
class Progress:
    """How far a step is, or how far it came.

    :param stage: What is being done, for people; ``None`` when nothing is any more.
    :param now: What is being computed.
    :param seconds: How long the step takes so far, or took.
    """

    running: bool
    stage: str | None
    models: Tally
    tests: Tally
    now: tuple[RunningModel, ...]
    seconds: float | None


@dataclass(frozen=True)
class ModelChange:
    """One model of a plan.

    :param mark: How it is marked, see :data:`MARKS`.
    :param why: Short texts on why it is in the plan.
    :param loads: Whether an execute computes rows for it.
    :param load: How much time that spans; zero where there are no spans, or where they do not matter (``whole``).
    :param intervals: The spans as texts, ``2026-01-01 to 2026-01-14``.
    :param whole: Whether it is always computed as a whole, whatever the spans.
    :param about: What its category says, for people; empty where that says nothing.
    :param lines: Lines that its diff adds and removes; ``None`` without a diff.
    :param hidden_characters: Whether the diff holds characters that a screen does not show or that turn text around.
    """

    name: str
    mark: Mark
    change: str | None
    kind: str | None
    category: str | None
    why: tuple[str, ...]
    columns_added: tuple[str, ...]
    columns_removed: tuple[str, ...]
    columns_changed: tuple[ColumnChange, ...]
    loads: bool
    load: timedelta
    intervals: tuple[str, ...]
    lines: tuple[int, int] | None
    diff_truncated: bool
    hidden_characters: bool
    whole: bool = False
    about: str = ""
    parents: tuple[str, ...] = ()
    result: ModelResult | None = None

    @property
    def has_columns(self) -> bool:
        """Whether any column differs."""
        return bool(self.columns_added or self.columns_removed or self.columns_changed)


@dataclass(frozen=True)
class Graph:
    """The models of a plan and what they read.

    :param names: All models, changed ones first.
    :param marks: Their marks, in the same order.
    :param edges: Pairs of positions: what is read, who reads it.
    """

    names: tuple[str, ...]
    marks: tuple[Mark, ...]
    edges: tuple[tuple[int, int], ...]

    def compact(self) -> dict[str, Any]:
        """As few bytes as JSON allows: marks as positions in :data:`MARKS`, edges as one flat list."""
        return {
            "names": list(self.names),
            "marks": [MARKS.index(mark) for mark in self.marks],
            "edges": [end for edge in self.edges for end in edge],
        }


@dataclass(frozen=True)
class Count:
    """A number that the plan is told with.

    :param mark: Of the models that are counted; ``None`` where it cuts across marks.
    """

    label: str
    number: int
    mark: Mark | None = None
