"""The figures of the charts as JSON for their scripts; whatever they show stands in a table beside them as well.

They travel in an attribute of the page, escaped like every text, so no script stands in a page and none is asked for elsewhere.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from dagctl_provider.domain.critical_paths import CriticalPath
from dagctl_provider.domain.executions import DayStats, ModelExecution
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.services.showing.runs_page import seconds_of
from dagctl_provider.store.overviews import Deploy


def days_figures(days: Iterable[DayStats], address: Callable[[str], str]) -> str:
    """How many executions of each day ended how, and what they took.

    :param address: Of the list of one day's executions.
    """
    return json.dumps(
        [
            {
                "day": day.day,
                "success": day.successful_runs,
                "partial": day.partial_runs,
                "failed": day.failed_runs,
                "error": day.error_runs,
                "open": unfinished_of(day),
                "seconds": round(day.total_duration, 3),
                "href": address(day.day),
            }
            for day in days
        ]
    )


def unfinished_of(day: DayStats) -> int:
    """How many executions of a day are not over."""
    return max(0, day.total_runs - day.successful_runs - day.partial_runs - day.failed_runs - day.error_runs)


def gantt_figures(models: Sequence[ModelExecution], path: CriticalPath | None, address: Callable[[str], str]) -> str:
    """When each model of an execution was worked on, in seconds since the first began.

    :param models: With start and end.
    :param path: The critical path.
    :param address: Of a model's page.
    """
    on_path = frozenset(path.names if path is not None else ())
    times = [(model, model.start_time, model.end_time) for model in models]
    known = [(model, start, end) for model, start, end in times if start is not None and end is not None]
    first = min((start for _, start, _ in known), default=None)
    return json.dumps(
        [
            {
                "name": model.model_name,
                "from": _since(first, start),
                "to": max(_since(first, start), _since(first, end)),
                "status": model.status,
                "critical": model.model_name in on_path,
                "href": address(model.model_name),
            }
            for model, start, end in known
        ]
    )


def _since(first: datetime | None, moment: datetime) -> float:
    return round((moment - first).total_seconds(), 3) if first is not None else 0.0


def history_figures(models: Iterable[ModelExecution], deploys: Iterable[Deploy], address: Callable[[str], str]) -> str:
    """What a model took each time, and when what is deployed changed.

    :param models: Newest first.
    :param address: Of an execution's page.
    """
    points = [
        {
            "at": _milliseconds(model.start_time or model.created_at),
            "seconds": seconds_of(model),
            "status": model.status,
            "type": model.job_type,
            "href": address(model.execution_id),
        }
        for model in models
    ]
    marks = [{"at": _milliseconds(deploy.at), "commit": short_sha(deploy.commit_sha)} for deploy in deploys]
    return json.dumps({"points": points[::-1], "deploys": marks})


def _milliseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)
