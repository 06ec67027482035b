"""Somebody at a browser: signed in or not, and watched for what a page must never do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect
from playwright.sync_api import Error as PlaywrightError

from tests.airflow.site import Site

WAIT_MS = 120_000
PAGES = "/pluginsv2/dagctl"
_HACKED = "window.hacked !== undefined"
# What a browser reports about an answer that a test asked for: refused, expired, not there.
_EXPECTED = ("Failed to load resource", "ERR_ABORTED")
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


PRESENT: list[Person] = []
"""Who is at a browser."""


@dataclass
class Person:
    """One signed-in browser session.

    :ivar wrongs: What pages did that they must not: dialogs, errors in scripts, requests to other hosts.
    """

    site: Site
    context: BrowserContext
    wrongs: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.set_default_timeout(WAIT_MS)
        self.context.on("page", self._watch)
        self.context.on("request", lambda request: self._check_host(request.url))

    def _watch(self, page: Page) -> None:
        page.on("dialog", lambda dialog: (self.wrongs.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: self.wrongs.append(f"{page.url}: {error}"))
        page.on("console", lambda message: self._read_console(page, message))

    def _read_console(self, page: Page, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(text in message.text for text in _EXPECTED):
            self.wrongs.append(f"{page.url}: {message.text}")

    def _check_host(self, url: str) -> None:
        if not url.startswith((self.site.stack.base_url, "data:", "blob:", "about:")):
            self.wrongs.append(f"request to {url}")

    def sign_in(self, name: str = "admin") -> None:
        """Hold a session, as after Airflow's login."""
        passwords = json.loads((self.site.stack.home / "airflow" / "passwords.json").read_text())
        body = {"username": name, "password": passwords[name]}
        answer = httpx.post(f"{self.site.stack.base_url}/auth/token", json=body, timeout=60)
        answer.raise_for_status()
        token = answer.json()["access_token"]
        self.context.add_cookies([{"name": "_token", "value": token, "url": self.site.stack.base_url, "httpOnly": True}])

    def open(self, *parts: str, query: str = "") -> Page:
        """A page of dagctl in a new tab."""
        page = self.context.new_page()
        page.goto(self.address(*parts) + query)
        return page

    def seen(self, folder: Path, name: str) -> str:
        """What the tabs show now, in words, with a picture of each.

        :param folder: Where the pictures go.
        :param name: Beginning of their names.
        """
        told = list(self.wrongs)
        for number, page in enumerate(self.context.pages):
            picture = folder / f"{name}-{number}.png"
            try:
                page.screenshot(path=picture, full_page=True, timeout=10_000)
                text = page.locator("body").inner_text(timeout=10_000)
            except PlaywrightError as error:
                text = f"(cannot be looked at: {error})"
            told.append(f"{page.url}\n{picture}\n{text[:3000]}")
        return "\n\n".join(told)

    def address(self, *parts: str) -> str:
        """Where a page of dagctl is."""
        return f"{self.site.stack.base_url}{PAGES}/{'/'.join(parts)}"


@contextmanager
def at_a_browser(browser: Browser, site: Site, name: str | None = "admin", **options: Any) -> Iterator[Person]:
    """A person; when they leave, nothing wrong may have happened.

    :param name: Who signs in; ``None`` for somebody without a session.
    :param options: Of the browser context: ``color_scheme``, ``viewport``.
    """
    person = Person(site, browser.new_context(base_url=site.stack.base_url, **options))
    PRESENT.append(person)
    if name is not None:
        person.sign_in(name)
    yield person
    assert person.wrongs == []
    for page in person.context.pages:
        assert not page.evaluate(_HACKED), f"a text was executed on {page.url}"
    # When a test fails the tabs stay as they are: they are looked at afterwards, and the browser closes them in the end.
    PRESENT.remove(person)
    person.context.close()


def act(page: Page, label: str, comment: str | None = None) -> None:
    """Press a button that asks first, say what it asks for, and go through with it."""
    page.locator(".actions").get_by_role("link", name=f"{label}…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    if comment is not None:
        dialog.get_by_role("textbox").fill(comment)
    dialog.get_by_role("button", name=label).click()
    expect(dialog).to_be_hidden()


def status(page: Page) -> Any:
    """The badge with the plan's status."""
    return page.locator(".plan-title .badge")


def require_accessible(page: Page) -> None:
    """No violation of WCAG 2.2 AA or of axe's best practices."""
    page.wait_for_load_state("load")
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": AXE_TAGS}})
    told = [
        f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes'][:3]]}"
        for violation in found.response["violations"]
    ]
    assert told == [], f"{page.url}: {told}"


def require_whole(page: Page) -> None:
    """Nothing sticks out: the page itself never scrolls sideways."""
    measure = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    wide, room = page.evaluate(measure)
    if wide > room:
        sticking = page.evaluate(
            "[...document.querySelectorAll('body *')].filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
            ".slice(0, 5).map(e => `${e.tagName}.${e.className} ${Math.round(e.getBoundingClientRect().right)}`)"
        )
        raise AssertionError(f"{page.url} is {wide} wide in {room}: {sticking}")
