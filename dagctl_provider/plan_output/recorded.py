"""What a runner says of each model, as the rows that the metrics keep of it.

It comes out of a process that runs the project's code and goes into columns that every database must be able to store, so all of
it is bounded here: texts, numbers and moments that fit no column count as absent.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from itertools import islice

from dagctl_provider.domain.executions import STATUS_OF, Execution, ModelExecution
from dagctl_provider.plan_output.reading import read, rows
from dagctl_provider.plan_output.shape import ModelRun

MOST_MODELS = 10_000
"""More models of one execution are not recorded."""

_NAME, _KIND, _ERROR = 255, 32, 500
_MOST_ROWS, _MOST_BATCHES = 10**13, 2**31 - 1
_LONGEST = 10 * 365 * 86_400.0
# Clocks of workers and of the API server differ.
_SLACK = timedelta(hours=1)
# What a TIMESTAMP of MySQL can hold.
_FIRST, _LAST = datetime(1970, 1, 2, tzinfo=timezone.utc), datetime(2038, 1, 18, tzinfo=timezone.utc)


def recorded(reported: object, execution: Execution, now: datetime) -> list[ModelExecution]:
    """The rows of an execution's models, in the order in which they were reported.

    :param reported: The list of models of the result, or of ``plan_output``, of any shape.
    :param execution: With its times.
    :param now: When it is recorded.
    """
    found = islice((made for row in rows(reported) if (made := read(ModelRun, row)) is not None), MOST_MODELS)
    return [model for place, run in enumerate(found) if (model := _model(place, run, execution, now)) is not None]


def _model(place: int, run: ModelRun, execution: Execution, now: datetime) -> ModelExecution | None:
    status, name = STATUS_OF.get(run.status or ""), storable(run.name, _NAME)
    if status is None or name is None:
        return None
    began, ended = _within(moment(run.started), execution, now), _within(moment(run.ended), execution, now)
    if began is not None and ended is not None and ended < began:
        began = ended = None
    since, until = _interval(run.interval)
    return ModelExecution(
        id=_id(execution, place),
        execution_id=execution.id,
        project_id=execution.project_id,
        job_type=execution.job_type,
        model_name=name,
        status=status,
        created_at=began or execution.created_at,
        updated_at=now,
        cronjob_name=execution.cronjob_name,
        attempt=execution.attempt,
        kind=storable(run.kind, _KIND),
        start_time=began,
        end_time=ended,
        duration_seconds=_duration(run.duration, began, ended),
        rows_processed=run.rows if run.rows is not None and run.rows <= _MOST_ROWS else None,
        batches=run.batches if run.batches is not None and run.batches <= _MOST_BATCHES else None,
        interval_start=since,
        interval_end=until,
        error_message=storable(run.error, _ERROR),
    )


def _id(execution: Execution, place: int) -> str:
    """The same whoever records it, and however often."""
    return "mx_" + hashlib.sha256(f"{execution.id}/{execution.attempt}/{place}".encode()).hexdigest()[:32]


def counted(execution: Execution, models: Iterable[ModelExecution]) -> Execution:
    """An execution with the numbers of its models."""
    by_status = Counter(model.status for model in models)
    return replace(
        execution,
        models_total=sum(by_status.values()),
        models_succeeded=by_status["success"],
        models_failed=by_status["failed"] + by_status["cancelled"],
        models_skipped=by_status["skipped"] + by_status["not_ready"],
    )


def storable(text: str | None, most: int) -> str | None:
    """A text that every database can store, cut; ``None`` where nothing is left of it.

    :param most: Characters.
    """
    if text is None:
        return None
    known = "".join("\ufffd" if sign == "\x00" or "\ud800" <= sign <= "\udfff" else sign for sign in text[:most])
    return known.strip() or None


def moment(text: str | None) -> datetime | None:
    """A moment in time, aware and UTC; a day is its beginning. ``None`` for anything else."""
    try:
        # Python 3.10 reads no "Z".
        found = datetime.fromisoformat((text or "").strip().replace("Z", "+00:00"))
        aware = found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
        return aware.astimezone(timezone.utc)
    except (ValueError, OverflowError):
        return None


def _within(at: datetime | None, execution: Execution, now: datetime) -> datetime | None:
    """A moment that may belong to the execution."""
    first, last = execution.start_time or execution.created_at, execution.end_time or now
    return at if at is not None and first - _SLACK <= at <= last + _SLACK else None


def _interval(told: tuple[str, ...]) -> tuple[datetime | None, datetime | None]:
    if len(told) != 2:
        return None, None
    since, until = (at if at is not None and _FIRST <= at <= _LAST else None for at in map(moment, told))
    return (None, None) if since is not None and until is not None and until < since else (since, until)


def _duration(told: float | None, began: datetime | None, ended: datetime | None) -> float | None:
    if told is not None and math.isfinite(told) and told <= _LONGEST:
        return told
    return (ended - began).total_seconds() if began is not None and ended is not None else None
