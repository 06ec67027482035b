"""Rows of executions and of the models in them, as the records of :mod:`dagctl_provider.domain.executions`.

Lists are bounded: a page costs what it costs however many rows there are. So how many models match is counted up to
:data:`COUNTED`, and lists end there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, delete, func, insert, select, update
from sqlalchemy.orm import Session

from dagctl_provider.domain.executions import DayStats, Execution, ExecutionStats, ModelExecution, ModelStats, day_of
from dagctl_provider.store import tables
from dagctl_provider.store.session import changed, utcnow

COUNTED = 10_000
"""Up to so many models are counted and listed; who wants more narrows the filters."""

_e, _m, _d = tables.execution.c, tables.model_execution.c, tables.model_day.c
_COLUMNS = tuple(column for column in tables.execution.c if column.name != "day")
_SEVERAL = 500
_LOOKED_AT = 20


@dataclass(frozen=True)
class Wanted:
    """Which executions, or models of executions, are asked for. What is absent is not asked.

    :param cronjob_name: The Dag whose schedule started it.
    :param updated_after: Only rows that were changed after it.
    :param since: Only what was asked for, or began, at or after it.
    :param until: Only what was asked for, or began, before it.
    :param job_id: Of executions only.
    :param model_name: Of models only.
    :param execution_id: Of models only.
    """

    cronjob_name: str | None = None
    status: str | None = None
    job_type: str | None = None
    updated_after: datetime | None = None
    since: datetime | None = None
    until: datetime | None = None
    job_id: str | None = None
    model_name: str | None = None
    execution_id: str | None = None


def insert_execution(session: Session, execution: Execution) -> None:
    """Put an execution on record."""
    values = {**asdict(execution), "day": day_of(execution.created_at)}
    session.execute(insert(tables.execution).values(**values))


def change_execution(session: Session, execution_id: str, **values: Any) -> bool:
    """Write down what became of an execution; false when it is not on record."""
    statement = update(tables.execution).where(_e.id == execution_id).values(**values, updated_at=utcnow())
    return bool(changed(session, statement))


def finish_execution(session: Session, execution_id: str, **values: Any) -> bool:
    """Write down how an execution ended; false when that was done before, so that whoever is second records nothing twice."""
    unfinished = (_e.id == execution_id, _e.status.in_(("pending", "running")))
    return bool(changed(session, update(tables.execution).where(*unfinished).values(**values, updated_at=utcnow())))


def delete_execution(session: Session, execution_id: str) -> None:
    """Forget an execution that never began."""
    session.execute(delete(tables.execution).where(_e.id == execution_id))


def get_execution(session: Session, execution_id: str) -> Execution | None:
    """One execution."""
    row = session.execute(select(*_COLUMNS).where(_e.id == execution_id)).first()
    return _execution(row) if row else None


def last_with_outcome(session: Session, project_id: str) -> Execution | None:
    """The newest run of a job that succeeded or left something to do again; what never came so far says nothing."""
    ended = (_e.project_id == project_id, _e.job_id.is_not(None), _e.status.in_(("success", "partial", "failed", "error")))
    query = select(*_COLUMNS).where(*ended).order_by(_e.created_at.desc(), _e.id.desc()).limit(_LOOKED_AT)
    found = (_execution(row) for row in session.execute(query))
    return next((one for one in found if one.status == "success" or one.remaining), None)


def unfinished_executions(session: Session) -> list[Execution]:
    """Those that are pending or running, of all projects, oldest first."""
    query = select(*_COLUMNS).where(_e.status.in_(("pending", "running"))).order_by(_e.created_at, _e.id)
    return [_execution(row) for row in session.execute(query)]


def get_executions(session: Session, execution_ids: Iterable[str]) -> list[Execution]:
    """Those of the executions that are on record."""
    query = select(*_COLUMNS).where(_e.id.in_(sorted(execution_ids)))
    return [_execution(row) for row in session.execute(query)]


def list_executions(
    session: Session, project_id: str, wanted: Wanted, *, page: int, limit: int
) -> tuple[tuple[Execution, ...], int]:
    """One page, newest first; and how many there are."""
    conditions = _conditions(tables.execution, project_id, wanted)
    total = session.execute(select(func.count()).select_from(tables.execution).where(*conditions)).scalar_one()
    query = _page(tables.execution, _COLUMNS, conditions, wanted, page, limit)
    return tuple(_execution(row) for row in session.execute(query)), total


def _page(
    table: Any, columns: Sequence[Any], conditions: list[ColumnElement[bool]], wanted: Wanted, page: int, limit: int
) -> Any:
    """Newest first: by when it began, or by when it was last changed where that is what is asked for."""
    # The pages before this one are skipped in an index that holds all they are sorted by; only this page's rows are read.
    c = table.c
    order = (c.created_at if wanted.updated_after is None else c.updated_at).desc(), c.id.desc()
    found = select(c.id).where(*conditions).order_by(*order).limit(limit).offset((page - 1) * limit).subquery()
    return select(*columns).join(found, found.c.id == c.id).order_by(*order)


def stats(session: Session, project_id: str, wanted: Wanted) -> ExecutionStats:
    """Sums over all executions that are asked for, not only those of a page."""
    conditions = _conditions(tables.execution, project_id, wanted)
    row = session.execute(
        select(
            func.count().label("total"),
            _sum(_e.status == "success").label("success"),
            _sum(_e.status.in_(("failed", "partial"))).label("failed"),
            _sum(_e.status == "error").label("error"),
            func.avg(case((_e.status == "success", _e.duration_seconds))).label("average"),
        ).where(*conditions)
    ).one()
    return ExecutionStats(row.total, int(row.success or 0), int(row.failed or 0), int(row.error or 0), row.average)


def daily_stats(
    session: Session, project_id: str, since_day: str, job_type: str | None = None, until_day: str | None = None
) -> dict[str, DayStats]:
    """The days of a project on which something happened, by day.

    :param since_day: The first day.
    :param until_day: The last one; all that came since where it is absent.
    """
    conditions = [_e.project_id == project_id, _e.day >= since_day]
    if until_day is not None:
        conditions.append(_e.day <= until_day)
    if job_type is not None:
        conditions.append(_e.job_type == job_type)
    query = select(
        _e.day,
        func.count().label("total_runs"),
        *(_sum(_e.status == status).label(name) for name, status in _BY_STATUS.items()),
        func.avg(case((_e.status == "success", _e.duration_seconds))).label("avg_success_duration"),
        func.max(_e.duration_seconds).label("max_duration"),
        func.sum(_e.duration_seconds).label("total_duration"),
        func.sum(_e.models_total - _e.models_skipped).label("models_executed"),
        func.sum(_e.models_failed).label("models_failed"),
    ).where(*conditions)
    found = {}
    for row in session.execute(query.group_by(_e.day)):
        values = dict(row._mapping)
        for name in (*_BY_STATUS, "models_executed", "models_failed"):
            values[name] = int(values[name] or 0)
        found[row.day] = DayStats(**{**values, "total_duration": float(values["total_duration"] or 0)})
    return found


_BY_STATUS = {"successful_runs": "success", "partial_runs": "partial", "failed_runs": "failed", "error_runs": "error"}


def insert_models(session: Session, models: Sequence[ModelExecution]) -> None:
    """Put the models of an execution on record."""
    if models:
        session.execute(insert(tables.model_execution), [asdict(model) for model in models])


def list_models(
    session: Session, project_id: str, wanted: Wanted, *, page: int, limit: int
) -> tuple[tuple[ModelExecution, ...], int]:
    """One page, newest first; and how many there are, up to :data:`COUNTED`."""
    conditions = _conditions(tables.model_execution, project_id, wanted)
    some = select(_m.id).where(*conditions).limit(COUNTED).subquery()
    total = session.execute(select(func.count()).select_from(some)).scalar_one()
    query = _page(tables.model_execution, tuple(_m), conditions, wanted, page, limit)
    return tuple(ModelExecution(**row._mapping) for row in session.execute(query)), total


def models_of(session: Session, execution_id: str) -> list[ModelExecution]:
    """The models of one execution, in the order in which they began."""
    query = select(*_m).where(_m.execution_id == execution_id).order_by(_m.created_at, _m.id)
    return [ModelExecution(**row._mapping) for row in session.execute(query)]


def model_stats(
    session: Session,
    project_id: str,
    since_day: str,
    until_day: str,
    job_type: str | None = None,
    model_name: str | None = None,
) -> dict[str, ModelStats]:
    """Each model of a project over a span of days, by its name.

    :param since_day: The first day of the span.
    :param until_day: The last one.
    :param model_name: Only this one.
    """
    within = [_d.project_id == project_id, _d.day >= since_day, _d.day <= until_day]
    within += [_d[name] == value for name, value in (("job_type", job_type), ("model_name", model_name)) if value is not None]
    sums = (
        select(
            _d.model_name,
            # As floats: whole numbers of this size do not add up in every database.
            *(func.sum(_d[name] * 1.0).label(name) for name in _SUMMED),
            func.max(_d.duration_max).label("duration_max"),
            func.max(_d.last_at).label("last_at"),
            func.max(_d.day).label("day"),
        )
        .where(*within)
        .group_by(_d.model_name)
        .subquery()
    )
    newest = and_(_d.project_id == project_id, _d.day == sums.c.day, _d.model_name == sums.c.model_name)
    query = select(*sums.c, _d.last_status, _d.last_at.label("at")).select_from(sums.join(tables.model_day, newest))
    if job_type is not None:
        query = query.where(_d.job_type == job_type)
    found: dict[str, ModelStats] = {}
    # Plans and runs of one day are two rows: the later one says how it ended.
    for row in sorted(session.execute(query), key=lambda row: row.at):
        found[row.model_name] = _model_stats(row)
    return found


_SUMMED = ("executions", "succeeded", "failed", "skipped", "duration_sum", "rows_processed")


def _model_stats(row: Any) -> ModelStats:
    succeeded = int(row.succeeded)
    return ModelStats(
        model_name=row.model_name,
        executions=int(row.executions),
        succeeded=succeeded,
        failed=int(row.failed),
        skipped=int(row.skipped),
        avg_duration=float(row.duration_sum) / succeeded if succeeded else None,
        max_duration=row.duration_max if succeeded else None,
        total_duration=float(row.duration_sum),
        rows_processed=int(row.rows_processed),
        last_status=row.last_status,
        last_at=row.last_at,
    )


def add_to_days(session: Session, models: Iterable[ModelExecution]) -> None:
    """Add models that were just put on record to the sums of their days; the caller holds the project's row."""
    for (project_id, day, job_type), of_day in _by_day(models).items():
        place = (_d.project_id == project_id, _d.day == day, _d.job_type == job_type)
        for some in _in_parts(sorted(of_day)):
            these = (*place, _d.model_name.in_(some))
            for row in session.execute(select(*_d).where(*these)).all():
                of_day[row.model_name] = _together(dict(row._mapping), of_day[row.model_name])
            # Two statements for all of them, where changing each would be one for each.
            session.execute(delete(tables.model_day).where(*these))
            session.execute(insert(tables.model_day), [of_day[name] for name in some])


def _in_parts(names: list[str]) -> list[list[str]]:
    return [names[start : start + _SEVERAL] for start in range(0, len(names), _SEVERAL)]


def _by_day(models: Iterable[ModelExecution]) -> dict[tuple[str, str, str], dict[str, dict[str, Any]]]:
    found: dict[tuple[str, str, str], dict[str, dict[str, Any]]] = {}
    for model in models:
        place = found.setdefault((model.project_id, day_of(model.created_at), model.job_type), {})
        row = _as_day(model)
        place[model.model_name] = _together(place[model.model_name], row) if model.model_name in place else row
    return found


def _as_day(model: ModelExecution) -> dict[str, Any]:
    succeeded = model.status == "success"
    duration = (model.duration_seconds or 0.0) if succeeded else 0.0
    return {
        "project_id": model.project_id,
        "day": day_of(model.created_at),
        "model_name": model.model_name,
        "job_type": model.job_type,
        "executions": 1,
        "succeeded": int(succeeded),
        "failed": int(model.status in ("failed", "cancelled")),
        "skipped": int(model.status in ("skipped", "not_ready")),
        "duration_sum": duration,
        "duration_max": duration,
        "rows_processed": model.rows_processed or 0,
        "last_status": model.status,
        "last_at": model.end_time or model.created_at,
    }


def _together(known: dict[str, Any], more: dict[str, Any]) -> dict[str, Any]:
    """Two sums as one."""
    later = more if more["last_at"] >= known["last_at"] else known
    return {
        **more,
        **{name: known[name] + more[name] for name in _SUMMED},
        "duration_max": max(known["duration_max"], more["duration_max"]),
        "last_status": later["last_status"],
        "last_at": later["last_at"],
    }


def _conditions(table: Any, project_id: str, wanted: Wanted) -> list[ColumnElement[bool]]:
    c = table.c
    conditions = [c.project_id == project_id]
    for name in ("cronjob_name", "status", "job_type", "job_id", "model_name", "execution_id"):
        value = getattr(wanted, name)
        if value is not None:
            conditions.append(c[name] == value)
    if wanted.updated_after is not None:
        conditions.append(c.updated_at > wanted.updated_after)
    if wanted.since is not None:
        conditions.append(c.created_at >= wanted.since)
    if wanted.until is not None:
        conditions.append(c.created_at < wanted.until)
    return conditions


def _sum(condition: ColumnElement[bool]) -> Any:
    return func.sum(case((condition, 1), else_=0))


def _execution(row: Any) -> Execution:
    values = dict(row._mapping)
    remaining = values.pop("remaining")
    return Execution(**values, remaining=tuple(remaining) if remaining is not None else None)
