"""The pages of members, invitations and tokens, and the switch between organizations."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from dagctl_provider.domain.members import Person
from dagctl_provider.domain.permissions import Actor, permissions_of, system_actor
from dagctl_provider.services import invitations, members, organizations, tokens
from tests.services.world import World

from .conftest import Browser, Shown, read
from .test_safety import HOSTILE

pytestmark = pytest.mark.slow

BASE = "/dagctl/organization"


@pytest.fixture
def staff(browser: Browser, world: World) -> dict[str, Actor]:
    """An owner, who looks at the pages, an admin, a developer and a reader."""
    root = system_actor(world.organization_id, "cli:root")
    found = {}
    for name, role in (("ada", "owner"), ("abe", "admin"), ("dan", "developer"), ("ron", "reader")):
        row = members.add_member(root, Person(f"id-{name}", name, f"{name}@example.org"), role)
        found[name] = Actor(
            *("user", f"id-{name}", name, world.organization_id, permissions_of(row.member.role)),
            role=row.member.role,
            user_id=row.user.id,
            email=row.user.email,
            organizations=((world.organization_id, "acme"),),
        )
    browser.actor = found["ada"]
    return found


def cookies(answer: Any) -> dict[tuple[str, str], str]:
    """What an answer sets, by name and path."""
    found = {}
    for line in answer.headers.getlist("Set-Cookie"):
        name = line.partition("=")[0]
        path = re.search(r"Path=([^;]+)", line)
        found[name, path[1] if path else ""] = line
    return found


def test_members_with_forms_for_those_whom_one_may_change(browser: Browser, staff: dict[str, Actor]) -> None:
    def changed(shown: Shown) -> set[str]:
        return {str(own["action"]).split("/")[-2] for own in shown.all("form") if str(own.get("action", "")).endswith("/role")}

    shown = browser.get(f"{BASE}/members")
    assert all(name in shown.text for name in staff)
    assert changed(shown) == {staff[name].user_id for name in ("abe", "dan", "ron")}
    browser.actor = staff["abe"]
    assert changed(browser.get(f"{BASE}/members")) == {staff[name].user_id for name in ("dan", "ron")}
    browser.actor = staff["ron"]
    assert changed(browser.get(f"{BASE}/members")) == set()


def test_a_role_is_changed_and_what_is_refused_is_told(browser: Browser, staff: dict[str, Actor], world: World) -> None:
    answer = browser.post(f"{BASE}/members/{staff['ron'].user_id}/role", {"role": "developer"})
    assert answer.status_code == 303
    assert members.get_member(world.actor(), str(staff["ron"].user_id)).member.role == "developer"
    answer = browser.post(f"{BASE}/members/{staff['ada'].user_id}/role", {"role": "reader"})
    assert (answer.status_code, "Nobody changes their own role" in answer.get_data(as_text=True)) == (403, True)
    assert browser.post(f"{BASE}/members/{staff['ron'].user_id}/role", {"role": "emperor"}).status_code == 422
    assert browser.post(f"{BASE}/members/user_nobody/role", {"role": "reader"}).status_code == 404


def test_a_member_is_removed_after_a_question(browser: Browser, staff: dict[str, Actor]) -> None:
    path = f"{BASE}/members/{staff['ron'].user_id}/remove"
    assert "Remove ron?" in browser.get(path).text
    assert browser.post(path).status_code == 303
    assert "ron@example.org" not in browser.get(f"{BASE}/members").text
    assert browser.get(path).status == 404


def test_invite_resend_and_withdraw(browser: Browser, staff: dict[str, Actor]) -> None:
    shown = read(browser.post(f"{BASE}/invitations", {"email": "eve@example.org", "role": "developer"}))
    (link,) = [str(own["value"]) for own in shown.all("input") if "readonly" in own]
    assert link.startswith("http://airflow.example/pluginsv2/dagctl/invitations/dinv_")
    assert link not in browser.get(f"{BASE}/invitations").html, "it is shown once"
    (row,) = invitations.list_invitations(staff["ada"])
    again = browser.post(f"{BASE}/invitations", {"email": "Eve@example.org", "role": "reader"})
    assert (again.status_code, "Invited already" in again.get_data(as_text=True)) == (409, True)
    resent = read(browser.post(f"{BASE}/invitations/{row.id}/resend"))
    assert "dinv_" in resent.html
    assert link not in resent.html
    assert browser.post(f"{BASE}/invitations/{row.id}/withdraw").status_code == 303
    assert "Nobody is invited" in browser.get(f"{BASE}/invitations").text
    assert browser.post(f"{BASE}/invitations", {"email": "nobody", "role": "reader"}).status_code == 422


def test_the_link_is_followed_without_its_secret_staying_in_an_address(
    browser: Browser, staff: dict[str, Actor], world: World
) -> None:
    made = invitations.invite(staff["ada"], "eve@example.org", "reader")
    secret = made.link.rpartition("/")[2]
    followed = browser._send("GET", f"/dagctl/invitations/{secret}", None, {})
    assert (followed.status_code, followed.headers["Location"]) == (303, "/pluginsv2/dagctl/invitations/accept")
    assert followed.headers["Referrer-Policy"] == "no-referrer"
    (kept,) = [line for line in followed.headers.getlist("Set-Cookie") if line.startswith("dagctl_invitation=")]
    assert all(part in kept for part in ("HttpOnly", "SameSite=Lax", "Path=/pluginsv2/dagctl/invitations"))
    with_secret = {"Cookie": f"_token=a.b.c; dagctl_invitation={secret}"}

    eve = members.add_member(
        system_actor(organizations.ensure_organization("far"), "cli:root"), Person("id-eve", "eve"), "reader"
    )
    browser.actor = Actor("user", "id-eve", "eve", "", user_id=eve.user.id)
    shown = browser.get("/dagctl/invitations/accept", **with_secret)
    assert "Join acme?" in shown.text
    assert secret not in shown.html
    foreign = browser.post("/dagctl/invitations/accept", Sec_Fetch_Site="cross-site", **with_secret)
    assert foreign.status_code == 403
    joined = browser.post("/dagctl/invitations/accept", **with_secret)
    assert "You are a member of acme" in joined.get_data(as_text=True)
    assert cookies(joined)["dagctl_invitation", "/pluginsv2/dagctl/invitations"].startswith("dagctl_invitation=;")
    assert browser.post("/dagctl/invitations/accept", **with_secret).status_code == 409
    assert {row.user.name for row in members.list_members(world.actor())} >= {"eve"}


@pytest.mark.parametrize("secret", ["x", "dinv_short", "dinv_" + "a" * 300, "dinv_%3Cscript%3E" + "a" * 20])
def test_what_is_no_link_leads_nowhere(browser: Browser, secret: str) -> None:
    assert browser.get(f"/dagctl/invitations/{secret}").status == 404
    assert browser.get("/dagctl/invitations/accept", Cookie=f"_token=a.b.c; dagctl_invitation={secret}").status == 404


def test_tokens_are_made_rotated_and_revoked(browser: Browser, staff: dict[str, Actor], world: World) -> None:
    project = world.project()
    form = {"name": "ci", "role": "developer", "expires_in_days": "30", "project_ids": project.id}
    shown = read(browser.post(f"{BASE}/tokens", form))
    (secret,) = [str(own["value"]) for own in shown.all("input") if "readonly" in own]
    assert tokens.authenticate(secret, world.organization_id).project_ids == frozenset((project.id,))
    listed = browser.get(f"{BASE}/tokens")
    assert secret not in listed.html
    assert project.name in listed.text
    (token,) = tokens.list_tokens(staff["ada"])
    assert "Rotate ci?" in browser.get(f"{BASE}/tokens/{token.id}/rotate").text
    assert browser.post(f"{BASE}/tokens/{token.id}/rotate", {"overlap_hours": "x"}).status_code == 422
    rotated = read(browser.post(f"{BASE}/tokens/{token.id}/rotate", {"overlap_hours": "1"}))
    assert "dctl_" in rotated.html
    assert browser.post(f"{BASE}/tokens/{token.id}/rotate", {"overlap_hours": "1"}).status_code == 409
    assert "Revoke ci?" in browser.get(f"{BASE}/tokens/{token.id}/revoke").text
    assert browser.post(f"{BASE}/tokens/{token.id}/revoke").status_code == 303
    assert "revoked" in browser.get(f"{BASE}/tokens").text


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"name": "", "role": "reader"}, 422),
        ({"name": "x", "role": "emperor"}, 422),
        ({"name": "x", "role": "reader", "expires_in_days": "0"}, 422),
        ({"name": "x", "role": "reader", "expires_in_days": "99999"}, 422),
        ({"name": "x", "role": "reader", "expires_in_days": "-1"}, 422),
        ({"name": "x", "role": "reader", "project_ids": "proj_nothing"}, 422),
    ],
)
def test_bad_tokens_are_refused(browser: Browser, staff: dict[str, Actor], form: dict[str, str], status: int) -> None:
    assert browser.post(f"{BASE}/tokens", form).status_code == status
    assert tokens.list_tokens(staff["ada"]) == []


def test_an_admin_is_not_offered_what_is_above_them(browser: Browser, staff: dict[str, Actor]) -> None:
    made = tokens.create(staff["ada"], "high", "owner").token
    browser.actor = staff["abe"]
    shown = browser.get(f"{BASE}/tokens")
    assert "high" in shown.text
    assert not [link for link in shown.links() if made.id in link]
    assert {own["value"] for own in shown.all("option")} == {"admin", "developer", "reader"}
    assert browser.post(f"{BASE}/tokens/{made.id}/revoke").status_code == 403
    assert {own["value"] for own in browser.get(f"{BASE}/invitations").all("option")} == {"developer", "reader"}


def test_the_switch_is_there_for_who_is_in_several(browser: Browser, staff: dict[str, Actor], world: World) -> None:
    assert not browser.get("/dagctl/projects").all("form", action="/pluginsv2/dagctl/organization/choose")
    both = ((world.organization_id, "acme"), ("org-2", HOSTILE))
    browser.actor = replace(staff["ada"], organizations=both)
    shown = browser.get("/dagctl/projects")
    assert shown.all("form", action="/pluginsv2/dagctl/organization/choose", method="post")
    assert HOSTILE in shown.text
    answer = browser.post(f"{BASE}/choose", {"organization_id": "org-2"})
    kept = cookies(answer)
    assert set(kept) == {("dagctl_organization", "/pluginsv2/dagctl"), ("dagctl_organization", "/dagctl")}
    assert all("HttpOnly" in line and "SameSite=Lax" in line for line in kept.values())
    for elsewhere in ("org-3", "", HOSTILE):
        assert browser.post(f"{BASE}/choose", {"organization_id": elsewhere}).status_code == 404
    assert browser.post(f"{BASE}/choose", {"organization_id": "org-2"}, Sec_Fetch_Site="cross-site").status_code == 403


def test_what_people_write_is_only_ever_text(browser: Browser, staff: dict[str, Actor], world: World) -> None:
    root = system_actor(world.organization_id, "cli:root")
    row = members.add_member(root, Person("id-h", HOSTILE, "h@example.org"), "reader")
    printable = HOSTILE.replace("\u202e", "")
    made = tokens.create(staff["ada"], printable, "reader").token
    hostile = replace(staff["ada"], name=HOSTILE)
    browser.actor = hostile
    invited = invitations.invite(hostile, "eve@example.org", "reader")
    for path in (
        f"{BASE}/members?said={HOSTILE}",
        f"{BASE}/members/{row.user.id}/remove",
        f"{BASE}/invitations",
        f"{BASE}/tokens",
        f"{BASE}/tokens/{made.id}/rotate",
        f"{BASE}/tokens/{made.id}/revoke",
    ):
        shown = browser.get(path)
        assert shown.status == 200, path
        assert "onerror" not in {name for _, own in shown.elements for name in own}, path
        assert all(str(own["src"]).startswith("/pluginsv2/dagctl/static/") for own in shown.all("img")), path
    browser.actor = Actor("user", "id-h", HOSTILE, "", user_id=row.user.id)
    cookie = f"_token=a.b.c; dagctl_invitation={invited.link.rpartition('/')[2]}"
    assert "onerror" not in {name for _, own in browser.get("/dagctl/invitations/accept", Cookie=cookie).elements for name in own}
    for form in ({"email": HOSTILE, "role": HOSTILE}, {"name": HOSTILE, "role": HOSTILE, "project_ids": HOSTILE}):
        browser.actor = hostile
        page = "invitations" if "email" in form else "tokens"
        shown = read(browser.post(f"{BASE}/{page}", form))
        assert shown.status == 422
        assert "onerror" not in {name for _, own in shown.elements for name in own}


def test_every_field_has_a_label(browser: Browser, staff: dict[str, Actor]) -> None:
    for path in (f"{BASE}/members", f"{BASE}/invitations", f"{BASE}/tokens"):
        html = browser.get(path).html
        for tag in re.findall(r"<(?:input|select|textarea)\b[^>]*>", html):
            before = html[: html.index(tag)]
            assert before.rfind("<label") > before.rfind("</label>"), tag
