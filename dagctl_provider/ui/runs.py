"""The pages of runs: what a project's jobs and plans did, day by day and one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from flask import Response, request

from dagctl_provider.domain.executions import EXECUTION_STATUSES, JOB_TYPES, ModelExecution
from dagctl_provider.services.showing import live, runs_page
from dagctl_provider.services.showing.runs_page import RunView, seconds_of
from dagctl_provider.store.executions import Wanted
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.charts import days_figures, gantt_figures, unfinished_of
from dagctl_provider.ui.lists import page_number
from dagctl_provider.ui.pages import Pages, check_id, expose, page, signed_in
from dagctl_provider.ui.plan_diffs import visible

STATUS_TEXTS: Mapping[str, str] = {
    "pending": "Waiting",
    "running": "Running",
    "success": "Succeeded",
    "partial": "Partly failed",
    "failed": "Failed",
    "error": "Error",
}
"""States a list can be narrowed to, with what they are called."""
TYPE_TEXTS: Mapping[str, str] = {"plan": "Plans", "run": "Runs", "janitor": "Janitor"}
SPANS: tuple[int, ...] = (7, 30, 90)
"""Days that a page can look back."""
ROWS_PER_PAGE = 200
"""Models in the table of one run, on one page."""
_FILTERS = ("status", "type", "job", "from", "to")


def chosen_days(otherwise: int = 30) -> int:
    """How many days the address asks for; nonsense counts as the usual."""
    text = request.args.get("days", "")
    return next((days for days in SPANS if text == str(days)), otherwise)


class RunPages(Pages):
    """Executions of a project."""

    @expose("/projects/<project_id>/runs")
    def runs(self, project_id: str) -> Response:
        """The executions of a project, newest first, and its days."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        chosen = {name: request.args.get(name, "").strip()[:255] for name in _FILTERS}
        days = chosen_days()
        found = runs_page.get_run_list(actor, check_id(project_id, "Project"), _wanted(chosen), days=days, page=page_number())
        return page(
            "runs/list.html",
            actor,
            title=f"Runs of {found.project.name}",
            nav="projects",
            version=version,
            project=found.project,
            list=found,
            filtered=any(chosen.values()),
            chosen=chosen,
            statuses=STATUS_TEXTS,
            types=TYPE_TEXTS,
            days=days,
            spans=SPANS,
            unfinished=unfinished_of,
            figures=days_figures(found.days, lambda day: page_url("projects", project_id, "runs", **{"from": day, "to": day})),
            names={job.id: job.name for job in found.jobs},
            visible=visible,
        )

    @expose("/projects/<project_id>/runs/<execution_id>")
    def run(self, project_id: str, execution_id: str) -> Response:
        """One execution with its models over time."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        found = runs_page.get_run(actor, check_id(project_id, "Project"), check_id(execution_id, "Run"))
        return page(
            "runs/run.html",
            actor,
            title=visible(f"{found.execution.job_name} · {found.project.name}"),
            nav="projects",
            version=version,
            project=found.project,
            view=found,
            models=_models(found),
            seconds_of=seconds_of,
            visible=visible,
        )


@dataclass(frozen=True)
class ModelTable:
    """The models of an execution as its page shows them.

    :param shown: Those of this page.
    :param on_path: The place of each model on the critical path, from 1.
    :param timed: How many have a start and an end.
    :param figures: Of the chart.
    """

    shown: tuple[ModelExecution, ...]
    page: int
    last_page: int
    on_path: Mapping[str, int]
    timed: int
    figures: str


def _models(view: RunView) -> ModelTable:
    last = max(1, -(-len(view.models) // ROWS_PER_PAGE))
    number = max(1, min(page_number(), last))
    path, project_id = view.path.names if view.path is not None else (), view.project.id
    return ModelTable(
        shown=view.models[(number - 1) * ROWS_PER_PAGE : number * ROWS_PER_PAGE],
        page=number,
        last_page=last,
        on_path={name: place for place, name in enumerate(path, 1)},
        timed=sum(model.start_time is not None and model.end_time is not None for model in view.models),
        figures=gantt_figures(view.drawn, view.path, lambda name: page_url("projects", project_id, "model", name=name)),
    )


def _wanted(chosen: Mapping[str, str]) -> Wanted:
    """The executions that a form asks for; nonsense in it counts as not said."""
    until = _day(chosen["to"])
    return Wanted(
        status=chosen["status"] if chosen["status"] in EXECUTION_STATUSES else None,
        job_type=chosen["type"] if chosen["type"] in JOB_TYPES else None,
        job_id=chosen["job"] or None,
        since=_day(chosen["from"]),
        until=until + timedelta(days=1) if until is not None else None,
    )


def _day(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=timezone.utc)
    except ValueError:
        return None
