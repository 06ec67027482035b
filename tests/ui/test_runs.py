"""The pages of runs: what happened day by day, and one run with its models over time."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from dagctl_provider.domain.executions import EXECUTION_STATUSES, MODEL_STATUSES
from dagctl_provider.services.showing.runs_page import MOST_DRAWN
from dagctl_provider.ui.runs import ROWS_PER_PAGE, STATUS_TEXTS
from tests.services.executions import NOON, recorded
from tests.services.world import World

from .conftest import Browser, Shown
from .test_safety import HOSTILE

pytestmark = pytest.mark.slow


def figures(shown: Shown, kind: str) -> list[dict[str, object]]:
    """What the script of a chart gets."""
    (figure,) = shown.all("figure", data_chart=kind)
    found: list[dict[str, object]] = json.loads(str(figure["data-figures"]))
    return found


def test_no_runs_yet(browser: Browser, world: World) -> None:
    shown = browser.get(f"/dagctl/projects/{world.project().id}/runs")
    assert (shown.status, "No runs yet" in shown.text, "Nothing ran in these 30 days." in shown.text) == (200, True, True)
    assert shown.all("figure") == []


def test_every_status_has_a_word_and_a_mark(browser: Browser, world: World) -> None:
    project = world.project()
    ids = {status: recorded(project, status=status).id for status in EXECUTION_STATUSES}
    shown = browser.get(f"/dagctl/projects/{project.id}/runs")
    assert set(STATUS_TEXTS) == set(EXECUTION_STATUSES)
    assert all(word in shown.text for word in STATUS_TEXTS.values())
    assert len({own["data-mark"] for own in shown.all("span") if "data-mark" in own}) >= len(EXECUTION_STATUSES)
    for status, text in STATUS_TEXTS.items():
        one = browser.get(f"/dagctl/projects/{project.id}/runs/{ids[status]}")
        assert (one.status, text in one.text) == (200, True), status


def test_days_are_a_chart_and_a_table_of_the_same_figures(browser: Browser, world: World) -> None:
    project = world.project()
    recorded(project, status="success")
    recorded(project, status="failed", at=NOON - timedelta(days=1))
    recorded(project, status="running")
    shown = browser.get(f"/dagctl/projects/{project.id}/runs?days=7")
    days = figures(shown, "days")
    assert len(days) == 7
    assert (days[-1]["success"], days[-1]["open"], days[-2]["failed"], days[0]["success"]) == (1, 1, 1, 0)
    assert str(days[-1]["href"]).startswith(f"/pluginsv2/dagctl/projects/{project.id}/runs?from=")
    assert f"{NOON:%Y-%m-%d}" in shown.text
    assert "Time together" in shown.text
    assert len(figures(browser.get(f"/dagctl/projects/{project.id}/runs?days=nonsense"), "days")) == 30


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=success", 1),
        ("status=partial", 0),
        ("status=nonsense", 3),
        ("type=plan", 1),
        ("type=run&status=failed", 1),
        (f"from={NOON:%Y-%m-%d}", 2),
        (f"to={NOON - timedelta(days=2):%Y-%m-%d}", 1),
        ("from=31-31-31", 3),
        ("job=job_none", 0),
        ("page=999999", 3),
    ],
)
def test_filters(browser: Browser, world: World, query: str, found: int) -> None:
    project = world.project()
    recorded(project)
    recorded(project, status="failed")
    recorded(project, status="error", job_type="plan", at=NOON - timedelta(days=2))
    shown = browser.get(f"/dagctl/projects/{project.id}/runs?{query}")
    assert sum(str(own.get("id", "")).startswith("run_") for own in shown.all("tr")) == found
    assert ("No run fits" in shown.text) == (found == 0)
    if found:
        assert f"{found} run{'' if found == 1 else 's'}: " in shown.text


def test_a_run_says_what_it_was_and_why_it_failed(browser: Browser, world: World) -> None:
    project = world.project()
    told = {"error_code": "git_unreachable", "error_message": "host is gone", "commit_sha": "a" * 40, "pod_name": "pod-7"}
    run = recorded(project, ("shop.orders", 0, 5, "failed"), status="failed", command="sqlmesh run", **told)
    shown = browser.get(f"/dagctl/projects/{project.id}/runs/{run.id}")
    for text in ("git_unreachable", "host is gone", "aaaaaaa", "pod-7", "sqlmesh run", "division by zero", "ada"):
        assert text in shown.text, text


def test_models_over_time_with_the_critical_path_by_times(browser: Browser, world: World) -> None:
    project = world.project()
    took = (("raw", 0, 5, "success"), ("items", 0, 2, "success"), ("orders", 5, 9, "failed"), ("board", 9, 9, "skipped"))
    shown = browser.get(f"/dagctl/projects/{project.id}/runs/{recorded(project, *took, status='partial').id}")
    bars = figures(shown, "gantt")
    assert [(bar["name"], bar["from"], bar["to"], bar["critical"]) for bar in bars] == [
        ("raw", 0.0, 5.0, True),
        ("items", 0.0, 2.0, False),
        ("orders", 5.0, 9.0, True),
    ]
    assert "2 models, 9 s together" in shown.text
    assert "follows the times alone" in shown.text
    assert "board" in shown.text


def test_the_critical_path_follows_readers_where_plans_know_them(browser: Browser, world: World) -> None:
    project = world.project()
    world.explained(project, lineage={"orders": ["raw"], "board": ["orders"]})
    took = (("raw", 0, 5, "success"), ("orders", 5, 6, "success"), ("board", 6, 7, "success"), ("alone", 1, 6.5, "success"))
    shown = browser.get(f"/dagctl/projects/{project.id}/runs/{recorded(project, *took).id}")
    assert [bar["name"] for bar in figures(shown, "gantt") if bar["critical"]] == ["raw", "orders", "board"]
    assert "It follows who reads whom" in shown.text


def test_every_status_of_a_model(browser: Browser, world: World) -> None:
    project = world.project()
    run = recorded(project, *((f"model_{status}", 0, 1, status) for status in MODEL_STATUSES), status="partial")
    shown = browser.get(f"/dagctl/projects/{project.id}/runs/{run.id}")
    for word in ("Succeeded", "Failed", "Skipped", "Cancelled", "Not ready"):
        assert word in shown.text


def test_two_thousand_models_stay_a_page(browser: Browser, world: World) -> None:
    project = world.project()
    run = recorded(project, *((f"shop.model_{number:04}", number, number + 1 + number % 7, "success") for number in range(2000)))
    shown = browser.get(f"/dagctl/projects/{project.id}/runs/{run.id}")
    assert len(figures(shown, "gantt")) == MOST_DRAWN
    assert f"shows {MOST_DRAWN} of 2,000 models" in shown.text
    assert len(shown.all("tr")) == ROWS_PER_PAGE + 1
    assert len(shown.html) < 400_000
    assert "shop.model_1999" in browser.get(f"/dagctl/projects/{project.id}/runs/{run.id}?page=10").text
    assert browser.get(f"/dagctl/projects/{project.id}/runs/{run.id}?page=11").status == 200


def test_a_run_of_another_project_is_not_there(browser: Browser, world: World) -> None:
    one, other = world.project("one"), world.project("other")
    run = recorded(one)
    assert browser.get(f"/dagctl/projects/{other.id}/runs/{run.id}").status == 404
    assert browser.get(f"/dagctl/projects/{one.id}/runs/run_none").status == 404
    assert browser.get("/dagctl/projects/proj_none/runs").status == 404


def test_hostile_texts_are_only_ever_text(browser: Browser, world: World) -> None:
    project = world.project()
    told = {"job_name": HOSTILE[:80], "triggered_by": HOSTILE, "error_message": HOSTILE, "error_code": HOSTILE[:64]}
    more = {"command": HOSTILE, "pod_name": HOSTILE[:80], "commit_sha": HOSTILE[:64], "environment": HOSTILE}
    run = recorded(project, (HOSTILE, 0, 3, "failed"), status="failed", **told, **more)
    for path in ("runs", f"runs/{run.id}"):
        shown = browser.get(f"/dagctl/projects/{project.id}/{path}")
        assert shown.status == 200
        assert "onerror" not in {name for _, own in shown.elements for name in own}
        assert all("src" in own for own in shown.all("script"))
        assert "\u202e" not in shown.text, "what turns texts around is named"
    assert figures(shown, "gantt")[0]["name"] == HOSTILE
