"""A tool that is neither of the two, walked through the product: what is done for it follows from its row alone."""

from __future__ import annotations

import datetime
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from dagctl_provider.dag_factory import plan_dag
from dagctl_provider.domain import projects as project_fields
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.tools import TOOLS, Tool, UnknownTool, fields_of
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.hooks import project as hook
from dagctl_provider.plan_output.findings import Finding, Occasion, findings_of
from dagctl_provider.plan_output.models import models_of
from dagctl_provider.plan_output.reading import explained
from dagctl_provider.runner import versions
from dagctl_provider.services import plans, projects
from dagctl_provider.services.lifecycle import publishing
from dagctl_provider.services.outside import repositories
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.showing.overview import ProjectRow
from dagctl_provider.services.turns.detection import Poller
from dagctl_provider.ui.project_actions import BY_VERB
from tests.plan_output import samples
from tests.services.world import World, sha

from .test_plans import refused
from .third_tool import PLAIN_SQL

# What the table is made into when the package is imported: in a process of its own, where the row is there first.
WHOLE = """
import sys
from dagctl_provider.domain.tools import TOOLS
from tests.services.third_tool import PLAIN_SQL
assert "dagctl_provider.domain.projects" not in sys.modules
TOOLS["plain_sql"] = PLAIN_SQL
from dagctl_provider.api import openapi
from dagctl_provider.api.v1.contract import V1
from dagctl_provider.ui import project_form
from dagctl_provider.services.outside import pods

schemas = openapi.document(V1)["components"]["schemas"]
assert schemas["CreateProject"]["properties"]["project_type"]["enum"] == ["sqlmesh", "dbt", "plain_sql"]
assert "plain_sql_database" in schemas["CreateProject"]["properties"]
(group,) = [group for group in project_form.GROUPS if group.project_type == "plain_sql"]
assert (group.title, group.fields) == ("Plain SQL", PLAIN_SQL.form.fields)
assert ("plain_sql", "Plain SQL") in project_form._choices("project_type", project_form.FIELDS["project_type"])
sent = {"name": "orders", "project_type": "plain_sql", "plain_sql_database": "orders"}
sent |= {"dbt_target": "prod", "sqlmesh_environment": "dev"}
assert sent.keys() & project_form.read_form(sent, None).keys() == {"name", "project_type", "plain_sql_database"}
assert project_form.LABELS["plain_sql_database"] == "Database of the scripts"
assert "plain_sql_version" in pods.SHAPES_THE_POD
print("whole")
"""


def _findings(project: Project, output: dict[str, Any]) -> tuple[Finding, ...]:
    read = explained(output)
    return findings_of(Occasion.of([samples.explained(output)], project), read, models_of(read, project.tool))


def _request(tool: str) -> StepRequest:
    return StepRequest.from_json({"project_name": "orders", "tool": tool})


@pytest.fixture
def plain_sql(monkeypatch: pytest.MonkeyPatch) -> Tool:
    """The row of a third tool, and a version of it that the runner would know."""
    monkeypatch.setitem(TOOLS, "plain_sql", PLAIN_SQL)
    for name, field in fields_of("plain_sql").items():
        monkeypatch.setitem(project_fields.FIELDS, name, field)  # type: ignore[arg-type]
    day = datetime.date(2026, 1, 1)
    known = {number: versions.ToolVersion("plain_sql", number, day, day) for number in ("1.0.0", "1.1.0")}
    monkeypatch.setitem(versions.TOOL_VERSIONS, "plain_sql", known)  # type: ignore[arg-type]
    return PLAIN_SQL


def test_its_life(world: World, monkeypatch: pytest.MonkeyPatch, plain_sql: Tool) -> None:
    asked: list[Any] = []
    monkeypatch.setattr(repositories, "heads_of", lambda wanted, max_workers: [(key, sha(world.head)) for key in wanted])
    monkeypatch.setattr(repositories, "release_of", lambda *asking: asked.append(asking))
    project = world.project("orders", project_type="plain_sql")
    assert (project.environment, project.tool_version, project.gateways) == (None, "1.1.0", None)
    assert not {"sqlmesh_environment", "sqlmesh_version", "use_managed_state_database"} & project.settings.keys()
    with refused("invalid_request"):
        projects.update_project(world.actor(), project.id, {"dbt_target": "prod"})

    assert Poller(clock=lambda: 61.0).poll() == 1
    assert asked == [], "it plans each commit, whatever .dagctl/config.yaml says"
    (step,) = plans.list_plans(world.actor(), project.id).items
    explained = world.finish_explain(plans.get_plan(world.actor(), step.id), plan_output={})
    assert (explained.settings["tool"], explained.settings["environment"]) == ("plain_sql", None)
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert world.finish_execute(approved.execute).status == "completed"

    with refused("downgrade_refused"):
        projects.update_project(world.actor(), project.id, {"plain_sql_version": "1.0.0"})
    moved = projects.update_project(world.actor(), project.id, {"plain_sql_database": "archive"})
    assert moved.environment == "archive"


def test_its_dags(world: World, plain_sql: Tool) -> None:
    dag = plan_dag(publishing.dag_spec(world.project("orders", project_type="plain_sql")))
    assert dag.get_task("execute").retries == 0, "Airflow must not begin an execute again that nobody looked at"
    assert dag.description == "Plans of orders for the scripts' own database"
    assert "plain_sql" in dag.tags


def test_what_is_said_of_it(plain_sql: Tool) -> None:
    project = replace(samples.PROJECT, project_type="plain_sql", settings={})  # type: ignore[arg-type]
    output = {**samples.small_output(), "tests_to_run": []}
    found = " ".join(finding.title for finding in _findings(project, output))
    assert "Plain SQL drops nothing" in found
    assert "No test checks what this commit changes." in found
    assert "dbt" not in found
    assert "SQLMesh" not in found


def test_what_a_run_of_it_does(plain_sql: Tool) -> None:
    project = replace(samples.PROJECT, project_type="plain_sql", settings={}, current_commit_sha="a" * 40)  # type: ignore[arg-type]
    (said,) = BY_VERB["run"].consequences(ProjectRow(project, 0, None))
    assert "checks that every script was applied in the scripts' own database" in said


def test_it_is_given_no_profile_that_was_made_for_another(monkeypatch: pytest.MonkeyPatch, plain_sql: Tool) -> None:
    made: list[Any] = []
    monkeypatch.setattr(hook, "_exists", lambda conn_id: True)
    monkeypatch.setattr(hook.DagctlProjectHook, "environment", lambda self: {})
    monkeypatch.setattr(hook.DagctlProjectHook, "profile", lambda self, *named: made.append(named))
    for kind in ("explain", "execute", "run"):
        assert hook.project_secrets(_request("plain_sql"), kind).files["env.json"] == "{}"
    assert made == []


@pytest.mark.slow
def test_form_and_documents_take_it_from_its_row() -> None:
    done = subprocess.run([sys.executable, "-c", WHOLE], capture_output=True, text=True, check=False)
    assert (done.stdout.strip().splitlines()[-1:], done.returncode) == (["whole"], 0), done.stderr


@pytest.mark.parametrize("name", ["", "dbt2", "SQLMesh"])
def test_without_a_row_it_is_taken_for_no_other(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook.DagctlProjectHook, "environment", lambda self: {})
    project = replace(samples.PROJECT, project_type=name)  # type: ignore[arg-type]
    for use in (
        lambda: project.environment,
        lambda: project.tool_version,
        lambda: _findings(project, samples.small_output()),
        lambda: publishing.dag_spec(project),
        lambda: hook.project_secrets(_request(name), "explain"),
    ):
        with pytest.raises(UnknownTool, match="dagctl knows no tool"):
            use()
