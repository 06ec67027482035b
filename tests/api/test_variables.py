"""Environment variables over REST: the shape of each answer, and what the services are asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from . import conformance
from .records import VARIABLE

PATH = "/environment-variables"
ANSWER = {
    "name": "SNOWFLAKE_KEY",
    "value": "***",
    "is_sensitive": True,
    "mount_as_file": True,
    "file_mount_path": "/secrets/snowflake/rsa_key.p8",
    "file_permissions": 384,
    "environments": ["prod"],
    "created_at": "2026-04-28T10:00:00Z",
    "updated_at": "2026-04-28T10:02:30Z",
}


DELETED = {"message": "Environment variable deleted successfully"}
NEW = {"name": "a", "value": ""}


@pytest.mark.parametrize(
    ("asked", "status", "answer", "called"),
    [
        (("GET", PATH), 200, {"environment_variables": [ANSWER], "total": 1}, ("list_variables",)),
        (("GET", f"{PATH}/snowflake_Key"), 200, ANSWER, ("get_variable", "snowflake_Key")),
        (("POST", PATH, NEW), 201, ANSWER, ("create_variable", NEW)),
        (("PUT", f"{PATH}/A", {"environments": None}), 200, ANSWER, ("update_variable", "A", {"environments": None})),
        (("PUT", f"{PATH}/A", {}), 200, ANSWER, ("update_variable", "A", {})),
        (("DELETE", f"{PATH}/A"), 200, DELETED, ("delete_variable", "A")),
    ],
)
def test_shapes(ask, services, asked, status, answer, called):
    method, path, *body = asked
    given = ask(method, path, json=body[0]) if body else ask(method, path)
    assert (given.status_code, given.get_json()) == (status, answer)
    conformance.check(method, f"/api/v1{path}", given)
    ((name, (_, *arguments), _),) = services.variables.calls
    assert (name, *arguments) == called


def test_one_that_cannot_be_decrypted_says_so(ask, services):
    services.variables.answer(get_variable=replace(VARIABLE, readable=False))
    assert ask("GET", f"{PATH}/A").get_json() == {**ANSWER, "undecryptable": True}
    plain = replace(VARIABLE, variable=replace(VARIABLE.variable, is_sensitive=False), value=None, readable=False)
    services.variables.answer(get_variable=plain)
    assert "value" not in ask("GET", f"{PATH}/A").get_json()


@pytest.mark.parametrize("name", ["%00", "a-b", "a.b", "1a", "x" * 256, "a%20b", "\u00e4", "a%0a"])
def test_what_is_no_name_is_not_found(ask, services, name):
    for method in ("GET", "DELETE"):
        assert ask(method, f"{PATH}/{name}").status_code == 404
    assert services.variables.calls == []
    assert ask("GET", f"{PATH}/{'x' * 255}").status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"value": "x"}, "name"),
        ({"name": "A"}, "value"),
        ({"name": 1, "value": "x"}, "name"),
        ({"name": "A", "value": None}, "value"),
        ({"name": "A", "value": "a\x00"}, "value"),
        ({"name": "A", "value": "x" * 70_000}, "value"),
        ({"name": "A-B", "value": "x"}, "name"),
        ({"name": "A", "value": "x", "is_sensitive": "yes"}, "is_sensitive"),
        ({"name": "A", "value": "x", "mount_as_file": 1}, "mount_as_file"),
        ({"name": "A", "value": "x", "file_permissions": "0600"}, "file_permissions"),
        ({"name": "A", "value": "x", "file_permissions": 0o1777}, "file_permissions"),
        ({"name": "A", "value": "x", "project_ids": []}, "project_ids"),
        ({"name": "A", "value": "x", "environments": "prod"}, "environments"),
        ({"name": "A", "value": "x", "scope": "all"}, "scope"),
    ],
)
def test_what_is_wrong_is_named_and_no_value_is_told(ask, services, body, field):
    answer = ask("POST", PATH, json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.get_json()["errors"]] == [field]
    assert services.variables.calls == []
    assert "x" * 20 not in answer.get_data(as_text=True)


def test_two_megabytes_are_refused(ask, services):
    answer = ask("POST", PATH, json={"name": "A", "value": "x" * 2_000_000})
    assert (answer.status_code, answer.get_json()["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(
    ("token", "statuses"),
    [("owner", (200, 201)), ("admin", (200, 201)), ("developer", (200, 403)), ("reader", (403, 403))],
)
def test_rights(ask, token, statuses):
    headers = {"Authorization": f"Bearer dctl_{token}"}
    reads, writes = statuses
    assert ask("GET", PATH, headers=headers).status_code == reads
    assert ask("GET", f"{PATH}/A", headers=headers).status_code == reads
    assert ask("POST", PATH, json={"name": "A", "value": "x"}, headers=headers).status_code == writes
    changed = 200 if writes == 201 else writes
    assert ask("PUT", f"{PATH}/A", json={"value": "x"}, headers=headers).status_code == changed
    assert ask("DELETE", f"{PATH}/A", headers=headers).status_code == changed
