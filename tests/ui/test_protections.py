"""Protected environments as pages: a form without scripts, rows that may stay empty, and nothing but text."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.services import protections
from tests.services import staff
from tests.services.world import World

from .conftest import Browser

pytestmark = pytest.mark.slow

PAGE = "/dagctl/organization/environments"
HOSTILE = "<img src=x onerror=alert(1)>"
SENT: dict[str, Any] = {
    "environment_name": "prod",
    "enabled": "on",
    "excepted_roles": ["owner", "developer"],
    "excepted_user_ids": ["user_grace"],
    "quorum": "2",
    "extra_when_breaking": "",
    "forbid_author": "on",
    "override": "on",
    "groups-0-row": "1",
    "groups-0-name": "finance",
    "groups-0-quorum": "",
    "groups-0-paths": "/models/finance/ *.sql",
    "groups-0-user_ids": ["user_grace"],
    "groups-1-row": "1",
    "groups-1-name": "",
    "windows-0-row": "1",
    "windows-0-kind": "allow",
    "windows-0-time_zone": "Europe/Berlin",
    "windows-0-cron": "0 8 * * 1-5",
    "windows-0-duration_minutes": "480",
    "windows-1-row": "1",
    "windows-1-kind": "allow",
    "windows-1-time_zone": "UTC",
}


def test_an_environment_is_protected_changed_and_set_free(browser: Browser, world: World) -> None:
    staff.member(world.organization_id, "Grace")
    assert "No environment is protected" in browser.get(PAGE).text
    assert browser.get(f"{PAGE}/new").status == 200
    answer = browser.post(f"{PAGE}/new", SENT)
    assert (answer.status_code, "said=protection_created" in answer.headers["Location"]) == (303, True)
    (made,) = protections.list_protections(world.actor())
    assert made.exceptions.to_json() == {"user_ids": ["user_grace"], "roles": ["owner", "developer"], "token_ids": []}
    assert made.rules.to_json() == {
        "quorum": 2,
        "groups": [{"name": "finance", "quorum": 1, "user_ids": ["user_grace"], "paths": ["/models/finance/", "*.sql"]}],
        "forbid_author": True,
        "windows": [{"kind": "allow", "time_zone": "Europe/Berlin", "cron": "0 8 * * 1-5", "duration_minutes": 480}],
        "override": True,
    }
    assert "2 approvals, 1 group, not by the author, 1 window" in browser.get(PAGE).text
    shown = browser.get(f"{PAGE}/{made.id}")
    values = {own.get("name"): own.get("value") for own in shown.all("input")}
    assert (values["quorum"], values["groups-0-paths"], values["groups-3-name"]) == ("2", "/models/finance/ *.sql", "")
    without = {name: value for name, value in SENT.items() if name != "enabled"}
    assert "said=protection_saved" in browser.post(f"{PAGE}/{made.id}", without).headers["Location"]
    assert not protections.list_protections(world.actor())[0].enabled
    assert "The role alone decides again" in browser.get(f"{PAGE}/{made.id}/remove").text
    assert browser.post(f"{PAGE}/{made.id}/remove").status_code == 303
    assert protections.list_protections(world.actor()) == ()


def test_what_is_wrong_is_named_and_nothing_typed_is_lost(browser: Browser, world: World) -> None:
    staff.member(world.organization_id, "Grace")
    answer = browser.post(f"{PAGE}/new", {**SENT, "windows-0-cron": "0 0 30 2 *", "groups-0-name": HOSTILE})
    text = answer.get_data(as_text=True)

    assert (answer.status_code, "rules.windows[0].cron" in text, "0 0 30 2 *" in text) == (422, True, True)
    assert HOSTILE not in text
    answer = browser.post(f"{PAGE}/new", {**SENT, "environment_name": HOSTILE})
    assert (answer.status_code, HOSTILE in answer.get_data(as_text=True)) == (422, False)


def test_every_field_has_a_label_of_its_own(browser: Browser, world: World) -> None:
    staff.member(world.organization_id, HOSTILE)
    shown = browser.get(f"{PAGE}/new")
    ids = [own["id"] for kind in ("input", "select") for own in shown.all(kind) if "id" in own]
    assert len(ids) == len(set(ids))
    labelled = {own["for"] for own in shown.all("label") if "for" in own}
    assert set(ids) <= labelled
    assert not [own for _, own in shown.elements if any(name.startswith("on") for name in own)]


def test_developers_and_strangers_do_not_see_them(browser: Browser, world: World) -> None:
    made = protections.create_protection(world.actor(), {"environment_name": "prod"}).protection
    browser.actor = world.actor("developer")
    assert browser.get(PAGE).status == 403
    assert browser.get(f"{PAGE}/{made.id}").status == 403
    assert browser.post(f"{PAGE}/{made.id}/remove").status_code == 403
    from dagctl_provider.services import organizations

    browser.actor = World(organizations.ensure_organization("other")).actor()
    assert browser.get(f"{PAGE}/{made.id}").status == 404


def test_the_plan_page_says_what_is_missing_and_who_can_give_it(browser: Browser, world: World) -> None:
    from dagctl_provider.services import plans

    grace, ada = (staff.member(world.organization_id, name, role) for name, role in (("Grace", "developer"), (HOSTILE, "owner")))
    values = {"environment_name": "prod", "excepted_roles": ["owner", "developer"], "rules": {"quorum": 2, "override": True}}
    made = protections.create_protection(ada, values).protection
    step = world.explained(world.project())
    plans.approve(grace, step.id, "page")
    browser.actor = ada
    shown = browser.get(f"/dagctl/plans/{step.id}")
    assert "1 approval of 2: Grace (developer)" in shown.text
    assert f"Still missing: 1 approval; can be given by {HOSTILE}." in shown.text
    assert "override_reason" in {own.get("name") for own in shown.all("textarea")}
    browser.actor = grace
    assert "override_reason" not in {own.get("name") for own in browser.get(f"/dagctl/plans/{step.id}").all("textarea")}
    protections.update_protection(
        ada, made.id, {"rules": {"windows": [{"kind": "deny", "from": "2000-01-01", "until": "2999-01-01", "time_zone": "UTC"}]}}
    )
    shown = browser.get(f"/dagctl/plans/{step.id}")
    assert "You cannot approve now: The environment 'prod' is closed for changes now." in shown.text
    assert "do-approve" not in {own.get("id") for own in shown.all("dialog")}
