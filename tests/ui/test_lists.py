"""Plans of all projects, and the way from a Dag run to its plan."""

from __future__ import annotations

import json

import pytest

from dagctl_provider.domain.plans import STATUSES
from dagctl_provider.services import plans
from dagctl_provider.services.showing import live
from dagctl_provider.ui.lists import STATUS_FILTERS
from tests.services.world import World

from .conftest import Browser

pytestmark = pytest.mark.slow


def test_no_plans_yet_says_where_they_come_from(browser: Browser) -> None:
    assert "No plans yet" in browser.get("/dagctl/plans").text


def test_what_waits_stands_first(browser: Browser, world: World) -> None:
    world.head = "older"
    waiting = world.explained(world.project("first"))
    world.head = "newer"
    rejected = world.explained(world.project("second"))
    plans.reject(world.actor(), rejected.id, door="rest")
    shown = browser.get("/dagctl/plans")
    assert shown.html.index(waiting.group_id) < shown.html.index(rejected.group_id)
    assert "1 plan waits for approval; you may decide." in shown.text
    browser.actor = world.actor("reader")
    assert "1 plan waits for approval." in browser.get("/dagctl/plans").text


def test_filter_and_search(browser: Browser, world: World) -> None:
    step = world.explained(world.project())
    for query, found in (
        ("status=pending", True),
        ("status=failed", False),
        ("search=ADA", True),
        (f"search={step.to_commit_sha[:9]}", True),
        ("search=analytics", True),
        ("search=%25", False),
        ("status=nonsense", True),
    ):
        assert (step.group_id in browser.get(f"/dagctl/plans?{query}").html) == found, query


def test_every_state_that_lasts_can_be_asked_for() -> None:
    # An approved plan has an execute step from that moment on, so its group is never just approved.
    assert set(STATUS_FILTERS) == set(STATUSES) - {"approved"}


def test_pages_that_do_not_exist(browser: Browser, world: World) -> None:
    step = world.explained(world.project())
    for page in ("2", "0", "-1", "999999999999", "x", "²"):
        assert step.group_id in browser.get(f"/dagctl/plans?page={page}").html


def test_a_dag_run_leads_to_its_plan(browser: Browser, world: World) -> None:
    project = world.project()
    step = world.explained(project)
    answer = browser._send("GET", f"/dagctl/runs/{step.dag_id}/{step.run_id}", None, {})
    assert answer.headers["Location"] == f"/pluginsv2/dagctl/plans/{step.group_id}"
    run = browser.get(f"/dagctl/runs/{project.run_dag_id}/manual__2026-04-28T10:00:00+00:00")
    assert "This run applies no plan" in run.text
    assert f"/pluginsv2/dagctl/projects/{project.id}" in run.links()
    assert "Not a run of dagctl" in browser.get("/dagctl/runs/other/run%2F1").text


def test_the_version_follows_what_happens(browser: Browser, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "recent", live.Recent(0.0))

    def version() -> str:
        return str(json.loads(browser._send("GET", "/dagctl/version", None, {}).data)["version"])

    seen = [version()]
    project = world.project()
    seen.append(version())
    step = world.explained(project)
    seen.append(version())
    assert version() == seen[-1], "nothing happened"
    plans.reject(world.actor(), step.id, door="rest")
    seen.append(version())
    assert len(set(seen)) == 4
    assert f'data-version="{seen[-1]}"' in browser.get("/dagctl/plans").html
