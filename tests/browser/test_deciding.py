"""A commit from its form to the warehouse, as people see and decide it on the pages."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.airflow.site import Shop, Site
from tests.browser.people import Person, act, require_accessible, status
from tests.waiting import nothing, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def _create(admin: Person, shop: Shop, name: str) -> Page:
    page = admin.open("projects")
    page.get_by_role("link", name="New project").click()
    page.get_by_label("Name", exact=False).first.fill(name)
    page.get_by_label("Repository address").fill(shop.url)
    page.get_by_role("button", name="Test the repository").click()
    expect(page.locator("#repository-report")).to_contain_text("Orders and totals")
    page.get_by_role("button", name="Create project").click()
    expect(page.get_by_role("heading", name=name)).to_be_visible()
    return page


def test_create_review_approve_and_watch(admin: Person, site: Site, shop: Shop) -> None:
    page = _create(admin, shop, "Watched")
    # The plan makes itself, and the page shows it without being asked again.
    page.get_by_role("link", name="Orders and totals").first.click()
    expect(status(page)).to_be_visible()
    page.wait_for_load_state("load")
    page.evaluate("document.dispatchEvent(new Event('dagctl:shown'))")
    expect(status(page)).to_have_text("Waiting for approval")
    expect(page.locator("#summary")).to_contain_text("2 models are added")

    expect(page.locator("[data-group=added] .model")).to_have_count(2)
    model = page.locator(".model", has_text="orders").first
    model.locator("summary").click()
    expect(model).to_contain_text("amount")
    page.locator("[data-graph]").scroll_into_view_if_needed()
    expect(page.locator("[data-graph] canvas"), "it comes however often the page was refreshed before").to_be_visible()

    act(page, "Approve", "Go ahead")
    expect(status(page)).to_have_text("Executed")
    expect(page.locator(".progress")).to_contain_text("2 of 2 models")
    expect(model.locator(".result")).to_contain_text("✓ done")
    timeline = page.locator(".timeline")
    expect(timeline).to_contain_text("Go ahead")
    expect(timeline).to_contain_text("admin")
    expect(page.locator("#log")).to_contain_text("ended with exit code 0")
    assert site.times_applied(shop) == 1
    assert site.rows(shop, "SELECT total FROM shop.totals") == [[10]]


def test_reject_with_a_reason_and_head_that_moved(admin: Person, site: Site, shop: Shop) -> None:
    project = site.project("Moved", shop)
    plan = site.explained(project)
    page = admin.open("plans", plan["plan_id"])
    away = shop.path.rename(shop.path.with_name("away"))
    act(page, "Approve")
    expect(page.locator("#refused")).to_be_visible()
    away.rename(shop.path)
    shop.write("models/orders.sql", "MODEL (name shop.orders, kind FULL);\nSELECT 1 AS id, 20 AS amount\n")
    shop.commit("Twice as much")
    act(page, "Approve")
    expect(page.locator("#discarded")).to_contain_text("Repository has new commits")
    expect(status(page)).to_have_text("Outdated")
    assert site.plan(plan["id"])["status"] == "rejected"

    page.locator(".actions").get_by_role("link", name="Plan again").click()
    page.get_by_role("dialog").get_by_role("button", name="Plan again").click()
    expect(page.get_by_role("heading", name="Twice as much")).to_be_visible()
    expect(status(page)).to_have_text("Waiting for approval")
    page.locator(".actions").get_by_role("link", name="Reject…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reject").click()
    expect(dialog, "a rejection without a reason is not sent").to_be_visible()
    dialog.get_by_label("Reason").fill("Ask finance first <b>please</b>")
    dialog.get_by_role("button", name="Reject").click()
    expect(status(page)).to_have_text("Rejected")
    expect(page.locator(".timeline blockquote")).to_have_text("Ask finance first <b>please</b>")
    assert not shop.warehouse.exists() or site.rows(shop, "SELECT 1 FROM duckdb_tables() WHERE table_name = 'applied'") == []


def test_follow_an_execution_stop_it_and_retry_it(admin: Person, site: Site, shop: Shop) -> None:
    shop.add_slow_model()
    shop.commit("Something slow")
    plan = site.explained(site.project("Stopped", shop))
    page = admin.open("plans", plan["plan_id"])
    act(page, "Approve")
    expect(status(page)).to_have_text("Executing")
    page.evaluate("window.stayed = true")
    progress, slow = page.locator(".progress"), page.locator(".model", has_text="shop.slow")
    expect(progress).to_contain_text("of 3 models")
    expect(progress.locator(".now")).to_contain_text("shop.slow")
    expect(slow.locator(".result")).to_have_text("↻ running")
    expect(page.locator("#log")).to_contain_text("slow")
    assert page.evaluate("window.stayed"), "the page was loaded anew"
    require_accessible(page)
    act(page, "Stop")
    expect(status(page)).to_have_text("Cancelled")
    expect(slow.locator(".result")).to_have_text("■ stopped")
    # What was stopped may go on until its worker hears of it, and would apply the plan through the open gate.
    wait_for("the end of the stopped runner", site.runner_processes, nothing)
    shop.open_gate()
    act(page, "Retry")
    expect(status(page)).to_have_text("Executed")
    expect(page.locator(".timeline")).to_contain_text(re.compile("attempt 2", re.IGNORECASE))
    assert site.times_applied(shop) == 1
