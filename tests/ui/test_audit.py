"""The record of changes as a page: filters, paging, export, and nothing but text."""

from __future__ import annotations

import json

import pytest

from dagctl_provider.services import plans, projects
from tests.services.world import World

from .conftest import Browser

pytestmark = pytest.mark.slow

PAGE = "/dagctl/organization/audit"


def test_the_record_shows_who_did_what(browser: Browser, world: World) -> None:
    project = world.project()
    step = world.explained(project)
    plans.reject(world.actor("developer", "bob"), step.id, door="rest", comment="not <b>now</b>")
    shown = browser.get(PAGE)
    assert "plan rejected:" in shown.text
    assert "“not <b>now</b>”" in shown.text
    assert "bob" in shown.text
    assert "nothing here" not in shown.text.lower()


def test_filters_narrow_and_nonsense_counts_as_not_said(browser: Browser, world: World) -> None:
    step = world.explained(world.project())
    plans.reject(world.actor(), step.id, door="rest")
    for query, found in (
        ("kind=plan", True),
        ("kind=token", False),
        ("door=rest", True),
        ("door=page", False),
        (f"object={step.id}", True),
        ("object=none", False),
        ("from=2000-01-01&to=2999-01-01", True),
        ("to=2000-01-01", False),
        ("kind=%3Cscript%3E&door=x&from=never&before=-1", True),
        ("before=99999999999999999999", True),
        ("before=1", False),
    ):
        assert ("plan rejected:" in browser.get(f"{PAGE}?{query}").text) == found, query


def test_the_export_is_one_entry_a_line(browser: Browser, world: World) -> None:
    step = world.explained(world.project())
    plans.reject(world.actor(), step.id, door="rest")
    answer = browser._send("GET", f"{PAGE}/export", None, {})
    lines = [json.loads(line) for line in answer.get_data(as_text=True).splitlines()]
    assert [line["number"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[-1]["verb"] == "rejected"
    assert answer.headers["Content-Disposition"].startswith("attachment; ")


def test_developers_do_not_see_it(browser: Browser, world: World) -> None:
    browser.actor = world.actor("developer")
    for path in (PAGE, f"{PAGE}/export"):
        assert browser.get(path).status == 403
    browser.actor = world.actor("admin")
    answer = browser._send("GET", "/dagctl/organization", None, {})
    assert answer.headers["Location"].startswith("/pluginsv2/dagctl/organization/")


def test_changes_of_projects_are_on_record(browser: Browser, world: World) -> None:
    project = world.project()
    projects.update_project(world.actor(), project.id, {"description": "new words"})
    shown = browser.get(f"{PAGE}?kind=project")
    assert "project changed: analytics" in shown.text
    assert "new words" in shown.text
