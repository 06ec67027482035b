"""The same people under both auth managers: pages, API and Required Actions with nothing but Airflow's own session."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from demo.stack import FAB_AUTH_MANAGER
from tests.airflow.conftest import make_site
from tests.airflow.site import Shop, Site
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

AUTH_MANAGERS: dict[str, dict[str, str]] = {"simple": {}, "fab": {"AIRFLOW__CORE__AUTH_MANAGER": FAB_AUTH_MANAGER}}
PAGES = "/pluginsv2/dagctl"


@pytest.fixture(scope="module", params=sorted(AUTH_MANAGERS))
def site(request: pytest.FixtureRequest) -> Iterator[Site]:
    """A running Airflow with one of the auth managers."""
    made = make_site(AUTH_MANAGERS[request.param])
    try:
        yield made
    finally:
        made.stack.stop()


def signed_in(site: Site) -> httpx.Client:
    """A browser after Airflow's login: a cookie, no header."""
    token = site.stack.airflow_login()["Authorization"].removeprefix("Bearer ")
    return httpx.Client(base_url=site.stack.base_url, cookies={"_token": token}, timeout=60)


def test_a_session_sees_the_plan_and_answers_for_it(site: Site, shop: Shop) -> None:
    project = site.project("session", shop)
    plan = site.explained(project)
    (dag_id,) = site.sql("SELECT DISTINCT dag_id FROM task_instance WHERE run_id = %s", plan["plan_id"])[0]
    with signed_in(site) as person:
        for address in (f"{PAGES}/projects", f"{PAGES}/projects/{project['id']}", f"{PAGES}/plans/{plan['plan_id']}"):
            page = person.get(address)
            assert page.status_code == 200, address
            assert "session" in page.text
        assert person.get(f"{PAGES}/runs/{dag_id}/{plan['plan_id']}", follow_redirects=True).status_code == 200
        assert person.get(f"/api/v1/plans/{plan['id']}").json()["status"] == "pending"
        links = f"/api/v2/dags/{dag_id}/dagRuns/{plan['plan_id']}/taskInstances/explain/links"
        assert button(site, links) == {"Plan": f"{site.stack.base_url}{PAGES}/runs/{dag_id}/{plan['plan_id']}"}
    with httpx.Client(base_url=site.stack.base_url, timeout=60) as stranger:
        assert stranger.get(f"{PAGES}/plans/{plan['plan_id']}").status_code == 302
        assert stranger.get(f"/api/v1/plans/{plan['id']}").status_code == 401

    site.answer_in_airflow(plan, "Approve")
    decided = wait_for("the decision", lambda: approved(site, plan))
    assert "admin" in decided["decided_by"]
    group = site.ask("GET", f"/plans/group/{plan['plan_id']}/steps")
    site.wait(group["steps"][1]["id"], "completed")
    assert site.rows(shop, "SELECT total FROM shop.totals") == [[10]]


def button(site: Site, path: str) -> dict[str, Any]:
    """The links that Airflow shows beside a task."""
    answer = httpx.get(f"{site.stack.base_url}{path}", headers=site.stack.airflow_login(), timeout=60)
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["extra_links"])


def approved(site: Site, plan: dict[str, Any]) -> dict[str, Any] | None:
    """The plan's step when it has been approved."""
    step = site.plan(plan["id"])
    return step if step["status"] == "approved" else None
