"""What the plan page is made of, around what the plan changes: frozen records without rows, sessions or markup."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from dagctl_provider.domain.evaluations import ApprovalState
from dagctl_provider.domain.plans import PlanStep, Status
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output.coverage import DriftRow
from dagctl_provider.plan_output.destructive import ToAllow
from dagctl_provider.plan_output.parts import Count, Finding, ModelChange, Mood, Progress
from dagctl_provider.plan_output.shape import ReportedTests, ResourceChange, Selection


@dataclass(frozen=True)
class Event:
    """One line of the timeline.

    :param tone: ``good``, ``bad``, ``busy``, ``waiting`` or ``plain``.
    :param door: Where somebody decided: ``page``, ``rest``, ``required_actions``, ``system``.
    :param note: What else belongs to it.
    :param seconds: How long it took; with ``running`` set it still goes on since ``at``.
    :param step: The step it is about, for its log and its task.
    """

    at: datetime
    title: str
    tone: str
    who: str | None = None
    door: str | None = None
    comment: str | None = None
    note: str | None = None
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
class PlanView:
    """Everything the plan page shows, apart from diffs and logs.

    :param mood: How it is told.
    :param outcome: What the environment shows now; empty while the plan is not over.
    :param counts: Those that are not zero.
    :param discard_reason: Why it was discarded without anybody deciding so.
    :param overtaken_by: The commit that it was discarded for.
    :param written_to: Where an execution writes: names and values.
    :param to_allow: The models that an approval has to name.
    :param known: Whether it was worked out what changes.
    :param drifts: What the last execution found not to be as it was approved.
    :param approval: How far its approvals are, and what this person may not do now; ``None`` where nothing is to be said of it.
    :param may_override: Whether this person may do without the rules of its environment.
    """

    group_id: str
    project: Project
    steps: tuple[PlanStep, ...]
    status: Status
    commit: Commit
    environment: str | None
    mood: Mood
    outcome: str
    summary: str
    counts: tuple[Count, ...]
    findings: tuple[Finding, ...]
    models: tuple[ModelChange, ...]
    resources: tuple[ResourceChange, ...]
    selection: Selection | None
    tests: ReportedTests | None
    events: tuple[Event, ...]
    actions: tuple[Action, ...]
    has_graph: bool
    discard_reason: str | None = None
    overtaken_by: str | None = None
    progress: Progress | None = None
    written_to: tuple[tuple[str, str], ...] = ()
    drifts: tuple[DriftRow, ...] = ()
    to_allow: tuple[ToAllow, ...] = ()
    known: bool = True
    approval: ApprovalState | None = None
    may_override: bool = False

    @property
    def explain(self) -> PlanStep:
        """The step that worked out the plan."""
        return self.steps[0]

    @property
    def newest(self) -> PlanStep:
        """The step that speaks for the group."""
        return self.steps[-1]
