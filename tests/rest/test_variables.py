"""Environment variables over REST with everything behind it: no value comes back, and no plan is approved with others."""

from __future__ import annotations

from typing import Any

import pytest

from tests.services.world import World

Ask = Any
PATH = "/environment-variables"
PLANTED = "planted-s3cret-value"


def fields(answer: Any) -> list[str]:
    assert answer.status_code == 422, answer.json
    return [error["field"] for error in answer.json["errors"]]


def test_a_variable_from_its_creation_to_its_end(ask: Ask) -> None:
    file = {"mount_as_file": True, "file_mount_path": "/secrets/a/key.p8"}
    made = ask("POST", PATH, json={"name": "my_Key", "value": PLANTED, **file})
    assert made.status_code == 201
    assert made.json.items() >= {"name": "MY_KEY", "value": "***", "is_sensitive": True, "file_permissions": 384, **file}.items()
    again = ask("POST", PATH, json={"name": "MY_KEY", "value": "other"})
    assert (again.status_code, again.json["code"]) == (409, "name_taken")
    plain = ask("POST", PATH, json={"name": "SCHEMA", "value": "analytics", "is_sensitive": False}).json
    assert plain["value"] == "analytics"
    listed = ask("GET", PATH).json
    assert [one["name"] for one in listed["environment_variables"]] == ["MY_KEY", "SCHEMA"]
    assert listed["total"] == 2
    changed = ask("PUT", f"{PATH}/My_Key", json={"file_permissions": 256, "environments": ["prod"]}).json
    assert (changed["file_permissions"], changed["file_mount_path"], changed["environments"]) == (
        256,
        "/secrets/a/key.p8",
        ["prod"],
    )
    assert fields(ask("PUT", f"{PATH}/my_key", json={"is_sensitive": False})) == ["value"]
    assert "environments" not in ask("PUT", f"{PATH}/MY_KEY", json={"environments": None}).json
    assert ask("DELETE", f"{PATH}/my_key").status_code == 200
    for method in ("GET", "DELETE"):
        assert ask(method, f"{PATH}/MY_KEY").status_code == 404
    assert ask("PUT", f"{PATH}/MY_KEY", json={"value": "x"}).status_code == 404


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"name": "PATH"}, ["name"]),
        ({"name": "ld_preload"}, ["name"]),
        ({"mount_as_file": True, "file_mount_path": "/etc/passwd"}, ["file_mount_path"]),
        ({"mount_as_file": True, "file_mount_path": "/secrets/../etc/passwd"}, ["file_mount_path"]),
        ({"mount_as_file": True, "file_mount_path": "secrets/a"}, ["file_mount_path"]),
        ({"mount_as_file": True, "file_permissions": 0o777}, ["file_permissions"]),
        ({"file_mount_path": "/secrets/a"}, ["file_mount_path"]),
        ({"file_permissions": 384}, ["file_permissions"]),
        ({"value": "é" * 40_000}, ["value"]),
        ({"project_ids": ["proj_unknown"]}, ["project_ids"]),
        ({"environments": ["no such name!"]}, ["environments"]),
        ({"mount_as_file": True, "file_mount_path": "/secrets/TAKEN"}, ["file_mount_path"]),
    ],
)
def test_bad_input_is_named_and_nothing_is_made(ask: Ask, body: dict[str, Any], named: list[str]) -> None:
    ask("POST", PATH, json={"name": "TAKEN", "value": "x", "mount_as_file": True})
    assert fields(ask("POST", PATH, json={"name": "TOKEN", "value": PLANTED, **body})) == named
    assert ask("GET", PATH).json["total"] == 1


def test_a_plan_says_which_variables_it_saw_and_is_approved_with_no_others(ask: Ask, world: World) -> None:
    ask("POST", PATH, json={"name": "TOKEN", "value": PLANTED})
    step = world.explained(world.project())
    plan = ask("GET", f"/plans/{step.id}")
    assert list(plan.json["variables"]) == ["TOKEN"]
    assert len(plan.json["variables"]["TOKEN"]) == 64
    ask("PUT", f"{PATH}/TOKEN", json={"value": f"{PLANTED}-2"})
    answer = ask("POST", f"/plans/{step.id}/approve", json={})
    assert (answer.status_code, answer.json["code"], answer.json["variables"]) == (409, "variables_changed", ["TOKEN"])
    assert "TOKEN" in answer.json["detail"]
    group = ask("GET", f"/plans/group/{step.group_id}/steps")
    for text in (plan, answer, group, ask("GET", PATH), ask("GET", "/audit")):
        assert PLANTED not in text.get_data(as_text=True)
    ask("PUT", f"{PATH}/TOKEN", json={"value": PLANTED})
    assert ask("POST", f"/plans/{step.id}/approve", json={}).status_code == 200
