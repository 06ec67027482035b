"""Environment protection over REST: the shapes that the platform names, and ours beside them."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.api.v1.protections import examples
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.evaluations import Evaluation, Missing
from dagctl_provider.domain.protections import refused
from dagctl_provider.services.results import PlanApprovalRecorded

from . import conformance
from .records import EXPLAIN

ITEM = {"id", "organization_id", "environment_name", "enabled", "created_by", "created_at", "updated_at"}
BEYOND_THE_DOCUMENT = {"excepted_roles", "excepted_token_ids", "rules"}


@pytest.fixture
def send(ask):
    """Asks, and every answer must be as documented."""

    def sent(method: str, path: str, **more: Any) -> Any:
        answer = ask(method, path, **more)
        conformance.check(method, f"/api/v1{path}", answer)
        return answer

    return sent


def test_the_list(send):
    answer = send("GET", "/environment-protections").json
    assert answer == examples.LIST
    assert set(answer["protections"][0]) == ITEM


def test_a_single_one_says_who_is_excepted(send):
    answer = send("GET", "/environment-protections/ep_abc123").json
    assert set(answer) - BEYOND_THE_DOCUMENT == ITEM | {"excepted_users"}
    assert answer == examples.PROTECTION


def test_create_answers_201_and_hands_on_what_was_sent(send, services):
    answer = send("POST", "/environment-protections", json={"environment_name": "prod"})
    assert (answer.status_code, answer.json["id"]) == (201, "ep_abc123")
    (_, (_, values), _), = services.protections.calls  # fmt: skip
    assert values == {"environment_name": "prod"}, "enabled is true by itself"


def test_change_answers_200(send, services):
    body = {"environment_name": "staging", "enabled": False, "rules": {"quorum": 2}, "excepted_user_ids": ["user_1"]}
    assert send("PUT", "/environment-protections/ep_abc123", json=body).status_code == 200
    (_, (_, identifier, values), _), = services.protections.calls  # fmt: skip
    assert (identifier, values) == ("ep_abc123", body)


def test_removal_says_so(send):
    assert send("DELETE", "/environment-protections/ep_abc123").json == examples.DELETED


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "environment_name"),
        ({"environment_name": None}, "environment_name"),
        ({"environment_name": "prod", "enabled": "yes"}, "enabled"),
        ({"environment_name": "prod", "excepted_roles": ["chief"]}, "excepted_roles"),
        ({"environment_name": "prod", "excepted_user_ids": "user_1"}, "excepted_user_ids"),
        ({"environment_name": "prod", "rules": []}, "rules"),
        ({"environment_name": "prod", "quorum": 2}, "quorum"),
        ({"environment_name": "prod", "rules": {"windows": [{"kind": "allow", "cron": "0 0 30 2 *"}]}}, "rules.windows[0].cron"),
        ({"environment_name": "prod", "rules": {"qorum": 2}}, "rules.qorum"),
    ],
)
def test_what_is_wrong_is_named(body, field, send):
    answer = send("POST", "/environment-protections", json=body)
    assert (answer.status_code, [error["field"] for error in answer.json["errors"]]) == (422, [field])


def test_check_is_allowed_refused_or_absent(send, services):
    path = "/environment-protections/check?project_id=proj_1&environment=prod"
    assert send("GET", path).json == {"allowed": True, "environment": "prod"}
    services.protections.answer(check=refused("prod", "Ada"))
    answer = send("GET", path)
    assert (answer.status_code, answer.content_type) == (403, "application/problem+json")
    assert answer.json["message"] == "The environment 'prod' is protected, and 'Ada' is not among those who may change it."
    services.protections.answer(check=not_found("Protection of environment", "prod"))
    assert send("GET", path).status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/environment-protections", ("owner", "admin")),
        ("GET", "/environment-protections/ep_abc123", ("owner", "admin")),
        ("POST", "/environment-protections", ("owner", "admin")),
        ("PUT", "/environment-protections/ep_abc123", ("owner", "admin")),
        ("DELETE", "/environment-protections/ep_abc123", ("owner", "admin")),
        ("GET", "/environment-protections/check?project_id=p", ("owner", "admin", "developer", "reader")),
    ],
)
@pytest.mark.parametrize("role", ["owner", "admin", "developer", "reader"])
def test_who_may(method, path, allowed, role, send):
    body = {"json": {"environment_name": "prod"}} if method in ("POST", "PUT") else {}
    answer = send(method, path, headers={"Authorization": f"Bearer dctl_{role}"}, **body)
    assert (answer.status_code < 300) is (role in allowed)
    assert answer.status_code < 300 or answer.status_code == 403


def test_an_approval_that_is_not_enough_has_an_answer_of_its_own(send, services):
    evaluation = Evaluation(2, (), (Missing("approvals", 1, ("Grace",)),))
    services.plans.answer(approve=PlanApprovalRecorded(EXPLAIN, evaluation))
    answer = send("POST", "/plans/plan_abc123/approve", json={"override_reason": "Because."})
    assert answer.json == {
        "message": "Still missing: 1 approval: Grace can give it.",
        "plan_id": "plan_abc123",
        "status": "approval_recorded",
        "approvals": [],
        "required": 2,
        "missing": [{"rule": "approvals", "needed": 1, "who_can": ["Grace"]}],
    }
    ((_, _, named),) = services.plans.calls
    assert named["override_reason"] == "Because."


@pytest.mark.parametrize("path", ["/plans/plan_abc123/approve", "/plans/plan_abc123/retry", "/projects/proj_1/run"])
def test_a_closed_window_is_a_conflict_that_says_when(path, send, services):
    error = DagctlError("outside_window", "Closed.", environment="prod", opens_at="2026-05-01T08:00:00Z")
    services.plans.answer(approve=error, retry=error)
    services.projects.answer(run_project=error)
    answer = send("POST", path, json={"override_reason": "Now."})
    assert (answer.status_code, answer.json["code"], answer.json["opens_at"]) == (409, "outside_window", "2026-05-01T08:00:00Z")
