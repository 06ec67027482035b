"""The table of a project's fields holds together, its patterns take what they should, and a project reads its settings right."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from dagctl_provider.domain.projects import FIELDS, Project, parse_duration

PROJECT = Project(
    id="proj_1",
    organization_id="org-1",
    name="shop",
    project_type="sqlmesh",
    repository_url="https://github.com/acme/shop",
    branch="main",
    settings={},
    dag_id="dagctl__shop__1",
    deployed=True,
    created_at=datetime(2026, 4, 28, tzinfo=timezone.utc),
    updated_at=datetime(2026, 4, 28, tzinfo=timezone.utc),
)

# Field: good texts, bad texts.
TEXTS: dict[str, tuple[list[str], list[str]]] = {
    "name": (
        ["a", "A1", "shop", "Shop EU", "a.b_c-d", "x" * 63],
        ["", " a", "a ", "-a", "a-", ".a", "a/b", "ä", "a\n", "x" * 64],
    ),
    "sqlmesh_environment": (["prod", "dev_1", "P" * 63], ["", "a-b", "a.b", "a b", "prod\n", "P" * 64]),
    "dbt_target": (["prod", "_x", "eu-1.a", "t" * 63], ["", "-x", ".x", "a b", "a/b", "prod\n", "t" * 64]),
    "git_secret_ref": (["x", "deploy-key", "a.b_c"], ["", "-x", "x-", "a/b", "a b", "x\n", "x" * 254]),
    "cpu_request": (["500m", "1", "0.5", "2.125", "9999"], ["", "0m", "m", "1.2345", "-1", "1 m", "1k", "500m\n", "99999"]),
    "memory_limit": (["1Gi", "512Mi", "1000", "1k", "9T"], ["", "0Gi", "Gi", "1.5Gi", "1GB", "-1", "1 Gi", "1Gi\n"]),
    "polling_interval": (["30s", "5m", "1h30m", "1h2m3s"], ["5", "5 m", "m", "1d", "-5m", "5m1h", "5m\n"]),
    "dbt_version": (["1.8", "1.8.0", "0.236.4"], ["", "1", "v1.8", "1.8.x", "1.8rc1", "1.8.0.0.0", "1.8\n"]),
}


@pytest.mark.parametrize("name", TEXTS)
def test_patterns_take_what_they_should_and_nothing_else(name):
    field = FIELDS[name]
    good, bad = TEXTS[name]

    def fits(text):
        return re.fullmatch(field.pattern.removesuffix("$"), text) and len(text) <= (field.max_length or len(text))

    assert [text for text in good if not fits(text)] == []
    assert [text for text in bad if fits(text)] == []


@pytest.mark.parametrize("name", FIELDS)
def test_a_fields_own_values_keep_its_own_rules(name):
    field = FIELDS[name]
    kind = {"string": str, "boolean": bool, "integer": int, "strings": list}[field.json_type]
    for value in (field.default, field.example):
        if value is None:
            continue
        assert type(value) is kind
        assert field.choices is None or value in field.choices
        assert field.pattern is None or re.fullmatch(field.pattern, value)
        assert field.max_length is None or len(value) <= field.max_length
        assert field.minimum is None or value >= field.minimum
        assert field.maximum is None or value <= field.maximum
        if field.check is not None:
            field.check(value)
    assert field.description
    # What must be sent has no default, and what may be taken away has none to come back to.
    assert field.default is None or not (field.required or field.nullable)
    assert field.on_create or field.on_update
    assert not field.required or field.on_create
    assert field.project_type in (None, "sqlmesh", "dbt")


def test_a_requirement_that_a_step_would_refuse_is_refused_where_it_is_saved():
    field = FIELDS["python_requirements"]
    assert field.check is not None
    field.check(["faker>=30,<41", "ibis-framework[duckdb] ; python_version < '3.13'"])
    for bad, why in (
        ("--index-url https://u:p@x", "option"),
        ("git+https://x/y", "version control"),
        ("./x", "path"),
        ("", "read"),
    ):
        with pytest.raises(ValueError, match=f"entry 2 .*{why}") as caught:
            field.check(["six", bad])
        assert "u:p" not in str(caught.value)


def test_required_and_fixed_fields():
    assert {name for name, field in FIELDS.items() if field.required} == {"name", "repository_url"}
    assert {name for name, field in FIELDS.items() if not field.on_update} == {"project_type"}
    assert {name for name, field in FIELDS.items() if not field.on_create} == {
        "remediation_auto_merge",
        "max_concurrent_job_runs",
        "status",
    }


def test_each_type_has_the_field_of_its_version():
    for tool in ("sqlmesh", "dbt"):
        assert FIELDS[f"{tool}_version"].project_type == tool


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("10s", 10), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("1h0m5s", 3605), ("0s", 0), ("999999s", 999999)],
)
def test_durations(text, seconds):
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "5x", "5m ", "5m\n", "1.5h", "-1s", "30m1h", "1000000s", "5M"])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="a duration looks like"):
        parse_duration(text)


def test_the_shortest_polling_interval():
    check = FIELDS["polling_interval"].check
    check("10s")
    for short in ("9s", "0s", "0m"):
        with pytest.raises(ValueError, match="the shortest polling interval is 10s"):
            check(short)


def of(project_type: str, **settings: object) -> Project:
    return replace(PROJECT, project_type=project_type, settings=settings)


@pytest.mark.parametrize(
    ("project", "environment"),
    [
        (of("sqlmesh"), "prod"),
        (of("sqlmesh", sqlmesh_environment=""), "prod"),
        (of("sqlmesh", sqlmesh_environment="eu", dbt_target="x"), "eu"),
        (of("dbt"), None),
        (of("dbt", dbt_target="eu", sqlmesh_environment="x"), "eu"),
    ],
)
def test_environment(project, environment):
    assert project.environment == environment


def test_version_of_the_tool():
    both = {"sqlmesh_version": "0.236.4", "dbt_version": "1.8.0"}
    assert of("sqlmesh", **both).tool_version == "0.236.4"
    assert of("dbt", **both).tool_version == "1.8.0"
    assert of("dbt").tool_version is None


def test_polling_interval_of_a_project():
    assert of("dbt").polling_interval is None
    assert of("dbt", polling_interval="").polling_interval is None
    assert of("dbt", polling_interval="1m30s").polling_interval == 90.0


@pytest.mark.parametrize(
    ("changes", "active"),
    [
        ({}, True),
        ({"deployed": False}, False),
        ({"current_commit_sha": None}, False),
        ({"settings": {"run_schedule": "@daily", "suspended": True}}, False),
        ({"settings": {"run_schedule": "@daily", "suspended": False}}, True),
    ],
)
def test_a_schedule_is_active_once_deployed_and_while_not_suspended(changes, active):
    project = replace(PROJECT, **{"settings": {"run_schedule": "@daily"}, "current_commit_sha": "a" * 40, **changes})
    assert project.active_schedule == ("@daily" if active else None)
    assert replace(project, settings={}).active_schedule is None


def test_suspended_and_run_dag():
    assert PROJECT.suspended is False
    assert of("sqlmesh", suspended=True).suspended is True
    assert PROJECT.run_dag_id == "dagctl__shop__1__run"
