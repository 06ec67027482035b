"""What the pages list: projects and plan groups with all that a row shows, in a handful of queries.

The REST API speaks of steps, as its documents do. People think of plans: one commit, explained, decided, executed.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import Status
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.schedules import describe, next_times
from dagctl_provider.domain.tools import tool_of
from dagctl_provider.orchestration import schedules
from dagctl_provider.orchestration.schedules import NewestRun, NextRun
from dagctl_provider.plan_output.numbers import Counts, Numbers, counts_of, was_discarded
from dagctl_provider.plan_output.outcomes import mood_in
from dagctl_provider.plan_output.summaries import load_word
from dagctl_provider.services.results import Page
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import overviews, transactions
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store.session import Session

_REMEMBERED = 5000
_LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class PlanRow:
    """A plan group as one row.

    :param status: Of the group: that of its newest step.
    :param executing: Whether the status is that of an execution.
    :param attempt: Which execution it is, from 1.
    :param auto_discarded: Whether it was rejected because the branch or the deployed state moved on.
    :param changed_at: When its newest step last changed.
    """

    group_id: str
    explain_id: str
    project_id: str
    project_name: str
    project_type: str
    commit_sha: str
    commit_message: str | None
    commit_author: str | None
    committed_at: datetime | None
    triggered_by: str | None
    created_at: datetime
    changed_at: datetime
    status: Status
    executing: bool
    attempt: int | None
    decided_by: str | None
    error_code: str | None
    counts: Counts | None
    auto_discarded: bool

    @property
    def load_word(self) -> str:
        """What stands after the number of models that are computed."""
        return load_word(tool_of(self.project_type).loading, mood_in(self.status))


@dataclass(frozen=True)
class PlanList:
    """One page of plan groups.

    :param counts: How many there are in each state, whatever state was asked for.
    """

    page: Page[PlanRow]
    counts: Mapping[str, int]


@dataclass(frozen=True)
class ProjectRow:
    """A project as one row.

    :param pending: Plans that wait for a decision.
    :param newest_plan: The newest plan group.
    :param newest_run: The newest run of any of its jobs, while Airflow has it.
    :param next_run: When Airflow starts the default job's next run by itself; absent when those only start by hand.
    :param paused: Whether somebody paused the run Dag in Airflow, so that no run starts.
    """

    project: Project
    pending: int
    newest_plan: PlanRow | None
    newest_run: NewestRun | None = None
    next_run: datetime | None = None
    paused: bool = False

    @property
    def schedule(self) -> str | None:
        """The project's schedule of runs in words."""
        schedule = self.project.settings.get("run_schedule")
        return describe(schedule) if schedule else None

    @property
    def not_running(self) -> str | None:
        """Why no run starts by itself or by hand, where that is so."""
        reasons = (
            (not self.project.deployed, "not deployed"),
            (self.project.suspended, "suspended"),
            (self.project.current_commit_sha is None, "nothing deployed yet"),
            (self.project.job is not None and not self.project.job.enabled, "disabled"),
            (self.paused, "paused in Airflow"),
        )
        return next((reason for holds, reason in reasons if holds), None)


@dataclass(frozen=True)
class ProjectList:
    """One page of projects.

    :param counts: How many each filter of :data:`PROJECT_FILTERS` would show.
    """

    page: Page[ProjectRow]
    counts: Mapping[str, int]


PROJECT_FILTERS: Mapping[str, Callable[[ProjectRow], bool]] = {
    "all": lambda row: True,
    "waiting": lambda row: row.pending > 0,
    "behind": lambda row: bool(row.project.commits_behind),
    "failing": lambda row: bool(row.project.sync_error) or (row.newest_plan is not None and row.newest_plan.status == "failed"),
    "suspended": lambda row: row.project.suspended,
    "undeployed": lambda row: not row.project.deployed,
}
"""What of the projects can be asked for, by the word in the address."""

PROJECT_SORTS: Mapping[str, Callable[[ProjectRow], Any]] = {
    "name": lambda row: row.project.name.lower(),
    "waiting": lambda row: (-row.pending, row.project.name.lower()),
    "behind": lambda row: (-(row.project.commits_behind or 0), row.project.name.lower()),
    "changed": lambda row: -(row.newest_plan.changed_at if row.newest_plan else _LONG_AGO).timestamp(),
}
"""How projects can be ordered."""


class _Numbers:
    """Counts of plans that were read once. What an explain found never changes, so they are kept, the latest used ones.

    :param size: How many.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[tuple[str, str], Numbers] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, session: Session, keys: Iterable[tuple[str, str]]) -> dict[str, Numbers]:
        """The numbers by step id.

        :param keys: Step id and status; the status because discarding a plan adds to its output.
        """
        wanted = set(keys)
        with self._lock:
            found = {key: self._kept[key] for key in wanted if key in self._kept}
        missing = {key[0]: key for key in wanted - found.keys() if key[1] != "running"}
        for step_id, numbers in overviews.output_numbers(session, missing).items():
            found[missing[step_id]] = numbers
        with self._lock:
            for key, numbers in found.items():
                self._kept[key] = numbers
                self._kept.move_to_end(key)
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return {step_id: numbers for (step_id, _), numbers in found.items()}


_numbers = _Numbers(_REMEMBERED)


def _plan_rows(session: Session, rows: list[overviews.GroupRow]) -> list[PlanRow]:
    numbers = _numbers.of(session, ((row["explain_id"], row["explain_status"]) for row in rows))
    return [_plan_row(row, numbers.get(row["explain_id"])) for row in rows]


def _plan_row(row: overviews.GroupRow, numbers: Numbers | None) -> PlanRow:
    same: dict[str, Any] = {name: value for name, value in row.items() if name in PlanRow.__dataclass_fields__}
    return PlanRow(
        **same,
        executing=row["execute_id"] is not None and row["explain_status"] == "approved",
        counts=counts_of(numbers),
        auto_discarded=was_discarded(numbers),
    )


def list_plan_groups(
    actor: Actor, *, project_id: str | None = None, status: str | None = None, search: str = "", page: int = 1, limit: int = 25
) -> PlanList:
    """Plan groups of all projects or of one; those that wait for a decision first, then the newest.

    :param status: Only groups in this state.
    :param search: Part of message, author or project name, or the beginning of a commit id.
    :param page: From 1; beyond the end is the last one.
    :raises DagctlError: ``forbidden``.
    """
    actor.require("read")
    wanted = overviews.Wanted(actor.organization_id, project_id, status, search.strip(), actor.project_ids)

    def work(session: Session) -> PlanList:
        counts = overviews.count_groups(session, wanted)
        total = counts.get(status, 0) if status is not None else sum(counts.values())
        number = _existing_page(page, limit, total)
        rows = _plan_rows(session, overviews.list_groups(session, wanted, page=number, limit=limit))
        return PlanList(Page(tuple(rows), total, number, limit), counts)

    return transactions.run(work)


def _existing_page(page: int, limit: int, total: int) -> int:
    return max(1, min(page, -(-total // limit)))


def list_project_rows(
    actor: Actor, *, search: str = "", show: str = "all", sort: str = "name", page: int = 1, limit: int = 25
) -> ProjectList:
    """Projects of the organization.

    :param search: Part of name, description, repository or branch.
    :param show: Key of :data:`PROJECT_FILTERS`; another word counts as ``all``.
    :param sort: Key of :data:`PROJECT_SORTS`; another word counts as ``name``.
    :param page: From 1; beyond the end is the last one.
    :raises DagctlError: ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> ProjectList:
        projects = project_rows.list_projects(session, actor.organization_id)
        pending = overviews.pending_by_project(session, actor.organization_id)
        newest = overviews.newest_groups(session, actor.organization_id)
        # The numbers inside a plan are read for the rows that are shown only.
        rows = [
            ProjectRow(project, pending.get(project.id, 0), _plan_row(newest[project.id], None) if project.id in newest else None)
            for project in projects
            if actor.sees(project.id) and _matches(project, search)
        ]
        counts = {name: sum(map(test, rows)) for name, test in PROJECT_FILTERS.items()}
        wanted = sorted(filter(PROJECT_FILTERS.get(show, PROJECT_FILTERS["all"]), rows), key=PROJECT_SORTS.get(sort, _by_name))
        number = _existing_page(page, limit, len(wanted))
        shown = wanted[(number - 1) * limit : number * limit]
        return ProjectList(Page(tuple(_completed(session, shown, newest)), len(wanted), number, limit), counts)

    return transactions.run(work)


_LONG_AGO = datetime(1970, 1, 1, tzinfo=timezone.utc)
_by_name = PROJECT_SORTS["name"]


def _matches(project: Project, search: str) -> bool:
    texts = (project.name, project.settings.get("description") or "", project.repository_url, project.branch)
    return search.strip().lower() in "\n".join(texts).lower()


def _completed(session: Session, rows: list[ProjectRow], newest: Mapping[str, overviews.GroupRow]) -> list[ProjectRow]:
    """Rows with the numbers of their plans and with their runs."""
    of_jobs = job_rows.list_jobs(session, [row.project.id for row in rows])
    ran = schedules.newest_runs(session, [job.dag_id for jobs in of_jobs.values() for job in jobs])
    next_runs = schedules.next_runs(session, [row.project.run_dag_id for row in rows])
    plans = {
        plan.project_id: plan for plan in _plan_rows(session, [newest[r.project.id] for r in rows if r.project.id in newest])
    }
    return [
        ProjectRow(
            row.project,
            row.pending,
            plans.get(row.project.id),
            _newest(ran[job.dag_id] for job in of_jobs[row.project.id] if job.dag_id in ran),
            *_coming(next_runs.get(row.project.run_dag_id)),
        )
        for row in rows
    ]


def _newest(found: Iterable[NewestRun]) -> NewestRun | None:
    """The run of all jobs of a project that is told: one that is not over before those that are, else the newest."""
    return max(
        found, key=lambda run: (run.state in ("queued", "running"), run.queued_at or run.started_at or _LONG_AGO), default=None
    )


def _coming(found: NextRun | None) -> tuple[datetime | None, bool]:
    return (None, False) if found is None else (found.at, found.paused)


def due_times(schedule: str, count: int = 3) -> list[datetime]:
    """The next times at which a schedule of runs is due, in the time zone that Airflow reads it by."""
    return next_times(schedule, datetime.now(schedules.scheduler_timezone()), count)


def get_project_row(actor: Actor, project_id: str) -> ProjectRow:
    """One project with what a row of the list shows.

    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    actor.require("read")

    def work(session: Session) -> ProjectRow:
        project = project_rows.get_project(session, project_id)
        if project is None or project.organization_id != actor.organization_id or not actor.sees(project.id):
            raise not_found("Project", project_id)
        wanted = overviews.Wanted(actor.organization_id, project_id)
        pending = plan_rows.count_steps(session, project_id, "explain", ["pending"])
        newest = overviews.newest_group(session, wanted)
        row = ProjectRow(project, pending, None)
        return _completed(session, [row], {project_id: newest} if newest is not None else {})[0]

    return transactions.run(work)


def place_of_run(actor: Actor, dag_id: str, run_id: str) -> tuple[str | None, str | None]:
    """What a Dag run is about: the plan group, or the project whose deployed state it ran; neither for runs of other Dags.

    :raises DagctlError: ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> tuple[str | None, str | None]:
        group = overviews.find_group(session, actor.organization_id, dag_id, run_id)
        project = overviews.find_project_by_dag(session, actor.organization_id, dag_id)
        if project is not None and not actor.sees(project):
            return None, None
        return (group, None) if group is not None else (None, project)

    return transactions.run(work)
