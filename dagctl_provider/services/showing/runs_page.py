"""What the pages of runs show: a project's executions with its days, and one execution with its models over time.

Plans and runs of jobs alike are *executions* here (:mod:`dagctl_provider.domain.executions`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from dagctl_provider.domain.critical_paths import CriticalPath, Span, critical_path
from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.executions import (
    FINISHED,
    DayStats,
    Execution,
    ExecutionStats,
    ModelExecution,
    days_before,
)
from dagctl_provider.domain.jobs import Job
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.runs import ProjectRun
from dagctl_provider.orchestration.logs import MAX_LOG_CHARACTERS
from dagctl_provider.runner.errors import STEP_ERRORS
from dagctl_provider.services import runs
from dagctl_provider.services.lifecycle import jobs, lookups
from dagctl_provider.services.results import Page
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import jobs as job_rows
from dagctl_provider.store import overviews, transactions
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store.executions import Wanted
from dagctl_provider.store.session import Session, utcnow

MOST_DRAWN = 150
"""Models in the picture of one run: those of the critical path, and the longest; the table has all of them."""
_LINEAGES = 20


@dataclass(frozen=True)
class RunList:
    """One page of a project's executions.

    :param stats: Over all that fit the filters.
    :param days: The last days, oldest first, those without executions as well.
    """

    project: Project
    page: Page[Execution]
    stats: ExecutionStats
    days: tuple[DayStats, ...]
    jobs: tuple[Job, ...]


@dataclass(frozen=True)
class RunView:
    """One execution.

    :param run: Where it runs in Airflow, while that is on record; absent for plans.
    :param hint: What to do about its error, where that is known.
    :param models: In the order in which they began.
    :param drawn: Those of them that the picture shows.
    :param path: The critical path.
    """

    project: Project
    execution: Execution
    job: Job | None
    run: ProjectRun | None
    hint: str | None
    models: tuple[ModelExecution, ...]
    drawn: tuple[ModelExecution, ...]
    path: CriticalPath | None

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.execution.status in FINISHED


def get_run_list(
    actor: Actor, project_id: str, wanted: Wanted, *, days: int, page: int = 1, limit: int = 25, today: date | None = None
) -> RunList:
    """The executions of a project that fit, newest first, and its last days.

    :param days: How many days are summed up, whatever else is wanted; of the wanted kind of job.
    :param page: From 1; beyond the end is the last one.
    :param today: The last of the days, for tests.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")
    names = days_before(today or utcnow().date(), days)

    def work(session: Session) -> RunList:
        project = lookups.visible_project(session, actor, project_id)
        found, total = execution_rows.list_executions(session, project_id, wanted, page=page, limit=limit)
        number = max(1, min(page, -(-total // limit)))
        if number != page:
            found, total = execution_rows.list_executions(session, project_id, wanted, page=number, limit=limit)
        by_day = execution_rows.daily_stats(session, project_id, names[0], wanted.job_type)
        return RunList(
            project,
            Page(found, total, number, limit),
            execution_rows.stats(session, project_id, wanted),
            tuple(by_day.get(name) or DayStats(name) for name in names),
            tuple(jobs.jobs_of(session, project)),
        )

    return transactions.run(work)


def get_run(actor: Actor, project_id: str, execution_id: str) -> RunView:
    """One execution of a project.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> RunView:
        project = lookups.visible_project(session, actor, project_id)
        execution = execution_rows.get_execution(session, execution_id)
        if execution is None or execution.project_id != project.id:
            raise not_found("Run", execution_id)
        models = tuple(execution_rows.models_of(session, execution_id))
        reads = _reads(overviews.newest_lineages(session, project_id, _LINEAGES)) if models else {}
        path = critical_path(_spans(models), reads)
        known = STEP_ERRORS.get(execution.error_code or "")
        return RunView(
            project,
            execution,
            job_rows.get_job(session, execution.job_id) if execution.job_id is not None else None,
            run_rows.get_run(session, execution.id) if execution.step_id is None else None,
            known.hint if known is not None else None,
            models,
            _drawn(models, path),
            path,
        )

    return transactions.run(work)


def is_on_record(actor: Actor, project_id: str, execution_id: str) -> bool:
    """Whether there is an execution of that id in a project; see :func:`get_run`."""
    actor.require("read")

    def work(session: Session) -> bool:
        project = lookups.visible_project(session, actor, project_id)
        execution = execution_rows.get_execution(session, execution_id)
        return execution is not None and execution.project_id == project.id

    return transactions.run(work)


@dataclass(frozen=True)
class RunLogPart:
    """What follows a position of a run's log.

    :param start: Where the text begins; 0 when it is all there is.
    :param length: Of the whole log, in characters.
    """

    execution: Execution
    text: str
    start: int
    length: int


def get_run_log(actor: Actor, project_id: str, execution_id: str, start: int = 0) -> RunLogPart:
    """The log of a run from a position on; a log that lost lines at its front, or is of another try, comes whole.

    :param start: In characters.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    found = runs.get_logs(actor, execution_id)
    if found.run.project_id != project_id:
        raise not_found("Run", execution_id)
    length = len(found.logs)
    begin = start if 0 <= start <= length < MAX_LOG_CHARACTERS else 0
    return RunLogPart(found.run, found.logs[begin:], begin, length)


def seconds_of(model: ModelExecution) -> float | None:
    """How long a model took, as far as that is known."""
    if model.duration_seconds is not None or model.start_time is None or model.end_time is None:
        return model.duration_seconds
    return max(0.0, (model.end_time - model.start_time).total_seconds())


def _reads(lineages: Sequence[Mapping[str, object]]) -> dict[str, tuple[str, ...]]:
    """What each model reads, as the newest plan says that tells of it."""
    found: dict[str, tuple[str, ...]] = {}
    for lineage in lineages:
        for name, parents in lineage.items():
            if isinstance(parents, list):
                found.setdefault(name, tuple(parent for parent in parents if isinstance(parent, str)))
    return found


def _spans(models: Sequence[ModelExecution]) -> list[Span]:
    """Of a model that was computed twice, both times together."""
    spans: dict[str, Span] = {}
    for model in models:
        if model.start_time is None or model.end_time is None or model.end_time < model.start_time:
            continue
        start, end = _seconds(model.start_time), _seconds(model.end_time)
        known = spans.get(model.model_name)
        if known is not None:
            start, end = min(start, known.start), max(end, known.end)
        spans[model.model_name] = Span(model.model_name, start, end)
    return list(spans.values())


def _seconds(moment: datetime) -> float:
    return moment.timestamp()


def _drawn(models: Sequence[ModelExecution], path: CriticalPath | None) -> tuple[ModelExecution, ...]:
    """As many as a picture can hold, of those whose times are known."""
    timed = [model for model in models if model.start_time is not None and model.end_time is not None]
    on_path = frozenset(path.names if path is not None else ())
    first = sorted(timed, key=lambda model: (model.model_name not in on_path, -(seconds_of(model) or 0.0), model.id))
    kept = {model.id for model in first[:MOST_DRAWN]}
    return tuple(model for model in timed if model.id in kept)
