"""The plan page over HTTP, on a real Flask app with sample plans: what it shows, to whom, and what forms do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dagctl_provider.domain.decisions import DecisionRecord
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.permissions import Actor, permissions_of
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.graphs import graph_of
from dagctl_provider.plan_output.models import models_of
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved, PlanAutoDiscarded, PlanCreated, StepLogs
from dagctl_provider.services.showing import live, plan_view
from tests.plan_output import samples
from tests.plan_output.samples import EXECUTE, EXPLAIN, GROUP, PROJECT, explained

PAGE = f"/dagctl/plans/{GROUP}"
OWNER = Actor("user", "1", "Ada", "org-0001", permissions_of("owner"))
SAME_ORIGIN = {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"}


@dataclass
class Scene:
    """What the services know, who asks, and what was asked of them."""

    steps: tuple[PlanStep, ...] = (explained(samples.small_output()),)
    project: Project = PROJECT
    decisions: tuple[DecisionRecord, ...] = ()
    actor: Actor = OWNER
    log: str = "one\ntwo\n"
    answers: dict[str, Any] = field(default_factory=dict)
    calls: list[tuple[Any, ...]] = field(default_factory=list)


def _graph(made: Scene) -> Any:
    output = reading.explained(made.steps[0].plan_output)
    return graph_of(output, models_of(output, made.project.tool))


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    """A pending plan, looked at by an owner."""
    made = Scene()

    def get_view(actor: Actor, identifier: str) -> Any:
        if identifier not in (GROUP, *(step.id for step in made.steps)):
            raise not_found("Plan", identifier)
        return plan_view.assemble(actor, made.project, made.steps, made.decisions)

    def get_diff(actor: Actor, identifier: str, model: str) -> dict[str, Any]:
        rows = {row["name"]: row for row in (made.steps[0].plan_output or {})["models"]}
        if model not in rows:
            raise not_found("Model", model)
        return {"name": model, "diff": rows[model].get("diff"), "diff_of": None, "truncated": False}

    def service(name: str) -> Any:
        def call(actor: Actor, *arguments: Any) -> Any:
            made.calls.append((name, *arguments))
            answer = made.answers.get(name)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    for name, stand_in in (("get_view", get_view), ("get_diff", get_diff), ("get_graph", lambda *_: _graph(made))):
        monkeypatch.setattr(plan_view, name, stand_in)
    for name in ("approve", "reject", "cancel", "retry", "delete", "create_plan"):
        monkeypatch.setattr(plans, name, service(name))
    monkeypatch.setattr(plans, "get_logs", lambda actor, plan_id: StepLogs(made.steps[-1], made.log))
    monkeypatch.setattr(live.recent, "version", lambda organization_id: "v1")
    made.answers["approve"] = PlanApproved(EXPLAIN, EXECUTE)
    return made


@pytest.fixture
def client(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlaskClient]:
    """A browser whose session cookie Airflow knows."""
    from dagctl_provider.api import authentication
    from dagctl_provider.ui.plan_pages import PlanPages

    class Users:
        user_from_token = staticmethod(lambda token: token)
        everyone_is_admin = staticmethod(lambda: False)
        public_host = staticmethod(lambda: "airflow.example")

    class Members:
        actor_for = staticmethod(lambda user, *named: scene.actor)

    monkeypatch.setattr(authentication, "airflow_users", Users)
    monkeypatch.setattr(authentication, "members", Members)
    app = Flask(__name__)
    with app.app_context():
        app.register_blueprint(PlanPages().create_blueprint(None))
    with app.test_client(use_cookies=False) as made:
        made.environ_base["HTTP_COOKIE"] = "_token=aaa.bbb.ccc"
        yield made


class Elements(HTMLParser):
    """What a browser would make of a page: elements with their attributes, and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of that name with those attributes."""
        return [given for name, given in self.found if name == tag and attributes.items() <= given.items()]


def look(client: FlaskClient, address: str = PAGE, **kwargs: Any) -> Elements:
    answer = client.get(address, **kwargs)
    assert answer.status_code == 200
    return Elements(answer.text)


STATES = {
    "explaining": (replace(EXPLAIN, status="running", plan_output=None),),
    "pending": (explained(samples.small_output()),),
    "executing": (explained(samples.small_output(), status="approved"), EXECUTE),
    "completed": (explained(samples.small_output(), status="approved"), replace(EXECUTE, status="completed")),
    "failed": (
        explained(samples.small_output(), status="approved"),
        replace(EXECUTE, status="failed", error_code="plan_drifted", error_message="Not the same plan", error_hint="Plan again."),
    ),
    "rejected": (explained(samples.small_output(), status="rejected"),),
    "discarded": (
        explained(
            {
                **samples.small_output(),
                "auto_discarded": True,
                "auto_discard_reason": "New commits.",
                "current_commit": samples.NEWER,
            },
            status="rejected",
        ),
    ),
    "cancelled": (replace(EXPLAIN, status="cancelled", plan_output={"explain_completed": False}),),
    "dbt": (explained(samples.dbt_output()),),
    "empty": (explained({"explain_completed": True}),),
}


class TestReading:
    @pytest.mark.parametrize("state", STATES)
    def test_every_state_has_a_page(self, state: str, scene: Scene, client: FlaskClient) -> None:
        scene.steps = STATES[state]
        page = look(client)
        assert "Take discounts off" in page.text
        assert len({given["id"] for _, given in page.found if "id" in given}) == sum("id" in given for _, given in page.found)

    def test_a_plan_is_found_by_its_steps_too(self, client: FlaskClient) -> None:
        assert client.get("/dagctl/plans/plan_0001").status_code == 200

    @pytest.mark.parametrize(
        "address", ["/dagctl/plans/plan_other", "/dagctl/plans/%3Cscript%3E", f"{PAGE}/diff?model=nobody", f"{PAGE}/diff"]
    )
    def test_what_is_not_there_is_not_found(self, address: str, client: FlaskClient) -> None:
        assert client.get(address).status_code == 404

    def test_failures_say_code_message_and_hint(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = STATES["failed"]
        text = look(client).text
        for part in ("plan_drifted", "Not the same plan", "Plan again.", "not the approved one any more"):
            assert part in text

    def test_a_drift_is_a_table_with_a_way_on(self, scene: Scene, client: FlaskClient) -> None:
        drifts = [
            {"kind": "warehouse", "name": "host", "change": "changed", "before": "old-host", "after": "new-host"},
            {"kind": "variable", "name": "TENANT", "change": "changed"},
        ]
        approved, failed = STATES["failed"]
        scene.steps = (approved, replace(failed, plan_output={"drifts": drifts * 30}))
        page = look(client)
        assert len(page.all("table", id="drifts")) == 1
        for part in ("old-host", "new-host", "TENANT", "not shown", "and 10 more", "Plan again", "that approval is kept"):
            assert part in page.text
        scene.steps = STATES["failed"]
        assert not look(client).all("table", id="drifts")

    def test_where_it_writes_stands_with_the_facts(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = (explained({**samples.small_output(), "warehouse": {"schema": "marts", "host": "db.example.com"}}),)
        assert "writes to host db.example.com, schema marts" in look(client).text

    def test_a_discarded_plan_says_why_and_which_commits(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = STATES["discarded"]
        text = look(client).text
        assert "New commits." in text
        assert "9e8f7a6" in text

    def test_comments_stand_in_the_timeline(self, scene: Scene, client: FlaskClient) -> None:
        scene.decisions = (samples.decision("rejected", comment="The discount must not go below zero."),)
        assert "The discount must not go below zero." in look(client).text

    def test_links_lead_to_the_commit_and_into_airflow(self, client: FlaskClient) -> None:
        addresses = {link.get("href") for link in look(client).all("a")}
        assert f"https://github.com/acme/analytics/commit/{samples.COMMIT}" in addresses
        assert f"/dags/dagctl__analytics/runs/{GROUP}" in addresses
        assert f"/dags/dagctl__analytics/runs/{GROUP}/tasks/explain?try_number=1" in addresses

    def test_without_scripts_a_diff_opens_by_its_address(self, client: FlaskClient) -> None:
        page = look(client, f"{PAGE}?open=marts.fct_orders")
        assert len(page.all("pre", **{"class": "diff-plain"})) == 1
        assert "COALESCE(d.amount, 0)" in page.text
        assert "COALESCE" not in look(client).text

    def test_without_scripts_the_graph_is_a_list(self, client: FlaskClient) -> None:
        assert "raw.orders" in look(client, f"{PAGE}/graph?as=list").text

    def test_scripts_get_diff_and_graph_as_json(self, client: FlaskClient) -> None:
        assert client.get(f"{PAGE}/diff?model=marts.fct_orders").json["diff"] == samples.DIFF
        graph = client.get(f"{PAGE}/graph").json
        assert len(graph["names"]) == len(graph["marks"]) == 11

    def test_more_than_a_thousand_models_come_in_pages(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = (explained(samples.large_output(1200, 1500)),)
        first, second = look(client), look(client, f"{PAGE}?models=2")
        counts = [len([one for one in page.all("li") if (one.get("class") or "") == "model"]) for page in (first, second)]
        assert counts == [1000, 200]

    def test_scripts_and_styles_are_our_own_and_nothing_is_inline(self, client: FlaskClient) -> None:
        page = look(client)
        assert all((given.get("src") or "").startswith("/dagctl/static/") for given in page.all("script"))
        assert not [given for _, given in page.found if any(name.startswith("on") or name == "style" for name in given)]
        policy = client.get(PAGE).headers["Content-Security-Policy"]
        assert "unsafe" not in policy
        assert "frame-ancestors 'self'" in policy


class TestWhatIsSaid:
    """What strangers read wrongly on the page once, and what it says now."""

    @pytest.mark.parametrize(
        ("tests", "said"),
        [
            ({"run": 0, "failed": 0}, "The project has no unit tests."),
            ({"run": 1}, "1 unit test passed."),
            ({"run": 4, "failed": 0}, "4 unit tests passed."),
            ({"run": 4, "failed": 1}, "1 unit test failed."),
        ],
    )
    def test_of_tests_there_is_one_line(self, tests: Any, said: str, scene: Scene, client: FlaskClient) -> None:
        scene.steps = (explained({**samples.small_output(), "tests": tests}),)
        findings = client.get(PAGE).text.partition('data-region="findings"')[2].partition("</section>")[0]
        assert re.findall(r"[^<>]*unit tests?[^<>]*", findings) == [said]

    def test_an_explain_that_failed_does_not_say_that_no_model_changes(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = (replace(EXPLAIN, status="failed", error_code="plan_failed", plan_output={"explain_completed": False}),)
        page = look(client)
        assert "No model changes." not in page.text
        assert "Not known: the plan could not be worked out." in page.text
        assert "Nothing was published" in page.text

    @pytest.mark.parametrize(
        ("code", "latest", "main"),
        [
            ("project_load_failed", samples.COMMIT, False),
            ("project_load_failed", samples.NEWER, True),
            ("repository_unreachable", samples.COMMIT, True),
            ("task_failed", samples.COMMIT, True),
        ],
    )
    def test_to_plan_again_is_the_way_on_only_where_it_can_come_out_otherwise(
        self, code: str, latest: str, main: bool, scene: Scene, client: FlaskClient
    ) -> None:
        scene.project = replace(PROJECT, latest_commit_sha=latest)
        scene.steps = (replace(EXPLAIN, status="failed", error_code=code, plan_output={"explain_completed": False}),)
        page = look(client)
        (button,) = [link for link in page.all("a") if link.get("data-opens") == "do-plan"]
        assert ("primary" in (button.get("class") or "")) == main
        assert ("will fail in the same way" in page.text) == (not main)

    def test_a_model_that_failed_stands_first_and_the_error_leads_to_it(self, scene: Scene, client: FlaskClient) -> None:
        ran = {"models": [{"name": "reports.board", "status": "failed"}, {"name": "marts.fct_orders", "status": "succeeded"}]}
        failed = replace(EXECUTE, status="failed", error_code="model_failed", error_message="x", plan_output=ran)
        scene.steps = (explained(samples.small_output(), status="approved"), failed)
        page = look(client)
        links = [link for link in page.all("a") if (link.get("href") or "").startswith("#failed-")]
        assert [link["href"] for link in links] == ["#failed-1"]
        assert len(page.all("summary", id="failed-1")) == 1
        rows = [given for tag, given in page.found if given.get("id") in ("m1", "failed-1")]
        assert [row["id"] for row in rows] == ["m1", "failed-1"], "the first row of all is the one that failed"

    @pytest.mark.parametrize("state", ["rejected", "failed", "discarded"])
    def test_what_came_to_nothing_would_have_been_and_has_no_red(self, state: str, scene: Scene, client: FlaskClient) -> None:
        first, *others = STATES[state]
        scene.steps = (replace(first, plan_output={**(first.plan_output or {}), "tests": {"run": 1, "failed": 1}}), *others)
        page = look(client)
        assert "Nothing was published" in page.text
        assert "Downstream, would be backfilled too" in page.text
        assert "would be backfilled: 14 days" in page.text
        assert not [badge for badge in page.all("span") if (badge.get("class") or "") == "badge danger" and state != "failed"]
        assert not [row for row in page.all("li") if row.get("class") == "danger"]

    def test_dbt_says_once_what_runs(self, scene: Scene, client: FlaskClient) -> None:
        selection = {**samples.dbt_output()["selection"], "reason": "What changed and what reads it."}
        scene.project = replace(PROJECT, project_type="dbt", settings={})
        scene.steps = (explained({**samples.dbt_output(), "selection": selection}),)
        text = look(client).text
        assert "What changed and what reads it." in text
        assert "What changed, what depends on it" not in text

    def test_a_model_that_dbt_leaves_in_the_warehouse_is_told_once(self, scene: Scene, client: FlaskClient) -> None:
        said = "old is removed from the project; dbt drops nothing: the table prod.old stays in the warehouse."
        rows = [{"name": "old", "unique_id": "model.shop.old", "change": "removed"}]
        scene.project = replace(PROJECT, project_type="dbt", settings={})
        scene.steps = (explained({**samples.dbt_output(), "models": rows, "warnings": [said]}),)
        text = look(client).text
        assert text.count(said) == 1
        assert "1 model is removed. dbt drops nothing: its table or view stays in the warehouse." in text
        assert "they left" not in text

    def test_who_stopped_an_execution_is_told_once(self, scene: Scene, client: FlaskClient) -> None:
        stopped = replace(EXECUTE, status="cancelled", finished_at=samples.NOW)
        scene.steps = (explained(samples.small_output(), status="approved"), stopped)
        scene.decisions = (samples.decision("approved"), samples.decision("cancelled", 1, step_id="plan_0002"))
        assert len(look(client).all("li", **{"class": "is-bad"})) == 1
        scene.steps = (explained(samples.small_output(), status="cancelled"), stopped)
        scene.decisions += (samples.decision("cancelled", 0.99, id="dec_3", step_id="plan_0001"),)
        assert len(look(client).all("li", **{"class": "is-bad"})) == 1

    def test_rows_that_do_not_stop_an_execution_are_told_after_it(self, scene: Scene, client: FlaskClient) -> None:
        done = replace(EXECUTE, status="completed", plan_output={"warnings": ["audit not_null found 3 rows in marts.fct_orders"]})
        scene.steps = (explained(samples.small_output(), status="approved"), done)
        text = look(client).text
        assert "1 warning came up while it was executed, which stopped nothing." in text
        assert "audit not_null found 3 rows" in text


class TestHostileText:
    """Every text that comes from a repository, a warehouse or another person is shown and never obeyed."""

    def test_no_element_or_attribute_comes_from_a_text(self, scene: Scene, client: FlaskClient) -> None:
        harmless = look(client)
        text = " ".join(samples.HOSTILE)
        scene.steps = (
            explained(
                samples.hostile_output(),
                commit_message=f"{text}\n\n{text}",
                commit_author=text,
                error_code=samples.HOSTILE[0],
                error_message=text,
                error_hint=text,
                triggered_by=samples.HOSTILE[1],
                pod_name=samples.HOSTILE[2],
            ),
        )
        drifted = {"drifts": samples.hostile_output()["drifts"]}
        scene.steps += (replace(EXECUTE, status="failed", error_code="plan_drifted", plan_output=drifted),)
        scene.decisions = (samples.decision("rejected", comment=text, actor_name=text),)
        for address in (PAGE, f"{PAGE}?open={'%3Cscript%3Ewindow.hacked=1%3C/script%3E'}", f"{PAGE}/graph?as=list"):
            page = look(client, address)
            assert {tag for tag, _ in page.found} <= {tag for tag, _ in harmless.found} | {
                "blockquote",
                "table",
                "thead",
                "tbody",
                "tr",
                "th",
                "td",
            }
            assert not [given for _, given in page.found if any(name.startswith("on") for name in given)]
            links = [given.get("href") or "" for given in page.all("a")]
            assert all(link.startswith(("/", "#", "https://github.com/")) for link in links)
            assert "49" not in page.text.partition("{{ 7*7 }}")[2][:5]

    def test_characters_that_do_not_show_are_named(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = (explained(samples.hostile_output()),)
        answer = client.get(PAGE).text
        assert "\u202e" not in answer
        assert "[U+202E]gnp.exe" in answer

    def test_a_project_never_makes_a_script_address(self, scene: Scene, client: FlaskClient) -> None:
        scene.project = replace(PROJECT, repository_url="javascript:window.hacked=1")
        assert not [link for link in look(client).all("a") if "javascript" in (link.get("href") or "")]


class TestDeciding:
    def test_each_action_is_a_form_that_says_its_consequence(self, client: FlaskClient) -> None:
        page = look(client, f"{PAGE}?action=reject")
        assert [form["action"] for form in page.all("form", method="post")] == [
            f"{PAGE}/{verb}" for verb in ("approve", "reject", "delete")
        ]
        assert [("open" in given) for given in page.all("dialog")] == [False, True, False]
        assert "Nothing is executed; what is deployed stays as it is." in page.text

    @pytest.mark.parametrize(
        ("verb", "state", "form", "call", "goes_to"),
        [
            ("approve", "pending", {"comment": "ok"}, ("approve", "plan_0001", "page", "ok", (), None), f"{PAGE}?said=approved"),
            ("approve", "pending", {}, ("approve", "plan_0001", "page", None, (), None), f"{PAGE}?said=approved"),
            ("reject", "pending", {"comment": " no "}, ("reject", "plan_0001", "page", "no"), f"{PAGE}?said=rejected"),
            ("delete", "pending", {}, ("delete", "plan_0001", "page"), "/dagctl/projects/proj_0001?said=plan_deleted"),
            ("cancel", "executing", {"step": "plan_0002"}, ("cancel", "plan_0002", "page"), f"{PAGE}?said=cancelled"),
            ("withdraw", "executing", {}, ("cancel", "plan_0001", "page"), f"{PAGE}?said=cancelled"),
            ("retry", "failed", {"step": "plan_0002"}, ("retry", "plan_0002", "page", None), f"{PAGE}?said=retried"),
        ],
    )
    def test_a_form_asks_the_service_and_goes_on(
        self, verb: str, state: str, form: dict[str, str], call: Any, goes_to: str, scene: Scene, client: FlaskClient
    ) -> None:
        scene.steps = STATES[state]
        answer = client.post(f"{PAGE}/{verb}", data={"step": "plan_0001", **form}, headers=SAME_ORIGIN)
        assert scene.calls == [call]
        assert (answer.status_code, answer.headers["Location"]) == (303, goes_to)

    def test_destructive_changes_are_ticked_model_by_model(self, scene: Scene, client: FlaskClient) -> None:
        rows = [
            {"name": "marts.fct_orders", "columns": ["legacy"], "policy": "error", "remedies": ["Keep the column."]},
            {"name": "b", "policy": "error"},
            {"name": "c", "policy": "warn"},
        ]
        scene.steps = (explained({**samples.small_output(), "destructive": rows}),)
        page = look(client)
        boxes = page.all("input", type="checkbox", name="allow_destructive")
        assert [(box["value"], "required" in box, "checked" in box) for box in boxes] == [
            ("marts.fct_orders", True, False),
            ("b", True, False),
        ]
        assert "Keep the column." in page.text
        form = {"step": "plan_0001", "allow_destructive": ["marts.fct_orders"]}
        extra = {"destructive": [{"model": "b", "columns": ["x"], "remedies": []}]}
        scene.answers["approve"] = DagctlError("destructive_not_allowed", "1 model changes its table destructively.", **extra)
        answer = client.post(f"{PAGE}/approve", data=form, headers=SAME_ORIGIN)
        assert scene.calls == [("approve", "plan_0001", "page", None, ("marts.fct_orders",), None)]
        assert answer.status_code == 409
        shown = Elements(answer.text)
        assert "1 model changes its table destructively." in shown.text
        again = shown.all("input", type="checkbox", name="allow_destructive")
        assert [("checked" in box) for box in again] == [True, False]

    def test_planning_again_goes_to_the_new_plan(self, scene: Scene, client: FlaskClient) -> None:
        scene.steps = STATES["rejected"]
        scene.answers["create_plan"] = PlanCreated("created", samples.NEWER, replace(EXPLAIN, group_id="plangroup_2"))
        answer = client.post(f"{PAGE}/plan", data={"step": "proj_0001"}, headers=SAME_ORIGIN)
        assert answer.headers["Location"] == "/dagctl/plans/plangroup_2?said=plan_created"

    def test_a_head_that_moved_is_said(self, scene: Scene, client: FlaskClient) -> None:
        scene.answers["approve"] = PlanAutoDiscarded(EXPLAIN, samples.COMMIT, samples.NEWER, "moved")
        answer = client.post(f"{PAGE}/approve", data={"step": "plan_0001"}, headers=SAME_ORIGIN)
        assert answer.headers["Location"] == f"{PAGE}?said=head_moved"
        assert "this plan was discarded" in look(client, answer.headers["Location"]).text

    def test_what_is_refused_is_told_on_the_page(self, scene: Scene, client: FlaskClient) -> None:
        scene.answers["approve"] = DagctlError("execution_in_progress", "Project 'analytics' is already executing another plan.")
        answer = client.post(f"{PAGE}/approve", data={"step": "plan_0001"}, headers=SAME_ORIGIN)
        assert answer.status_code == 409
        assert "already executing another plan" in answer.text
        assert "Before you decide" in answer.text

    def test_a_rejection_needs_a_reason(self, scene: Scene, client: FlaskClient) -> None:
        answer = client.post(f"{PAGE}/reject", data={"step": "plan_0001", "comment": "  "}, headers=SAME_ORIGIN)
        assert (answer.status_code, scene.calls) == (422, [])

    def test_a_comment_has_a_length(self, scene: Scene, client: FlaskClient) -> None:
        answer = client.post(f"{PAGE}/reject", data={"step": "plan_0001", "comment": "x" * 2001}, headers=SAME_ORIGIN)
        assert (answer.status_code, scene.calls) == (422, [])

    @pytest.mark.parametrize(("verb", "step"), [("approve", "plan_9999"), ("explode", "plan_0001"), ("approve", "")])
    def test_no_other_verb_and_no_other_plans_step(self, verb: str, step: str, scene: Scene, client: FlaskClient) -> None:
        answer = client.post(f"{PAGE}/{verb}", data={"step": step}, headers=SAME_ORIGIN)
        assert (answer.status_code, scene.calls) == (404, [])

    @pytest.mark.parametrize(
        "headers", [{}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
    )
    def test_a_foreign_page_decides_nothing(self, headers: dict[str, str], scene: Scene, client: FlaskClient) -> None:
        answer = client.post(f"{PAGE}/approve", data={"step": "plan_0001"}, headers=headers)
        assert (answer.status_code, scene.calls) == (403, [])

    def test_who_may_only_read_gets_no_form_and_is_told_why(self, scene: Scene, client: FlaskClient) -> None:
        scene.actor = replace(scene.actor, permissions=permissions_of("reader"))
        page = look(client)
        assert not page.all("form")
        assert "approve, reject, delete needs the permission approve_plan" in " ".join(page.text.split())

    def test_without_a_session_the_way_leads_to_the_sign_in_and_back(self, client: FlaskClient) -> None:
        client.environ_base.pop("HTTP_COOKIE")
        answer = client.get(PAGE)
        assert answer.status_code == 302
        assert answer.headers["Location"] == f"/auth/login?next=%2Fdagctl%2Fplans%2F{GROUP}"


class TestLog:
    def test_from_a_position_on(self, client: FlaskClient) -> None:
        answer = client.get("/dagctl/plans/plan_0001/log?from=4")
        assert answer.text == "two\n"
        headers = answer.headers
        assert (headers["X-Dagctl-Log-From"], headers["X-Dagctl-Log-Length"], headers["X-Dagctl-Step-Status"]) == (
            "4",
            "8",
            "pending",
        )
        assert answer.mimetype == "text/plain"

    @pytest.mark.parametrize("start", ["-1", "9", "x", "99999999999999999999"])
    def test_a_position_that_is_none_gives_all(self, start: str, client: FlaskClient) -> None:
        assert client.get(f"/dagctl/plans/plan_0001/log?from={start}").text == "one\ntwo\n"

    def test_a_log_that_was_cut_comes_whole(self, scene: Scene, client: FlaskClient) -> None:
        scene.log = "x" * 2_000_000
        assert len(client.get("/dagctl/plans/plan_0001/log?from=1999999").text) == 2_000_000

    def test_it_downloads_as_a_file(self, client: FlaskClient) -> None:
        answer = client.get("/dagctl/plans/plan_0001/log?download=1")
        assert answer.headers["Content-Disposition"] == 'attachment; filename="plan_0001.log"'
