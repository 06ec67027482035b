"""What the plan page is made of: frozen records without rows, sessions or markup."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from dagctl_provider.domain.plans import PlanStep, Status
from dagctl_provider.domain.projects import Project

Severity = Literal["danger", "warning", "info"]
Mark = Literal["removed", "breaking", "added", "changed", "metadata", "downstream", "load", "unchanged"]

MARK_TITLES: Mapping[Mark, str] = {
    "removed": "Removed",
    "breaking": "Breaking",
    "added": "Added",
    "changed": "Changed",
    "metadata": "Only metadata",
    "downstream": "Downstream",
    "load": "Only loaded",
    "unchanged": "Unchanged",
}
"""How a model is marked and what such models are called, what matters most first."""
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
    :param load: How much time its missing intervals span together; zero when none are loaded.
    :param intervals: The same as texts, ``2026-01-01 to 2026-01-14``.
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
    load: timedelta
    intervals: tuple[str, ...]
    lines: tuple[int, int] | None
    diff_truncated: bool
    hidden_characters: bool
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
class Event:
    """One line of the timeline.

    :param tone: ``good``, ``bad``, ``busy``, ``waiting`` or ``plain``.
    :param door: Where somebody decided: ``page``, ``rest``, ``required_actions``, ``system``.
    :param seconds: How long it took; with ``running`` set it still goes on since ``at``.
    :param step: The step it is about, for its log and its task.
    """

    at: datetime
    title: str
    tone: str
    who: str | None = None
    door: str | None = None
    comment: str | None = None
    seconds: float | None = None
    running: bool = False
    step: PlanStep | None = None


@dataclass(frozen=True)
class Action:
    """Something that may be done to the plan in its present state.

    :param verb: Of the API.
    :param step_id: The step it is asked of; the project's id for ``plan``.
    :param consequence: What will happen, one sentence each.
    :param comment: Whether words go with it.
    :param permission: What it needs.
    :param allowed: Whether this person holds that.
    """

    verb: str
    step_id: str
    label: str
    title: str
    consequence: tuple[str, ...]
    permission: str
    allowed: bool
    weight: Literal["main", "danger", "plain"] = "plain"
    comment: Literal["none", "optional", "required"] = "none"


@dataclass(frozen=True)
class Commit:
    """The commit that a plan is for.

    :param url: Its page on the host of the repository, where the shape of such addresses is known.
    :param compare_url: The page with everything since the deployed commit.
    """

    sha: str
    subject: str
    body: str
    author: str | None
    committed_at: datetime | None
    url: str | None
    compare_url: str | None
    deployed_sha: str | None
    behind: int | None


@dataclass(frozen=True)
class Count:
    """A number that the plan is told with.

    :param mark: Of the models that are counted; ``None`` where it cuts across marks.
    """

    label: str
    number: int
    mark: Mark | None = None


@dataclass(frozen=True)
class PlanView:
    """Everything the plan page shows, apart from diffs and logs.

    :param counts: Those that are not zero.
    """

    group_id: str
    project: Project
    steps: tuple[PlanStep, ...]
    status: Status
    commit: Commit
    environment: str | None
    summary: str
    counts: tuple[Count, ...]
    findings: tuple[Finding, ...]
    models: tuple[ModelChange, ...]
    resources: tuple[dict[str, Any], ...]
    selection: dict[str, Any] | None
    tests: dict[str, Any] | None
    events: tuple[Event, ...]
    actions: tuple[Action, ...]
    has_graph: bool
    progress: Progress | None = None

    @property
    def explain(self) -> PlanStep:
        """The step that worked out the plan."""
        return self.steps[0]

    @property
    def newest(self) -> PlanStep:
        """The step that speaks for the group."""
        return self.steps[-1]
