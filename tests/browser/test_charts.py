"""Charts in a browser: keyboard, dark colours, very many models, and the same figures in a table without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.airflow.site import Site
from tests.browser.history import MANY
from tests.browser.people import Person, at_a_browser, require_accessible, require_whole

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def inked(page: Page) -> str:
    """What the browser shows of the first chart."""
    return page.locator("[data-chart] canvas").evaluate("canvas => canvas.toDataURL()")


def test_a_chart_is_read_and_opened_with_the_keyboard_alone(admin: Person, scene: dict[str, str]) -> None:
    page = admin.open("projects", scene["project"], "runs", scene["run"])
    canvas = page.locator("[data-chart] canvas")
    expect(canvas).to_be_visible()
    before = inked(page)
    page.locator("main").focus()
    for _ in range(20):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.localName") == "canvas":
            break
    seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert seen != "none", "the focus can be seen"
    page.keyboard.press("ArrowDown")
    expect(page.locator(".chart-said")).to_contain_text("shop.raw: succeeded, took 5 s")
    assert inked(page) != before, "the bar is marked"
    page.keyboard.press("End")
    expect(page.locator(".chart-said")).to_contain_text("shop.orders: failed")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="shop.orders")).to_be_visible()


def test_a_chart_follows_the_theme(admin: Person, scene: dict[str, str]) -> None:
    page = admin.open("projects", scene["project"], "runs")
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    light = inked(page)
    page.evaluate("document.documentElement.classList.add('dark')")
    page.wait_for_function("before => document.querySelector('[data-chart] canvas').toDataURL() !== before", arg=light)
    require_accessible(page)


def test_without_scripts_the_figures_are_there(browser: Browser, site: Site, scene: dict[str, str]) -> None:
    with at_a_browser(browser, site, java_script_enabled=False) as person:
        page = person.open("projects", scene["project"], "runs")
        page.locator("#days-figures summary").click()
        expect(page.get_by_role("columnheader", name="Time together")).to_be_visible()
        expect(page.locator("canvas")).to_have_count(0)
        page.get_by_label("Status").select_option("failed")
        page.get_by_role("button", name="Show").click()
        expect(page.locator("#stats")).to_contain_text("failed at least in part")
        person.open("projects", scene["project"], "runs", scene["run"]).close()


def test_a_run_of_very_many_models_stays_usable(admin: Person, scene: dict[str, str]) -> None:
    page = admin.open("projects", scene["project"], "runs", scene["large_run"])
    expect(page.locator("[data-chart] canvas")).to_be_visible()
    expect(page.get_by_text(f"of {MANY:,} models: those of the critical path")).to_be_visible()
    took = page.evaluate(
        "async () => { const began = performance.now(); document.querySelector('[data-chart] canvas').focus();"
        "await new Promise(requestAnimationFrame); return performance.now() - began }"
    )
    page.keyboard.press("End")
    expect(page.locator(".chart-said")).to_contain_text("succeeded")
    require_whole(page)
    assert took < 1000, f"a frame took {took:.0f} ms"
