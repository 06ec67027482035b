"""What has changed since a moment ago, for pages that stay open.

A picture of all that moves is a handful of indexed reads; two of them compared name the projects and plan groups that changed.
Pictures are compared by content, so every API server gives the same state the same version.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from dagctl_provider.domain.names import project_variable
from dagctl_provider.orchestration import schedules
from dagctl_provider.orchestration.progress import progress_moments
from dagctl_provider.store import overviews, transactions
from dagctl_provider.store.overviews import ExecutionState, ProjectState, StepState
from dagctl_provider.store.session import Session

_VERSION_LENGTH = 16


@dataclass(frozen=True)
class Picture:
    """All that moves, at one moment.

    :param steps: Steps that run or wait, by id; organization, project and group first.
    :param projects: By id; organization and plan Dag first.
    :param runs: State of unfinished runs, by Dag id and run id.
    :param executions: Those that wait or run, by id; project first.
    :param progress: When a running step last told how far it is, by plan group; its organization first.
    :param newest_step: Id of the newest step.
    :param fresh: Organization, project and group of steps that are newer than those of the picture before.
    """

    steps: Mapping[str, StepState]
    projects: Mapping[str, ProjectState]
    runs: Mapping[str, str]
    newest_step: str
    executions: Mapping[str, ExecutionState] = field(default_factory=dict)
    progress: Mapping[str, tuple[str, datetime]] = field(default_factory=dict)
    fresh: tuple[tuple[str, str, str], ...] = field(default=(), compare=False)

    def version(self, organization_id: str) -> str:
        """The state of one organization as a short text: the same text, the same state."""
        steps = sorted((key, row) for key, row in self.steps.items() if row[0] == organization_id)
        projects = sorted((key, row) for key, row in self.projects.items() if row[0] == organization_id)
        dags = {row[1] for _, row in projects}
        runs = sorted((key, state) for key, state in self.runs.items() if _dag_of(key) in dags)
        progress = sorted((key, row) for key, row in self.progress.items() if row[0] == organization_id)
        own = {key for key, _ in projects}
        executions = sorted((key, row) for key, row in self.executions.items() if row[0] in own)
        told = (steps, projects, progress, executions)
        text = repr((*([_words(row) for row in rows] for rows in told), runs, self.newest_step))
        return hashlib.sha256(text.encode()).hexdigest()[:_VERSION_LENGTH]


def _words(row: tuple[str, tuple[object, ...]]) -> list[str]:
    return [row[0], *(value.isoformat() if hasattr(value, "isoformat") else str(value) for value in row[1])]


def _dag_of(run_key: str) -> str:
    return project_variable(run_key.partition("/")[0])


@dataclass(frozen=True)
class Changes:
    """Ids of what differs between two pictures, in one organization.

    :param progress: Plan groups of which nothing else differs than how far their running step is.
    """

    projects: frozenset[str]
    groups: frozenset[str]
    progress: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.projects or self.groups or self.progress)


def take_picture(before: Picture | None = None) -> Picture:
    """What moves, now.

    :param before: The picture before this one; steps that came and went between the two are found with its help.
    """

    def work(session: Session) -> Picture:
        newest = overviews.newest_step_id(session)
        known = before.newest_step if before is not None else newest
        fresh = overviews.steps_after(session, known) if newest > known else []
        steps, projects = overviews.active_steps(session), overviews.project_states(session)
        return Picture(
            steps=steps,
            projects=projects,
            progress=_progress(session, steps, projects),
            runs=schedules.unfinished_runs(session),
            executions=overviews.unfinished_executions(session),
            newest_step=newest,
            fresh=tuple(fresh),
        )

    return transactions.run(work)


def _progress(
    session: Session, steps: Mapping[str, StepState], projects: Mapping[str, ProjectState]
) -> dict[str, tuple[str, datetime]]:
    running = {row[2]: row for row in steps.values() if row[3] == "running" and row[1] in projects}
    # The run of a plan has its group's id.
    keys = [(projects[row[1]][1], group) for group, row in running.items()]
    told = progress_moments(session, keys)
    return {group: (running[group][0], moment) for (_, group), moment in told.items()}


class Recent:
    """The picture that many requests of one second share.

    :param seconds: How old it may be.
    """

    def __init__(self, seconds: float = 0.5) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._taken_at = -seconds
        self._picture: Picture | None = None

    def version(self, organization_id: str) -> str:
        """The version of an organization's state, at most so old."""
        with self._lock:
            if self._picture is None or time.monotonic() - self._taken_at > self._seconds:
                self._taken_at = time.monotonic()
                self._picture = take_picture()
            return self._picture.version(organization_id)


recent = Recent()


def changes(before: Picture, after: Picture, organization_id: str) -> Changes:
    """What a page of the organization should show anew."""
    steps: list[StepState | tuple[str, str, str]] = []
    steps += [row for row in _differing(before.steps, after.steps) if row[0] == organization_id]
    steps += [row for row in after.fresh if row[0] == organization_id]
    projects = {
        key
        for key in before.projects.keys() | after.projects.keys()
        if before.projects.get(key) != after.projects.get(key)
        and organization_id in (row[0] for row in (before.projects.get(key), after.projects.get(key)) if row is not None)
    }
    ran = {_dag_of(key) for key in before.runs.keys() | after.runs.keys() if before.runs.get(key) != after.runs.get(key)}
    projects |= {key for key, row in after.projects.items() if row[1] in ran and row[0] == organization_id}
    moved = {
        row[0]
        for key in before.executions.keys() | after.executions.keys()
        if before.executions.get(key) != after.executions.get(key)
        for row in (before.executions.get(key), after.executions.get(key))
        if row is not None
    }
    projects |= {key for key in moved if key in after.projects and after.projects[key][0] == organization_id}
    groups = frozenset(row[2] for row in steps)
    told = {group for group, row in after.progress.items() if row[0] == organization_id and before.progress.get(group) != row}
    return Changes(frozenset(projects | {row[1] for row in steps}), groups, frozenset(told - groups))


def _differing(before: Mapping[str, StepState], after: Mapping[str, StepState]) -> Iterable[StepState]:
    for key in before.keys() | after.keys():
        old, new = before.get(key), after.get(key)
        if old != new:
            yield from (row for row in (old, new) if row is not None)
