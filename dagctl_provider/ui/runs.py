"""The pages of runs: what a project's jobs and plans did, day by day and one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from flask import Response, request

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.executions import EXECUTION_STATUSES, FINISHED, JOB_TYPES, ModelExecution
from dagctl_provider.services import runs
from dagctl_provider.services.showing import live, runs_page
from dagctl_provider.services.showing.runs_page import RunView, seconds_of
from dagctl_provider.store.executions import Wanted
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.charts import days_figures, gantt_figures, unfinished_of
from dagctl_provider.ui.lists import page_number
from dagctl_provider.ui.log_answers import log_answer
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, page, signed_in
from dagctl_provider.ui.plan_diffs import visible
from dagctl_provider.ui.questions import Question, ask

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

    @expose("/projects/<project_id>/runs/<execution_id>/log")
    def log(self, project_id: str, execution_id: str) -> Response:
        """The log of a run as text, from a position on."""
        actor = signed_in("read")
        check_id(project_id, "Project")
        part = runs_page.get_run_log(actor, project_id, check_id(execution_id, "Run"), request.args.get("from", 0, type=int))
        return log_answer(part, part.execution.id, "completed" if part.execution.status in FINISHED else "running")

    @expose("/projects/<project_id>/runs/<execution_id>/cancel", methods=("GET", "POST"))
    def cancel(self, project_id: str, execution_id: str) -> Response:
        """Ask whether a run shall be cancelled, and cancel it."""
        actor = signed_in("run_project")
        found = runs_page.get_run(actor, check_id(project_id, "Project"), check_id(execution_id, "Run"))
        address = page_url("projects", project_id, "runs", execution_id)
        question = Question(
            title=visible(f"Cancel {found.execution.job_name}?"),
            label="Cancel the run",
            tone="danger",
            consequences=(
                "Its process or pod is ended, and what it asks of the warehouse at that moment is interrupted.",
                "Models that it has finished stay as they are.",
            ),
            back=address,
        )
        if request.method == "GET":
            return ask(actor, question)
        try:
            runs.cancel(actor, execution_id)
        except DagctlError as error:
            return ask(actor, question, error)
        return back_to(f"{address}?said=run_cancelled")


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
