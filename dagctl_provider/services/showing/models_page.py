"""What the pages of models show: which models of a project take long, which got slower, and one model's executions over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.executions import ModelExecution, ModelStats, days_before
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.projects import Project
from dagctl_provider.services.lifecycle import lookups
from dagctl_provider.services.results import Page
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import overviews, transactions
from dagctl_provider.store.executions import Wanted
from dagctl_provider.store.overviews import Deploy
from dagctl_provider.store.session import Session, utcnow

MODELS_PER_PAGE = 50
MOST_SHOWN = 300
"""Executions of one model on its page, the newest ones."""

MODEL_SORTS: Mapping[str, Callable[[ModelStats], Any]] = {
    "total": lambda row: (-row.total_duration, row.model_name),
    "avg": lambda row: (-(row.avg_duration or 0.0), row.model_name),
    "max": lambda row: (-(row.max_duration or 0.0), row.model_name),
    "change": lambda row: (-(row.change or 0.0), row.model_name),
    "failed": lambda row: (-row.failed, -row.total_duration, row.model_name),
    "name": lambda row: row.model_name,
}
"""How models can be ordered."""


@dataclass(frozen=True)
class Span:
    """What is looked at.

    :param days: How many days back.
    :param job_type: Executions of this kind only, when given: a plan may load years where a run loads a day.
    """

    days: int
    job_type: str | None = None


@dataclass(frozen=True)
class ModelList:
    """One page of a project's models over a span of days."""

    project: Project
    page: Page[ModelStats]


@dataclass(frozen=True)
class ModelView:
    """One model over a span of days.

    :param stats: Absent when it did not run in these days.
    :param executions: Newest first, at most :data:`MOST_SHOWN`.
    :param total: How many there are in these days.
    :param deploys: When what is deployed changed, oldest first.
    """

    project: Project
    name: str
    stats: ModelStats | None
    executions: tuple[ModelExecution, ...]
    total: int
    deploys: tuple[Deploy, ...]


def get_model_list(
    actor: Actor,
    project_id: str,
    span: Span,
    *,
    sort: str,
    search: str = "",
    page: int = 1,
    today: date | None = None,
) -> ModelList:
    """The models of a project that ran in the last days.

    :param sort: Key of :data:`MODEL_SORTS`.
    :param search: Part of the name.
    :param page: From 1; beyond the end is the last one.
    :param today: The last of the days, for tests.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")
    last = today or utcnow().date()

    def work(session: Session) -> ModelList:
        project = lookups.visible_project(session, actor, project_id)
        rows = [row for row in _with_change(session, project_id, last, span, None) if search.lower() in row.model_name.lower()]
        number = max(1, min(page, -(-len(rows) // MODELS_PER_PAGE)))
        start = (number - 1) * MODELS_PER_PAGE
        shown = sorted(rows, key=MODEL_SORTS[sort])[start : start + MODELS_PER_PAGE]
        return ModelList(project, Page(tuple(shown), len(rows), number, MODELS_PER_PAGE))

    return transactions.run(work)


def get_model(actor: Actor, project_id: str, name: str, *, days: int, today: date | None = None) -> ModelView:
    """One model of a project over the last days.

    :param today: The last of the days, for tests.
    :raises DagctlError: ``not_found``, also for a model of which nothing is on record; ``forbidden``.
    """
    actor.require("read")
    last = today or utcnow().date()

    def work(session: Session) -> ModelView:
        project = lookups.visible_project(session, actor, project_id)
        since = datetime.combine(last - timedelta(days=days - 1), time(), timezone.utc)
        wanted = Wanted(model_name=name, since=since)
        found, total = execution_rows.list_models(session, project_id, wanted, page=1, limit=MOST_SHOWN)
        if not found and not execution_rows.list_models(session, project_id, Wanted(model_name=name), page=1, limit=1)[1]:
            raise not_found("Model", name)
        stats = _with_change(session, project_id, last, Span(days), name)
        deploys = overviews.deploys_since(session, project_id, since, MOST_SHOWN)
        return ModelView(project, name, stats[0] if stats else None, found, total, tuple(deploys))

    return transactions.run(work)


def _with_change(session: Session, project_id: str, last: date, span: Span, name: str | None) -> list[ModelStats]:
    """The models over the last days, each with what it took in as many days before.

    :param name: Only this one, when given.
    """
    names = days_before(last, 2 * span.days)
    before, now = (
        execution_rows.model_stats(session, project_id, part[0], part[-1], span.job_type, name)
        for part in (names[: span.days], names[span.days :])
    )
    return [
        replace(row, previous_avg_duration=before[model].avg_duration if model in before else None) for model, row in now.items()
    ]
