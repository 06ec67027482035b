"""The plan page with 1,000 changed models and a graph of 5,000, in a real browser against a real API server.

Measured are the first content, what is transferred, how soon the page answers to what a person does, and how soon a decision made
over REST appears on an open page. The plan is put straight into the database; everything from there on is the product.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import psycopg2.extras
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from benchmarks.common import Verdict, connect, fresh_stack, machine, median, run, table
from demo.options import DemoError
from demo.stack import Stack
from tests.plan_output import samples

FIRST_CONTENT_MS = 1000
INTERACTION_MS = 200
WEIGHT_BYTES = 1_000_000
CHANGE_SECONDS = 2.0
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# Notes how long each event took until the next frame was on the screen (Event Timing API).
_OBSERVE = """
window.__slowest = 0;
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) if (entry.interactionId) window.__slowest = Math.max(window.__slowest, entry.duration);
}).observe({ type: "event", durationThreshold: 16, buffered: true });
"""

_FIRST_CONTENT = """
() => new Promise((done) => new PerformanceObserver((list, self) => {
  for (const found of list.getEntriesByName("first-contentful-paint")) { self.disconnect(); done(found.startTime); }
}).observe({ type: "paint", buffered: true }))
"""


@dataclass
class Figures:
    """What was measured, by name: milliseconds, bytes or seconds."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float) -> None:
        """Keep one measurement."""
        self.values.setdefault(name, []).append(value)


def insert(stack: Stack, organization: str, plans: int, changed: int, models: int) -> list[str]:
    """Put a project with pending plans into the database; the first is the large one.

    :return: The ids of the plans' groups.
    """
    connection = connect(stack)
    project = {
        "id": "proj_bench",
        "organization_id": organization,
        "name": "bench",
        "name_key": "bench",
        "project_type": "sqlmesh",
        "repository_url": "https://github.com/acme/analytics",
        "branch": "main",
        "settings": psycopg2.extras.Json(samples.PROJECT.settings),
        "dag_id": "dagctl__bench",
        # Nobody polls a project that is not deployed.
        "deployed": False,
        "created_at": "now",
        "updated_at": "now",
    }
    with connection.cursor() as cursor:
        _insert(cursor, "dagctl_project", project)
        for number in range(plans):
            output = samples.large_output(changed, models) if number == 0 else samples.small_output()
            step = {
                "id": f"plan_bench{number}",
                "group_id": f"plangroup_bench{number}",
                "plan_type": "explain",
                "organization_id": organization,
                "project_id": "proj_bench",
                "ref": "main",
                "environment": "prod",
                "from_commit_sha": samples.DEPLOYED,
                "to_commit_sha": f"{number:040x}",
                "commit_message": samples.EXPLAIN.commit_message,
                "commit_author": samples.EXPLAIN.commit_author,
                "status": "pending",
                "settings": psycopg2.extras.Json({"tool_version": "0.236.4"}),
                "plan_output": psycopg2.extras.Json(output),
                "attempt": 1,
                "try_number": 1,
                "dag_id": "dagctl__bench",
                "run_id": f"plangroup_bench{number}",
                "dispatched_at": "now",
                "started_at": "now",
                "created_at": "now",
                "updated_at": "now",
            }
            _insert(cursor, "dagctl_plan_step", step)
    connection.close()
    return [f"plangroup_bench{number}" for number in range(plans)]


def _insert(cursor: Any, name: str, row: dict[str, Any]) -> None:
    marks = ", ".join(["%s"] * len(row))
    cursor.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium as the machine has it."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        raise DemoError("There is no Chromium on this machine.", "apt install chromium, or name one: CHROMIUM=/path/to/it")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield started
        started.close()


def signed_in(started: Browser, stack: Stack) -> BrowserContext:
    """A browser of somebody who is signed in and has nothing of the pages in its cache."""
    secrets = stack.secrets()
    body = {"username": "admin", "password": secrets["admin_password"]}
    answer = httpx.post(f"{stack.base_url}/auth/token", json=body, timeout=30).raise_for_status()
    context = started.new_context(viewport={"width": 1440, "height": 900})
    context.add_cookies([{"name": "_token", "value": answer.json()["access_token"], "url": stack.base_url}])
    return context


def measure_load(context: BrowserContext, address: str, figures: Figures) -> Page:
    """Open the page with an empty cache, wait for the graph, and count what came over the network until then."""
    page = context.new_page()
    weights: list[tuple[int, int]] = []
    page.on("requestfinished", lambda request: weights.append(_weight(request)))
    page.add_init_script(_OBSERVE)
    page.goto(address, wait_until="load")
    paint = page.evaluate(_FIRST_CONTENT)
    figures.add("first content, ms", paint)
    timing = page.evaluate("() => performance.getEntriesByType('navigation')[0].toJSON()")
    figures.add("of that the server's answer, ms", timing["responseStart"] - timing["requestStart"])
    figures.add("weight of the document, bytes", timing["decodedBodySize"])
    page.locator("[data-graph]").scroll_into_view_if_needed()
    page.locator("[data-graph] canvas").wait_for(timeout=60_000)
    page.wait_for_timeout(500)
    figures.add("weight with graph and scripts, bytes", sum(size for size, _ in weights))
    figures.add("of that over the network, bytes", sum(sent for _, sent in weights))
    return page


def _weight(request: Any) -> tuple[int, int]:
    """How large an answer is, and how much of the network it took. The stream of events never finishes and is not counted."""
    response = request.response()
    try:
        size = len(response.body()) if response is not None else 0
    except Exception:
        size = 0
    return size, request.sizes()["responseBodySize"]


def _look_at(page: Page) -> None:
    """Have frames shown as they are made: nobody looks at a headless browser, and it may wait for the caret's next blink."""
    screen = page.context.new_cdp_session(page)
    screen.on("Page.screencastFrame", lambda frame: screen.send("Page.screencastFrameAck", {"sessionId": frame["sessionId"]}))
    screen.send("Page.startScreencast", {"format": "jpeg", "quality": 1, "everyNthFrame": 1})


def measure_interactions(page: Page, figures: Figures) -> None:
    """What a person does on the page, one after the other; each until the next frame is on the screen."""
    _look_at(page)

    def act(name: str, doing: Callable[[], Any]) -> None:
        page.wait_for_timeout(300)
        page.evaluate("() => { window.__slowest = 0; }")
        doing()
        page.wait_for_timeout(400)
        figures.add(name, page.evaluate("() => window.__slowest"))

    canvas = page.locator("[data-graph] canvas")
    find = page.get_by_label("Find a model in the graph")
    act("find a model in the graph", lambda: find.press_sequentially("orders"))
    act("next model found", lambda: find.press("Enter"))
    act("choose a model", lambda: canvas.click(position={"x": 300, "y": 200}))
    act("go to a neighbour", lambda: canvas.press("ArrowLeft"))
    act("zoom in", lambda: page.get_by_role("button", name="Zoom in").click())
    act("show all", lambda: page.get_by_role("button", name="Fit: show all").click())
    act("show all 5,000", lambda: page.locator(".legend input").last.click())
    act("zoom in at 5,000", lambda: page.get_by_role("button", name="Zoom in").click())
    act("choose at 5,000", lambda: canvas.click(position={"x": 400, "y": 250}))
    act("filter the list", lambda: page.get_by_label("Filter models by name").press_sequentially("rev"))
    act("end the filter", lambda: page.get_by_label("Filter models by name").fill(""))
    act("unfold 700 models", lambda: page.locator("[data-group=downstream] > summary").click())
    act("open a diff", lambda: page.locator(".model[data-diff] summary").first.click())
    act("side by side", lambda: page.get_by_role("button", name="Side by side").click())
    act("open the dialog", lambda: page.locator("a[data-opens=do-approve]").click())


def measure_change(page: Page, address: str, step_id: str, api: httpx.Client, figures: Figures) -> None:
    """Reject a plan over REST and wait until the open page says so."""
    page.goto(address)
    page.locator("[data-live-state]:not([hidden])").wait_for(timeout=30_000)
    api.post(f"/api/v1/plans/{step_id}/reject", json={"comment": "Not today"}).raise_for_status()
    answered = time.monotonic()
    page.locator(".plan-title", has_text="Rejected").wait_for(timeout=30_000)
    figures.add("a change over REST appears, s", time.monotonic() - answered)


LIMITS: dict[str, float] = {
    "first content, ms": FIRST_CONTENT_MS,
    "weight with graph and scripts, bytes": WEIGHT_BYTES,
    "a change over REST appears, s": CHANGE_SECONDS,
}
_WITHOUT_LIMIT = ("of that", "weight of the document")


def report(figures: Figures, verdict: Verdict) -> str:
    """The table; what has a limit is judged by the middle of its measurements."""
    rows = []
    for name, values in figures.values.items():
        limit = None if name.startswith(_WITHOUT_LIMIT) else LIMITS.get(name, INTERACTION_MS)
        middle = median(values)
        label = name if name in LIMITS or limit is None else f"{name}, ms"
        rows.append([label, len(values), middle, max(values), limit])
        verdict.require(limit is None or middle < limit, f"{label}: {middle:.2f}, allowed {limit}")
    return table(["what", "times", "middle", "most", "limit"], rows)


def main(options: argparse.Namespace) -> int:
    """Load, look, act, print."""
    about, verdict, figures = machine(), Verdict(), Figures()
    with fresh_stack("plan_page") as stack, browser() as started:
        stack.stop_components(["scheduler", "dag-processor"])
        access = json.loads(stack.access_file.read_text())
        groups = insert(stack, access["organization_id"], 1 + options.times, options.changed, options.models)
        headers = {"Authorization": f"Bearer {access['token']}", "X-Organization-ID": access["organization_id"]}
        address = f"{stack.base_url}/pluginsv2/dagctl/plans/"
        measure_load(signed_in(started, stack), address + groups[0], Figures())
        for _ in range(options.times):
            context = signed_in(started, stack)
            page = measure_load(context, address + groups[0], figures)
            measure_interactions(page, figures)
            context.close()
        with httpx.Client(base_url=stack.base_url, headers=headers, timeout=30) as api:
            context = signed_in(started, stack)
            page = context.new_page()
            for number, group in enumerate(groups[1:], 1):
                measure_change(page, address + group, f"plan_bench{number}", api, figures)
    print(f"\nplan_page: {about}\n{options.changed:,} changed models, a graph of {options.models:,}\n")
    print(report(figures, verdict))
    print()
    return verdict.tell()


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.plan_page", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--changed", type=int, default=1000)
    made.add_argument("--models", type=int, default=5000)
    made.add_argument("--times", type=int, default=5, help="how often each thing is measured (default 5)")
    made.add_argument("--quick", action="store_true", help="once, 100 changed models of 500: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--changed", "100", "--models", "500", "--times", "1"]
    run(main, parser())
