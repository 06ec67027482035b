"""The pages of models: which take long, which got slower, and one model's executions with the deploys between them."""

from __future__ import annotations

import json
from datetime import timedelta
from urllib.parse import quote

import pytest

from dagctl_provider.services import plans
from dagctl_provider.services.showing.models_page import MOST_SHOWN
from dagctl_provider.ui.models import changed_text
from tests.services.executions import NOON, recorded
from tests.services.world import World

from .conftest import Browser
from .test_safety import HOSTILE

pytestmark = pytest.mark.slow


def order_of(html: str, *names: str) -> list[str]:
    """The names in the order in which they first stand in a page's table."""
    table = html[html.index("<tbody>") :]
    return sorted(names, key=table.index)


def test_no_models_yet(browser: Browser, world: World) -> None:
    shown = browser.get(f"/dagctl/projects/{world.project().id}/models")
    assert (shown.status, "No models in the last 30 days" in shown.text) == (200, True)


def test_slowest_and_those_that_got_slower(browser: Browser, world: World) -> None:
    project = world.project()
    before = NOON - timedelta(days=10)
    recorded(project, ("steady", 0, 50, "success"), ("slower", 0, 10, "success"), at=before)
    recorded(project, ("steady", 0, 50, "success"), ("slower", 0, 15, "success"), ("new", 0, 1, "failed"))
    for query, order in (
        ("sort=total", ["steady", "slower", "new"]),
        ("sort=change", ["slower", "steady", "new"]),
        ("sort=failed", ["new", "steady", "slower"]),
        ("sort=name", ["new", "slower", "steady"]),
        ("sort=nonsense", ["steady", "slower", "new"]),
    ):
        shown = browser.get(f"/dagctl/projects/{project.id}/models?days=7&{query}")
        assert order_of(shown.html, "steady", "slower", "new") == order, query
    assert "+50 %" in shown.text
    assert "was 10 s" in shown.text
    assert "as before" in shown.text
    assert "+50 %" not in browser.get(f"/dagctl/projects/{project.id}/models?days=30").text, "both are in these days"
    assert "No model fits" in browser.get(f"/dagctl/projects/{project.id}/models?search=nothing").text
    assert "steady" not in browser.get(f"/dagctl/projects/{project.id}/models?search=SLOW").text


@pytest.mark.parametrize(
    ("change", "text"),
    [(None, "-"), (1.0, "as before"), (1.004, "as before"), (1.5, "+50 %"), (0.5, "\N{MINUS SIGN}50 %"), (31.0, "+3,000 %")],
)
def test_how_a_change_is_said(change: float | None, text: str) -> None:
    assert changed_text(change)[0] == text


def test_a_model_over_time_with_its_deploys(browser: Browser, world: World) -> None:
    project = world.project()
    step = world.explained(project)
    execute = plans.approve(world.actor(), step.id, door="rest").execute
    world.finish_execute(execute)
    first = recorded(project, ("shop.orders", 0, 5, "success"))
    recorded(project, ("shop.orders", 0, 9, "failed"), status="failed", at=NOON + timedelta(minutes=1))
    shown = browser.get(f"/dagctl/projects/{project.id}/model?name=shop.orders&days=7")
    (figure,) = shown.all("figure", data_chart="history")
    told = json.loads(str(figure["data-figures"]))
    assert [(point["seconds"], point["status"]) for point in told["points"]] == [(5.0, "success"), (9.0, "failed")]
    assert told["points"][0]["href"] == f"/pluginsv2/dagctl/projects/{project.id}/runs/{first.id}"
    assert [mark["commit"] for mark in told["deploys"]] == [step.to_commit_sha[:7]]
    assert "1 deploy in these days" in shown.text
    assert "division by zero" in shown.text


def test_a_model_that_did_not_run_lately_and_one_that_never_did(browser: Browser, world: World) -> None:
    project = world.project()
    recorded(project, ("old", 0, 5, "success"), at=NOON - timedelta(days=20))
    assert "It did not run in the last 7 days" in browser.get(f"/dagctl/projects/{project.id}/model?name=old&days=7").text
    for query in ("name=never", "name=", "", f"name={'x' * 300}"):
        assert browser.get(f"/dagctl/projects/{project.id}/model?{query}").status == 404


def test_more_executions_than_a_page_holds(browser: Browser, world: World) -> None:
    project = world.project()
    recorded(project, *(("often", number, number + 1, "success") for number in range(MOST_SHOWN + 1)))
    shown = browser.get(f"/dagctl/projects/{project.id}/model?name=often")
    assert f"the newest {MOST_SHOWN} of {MOST_SHOWN + 1} executions" in shown.text


def test_hostile_names_are_only_ever_text(browser: Browser, world: World) -> None:
    project = world.project()
    recorded(project, (HOSTILE, 0, 3, "failed"), status="failed")
    for path in ("models", f"model?name={quote(HOSTILE)}"):
        shown = browser.get(f"/dagctl/projects/{project.id}/{path}")
        assert shown.status == 200
        assert "onerror" not in {name for _, own in shown.elements for name in own}
        assert all("src" in own for own in shown.all("script"))
        assert "\u202e" not in shown.text
    assert browser.get(f"/dagctl/projects/{project.id}/models?search={quote(HOSTILE)}").status == 200
