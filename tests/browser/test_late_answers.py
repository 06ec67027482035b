"""What open pages show when scripts and answers come late, in another order, or not at all at first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.people import WAIT_MS, Person
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

EVENTS, VERSION = "**/dagctl/events?*", "**/pluginsv2/dagctl/version"
PROGRESS = '<div data-region="progress"><p>{}</p></div>'


@pytest.fixture
def page(admin: Person) -> Page:
    """A new tab that hears of nothing but what a test tells it."""
    made = admin.context.new_page()
    for address in (EVENTS, VERSION):
        made.route(address, lambda route: route.abort())
    return made


def tell(page: Page, **told: Any) -> None:
    """What the frame's script says when the server has told something."""
    page.evaluate("told => document.dispatchEvent(new CustomEvent('dagctl:changed', {detail: told}))", told)


def soon(page: Page, what: str, look: Callable[[], Any]) -> None:
    """Wait while the browser goes on."""
    wait_for(what, lambda: page.wait_for_timeout(20) or look(), seconds=WAIT_MS / 1000)


def is_live(route: Route) -> bool:
    """Whether a page asks for itself anew."""
    return route.request.headers.get("x-dagctl-request") == "live"


def test_an_older_answer_does_not_replace_a_newer_one(page: Page, admin: Person, scene: dict[str, str]) -> None:
    held: list[Route] = []
    page.route("**/progress", lambda route: held.append(route))
    page.goto(admin.address("plans", scene["plan"]))
    page.evaluate("document.addEventListener('dagctl:shown', () => (window.shown = true))")
    tell(page, progress=[scene["plan"]])
    soon(page, "the question for the progress", lambda: held)
    tell(page, groups=[scene["plan"]])
    soon(page, "the page, asked for later", lambda: page.evaluate("window.shown"))
    held[0].fulfill(json={"html": PROGRESS.format("As it was"), "results": []})
    # The next one is asked for when this one has been dealt with.
    tell(page, progress=[scene["plan"]])
    soon(page, "the next question", lambda: len(held) == 2)
    expect(page.locator("main")).not_to_contain_text("As it was")
    held[1].fulfill(json={"html": PROGRESS.format("As it is"), "results": []})
    expect(page.locator("main")).to_contain_text("As it is")


def test_what_is_told_before_the_plans_script_has_come_is_shown(page: Page, admin: Person, scene: dict[str, str]) -> None:
    held: list[Route] = []
    page.unroute(EVENTS)
    event = 'retry: 600000\n\nid: newer\ndata: {"version": "newer", "all": true}\n\n'
    page.route(EVENTS, lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    page.route("**/static/plan.js?*", lambda route: held.append(route))
    page.add_init_script("document.addEventListener('dagctl:changed', () => (window.told = true))")
    page.goto(admin.address("plans", scene["plan"]), wait_until="commit")
    soon(page, "the event", lambda: held and page.evaluate("window.told"))
    with page.expect_request(lambda request: request.headers.get("x-dagctl-request") == "live"):
        held[0].continue_()


@pytest.mark.parametrize("kind", ["plan", "projects"])
def test_a_question_that_failed_is_asked_again(page: Page, admin: Person, scene: dict[str, str], kind: str) -> None:
    asked: list[Route] = []

    def answer(route: Route) -> None:
        if not is_live(route):
            return route.continue_()
        asked.append(route)
        failing = (lambda: route.abort(), lambda: route.fulfill(status=503, body="busy"))
        return failing[len(asked) - 1]() if len(asked) <= len(failing) else route.continue_()

    address = admin.address("plans", scene["plan"]) if kind == "plan" else admin.address("projects")
    page.route(address, answer)
    page.unroute(EVENTS)
    event = 'retry: 600000\n\nid: newer\ndata: {"version": "newer", "all": true}\n\n'
    page.route(EVENTS, lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    page.goto(address)
    soon(page, "the third question", lambda: len(asked) == 3)


def test_a_page_that_is_hidden_asks_no_more(page: Page, admin: Person) -> None:
    asked: list[Route] = []
    page.unroute(EVENTS)
    page.unroute(VERSION)
    page.route(EVENTS, lambda route: route.fulfill(status=503, body="no streams here"))
    page.route(VERSION, lambda route: asked.append(route))
    page.goto(admin.address("plans"))
    soon(page, "the first question", lambda: asked)
    page.evaluate("Object.defineProperty(document, 'hidden', {value: true})")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    asked[0].continue_()
    # Twice as long as the time between two questions.
    page.wait_for_timeout(2000)
    assert len(asked) == 1
