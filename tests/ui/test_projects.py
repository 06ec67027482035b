"""The pages of projects: what lists show, what can be done and what is said before, and the form."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import PERMISSIONS
from dagctl_provider.domain.projects import FIELDS
from dagctl_provider.orchestration import dags
from dagctl_provider.services import plans, projects
from dagctl_provider.services.outside import repositories
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.ui import project_form
from dagctl_provider.ui.project_actions import ACTIONS
from tests.services.world import World, deploy_commit

from .conftest import Browser

pytestmark = pytest.mark.slow

FORM = {"name": "shop", "project_type": "sqlmesh", "repository_url": "https://example.com/acme/shop", "branch": "main"}


def note(project_id: str, **values: Any) -> None:
    transactions.run(lambda session: project_rows.update_project(session, project_id, **values))


def names_in(browser: Browser, query: str) -> list[str]:
    """Names in the order they are listed."""
    shown = browser.get(f"/dagctl/projects?{query}")
    return list(dict.fromkeys(name for name in shown.text.split() if name in ("alpha", "beta", "gamma")))


@pytest.fixture
def three(world: World) -> list[str]:
    """Alpha is behind, beta waits and cannot be read, gamma is suspended."""
    ids = [world.project(name).id for name in ("alpha", "beta", "gamma")]
    world.explained(projects.get_project(world.actor(), ids[1]))
    deploy_commit(projects.get_project(world.actor(), ids[0]), "a" * 40, commits_behind=3, latest_commit_sha="b" * 40)
    note(ids[1], sync_error="The remote did not answer.")
    projects.update_project(world.actor(), ids[2], {"suspended": True})
    return ids


class TestList:
    def test_nothing_yet_says_what_to_do(self, browser: Browser, world: World) -> None:
        shown = browser.get("/dagctl/projects")
        assert "No projects yet" in shown.text
        assert "/pluginsv2/dagctl/projects/new" in shown.links()
        browser.actor = world.actor("reader")
        shown = browser.get("/dagctl/projects")
        assert "/pluginsv2/dagctl/projects/new" not in shown.links()
        assert "manage_projects" in shown.text

    def test_search_filter_and_order(self, browser: Browser, three: list[str]) -> None:
        for query, names in (
            ("", ["alpha", "beta", "gamma"]),
            ("show=waiting", ["beta"]),
            ("show=behind", ["alpha"]),
            ("show=failing", ["beta"]),
            ("show=suspended", ["gamma"]),
            ("show=undeployed", []),
            ("show=nonsense&sort=nonsense", ["alpha", "beta", "gamma"]),
            ("search=ALPH", ["alpha"]),
            ("search=example.com", ["alpha", "beta", "gamma"]),
            ("sort=waiting", ["beta", "alpha", "gamma"]),
            ("sort=behind", ["alpha", "beta", "gamma"]),
            ("sort=changed", ["beta", "alpha", "gamma"]),
            ("page=99", ["alpha", "beta", "gamma"]),
        ):
            assert names_in(browser, query) == names, query

    def test_a_row_says_how_the_project_stands(self, browser: Browser, three: list[str]) -> None:
        text = browser.get("/dagctl/projects").text
        wanted = ("3 commits behind", "aaaaaaa", "Waiting for approval", "The remote did not answer.", "Suspended", "never ran")
        for said in wanted:
            assert said in text

    def test_a_row_says_when_the_project_runs(self, browser: Browser, world: World) -> None:
        project = world.project(run_schedule="@hourly")

        def said() -> str:
            return " ".join(browser.get("/dagctl/projects").text.split())

        assert "every hour, nothing deployed yet" in said()
        deploy_commit(project, "a" * 40)
        world.parse(projects.get_project(world.actor(), project.id))
        # Airflow makes up for what was due minutes ago.
        assert re.search(r"every hour, next (in (\d+ minutes?|less than a minute|1 hour)|due now)", said())
        transactions.run(lambda session: dags.set_paused(session, [project.run_dag_id], True))
        assert "every hour, paused in Airflow" in said()
        projects.update_project(world.actor(), project.id, {"suspended": True})
        assert "every hour, suspended" in said()

    def test_another_organization_sees_nothing_of_it(self, browser: Browser, three: list[str]) -> None:
        from dagctl_provider.services import organizations

        browser.actor = World(organizations.ensure_organization("other")).actor()
        assert names_in(browser, "") == []
        assert browser.get(f"/dagctl/projects/{three[0]}").status == 404


class TestActions:
    def test_each_says_what_it_brings_about_and_does_it(self, browser: Browser, world: World) -> None:
        project = world.project()
        world.explained(project)
        done = (
            ("suspend", "no longer detected", "suspended"),
            ("resume", "detected again", "resumed"),
            ("undeploy", "1 plan that waits for approval is discarded", "undeployed"),
            ("deploy", "Nothing is written to the warehouse before a plan is approved", "deployed"),
        )
        for verb, consequence, said in done:
            address = f"/dagctl/projects/{project.id}/{verb}"
            question = browser.get(address)
            assert consequence in question.text
            assert question.all("form", method="post", action=f"/pluginsv2{address}")
            answer = browser.post(address)
            assert answer.status_code == 303
            assert answer.headers["Location"].endswith(f"/projects/{project.id}?said={said}")
        now = projects.get_project(world.actor(), project.id)
        assert (now.deployed, now.suspended) == (True, False)

    def test_a_look_does_nothing(self, browser: Browser, world: World) -> None:
        project = world.project()
        for action in ACTIONS:
            assert browser.get(f"/dagctl/projects/{project.id}/{action.verb}").status == 200
        assert projects.get_project(world.actor(), project.id) == projects.get_project(world.actor(), project.id)
        assert plans.list_plans(world.actor(), project.id).total == 0

    def test_plan_now_leads_to_the_plan(self, browser: Browser, world: World) -> None:
        project = world.project()
        first = browser.post(f"/dagctl/projects/{project.id}/plan")
        group = plans.list_plans(world.actor(), project.id).items[0].group_id
        assert first.headers["Location"].endswith(f"/plans/{group}?said=plan_created")
        again = browser.post(f"/dagctl/projects/{project.id}/plan")
        assert again.headers["Location"].endswith(f"/plans/{group}?said=existing_plan")

    def test_what_the_service_refuses_is_said_where_it_was_asked(self, browser: Browser, world: World) -> None:
        project = world.project()
        answer = browser.post(f"/dagctl/projects/{project.id}/run")
        assert answer.status_code == 409
        assert "Nothing deployed yet" in answer.get_data(as_text=True)

    def test_deleting_takes_the_name(self, browser: Browser, world: World) -> None:
        project = world.project()
        address = f"/dagctl/projects/{project.id}/delete"
        assert browser.post(address, {"typed_name": "analytic"}).status_code == 422
        assert browser.post(address, {"typed_name": "analytics"}).status_code == 303
        assert browser.get(f"/dagctl/projects/{project.id}").status == 404

    def test_what_a_person_may_not_do_is_not_offered_and_refused(self, browser: Browser, world: World) -> None:
        project = world.project()
        browser.actor = world.actor("reader")
        listed = browser.get("/dagctl/projects")
        assert not [link for link in listed.links() if link.endswith(tuple(f"/{action.verb}" for action in ACTIONS))]
        for action in ACTIONS:
            assert browser.post(f"/dagctl/projects/{project.id}/{action.verb}").status_code == 403
            assert browser.get(f"/dagctl/projects/{project.id}/{action.verb}").status == 403
        for path in ("new", f"{project.id}/edit"):
            assert browser.get(f"/dagctl/projects/{path}").status == 403

    def test_the_table_names_permissions_that_exist(self) -> None:
        assert {action.permission for action in ACTIONS} <= set(PERMISSIONS)


class TestForm:
    def test_every_field_of_the_table_stands_in_it_once_and_has_a_label(self) -> None:
        listed = [name for group in project_form.GROUPS for name in group.fields]
        assert sorted(listed) == sorted(FIELDS)
        assert set(project_form.LABELS) == set(FIELDS)
        assert set(project_form.HINTS) <= set(FIELDS)

    def test_it_carries_the_rules_of_the_table(self, browser: Browser, world: World) -> None:
        fields = browser.get("/dagctl/projects/new").fields()
        for name, field in FIELDS.items():
            if not field.on_create:
                assert name not in fields
                continue
            own = fields[name]
            assert ("required" in own) == (field.required or name == "branch"), name
            if field.max_length is not None and field.json_type == "string":
                assert own["maxlength"] == str(field.max_length), name
            if field.pattern and field.choices is None:
                assert f"^{own['pattern']}$" == field.pattern, name

    def test_every_field_has_a_label_and_a_place_for_what_is_wrong(self, browser: Browser, world: World) -> None:
        shown = browser.get("/dagctl/projects/new")
        ids = {own["id"] for _, own in shown.elements if "id" in own}
        labels = {own["for"] for own in shown.all("label") if "for" in own}
        for name, own in shown.fields().items():
            if own.get("id"):
                assert own["id"] in labels, name
                assert set(str(own["aria-describedby"]).split()) <= ids, name

    def test_creating(self, browser: Browser, world: World) -> None:
        answer = browser.post("/dagctl/projects/new", {**FORM, "intent": "save", "auto_apply": "true", "dbt_version": "1.8.0"})
        assert answer.status_code == 303
        (project,) = projects.list_projects(world.actor())
        assert answer.headers["Location"].endswith(f"/projects/{project.id}?said=project_created")
        assert (project.name, project.settings["auto_apply"], project.settings["run_tests"]) == ("shop", True, False)
        assert "dbt_version" not in project.settings

    def test_what_is_wrong_is_said_at_the_field_and_nothing_is_saved(self, browser: Browser, world: World) -> None:
        world.project("taken")
        for field, value, said in (
            ("name", "", "This is needed."),
            ("name", "-no-", "Not accepted. Letters, digits, spaces"),
            ("name", "taken", "exists already"),
            ("repository_url", "ext::sh -c id", ""),
            ("branch", "--upload-pack=x", ""),
            ("git_path", "../..", ""),
            ("cpu_request", "many", "Not accepted. For example 500m or 2."),
            ("sqlmesh_version", "0.0.1", "0.0.1"),
            ("run_schedule", "* * * * *", "at least 5 minutes must lie between two runs"),
            ("run_schedule", "@often", "the presets are @hourly"),
        ):
            sent = {**FORM, field: value}
            judged = json.loads(browser.post("/dagctl/projects/new", {**sent, "intent": "check"}).data)["errors"]
            assert said in judged[field]
            answer = browser.post("/dagctl/projects/new", {**sent, "intent": "save"})
            assert answer.status_code in (409, 422)
            assert len(projects.list_projects(world.actor())) == 1
            text = answer.get_data(as_text=True)
            assert 'aria-invalid="true"' in text
            # What was typed is still there.
            assert all(FORM[name] in text for name in ("name", "repository_url") if name != field)

    def test_a_taken_name_is_said_before_the_rest_is_filled_in(self, browser: Browser, world: World) -> None:
        project = world.project("taken")
        judged = browser.post("/dagctl/projects/new", {"name": "Taken", "branch": "main", "intent": "check"})
        errors = json.loads(judged.data)["errors"]
        assert (errors["name"], errors["repository_url"]) == ("A project named 'Taken' exists already.", "This is needed.")
        values = {name: str(value) for name, value in project_form.values_of(project).items() if value not in (None, False)}
        judged = browser.post(f"/dagctl/projects/{project.id}/edit", {**values, "name": "TAKEN", "intent": "check"})
        assert json.loads(judged.data)["errors"] == {}

    def test_editing_sends_what_differs_and_nothing_else(
        self, browser: Browser, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        project = world.project(description="Old", git_secret_ref="shop-key")
        sent: list[dict[str, Any]] = []
        monkeypatch.setattr(projects, "update_project", lambda actor, project_id, values: sent.append(values))
        form = {name: own.get("value") for name, own in browser.get(f"/dagctl/projects/{project.id}/edit").fields().items()}
        assert "project_type" not in form
        values = {name: str(value) for name, value in project_form.values_of(project).items() if value not in (None, False)}
        address = f"/dagctl/projects/{project.id}/edit"
        assert browser.post(address, {**values, "intent": "save"}).status_code == 303
        assert sent == []
        changed = {**values, "description": "New", "git_secret_ref": "", "max_concurrent_job_runs": "3", "suspended": "true"}
        del changed["run_tests"]
        assert browser.post(address, {**changed, "intent": "save"}).status_code == 303
        assert sent == [
            {"description": "New", "git_secret_ref": None, "max_concurrent_job_runs": 3, "suspended": True, "run_tests": False}
        ]

    def test_a_schedule_is_said_with_its_next_times(self, browser: Browser, world: World) -> None:
        project = world.project(run_schedule="30 6 * * 1-5")
        assert "Runs at 06:30, Monday through Friday; next on" in browser.get(f"/dagctl/projects/{project.id}/edit").text
        values = {name: str(value) for name, value in project_form.values_of(project).items() if value not in (None, False)}
        address = f"/dagctl/projects/{project.id}/edit"
        for typed, hint in (
            ("30 6 * * 1-5", "Runs at 06:30"),
            ("@hourly", "Runs every hour; next on"),
            ("@often", "@hourly, @daily or five"),
            ("", "@hourly, @daily or"),
        ):
            judged = json.loads(browser.post(address, {**values, "run_schedule": typed, "intent": "check"}).data)
            assert judged["hints"]["run_schedule"].startswith(hint)
        assert browser.post(address, {**values, "run_schedule": "", "intent": "save"}).status_code == 303
        assert "run_schedule" not in projects.get_project(world.actor(), project.id).settings

    def test_packages_stand_one_a_line(self, browser: Browser, world: World) -> None:
        project = world.project(python_requirements=["six", "faker>=30"])
        address = f"/dagctl/projects/{project.id}/edit"
        assert "six\nfaker&gt;=30</textarea>" in browser.get(address).html
        assert "six, faker&gt;=30" in browser.get(f"/dagctl/projects/{project.id}").html
        values = {**project_form.values_of(project), "python_requirements": "attrs\r\n\r\n  six "}
        sent = {name: value for name, value in values.items() if value not in (None, False)}
        assert project_form.read_form(sent, project)["python_requirements"] == ["attrs", "six"]
        assert project_form.read_form({**sent, "python_requirements": " "}, project)["python_requirements"] is None
        assert "python_requirements" not in project_form.read_form({**sent, "python_requirements": "six\nfaker>=30"}, project)

    def test_emptying_what_is_needed_is_refused(self, browser: Browser, world: World) -> None:
        project = world.project()
        values = {name: str(value) for name, value in project_form.values_of(project).items() if value not in (None, False)}
        answer = browser.post(f"/dagctl/projects/{project.id}/edit", {**values, "branch": "", "intent": "save"})
        assert answer.status_code == 422
        assert "This is needed." in answer.get_data(as_text=True)

    def test_the_repository_can_be_tested_before_anything_is_saved(
        self, browser: Browser, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = browser.post("/dagctl/projects/new", {**FORM, "intent": "test"}).get_data(as_text=True)
        assert "The repository answers." in text
        assert "Gateways: local" in text
        assert projects.list_projects(world.actor()) == ()

        def refuse(project: Any) -> str:
            raise DagctlError("branch_not_found", "There is no branch 'main'.")

        monkeypatch.setattr(repositories, "head_of", refuse)
        text = browser.post("/dagctl/projects/new", {**FORM, "intent": "test"}).get_data(as_text=True)
        assert "There is no branch &#39;main&#39;." in text
        judged = browser.post("/dagctl/projects/new", {**FORM, "intent": "check"})
        assert json.loads(judged.data)["errors"] == {}, "checking asks no remote"


def test_a_project_shows_its_plans_and_settings(browser: Browser, world: World) -> None:
    project = world.project(description="What finance reads")
    world.explained(project)
    shown = browser.get(f"/dagctl/projects/{project.id}")
    for said in ("What finance reads", "https://example.com/acme/shop", "local", "Waiting for approval", "+1", "1 plan"):
        assert said in shown.text
    assert "No plan in this state" in browser.get(f"/dagctl/projects/{project.id}?status=failed").text
    assert f"/dags/{project.dag_id}" in shown.links()
