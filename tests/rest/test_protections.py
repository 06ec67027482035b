"""Protected environments over REST, with everything behind it: each answer as documented, and per caller what they may do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dagctl_provider.services import tokens
from tests.services.world import World

Ask = Callable[..., Any]


@pytest.fixture
def holds(world: World, headers: dict[str, str]) -> Callable[[str, str], dict[str, str]]:
    """Credentials of somebody with a role."""

    def made(name: str, role: str) -> dict[str, str]:
        secret = tokens.create_token(world.organization_id, name, role, name).secret
        return {"Authorization": f"Bearer {secret}"}

    return made


def test_from_the_protection_to_the_execution(ask: Ask, world: World, holds: Callable[[str, str], dict[str, str]]) -> None:
    developer, reader, outsider = holds("dev", "developer"), holds("rita", "reader"), holds("adam", "admin")
    rules = {"quorum": 2, "override": True}
    made = ask(
        "POST",
        "/environment-protections",
        json={"environment_name": "prod", "excepted_roles": ["owner", "developer"], "rules": rules},
    )
    assert (made.status_code, made.get_json()["rules"]) == (201, rules)
    again = ask("POST", "/environment-protections", json={"environment_name": "Prod"})
    assert (again.status_code, again.get_json()["code"]) == (409, "name_taken")
    nowhere = ask("POST", "/environment-protections", json={"environment_name": "nowhere"})
    assert (nowhere.status_code, nowhere.get_json()["errors"][0]["field"]) == (422, "environment_name")
    step = world.explained(world.project())
    path = f"/plans/{step.id}"
    waiting = ask("GET", path).get_json()
    assert (waiting["approvals"], waiting["required"]) == ([], 2)
    assert [(one["rule"], one["needed"], one["who_can"]) for one in waiting["missing"]] == [("approvals", 2, ["dev", "test"])]
    assert waiting["allowed_verbs"] == ["approve", "reject", "delete"]
    seen = ask("GET", path, headers=outsider).get_json()
    assert seen["allowed_verbs"] == ["reject", "delete"]
    assert "is not among those who may change it" in seen["why_not"]["approve"]
    assert ask("GET", path, headers=reader).get_json()["allowed_verbs"] == []
    refused = ask("POST", f"{path}/approve", headers=outsider)
    assert (refused.status_code, refused.get_json()["code"]) == (403, "environment_protected")
    first = ask("POST", f"{path}/approve", headers=developer).get_json()
    assert (first["status"], [one["name"] for one in first["approvals"]]) == ("approval_recorded", ["dev"])
    assert ask("GET", path).get_json()["approvals"] == first["approvals"]
    assert ask("GET", f"/plans/group/{step.group_id}/steps").get_json()["steps"][0]["missing"] == first["missing"]
    assert "execution_plan_id" in ask("POST", f"{path}/approve").get_json()
    done = ask("GET", path).get_json()
    assert (done["status"], [one["name"] for one in done["approvals"]], done["missing"]) == ("approved", ["dev", "test"], [])


def test_a_closed_environment_over_rest(ask: Ask, world: World) -> None:
    from datetime import timedelta

    from dagctl_provider.store.session import utcnow

    tomorrow = (utcnow() + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
    window = {"kind": "deny", "from": "2020-01-01", "until": tomorrow, "time_zone": "UTC"}
    body = {"environment_name": "prod", "excepted_roles": ["owner"], "rules": {"windows": [window], "override": True}}
    made = ask("POST", "/environment-protections", json=body).get_json()
    assert made["rules"]["windows"] == [window]
    step = world.explained(world.project())
    closed = ask("POST", f"/plans/{step.id}/approve")
    assert (closed.status_code, closed.get_json()["opens_at"]) == (409, f"{tomorrow}:00Z")
    assert ask("GET", f"/plans/{step.id}").get_json()["opens_at"].startswith(f"{tomorrow}:00Z (")
    assert ask("POST", f"/plans/{step.id}/approve", json={"override_reason": "Now."}).status_code == 200
    assert ask("DELETE", f"/environment-protections/{made['id']}").status_code == 200
    assert ask("GET", f"/environment-protections/{made['id']}").status_code == 404
