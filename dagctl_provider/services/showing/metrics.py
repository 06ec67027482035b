"""Figures of runs and of the models in them, as they are asked for over REST (Execution Metrics document)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

from dagctl_provider.domain.executions import DayStats, Execution, ExecutionStats, ModelExecution, ModelStats, days_before
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services.lifecycle import lookups
from dagctl_provider.services.results import Page
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.executions import COUNTED, Wanted
from dagctl_provider.store.session import Session

__all__ = ["COUNTED", "Span", "Wanted", "daily_stats", "get_run", "list_models", "list_runs", "model_stats"]


@dataclass(frozen=True)
class Span:
    """Days of UTC, the last one included."""

    first: date
    last: date

    @property
    def days(self) -> int:
        """How many there are."""
        return (self.last - self.first).days + 1

    def before(self) -> Span:
        """As many days before it."""
        last = self.first - timedelta(days=1)
        return Span(last - timedelta(days=self.days - 1), last)


def list_runs(
    actor: Actor, project_id: str, wanted: Wanted, page: int, limit: int, with_stats: bool = True
) -> tuple[Page[Execution], ExecutionStats | None]:
    """One page of a project's executions, newest first, and sums over all that the filters leave.

    :param page: From 1.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> tuple[Page[Execution], ExecutionStats | None]:
        lookups.visible_project(session, actor, project_id)
        found, total = execution_rows.list_executions(session, project_id, wanted, page=page, limit=limit)
        stats = execution_rows.stats(session, project_id, wanted) if with_stats else None
        return Page(found, total, page, limit), stats

    return transactions.run(work)


def get_run(actor: Actor, run_id: str) -> Execution:
    """One execution.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")
    return transactions.run(lambda session: lookups.visible_run(session, actor, run_id)[1])


def daily_stats(actor: Actor, project_id: str, span: Span, job_type: str | None = None) -> list[DayStats]:
    """Each day of a span, oldest first, also those on which nothing happened.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> list[DayStats]:
        lookups.visible_project(session, actor, project_id)
        names = days_before(span.last, span.days)
        found = execution_rows.daily_stats(session, project_id, names[0], job_type, names[-1])
        return [found.get(name) or DayStats(name) for name in names]

    return transactions.run(work)


def list_models(actor: Actor, project_id: str, wanted: Wanted, page: int, limit: int) -> Page[ModelExecution]:
    """One page of the models of a project's executions, newest first; counted up to :data:`COUNTED`.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> Page[ModelExecution]:
        lookups.visible_project(session, actor, project_id)
        found, total = execution_rows.list_models(session, project_id, wanted, page=page, limit=limit)
        return Page(found, total, page, limit)

    return transactions.run(work)


def model_stats(
    actor: Actor,
    project_id: str,
    span: Span,
    page: int,
    limit: int,
    job_type: str | None = None,
    model_name: str | None = None,
) -> Page[ModelStats]:
    """Each model over a span beside as many days before it; those that took longest first.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")

    def work(session: Session) -> Page[ModelStats]:
        lookups.visible_project(session, actor, project_id)
        now, earlier = (_of_span(session, project_id, part, job_type, model_name) for part in (span, span.before()))
        compared = [
            replace(stats, previous_avg_duration=earlier[name].avg_duration if name in earlier else None)
            for name, stats in now.items()
        ]
        compared.sort(key=lambda stats: (-stats.total_duration, stats.model_name))
        return Page(tuple(compared[(page - 1) * limit : page * limit]), len(compared), page, limit)

    return transactions.run(work)


def _of_span(
    session: Session, project_id: str, span: Span, job_type: str | None, model_name: str | None
) -> dict[str, ModelStats]:
    first, last = span.first.isoformat(), span.last.isoformat()
    return execution_rows.model_stats(session, project_id, first, last, job_type, model_name)
