"""What each operation on execution metrics does: call one service, say the answer in the document's words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta, timezone
from typing import Any

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.problems import invalid_fields
from dagctl_provider.api.v1.metrics import schemas
from dagctl_provider.api.v1.run_shapes import RunList, run, run_stats
from dagctl_provider.services.showing import metrics
from dagctl_provider.services.showing.metrics import COUNTED, Span, Wanted
from dagctl_provider.store.session import utcnow


def list_runs(call: Call) -> Result:
    query: schemas.RunParameters = call.query
    wanted = Wanted(job_id=query.job_id, **_filters(query))
    project_id = call.ids["id"]
    page, stats = metrics.list_runs(call.actor, project_id, wanted, query.page, query.limit, query.include_stats)
    return 200, RunList(
        runs=[run(one) for one in page.items],
        total=page.total,
        page=page.page,
        limit=page.limit,
        total_pages=page.total_pages,
        stats=run_stats(project_id, stats) if stats is not None else None,
    )


def get_run(call: Call) -> Result:
    return 200, run(metrics.get_run(call.actor, call.ids["runId"]))


def daily_stats(call: Call) -> Result:
    query: schemas.DailyParameters = call.query
    span = _span(query)
    found = metrics.daily_stats(call.actor, call.ids["id"], span, query.job_type)
    return 200, schemas.DailyStatsAnswer(
        project_id=call.ids["id"], **_said(span), daily_stats=[schemas.day_stats(one) for one in found]
    )


def list_models(call: Call) -> Result:
    query: schemas.ModelParameters = call.query
    if query.page * query.limit > COUNTED:
        raise invalid_fields({"query.page": f"lists end after {COUNTED} model executions: narrow the filters, or use fewer days"})
    wanted = Wanted(model_name=query.model_name, execution_id=query.run_id, **_filters(query))
    page = metrics.list_models(call.actor, call.ids["id"], wanted, query.page, query.limit)
    return 200, schemas.ModelExecutionList(
        model_executions=[schemas.model_execution(one) for one in page.items],
        total=page.total,
        total_capped=page.total >= COUNTED or None,
        page=page.page,
        limit=page.limit,
        total_pages=page.total_pages,
    )


def model_stats(call: Call) -> Result:
    query: schemas.ModelStatsParameters = call.query
    span = _span(query)
    page = metrics.model_stats(call.actor, call.ids["id"], span, query.page, query.limit, query.job_type, query.model_name)
    return 200, schemas.ModelStatsAnswer(
        project_id=call.ids["id"],
        **_said(span),
        model_stats=[schemas.model_stats_row(one) for one in page.items],
        total=page.total,
        page=page.page,
        limit=page.limit,
        total_pages=page.total_pages,
    )


def _filters(query: schemas.RunParameters | schemas.ModelParameters) -> Mapping[str, Any]:
    """The filters that all lists have.

    :raises DagctlError: ``invalid_request`` for days that go backwards.
    """
    _forwards(query.start_date, query.end_date)
    return {
        "cronjob_name": query.cronjob_name,
        "status": query.status,
        "job_type": query.job_type,
        "updated_after": query.updated_after,
        "since": _midnight(query.start_date) if query.start_date is not None else None,
        "until": _midnight(query.end_date + timedelta(days=1)) if query.end_date is not None else None,
    }


def _forwards(first: date | None, last: date | None) -> None:
    if first is not None and last is not None and last < first:
        raise invalid_fields({"query.end_date": "must not be before start_date"})


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), timezone.utc)


def _span(query: schemas.DailyParameters) -> Span:
    """The days that are asked for.

    :raises DagctlError: ``invalid_request``, naming what does not fit.
    """
    today = utcnow().date()
    if query.start_date is None and query.end_date is None:
        return Span(today - timedelta(days=(query.days or schemas.DEFAULT_DAYS) - 1), today)
    if query.days is not None:
        raise invalid_fields({"query.days": "cannot be given together with start_date or end_date"})
    last = query.end_date or today
    if query.start_date is None:
        return Span(last - timedelta(days=schemas.DEFAULT_DAYS - 1), last)
    if last < query.start_date:
        name = "start_date" if query.end_date is None else "end_date"
        why = "must not be in the future" if query.end_date is None else "must not be before start_date"
        raise invalid_fields({f"query.{name}": why})
    span = Span(query.start_date, last)
    if span.days > schemas.MAX_DAYS:
        raise invalid_fields({"query.start_date": f"the span has {span.days} days; at most {schemas.MAX_DAYS} are given"})
    return span


def _said(span: Span) -> Mapping[str, Any]:
    return {"days": span.days, "start_date": span.first.isoformat(), "end_date": span.last.isoformat()}
