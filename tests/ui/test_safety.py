"""What every page has in common: headers, errors, and that nothing that is shown can break out."""

from __future__ import annotations

import re

import pytest

from dagctl_provider.services import jobs
from dagctl_provider.ui.said import SAID
from tests.services.executions import recorded
from tests.services.world import World

from .conftest import Browser

pytestmark = pytest.mark.slow

PLACES = (
    *("/dagctl/projects", "/dagctl/plans", "/dagctl/projects/new", "/dagctl/nothing"),
    *("/dagctl/organization/variables", "/dagctl/organization/variables/new"),
    *("/dagctl/organization/members", "/dagctl/organization/invitations", "/dagctl/organization/tokens"),
    "/dagctl/projects",
    "/dagctl/plans",
    "/dagctl/projects/new",
    "/dagctl/nothing",
    "/dagctl/organization/environments",
    "/dagctl/organization/environments/new",
)
OF_A_PROJECT = ("", "/edit", "/jobs", "/jobs/new", "/runs", "/models")
HOSTILE = "</script><img src=x onerror=alert(1)>\"'`{{7*7}}\u202e"


def places(world: World) -> list[str]:
    """All kinds of pages, those of a project with something on them."""
    project = world.project()
    run = recorded(project, ("shop.orders", 0, 5, "success"))
    job = jobs.create_job(world.actor(), project.id, {"name": "nightly", "command": "run", "schedule": None}).job
    own = [*OF_A_PROJECT, f"/runs/{run.id}", f"/runs/{run.id}/cancel", "/model?name=shop.orders"]
    own += [f"/jobs/{job.id}{verb}" for verb in ("", "/run", "/delete")]
    return [*PLACES, *(f"/dagctl/projects/{project.id}{path}" for path in own)]


def test_every_answer_keeps_foreign_things_out(browser: Browser, world: World) -> None:
    for path in places(world):
        headers = browser.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == policy["frame-ancestors"] == policy["form-action"] == "'self'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_pages_load_nothing_from_elsewhere_and_hold_no_script_of_their_own(browser: Browser, world: World) -> None:
    for path in places(world):
        shown = browser.get(path)
        loaded = [own.get("src") or own.get("href") for kind, own in shown.elements if kind in ("script", "link", "img")]
        assert loaded
        assert all(re.fullmatch(r"/pluginsv2/dagctl/static/[\w./-]+\?v=[0-9a-f]{12}", str(address)) for address in loaded)
        assert all("src" in own for own in shown.all("script"))
        assert not [own for _, own in shown.elements if "style" in own or any(name.startswith("on") for name in own)]


def test_an_unknown_address_is_a_page_of_ours(browser: Browser) -> None:
    shown = browser.get("/dagctl/nothing/here")
    assert (shown.status, "There is no such page." in shown.text) == (404, True)


def test_unknown_ids_are_not_found(browser: Browser) -> None:
    for path in ("/dagctl/projects/proj_none", "/dagctl/projects/..%2f..", "/dagctl/projects/proj_none/edit"):
        assert browser.get(path).status == 404


def test_a_form_of_another_site_is_refused(browser: Browser, world: World) -> None:
    project = world.project()
    for headers in ({"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site", "Origin": "http://evil.example"}):
        answer = browser.post(f"/dagctl/projects/{project.id}/suspend", **headers)
        assert answer.status_code == 403
        assert "Cross-site request refused" in answer.get_data(as_text=True)
    assert browser.get(f"/dagctl/projects/{project.id}/resume").status == 200
    from dagctl_provider.services import projects

    assert not projects.get_project(world.actor(), project.id).suspended


def test_an_address_can_name_a_sentence_but_bring_none(browser: Browser) -> None:
    assert SAID["suspended"].text in browser.get("/dagctl/projects?said=suspended").text
    assert "pwned" not in browser.get("/dagctl/projects?said=pwned").text


def test_what_people_write_is_only_ever_text(browser: Browser, world: World) -> None:
    project = world.project(description=HOSTILE, agent_context=HOSTILE)
    world.head = HOSTILE
    step = world.explained(project)
    from dagctl_provider.store import plans as plan_rows
    from dagctl_provider.store import projects as project_rows
    from dagctl_provider.store import transactions

    transactions.run(
        lambda session: (
            plan_rows.note_step(session, step.id, commit_message=HOSTILE, commit_author=HOSTILE, error_code=HOSTILE[:60]),
            project_rows.update_project(
                session, project.id, sync_error=HOSTILE, latest_commit_message=HOSTILE, gateways=[HOSTILE], branch=HOSTILE[:60]
            ),
        )
    )
    for path in (
        "/dagctl/projects",
        f"/dagctl/projects/{project.id}",
        f"/dagctl/projects/{project.id}/edit",
        f"/dagctl/projects/{project.id}/plan",
        "/dagctl/plans",
        f"/dagctl/projects?search={HOSTILE}&show={HOSTILE}&sort={HOSTILE}&page={HOSTILE}",
        f"/dagctl/plans?search={HOSTILE}&status={HOSTILE}",
    ):
        shown = browser.get(path)
        assert shown.status == 200, path
        assert "onerror" not in {name for _, own in shown.elements for name in own}, path
        assert all(own["src"].startswith("/pluginsv2/dagctl/static/") for own in shown.all("script") + shown.all("img")), path
        assert "49" not in shown.text or "{{7*7}}" in shown.text, path
    assert HOSTILE in browser.get(f"/dagctl/projects/{project.id}").text


@pytest.mark.parametrize(
    "path",
    [
        *("/dagctl/runs/%00/%00", "/dagctl/runs/a/b%00/c", "/dagctl/plans/%00", "/dagctl/projects/%00", "/dagctl/static/%00"),
        *("/dagctl/plans/%00/diff?model=a", "/dagctl/plans/plan_1/log?from=%00", "/dagctl/plans?search=a%00&status=pending"),
        *("/dagctl/projects?search=%00", "/dagctl/projects?sort=%00", "/dagctl/plans?page=%00", "/dagctl/version?%00=%00"),
        *("/dagctl/projects/%00/runs", "/dagctl/projects/proj_1/model?name=a%00b", "/dagctl/projects/proj_1/runs?job=%00"),
        *("/dagctl/projects/new?said=%00", "/dagctl/projects/%00/edit", "/dagctl/projects/%00/plan"),
    ],
)
def test_what_no_database_can_hold_is_not_there(browser: Browser, path: str) -> None:
    assert browser.get(path).status == 404


def test_a_form_with_what_no_database_can_hold_is_refused(browser: Browser, world: World) -> None:
    step = world.explained(world.project())
    for verb in ("approve", "reject", "delete"):
        answer = browser.post(f"/dagctl/plans/{step.group_id}/{verb}", {"step": step.id, "comment": "a\0b"})
        assert answer.status_code == 422
    assert browser.post("/dagctl/projects/new", {"name": "a\0b", "repository_url": "https://example.com/a/b"}).status_code == 422
