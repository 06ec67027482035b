"""Members, invitations and tokens over REST: the shape of each answer, what each body may hold, and what services are told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from .conftest import JWT
from .records import LINK

MEMBER = {
    "id": "user_abc123",
    "organization_id": "org-xxxxxxxx",
    "email": "ada@example.com",
    "name": "Ada",
    "role": "developer",
    "created_at": "2026-01-15T10:00:00Z",
    "updated_at": "2026-02-20T14:30:00Z",
    "last_login_at": "2026-02-26T08:00:00Z",
}
INVITATION = {
    "id": "inv_abc123",
    "organization_id": "org-xxxxxxxx",
    "email": "bob@example.com",
    "role": "reader",
    "expired": False,
    "created_by": "Ada",
    "created_at": "2026-02-26T08:00:00Z",
    "expires_at": "2099-03-05T08:00:00Z",
}
SENT = {**INVITATION, "sent_at": "2026-02-26T08:00:01Z"}
TOKEN = {
    "id": "tok_abc123",
    "organization_id": "org-xxxxxxxx",
    "name": "ci",
    "role": "developer",
    "prefix": "dctl_4Wc0",
    "project_ids": ["proj_abc123"],
    "created_by": "user_abc123",
    "created_at": "2026-01-15T10:00:00Z",
    "expires_at": "2026-04-15T10:00:00Z",
}
NOT_SENT = "Airflow has no connection 'smtp_default', so no mail was sent."


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "answer"),
    [
        ("GET", "/organizations/members", None, 200, {"members": [MEMBER], "total": 1}),
        (
            *("PUT", "/organizations/members/user_abc123/role", {"role": "admin"}, 200),
            {"member": MEMBER, "message": "Member role updated successfully"},
        ),
        ("DELETE", "/organizations/members/user_abc123", None, 200, {"message": "Member removed successfully"}),
        ("GET", "/organizations/invitations", None, 200, {"invitations": [SENT], "total": 1}),
        (
            *("POST", "/organizations/invitations", {"email": "bob@example.com", "role": "reader"}, 201),
            {"invitation": SENT, "message": "Invitation sent successfully"},
        ),
        (
            *("POST", "/organizations/invitations/inv_abc123/resend", None, 200),
            {
                "invitation": INVITATION,
                "message": "No mail was sent; pass the link on yourself",
                "link": LINK,
                "mail_error": NOT_SENT,
            },
        ),
        ("DELETE", "/organizations/invitations/inv_abc123", None, 200, {"message": "Invitation withdrawn successfully"}),
        (
            *("POST", "/invitations/accept", {"token": "dinv_x"}, 200),
            {"member": MEMBER, "organization_name": "default", "message": "Invitation accepted successfully"},
        ),
        (
            *("GET", "/organizations", None, 200),
            {
                "organizations": [
                    {"id": "org-xxxxxxxx", "name": "default", "role": "developer", "created_at": "2026-01-15T10:00:00Z"}
                ],
                "total": 1,
            },
        ),
        ("GET", "/organizations/tokens", None, 200, {"tokens": [TOKEN], "total": 1}),
        ("POST", "/organizations/tokens", {"name": "ci", "role": "developer"}, 201, {"token": TOKEN, "secret": "dctl_secret"}),
        (
            *("DELETE", "/organizations/tokens/tok_abc123", None, 200),
            {"token": {**TOKEN, "revoked_at": "2026-02-26T08:00:00Z"}, "message": "Token revoked successfully"},
        ),
        (
            *("POST", "/organizations/tokens/tok_abc123/rotate", None, 201),
            {
                "token": {**TOKEN, "id": "tok_def456"},
                "secret": "dctl_secret",
                "former": {**TOKEN, "replaced_by": "tok_def456"},
            },
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_shapes(ask, method, path, body, status, answer):
    response = ask(method, path, json=body) if body is not None else ask(method, path)
    assert (response.status_code, response.get_json()) == (status, answer)


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/organizations/members/user_1/role", {}, "role"),
        ("PUT", "/organizations/members/user_1/role", {"role": "emperor"}, "role"),
        ("PUT", "/organizations/members/user_1/role", {"role": None}, "role"),
        ("PUT", "/organizations/members/user_1/role", {"role": "admin", "more": 1}, "more"),
        ("POST", "/organizations/invitations", {"role": "reader"}, "email"),
        ("POST", "/organizations/invitations", {"email": "a@b.org", "role": "Reader"}, "role"),
        ("POST", "/organizations/invitations", {"email": "x" * 321, "role": "reader"}, "email"),
        ("POST", "/organizations/invitations", {"email": "a\x00@b.org", "role": "reader"}, "email"),
        ("POST", "/invitations/accept", {}, "token"),
        ("POST", "/invitations/accept", {"token": "x" * 201}, "token"),
        ("POST", "/organizations/tokens", {"role": "reader"}, "name"),
        ("POST", "/organizations/tokens", {"name": "x", "role": "reader", "project_ids": []}, "project_ids"),
        ("POST", "/organizations/tokens", {"name": "x", "role": "reader", "project_ids": ["a/b"]}, "project_ids"),
        ("POST", "/organizations/tokens", {"name": "x", "role": "reader", "project_ids": None}, "project_ids"),
        ("POST", "/organizations/tokens", {"name": "x", "role": "reader", "expires_in_days": 0}, "expires_in_days"),
        ("POST", "/organizations/tokens", {"name": "x", "role": "reader", "expires_in_days": 3651}, "expires_in_days"),
        ("POST", "/organizations/tokens", {"name": "x", "role": "reader", "expires_in_days": True}, "expires_in_days"),
        ("POST", "/organizations/tokens/tok_1/rotate", {"overlap_hours": -1}, "overlap_hours"),
        ("POST", "/organizations/tokens/tok_1/rotate", {"overlap_hours": 721}, "overlap_hours"),
    ],
    ids=str,
)
def test_wrong_bodies_are_named(ask, services, method, path, body, field):
    response = ask(method, path, json=body)
    assert response.status_code == 422
    assert [error["field"] for error in response.get_json()["errors"]] == [field]
    assert not any(fake.calls for fake in services.all())


def test_services_are_told_what_was_sent(ask, services):
    ask("POST", "/organizations/tokens", json={"name": "x", "role": "reader", "project_ids": ["proj_1"], "expires_in_days": 2})
    ((_, (actor, name, role), named),) = services.tokens.calls
    assert (actor.door, actor.source, name, role) == ("rest", "127.0.0.1", "x", "reader")
    assert named == {"project_ids": ["proj_1"], "expires_in": timedelta(days=2)}
    ask("POST", "/organizations/tokens/tok_1/rotate", json={"overlap_hours": 0})
    assert services.tokens.calls[1][1][1:] == ("tok_1", timedelta(0))


@pytest.mark.parametrize("path", ["/invitations/accept", "/organizations"])
def test_no_membership_is_needed_to_accept_or_to_list_ones_organizations(client, services, person, path):
    method, body = ("POST", {"token": "dinv_x"}) if "accept" in path else ("GET", None)
    headers = {"Authorization": f"Bearer {JWT}"}
    assert client.open(f"/api/v1{path}", method=method, headers=headers, json=body).status_code == 200
    (called,) = [call for fake in (services.members, services.invitations) for call in fake.calls]
    assert (called[1][0].organization_id, called[1][0].permissions, called[1][0].user_id) == ("", frozenset(), "user_ann")


def test_accepting_by_cookie_must_come_from_an_own_page(client, services, person):
    body = {"json": {"token": "dinv_x"}}
    assert client.post("/api/v1/invitations/accept", headers={"Cookie": f"_token={JWT}"}, **body).status_code == 403
    assert client.post("/api/v1/invitations/accept", **body).status_code == 401
    assert services.invitations.calls == []


def test_secrets_are_in_no_repr(services):
    made = services.tokens._answers["create"]
    invited = services.invitations._answers["invite"]
    assert "dctl_secret" not in repr(made)
    assert "dinv_secret" not in repr(invited)
