"""Takes the pictures of the documents from the running demo: `make screenshots`.

So what the documents show is what the pages look like now, with the sample project's real plan in them.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from playwright.sync_api import Browser, Page, expect, sync_playwright

from demo.options import REPOSITORY_ROOT, DemoError, free_port
from demo.show import Show
from demo.stack import Stack
from demo.terminal import Terminal

IMAGES = REPOSITORY_ROOT / "docs" / "images"
BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_WIDE = {"width": 1280, "height": 860}
_NARROW = {"width": 390, "height": 844}
_PAGES = "/pluginsv2/dagctl"
_ORGANIZATION = f"{_PAGES}/organization"
_PROTECTION = {
    "environment_name": "prod",
    "excepted_roles": ["owner", "admin"],
    "rules": {"quorum": 2, "forbid_author": True, "extra_when_removed": 1, "expires_after_hours": 72},
}
_VARIABLES: tuple[dict[str, Any], ...] = (
    {"name": "SNOWFLAKE_ACCOUNT", "value": "acme-eu", "is_sensitive": False},
    {"name": "SNOWFLAKE_PASSWORD", "value": "not this one", "environments": ["prod"]},
    {
        "name": "SNOWFLAKE_KEY",
        "value": "a key",
        "mount_as_file": True,
        "file_mount_path": "/secrets/snowflake/rsa_key.p8",
        "file_permissions": 384,
    },
)


def find_browser() -> str:
    """The machine's Chromium, or what ``CHROMIUM`` names.

    :raises DemoError: when there is none.
    """
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        raise DemoError("Chromium is not installed.", "On Debian: apt install chromium. Elsewhere: CHROMIUM=/path/to/it.")
    return found


class Album:
    """Takes pictures of one stack.

    :param show: The sample project in a healthy stack.
    :param plan: Its plan that waits for approval.
    """

    def __init__(self, browser: Browser, show: Show, plan: dict[str, Any]) -> None:
        self.browser = browser
        self.show = show
        self.plan = plan

    def take_all(self) -> None:
        """One picture after the other; the last ones approve the plan."""
        group = f"{_PAGES}/plans/{self.plan['plan_id']}"
        self.take("plan", self._address_in_airflow(group), _wait_inside)
        self.take("projects", "/plugin/dagctl", _wait_for_heading, viewport={"width": 1280, "height": 640})
        self.take("plan-dark", group, _wait_for_graph, color_scheme="dark")
        self.take("plan-narrow", group, _wait_for_graph, viewport=_NARROW)
        self.take("plans", f"{_PAGES}/plans", _wait_for_table, viewport={"width": 1280, "height": 430})
        self.take("project-form", f"{_PAGES}/projects/new", _fill_form)
        self.take("diff", group, _open_diff, of=".model:has(.diff) >> nth=0")
        self.take("impact", group, _wait_for_graph, of="section:has(> .panel-head #graph-title)")
        self._take_rules(group)
        self.take("approve", group, _ask_to_approve)
        self.take("executed", group, _approve)
        self._take_jobs()
        self._take_organization()

    def _take_rules(self, group: str) -> None:
        """What a plan waits for in a protected environment, and the form of its rules."""
        client = self.show.client
        made = client.request("POST", "/environment-protections", _PROTECTION)
        self.take("approvals", group, _wait_for_graph, of="section:has(#approvals)")
        self.take("environment", f"{_ORGANIZATION}/environments/{made['id']}", _wait_for_heading_alone)
        client.request("DELETE", f"/environment-protections/{made['id']}")

    def _take_jobs(self) -> None:
        """A job, its run, and what the models of the plans took."""
        client, project_id = self.show.client, str(self.plan["project_id"])
        self.show.job_run(project_id)
        project = f"{_PAGES}/projects/{project_id}"
        runs = client.request("GET", f"/projects/{project_id}/runs")["runs"]
        longest = max(runs, key=lambda run: (run["models_total"], run.get("duration_seconds") or 0.0))
        model = client.request("GET", f"/projects/{project_id}/model-executions/stats")["model_stats"][0]["model_name"]
        self.take("jobs", f"{project}/jobs", _wait_for_table, viewport={"width": 1280, "height": 430})
        self.take("job-form", f"{project}/jobs/new", _wait_for_heading_alone)
        self.take("runs", f"{project}/runs", _wait_for_chart)
        self.take("run", f"{project}/runs/{longest['id']}", _wait_for_chart)
        self.take("run-dark", f"{project}/runs/{longest['id']}", _wait_for_chart, color_scheme="dark")
        self.take("models", f"{project}/models", _wait_for_table, viewport={"width": 1280, "height": 640})
        self.take("model", f"{project}/model?name={quote(model)}", _wait_for_chart)

    def _take_organization(self) -> None:
        """The pages of the organization, with something on them."""
        client = self.show.client
        for variable in _VARIABLES:
            client.request("POST", "/environment-variables", variable)
        client.request("POST", "/organizations/invitations", {"email": "grace@example.org", "role": "developer"})
        for name in ("members", "variables", "audit"):
            self.take(name, f"{_ORGANIZATION}/{name}", _wait_for_table, viewport={"width": 1280, "height": 560})

    def take(self, name: str, path: str, prepare: Callable[[Page], None], *, of: str | None = None, **options: Any) -> None:
        """One picture.

        :param prepare: Brings the page where it shall be.
        :param of: Selects the part of the page; the window when absent.
        :param options: Of the browser context: ``viewport``, ``color_scheme``.
        """
        with self._page(**{"viewport": _WIDE, **options}) as page:
            page.goto(self.show.stack.base_url + path)
            prepare(page)
            # The graph and the diffs are there, and nothing blinks.
            page.wait_for_timeout(600)
            target: Any = page.locator(of) if of else page
            target.screenshot(path=str(IMAGES / f"{name}.png"), animations="disabled", caret="hide")
        size = (IMAGES / f"{name}.png").stat().st_size
        self.show.terminal.done(f"docs/images/{name}.png, {size // 1024} kB")

    @contextmanager
    def _page(self, **options: Any) -> Iterator[Page]:
        stack = self.show.stack
        context = self.browser.new_context(locale="en-GB", reduced_motion="reduce", **options)
        try:
            token = stack.airflow_login()["Authorization"].removeprefix("Bearer ")
            context.add_cookies([{"name": "_token", "value": token, "url": stack.base_url}])
            yield context.new_page()
        finally:
            context.close()

    def _address_in_airflow(self, group: str) -> str:
        """Of the plan's tab on its Dag run."""
        with self._page() as page:
            page.goto(self.show.stack.base_url + group)
            run = str(page.get_by_role("link", name="Dag run").get_attribute("href"))
        return f"{run}/plugin/dagctl_plan"


def _frame(page: Page) -> Any:
    return page.frame_locator("iframe")


def _wait_inside(page: Page) -> None:
    expect(_frame(page).locator("#summary")).to_be_visible()


def _wait_for_heading(page: Page) -> None:
    expect(_frame(page).locator("h1")).to_be_visible()


def _wait_for_heading_alone(page: Page) -> None:
    expect(page.locator("h1")).to_be_visible()


def _wait_for_table(page: Page) -> None:
    expect(page.locator("table")).to_be_visible()


def _wait_for_graph(page: Page) -> None:
    page.locator("[data-graph]").scroll_into_view_if_needed()
    expect(page.locator("[data-graph-wait]")).to_have_count(0)
    page.evaluate("scrollTo(0, 0)")


def _wait_for_chart(page: Page) -> None:
    expect(page.locator("[data-chart] canvas")).to_be_visible()


def _fill_form(page: Page) -> None:
    page.locator("[name=name]").fill("analytics eu")
    page.locator("[name=repository_url]").fill("https://github.com/acme/analytics")


def _open_diff(page: Page) -> None:
    page.get_by_role("button", name="Side by side").click()
    expect(page.locator(".model .diff").first).to_be_visible()


def _ask_to_approve(page: Page) -> None:
    page.locator(".actions").get_by_role("link", name="Approve…").click()
    expect(page.get_by_role("dialog")).to_be_visible()


def _approve(page: Page) -> None:
    _ask_to_approve(page)
    page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    expect(page.locator(".plan-title .badge")).to_have_text("Executed", timeout=300_000)
    page.evaluate("scrollTo(0, 0)")


def main() -> int:
    """Start the demo in a folder of its own, bring it to its second plan, take the pictures, end it.

    :return: Exit code.
    """
    terminal = Terminal()
    home = Path(tempfile.mkdtemp(prefix="dagctl-screenshots-"))
    try:
        executable = find_browser()
        cache = REPOSITORY_ROOT / ".tools" / "cache"
        cache.mkdir(parents=True, exist_ok=True)
        (home / "cache").symlink_to(cache)
        (home / ".dagctl-demo").touch()
        stack = Stack(home, free_port(), terminal)
        with stack.stopped_afterwards(), sync_playwright() as playwright:
            stack.start()
            show = Show(stack)
            project_id = show.make_project()
            show.first_plan(project_id)
            plan = show.detected_plan(project_id, show.second_commit())
            terminal.heading("Taking pictures")
            browser = playwright.chromium.launch(executable_path=executable, args=["--disable-gpu"], chromium_sandbox=False)
            expect.set_options(timeout=60_000)
            Album(browser, show, plan).take_all()
            browser.close()
    except DemoError as error:
        terminal.error(str(error), error.hint)
        return 1
    finally:
        shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
