"""The list of the plans of all projects, and the address that leads from a Dag run to its plan."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Response, request

from dagctl_provider.domain.runs import run_step_id
from dagctl_provider.services.showing import live, overview, runs_page
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.pages import Pages, back_to, expose, json_answer, page, signed_in

STATUS_FILTERS: Mapping[str, str] = {
    "pending": "Waiting",
    "running": "Running",
    "completed": "Executed",
    "failed": "Failed",
    "rejected": "Rejected",
    "cancelled": "Cancelled",
}
"""States a list can be narrowed to, with what they are called."""
_MAX_PAGE = 1_000_000


def page_number() -> int:
    """The page that the address asks for; nonsense counts as the first."""
    text = request.args.get("page", "1")
    return min(int(text), _MAX_PAGE) if text.isascii() and text.isdigit() and len(text) < 10 else 1


def status_tabs(counts: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Value, text and number of each filter."""
    return [("", "All", sum(counts.values())), *((word, text, counts.get(word, 0)) for word, text in STATUS_FILTERS.items())]


class PlanListPages(Pages):
    """Plans of all projects."""

    @expose("/plans")
    def plans(self) -> Response:
        """Plans of all projects, those that wait for a decision first."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        status, search = request.args.get("status", ""), request.args.get("search", "")[:100]
        status = status if status in STATUS_FILTERS else ""
        found = overview.list_plan_groups(actor, status=status or None, search=search, page=page_number())
        return page(
            "plans.html",
            actor,
            title="Plans",
            nav="plans",
            version=version,
            list=found,
            search=search,
            chosen=status,
            filters=status_tabs(found.counts),
        )

    @expose("/runs/<dag_id>/<path:run_id>")
    def run(self, dag_id: str, run_id: str) -> Response:
        """From a Dag run to its plan, or to the run of a job: what Airflow's tab on a Dag run shows."""
        actor = signed_in("read")
        group_id, project_id = overview.place_of_run(actor, dag_id[:250], run_id[:250])
        if group_id is not None:
            return back_to(page_url("plans", group_id))
        identifier = run_step_id(dag_id, run_id)
        if project_id is not None and runs_page.is_on_record(actor, project_id, identifier):
            return back_to(page_url("projects", project_id, "runs", identifier))
        project = overview.get_project_row(actor, project_id).project if project_id is not None else None
        return page("no_plan.html", actor, title="No plan", project=project)

    @expose("/version")
    def version(self) -> Response:
        """What open pages ask for where no stream of events comes through."""
        actor = signed_in("read")
        return json_answer({"version": live.recent.version(actor.organization_id)})
