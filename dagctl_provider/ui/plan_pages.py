"""The plan page: what a commit will do, what was decided, and what may be done now.

The page is whole without a script: diffs, graph and log have addresses of their own, dialogs open by a word in the address and
are plain forms. The scripts of ``frontend/plan`` make the same things faster and keep them fresh.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from flask import Response, request

from dagctl_provider.domain.doors import Door
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.plan_output.markdown import tests_text
from dagctl_provider.plan_output.parts import MARK_TITLES, MARKS, Graph, ModelChange
from dagctl_provider.plan_output.summaries import load_text, titles
from dagctl_provider.services.showing import live, plan_view
from dagctl_provider.services.showing.plan_view.logs import get_log
from dagctl_provider.services.showing.plan_view.parts import PlanView
from dagctl_provider.ui.log_answers import log_answer
from dagctl_provider.ui.pages import Pages, back_to, check_id, expose, json_answer, page, render, signed_in
from dagctl_provider.ui.plan_actions import take
from dagctl_provider.ui.plan_diffs import diff_lines, visible
from dagctl_provider.ui.plan_progress import MOST_NAMED, bar, elapsed, marked, progress_texts, result_text

ROWS_PER_PAGE = 1000
"""Models on one page; all are in the document, so that filtering needs no round trip."""
ROWS_PER_CHUNK = 40
"""Rows that a browser lays out together or, out of sight, not at all."""
FOLDED_FROM = {"downstream": 25, "load": 25, "metadata": 25, "reader": 25, "follower": 1}
FOLDED_FROM_OTHERWISE = 100
"""Groups of models are folded from these sizes on, those that nobody changed by hand sooner."""
OPEN_AT_ONCE = 5
"""Plans with no more diffs than this show them at once."""
_LONGEST_NAME = 1000

FINDING_LABELS = {
    "head_moved": "Outdated",
    "tests_failed": "Tests failed",
    "hidden_characters": "Hidden text",
    "contracts_broken": "Contract",
    "removed": "Removed",
    "removed_is_read": "Still read",
    "destructive": "Destructive",
    "table_changes": "Tables",
    "long_load": "Long",
    "previews": "Preview",
    "assumed": "Assumed",
    "leftovers": "Left over",
    "full_refresh": "From scratch",
    "vars": "Variables",
    "execute_warnings": "While executed",
    "columns_removed": "Columns",
    "full_rebuild": "Full rebuild",
    "state_migration": "Migration",
    "no_tests": "No tests",
    "column_impact": "Columns",
    "forward_only": "Forward only",
    "restatements": "Restated",
    "requirements_diff": "Requirements",
    "packages_diff": "Packages",
    "unstable": "Not covered",
    "asked": "From data",
    "environment_statements_diff": "Statements",
    "truncated": "Cut off",
    "new_environment": "New",
}
"""The others are what their severity is called."""
SEVERITIES = {"danger": ("!", "Danger"), "warning": ("▲", "Warning"), "info": ("i", "Note")}
SHORT_DETAIL = 240
"""Details of findings that are no longer stand open."""
DOORS: Mapping[Door, str] = {
    "page": "on this page",
    "rest": "over the API",
    "required_actions": "in Required Actions",
    "system": "automatically",
}


class PlanPages(Pages):
    """One plan: the page, its diffs, its graph, its logs, and what people do with it."""

    @expose("/plans/<plan_id>")
    def plan(self, plan_id: str) -> Response:
        """The page of a plan, by the id of its group or of one of its steps."""
        actor = signed_in("read")
        # Before the plan is read, so that what changes in between is told to the page once more.
        version = live.recent.version(actor.organization_id)
        return plan_page(actor, plan_view.get_view(actor, check_id(plan_id, "Plan")), version)

    @expose("/plans/<plan_id>/diff")
    def diff(self, plan_id: str) -> Response:
        """The diff of one model, for scripts."""
        actor = signed_in("read")
        return json_answer(plan_view.get_diff(actor, check_id(plan_id, "Plan"), _asked_model()))

    @expose("/plans/<plan_id>/graph")
    def graph(self, plan_id: str) -> Response:
        """The graph: for scripts in few bytes, for people as a list of who reads what."""
        actor = signed_in("read")
        found = plan_view.get_graph(actor, check_id(plan_id, "Plan"))
        if request.args.get("as") == "list":
            return page(
                "plan/graph.html",
                actor,
                title="Models of the plan",
                nav="plans",
                plan_id=plan_id,
                rows=_listed(found),
                visible=visible,
            )
        return json_answer(found.compact())

    @expose("/plans/<plan_id>/log")
    def log(self, plan_id: str) -> Response:
        """The log of a step as text, from a position on."""
        actor = signed_in("read")
        part = get_log(actor, check_id(plan_id, "Plan"), request.args.get("from", 0, type=int))
        return log_answer(part, part.step.id, part.step.status)

    @expose("/plans/<plan_id>/progress")
    def progress(self, plan_id: str) -> Response:
        """How far the newest step is, for scripts: that part of the page, and what to mark each model with."""
        actor = signed_in("read")
        step, progress, results = plan_view.get_progress(actor, check_id(plan_id, "Plan"))
        html = render("plan/progress.html", step=step, progress=progress, **_PROGRESS_WORDS)
        return json_answer({"html": html, "results": marked(results)})

    @expose("/plans/<plan_id>/<verb>", methods=("POST",))
    def act(self, plan_id: str, verb: str) -> Response:
        """Take an action. Afterwards the page is shown again with what came of it."""
        actor = signed_in("read")
        check_id(plan_id, "Plan")
        try:
            return back_to(take(actor, plan_id, verb, request.form, request.form.getlist("allow_destructive")))
        except DagctlError as error:
            if error.code in ("not_found", "unauthenticated", "cross_site_request"):
                raise
            version = live.recent.version(actor.organization_id)
            return plan_page(actor, plan_view.get_view(actor, plan_id), version, refused=error)


_PROGRESS_WORDS: dict[str, Any] = {
    "visible": visible,
    "progress_texts": progress_texts,
    "bar": bar,
    "elapsed": elapsed,
    "most_named": MOST_NAMED,
}


def _asked_model() -> str:
    model = request.args.get("model", "")
    if not model or len(model) > _LONGEST_NAME:
        raise not_found("Model", model)
    return model


def plan_page(actor: Actor, view: PlanView, version: str, refused: DagctlError | None = None) -> Response:
    """The page.

    :param version: Of the state that the page shows at least.
    :param refused: Why what was just asked for was not done.
    """
    number = max(1, request.args.get("models", 1, type=int))
    start = (number - 1) * ROWS_PER_PAGE
    shown = view.models[start : start + ROWS_PER_PAGE]
    diffs = [model.name for model in view.models if model.lines]
    return page(
        "plan/plan.html",
        actor,
        title=visible(f"{view.commit.subject[:80]} · {view.project.name}"),
        nav="plans",
        status=200 if refused is None else refused.kind.status,
        version=version,
        view=view,
        groups=_grouped(shown, view),
        tests_text=tests_text(view.tests),
        load_text=partial(load_text, loading=view.project.tool.loading, mood=view.mood),
        failed_models=[model.name for model in shown if not _has_not_failed(model)],
        allowed=request.form.getlist("allow_destructive"),
        page_number=number,
        last_page=max(1, -(-len(view.models) // ROWS_PER_PAGE)),
        rows_per_page=ROWS_PER_PAGE,
        rows_per_chunk=ROWS_PER_CHUNK,
        opened=_opened(actor, view),
        open_at_once=set(diffs) if len(diffs) <= OPEN_AT_ONCE else set(),
        asked_action=request.args.get("action", ""),
        refused=refused,
        doors=DOORS,
        finding_labels=FINDING_LABELS,
        severities=SEVERITIES,
        short_detail=SHORT_DETAIL,
        **_PROGRESS_WORDS,
        step=view.newest,
        progress=view.progress,
        with_results=view.newest.plan_type == "execute",
        result_text=result_text,
        task_of=lambda step: step.task_id,
    )


def _grouped(shown: tuple[ModelChange, ...], view: PlanView) -> list[dict[str, object]]:
    """The models of this page by mark, with how many there are on all pages; what failed stands first."""
    groups: list[dict[str, Any]] = []
    named = titles(view.project.tool.loading, view.mood)
    for mark in MARKS:
        models = sorted((model for model in shown if model.mark == mark), key=_has_not_failed)
        if models:
            total = sum(model.mark == mark for model in view.models)
            folded = total >= FOLDED_FROM.get(mark, FOLDED_FROM_OTHERWISE) and _has_not_failed(models[0])
            groups.append({"mark": mark, "title": named[mark], "models": models, "total": total, "open": not folded})
    return sorted(groups, key=lambda group: _has_not_failed(group["models"][0]))


def _has_not_failed(model: ModelChange) -> bool:
    return model.result is None or model.result.status != "failed"


def _opened(actor: Actor, view: PlanView) -> dict[str, object] | None:
    """The diff that the address asks for, for browsers without scripts."""
    name = request.args.get("open", "")
    if not name or len(name) > _LONGEST_NAME or name not in {model.name for model in view.models}:
        return None
    found = plan_view.get_diff(actor, view.group_id, name)
    return {**found, "lines": diff_lines(str(found["diff"] or ""))}


def _listed(graph: Graph) -> list[dict[str, object]]:
    """Who reads what and is read by whom, for everybody who does not look at a picture."""
    reads: list[list[int]] = [[] for _ in graph.names]
    read_by: list[list[int]] = [[] for _ in graph.names]
    for parent, child in graph.edges:
        reads[child].append(parent)
        read_by[parent].append(child)
    return [
        {
            "name": name,
            "mark": graph.marks[at],
            "title": MARK_TITLES[graph.marks[at]],
            "reads": reads[at],
            "read_by": read_by[at],
        }
        for at, name in enumerate(graph.names)
    ]
