"""The pages of models: which ones take long, which got slower, and one model over time."""

from __future__ import annotations

from flask import Response, request

from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.executions import JOB_TYPES
from dagctl_provider.services.showing import live, models_page
from dagctl_provider.services.showing.models_page import MODEL_SORTS, MOST_SHOWN, Span
from dagctl_provider.services.showing.runs_page import seconds_of
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.charts import history_figures
from dagctl_provider.ui.lists import page_number
from dagctl_provider.ui.pages import Pages, check_id, expose, page, signed_in
from dagctl_provider.ui.plan_diffs import visible
from dagctl_provider.ui.runs import SPANS, TYPE_TEXTS, chosen_days

_SORTS = (
    ("total", "Most time together"),
    ("avg", "Slowest"),
    ("max", "Slowest once"),
    ("change", "Got slower"),
    ("failed", "Failed most"),
    ("name", "Name"),
)
_LONGEST_NAME = 255
_NOTABLE = 20
"""From so many percent on a change is coloured; plus and minus say which way it goes."""
_MINUS = "\N{MINUS SIGN}"


class ModelPages(Pages):
    """Models of a project."""

    @expose("/projects/<project_id>/models")
    def models(self, project_id: str) -> Response:
        """The models of a project, slowest first or as asked for."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        sort, days = request.args.get("sort", "total"), chosen_days()
        sort = sort if sort in MODEL_SORTS else "total"
        search = request.args.get("search", "").strip()[:_LONGEST_NAME]
        job_type = request.args.get("type", "")
        job_type = job_type if job_type in JOB_TYPES else ""
        found = models_page.get_model_list(
            actor,
            check_id(project_id, "Project"),
            Span(days, job_type or None),
            sort=sort,
            search=search,
            page=page_number(),
        )
        return page(
            "runs/models.html",
            actor,
            title=f"Models of {found.project.name}",
            nav="projects",
            version=version,
            project=found.project,
            list=found.page,
            search=search,
            sort=sort,
            sorts=_SORTS,
            chosen_type=job_type,
            types=TYPE_TEXTS,
            days=days,
            spans=SPANS,
            changed=changed_text,
            visible=visible,
        )

    @expose("/projects/<project_id>/model")
    def model(self, project_id: str) -> Response:
        """One model's executions; its name is a parameter, since it may hold anything."""
        actor = signed_in("read")
        version = live.recent.version(actor.organization_id)
        name, days = request.args.get("name", ""), chosen_days()
        if not name or len(name) > _LONGEST_NAME:
            raise not_found("Model", name[:_LONGEST_NAME])
        found = models_page.get_model(actor, check_id(project_id, "Project"), name, days=days)
        return page(
            "runs/model.html",
            actor,
            title=visible(f"{name} · {found.project.name}"),
            nav="projects",
            version=version,
            project=found.project,
            view=found,
            days=days,
            spans=SPANS,
            types=TYPE_TEXTS,
            most_shown=MOST_SHOWN,
            changed=changed_text,
            seconds_of=seconds_of,
            figures=history_figures(
                found.executions, found.deploys, lambda execution_id: page_url("projects", project_id, "runs", execution_id)
            ),
            visible=visible,
        )


def changed_text(change: float | None) -> tuple[str, str]:
    """How a duration compares with the one before, and in which tone: ``+25 %``.

    :param change: How many times as long as before.
    """
    if change is None:
        return "-", "muted"
    percent = round((change - 1) * 100)
    if percent == 0:
        return "as before", "muted"
    tone = "bad" if percent >= _NOTABLE else "good" if percent <= -_NOTABLE else ""
    return (f"{percent:,} %".replace("-", _MINUS) if percent < 0 else f"+{percent:,} %"), tone
