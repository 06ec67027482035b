"""What arrives is checked before it reaches a service, and what is wrong is named."""

from __future__ import annotations

import json
import logging

import pytest
from sqlalchemy.exc import InterfaceError, OperationalError

from dagctl_provider.api.v1.projects import schemas
from dagctl_provider.domain.errors import ERRORS, DagctlError
from dagctl_provider.domain.repository import InvalidRepository

from .conftest import HEADERS

GOOD = {"name": "analytics", "repository_url": "https://github.com/acme/analytics"}


def fields(response) -> set[str]:
    return {error["field"] for error in response.json["errors"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"nope": 1}, "nope"),
        ({"name": 5}, "name"),
        ({"name": None}, "name"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "-a"}, "name"),
        ({"name": "analytics\n"}, "name"),
        ({"name": "a" * 64}, "name"),
        ({"description": "a\x00b"}, "description"),
        ({"description": "\ud800"}, "description"),
        ({"description": "x" * 1001}, "description"),
        ({"description": None}, "description"),
        ({"agent_context": "x" * 10_001}, "agent_context"),
        ({"repository_url": "x" * 1025}, "repository_url"),
        ({"branch": ""}, "branch"),
        ({"project_type": "airbyte"}, "project_type"),
        ({"git_auth_method": "password"}, "git_auth_method"),
        ({"auto_apply": 1}, "auto_apply"),
        ({"auto_apply": "true"}, "auto_apply"),
        ({"cpu_request": "lots"}, "cpu_request"),
        ({"memory_limit": "-1Gi"}, "memory_limit"),
        ({"concurrency_policy": "allow"}, "concurrency_policy"),
        ({"dbt_version": "1.8.0"}, "dbt_version"),
        ({"version_strategy": "semantic"}, "version_strategy"),
        ({"project_type": "dbt", "sqlmesh_version": "0.130.0"}, "sqlmesh_version"),
        ({"project_type": "dbt", "polling_interval": "9s"}, "polling_interval"),
        ({"project_type": "dbt", "polling_interval": "soon"}, "polling_interval"),
        ({"project_type": "dbt", "polling_interval": ""}, "polling_interval"),
        ({"max_concurrent_job_runs": 2}, "max_concurrent_job_runs"),
        ({"status": "active"}, "status"),
        ({"deployed": True}, "deployed"),
    ],
    ids=str,
)
def test_create_refuses(change, field, ask, services):
    response = ask("POST", "/projects", json={**GOOD, **change})
    assert (response.status_code, response.json["code"]) == (422, "invalid_request")
    assert fields(response) == {field}
    assert not services.projects.calls


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"project_type": None}, "project_type"),
        ({"max_concurrent_job_runs": True}, "max_concurrent_job_runs"),
        ({"max_concurrent_job_runs": 1.0}, "max_concurrent_job_runs"),
        ({"max_concurrent_job_runs": "1"}, "max_concurrent_job_runs"),
        ({"max_concurrent_job_runs": 0}, "max_concurrent_job_runs"),
        ({"max_concurrent_job_runs": 101}, "max_concurrent_job_runs"),
        ({"status": "gone"}, "status"),
        ({"suspended": None}, "suspended"),
    ],
    ids=str,
)
def test_update_refuses(change, field, ask, services):
    response = ask("PUT", "/projects/proj_abc123", json=change)
    assert response.status_code == 422
    assert fields(response) == {field}
    assert not services.projects.calls


def test_the_project_type_may_be_repeated_and_not_changed(ask, services):
    assert ask("PUT", "/projects/proj_abc123", json={"project_type": "sqlmesh", "run_tests": False}).status_code == 200
    assert services.projects.calls[-1][1][2] == {"run_tests": False}
    before = len(services.projects.calls)
    response = ask("PUT", "/projects/proj_abc123", json={"project_type": "dbt", "run_tests": False})
    assert (response.status_code, fields(response)) == (422, {"project_type"})
    assert response.json["errors"][0]["message"] == "cannot be changed"
    assert [name for name, _, _ in services.projects.calls[before:]] == ["get_project"]


def test_missing_fields_are_named(ask):
    assert fields(ask("POST", "/projects", json={})) == {"name", "repository_url"}
    assert fields(ask("POST", "/projects")) == {"name", "repository_url"}


def test_update_hands_on_only_what_was_sent(ask, services):
    assert ask("PUT", "/projects/proj_abc123", json={"description": None, "suspended": True}).status_code == 200
    assert services.projects.calls[0][1][2] == {"description": None, "suspended": True}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("page=0", "query.page"),
        ("page=-1", "query.page"),
        ("page=1.0", "query.page"),
        ("page=%2B1", "query.page"),
        ("page=", "query.page"),
        ("page=\uff11", "query.page"),
        ("page=2147483648", "query.page"),
        ("limit=0", "query.limit"),
        ("limit=501", "query.limit"),
        ("limit=1e2", "query.limit"),
        ("status=", "query.status"),
        ("status=done", "query.status"),
        ("page=1&page=1", "query.page"),
        ("size=5", "query.size"),
    ],
)
def test_list_plans_refuses(query, field, ask, services):
    response = ask("GET", f"/projects/proj_xyz/plans?{query}")
    assert response.status_code == 422
    assert fields(response) == {field}
    assert not services.plans.calls


def test_list_plans_hands_paging_on(ask, services):
    ask("GET", "/projects/proj_xyz/plans")
    ask("GET", "/projects/proj_xyz/plans?page=3&limit=500&status=failed")
    assert [call[2] for call in services.plans.calls] == [
        {"page": 1, "limit": 25, "status": None},
        {"page": 3, "limit": 500, "status": "failed"},
    ]


@pytest.mark.parametrize("name", ["function-x", "__class__", "a.b", "\u0000", "x" * 64])
def test_unknown_fields_are_named_whatever_they_are_called(name, ask):
    assert fields(ask("PUT", "/projects/proj_abc123", json={name: 1})) == {name}


@pytest.mark.parametrize("data", [b'{"\\ud800": 1}', b'{"": 1}'])
def test_fields_that_have_no_name_to_speak_of(data, ask):
    response = ask("PUT", "/projects/proj_abc123", data=data, content_type="application/json")
    assert (response.status_code, fields(response)) == (422, {""})


@pytest.mark.parametrize("body", [{f"field{number}": 1 for number in range(50_000)}, {"k" * 1_000_000: 1}], ids=["many", "long"])
def test_invented_fields_make_no_large_answer(body, ask):
    response = ask("PUT", "/projects/proj_abc123", json=body)
    assert response.status_code == 422
    assert len(response.data) < 6000
    assert len(body) == 1 or "and 49990 more" in response.json["detail"]


def test_messages_are_about_text_and_name_an_example(ask):
    said = {
        error["field"]: error["message"]
        for error in ask("POST", "/projects", json={"name": "my project!", "repository_url": "", "description": "x" * 1001}).json[
            "errors"
        ]
    }
    assert said["name"].startswith("must match ^")
    assert said["name"].endswith(", as 'analytics' does")
    assert said["description"] == "String should have at most 1000 characters"
    assert said["repository_url"] == "String should have at least 1 character"


def test_what_is_wrong_with_json_is_said_in_words_of_json(ask):
    said = {
        data: ask("PUT", "/projects/proj_abc123", data=data, content_type="application/json").json["detail"]
        for data in (b'{"a": ' + b"9" * 5000 + b"}", b"\xef\xbb\xbf{}", b"{'a': 1}")
    }
    assert list(said.values()) == [
        "The body is not valid JSON: a number has too many digits.",
        "The body is not valid JSON: Unexpected UTF-8 BOM at line 1, column 1.",
        "The body is not valid JSON: Expecting property name enclosed in double quotes at line 1, column 2.",
    ]


def test_parameters_where_none_are_known(ask):
    assert fields(ask("GET", "/projects?page=1")) == {"query.page"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "invalid_json"),
        (b"\xff\xfe", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'{"comment": NaN}', "invalid_json"),
        (b'{"comment": "a", "comment": "b"}', "invalid_json"),
        (b"[" * 100_000, "invalid_json"),
        (b"1" * 5000, "invalid_json"),
        (b"[]", "invalid_request"),
        (b"null", "invalid_request"),
        (b'"x"', "invalid_request"),
    ],
)
def test_bodies_that_are_no_json_object(data, code, ask, services):
    response = ask("POST", "/plans/plan_abc123/approve", data=data, content_type="application/json")
    assert response.json["code"] == code
    assert response.status_code == ERRORS[code].status
    assert not services.plans.calls


@pytest.mark.parametrize("kwargs", [{}, {"data": b"", "content_type": "application/json"}, {"json": {}}])
@pytest.mark.parametrize("path", ["/projects/proj_xyz/plans", "/plans/plan_abc123/approve", "/plans/plan_abc123/retry"])
def test_bodies_may_be_empty(path, kwargs, ask):
    assert ask("POST", path, **kwargs).status_code in (200, 201)


@pytest.mark.parametrize("path", ["/projects/proj_xyz/plans", "/plans/plan_abc123/approve", "/projects/proj_abc123/run"])
def test_unknown_fields_are_named_everywhere(path, ask):
    assert fields(ask("POST", path, json={"force": True})) == {"force"}


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
        {},
    ],
)
def test_media_types_that_are_not_read(headers, ask):
    response = ask("POST", "/plans/plan_abc123/approve", data=b"{}", headers=headers)
    assert (response.status_code, response.json["code"]) == (415, "unsupported_media_type")


def test_large_bodies(ask):
    spaces = b" " * (2**20 - 2)
    kwargs = {"content_type": "application/json"}
    assert ask("POST", "/plans/plan_abc123/approve", data=b"{}" + spaces, **kwargs).status_code == 200
    assert ask("POST", "/plans/plan_abc123/approve", data=b"{}" + spaces + b" ", **kwargs).status_code == 413


def test_a_comment_is_handed_on(ask, services):
    ask("POST", "/plans/plan_abc123/reject", json={"comment": "too much"})
    ask("POST", "/plans/plan_abc123/approve")
    assert [call[2] for call in services.plans.calls] == [
        {"door": "rest", "comment": "too much"},
        {"door": "rest", "comment": None, "allow_destructive": (), "override_reason": None},
    ]
    assert fields(ask("POST", "/plans/plan_abc123/reject", json={"comment": "x" * 2001})) == {"comment"}
    assert fields(ask("POST", "/plans/plan_abc123/reject", json={"comment": None})) == {"comment"}


def test_names_of_destructive_changes_are_handed_on(ask, services):
    ask("POST", "/plans/plan_abc123/approve", json={"allow_destructive": ["marts.orders", "marts.items"]})
    assert services.plans.calls[0][2]["allow_destructive"] == ("marts.orders", "marts.items")
    for broken in (None, "marts.orders", [3], ["x" * 4001]):
        answer = ask("POST", "/plans/plan_abc123/approve", json={"allow_destructive": broken})
        assert answer.status_code == 422
        assert all(name.startswith("allow_destructive") for name in fields(answer))
    assert fields(ask("POST", "/plans/plan_abc123/reject", json={"allow_destructive": []})) == {"allow_destructive"}
    assert len(services.plans.calls) == 1


@pytest.mark.parametrize("identifier", ["%00", "a%00b", "%20", "a'b", "..", "x" * 65, "\u00e4", "a:b", "%ff"])
def test_malformed_ids_are_not_found(identifier, ask, services):
    for path in (f"/plans/{identifier}", f"/projects/{identifier}", f"/plans/group/{identifier}/steps"):
        response = ask("GET", path)
        assert (response.status_code, response.json["code"]) == (404, "not_found")
    assert not services.plans.calls
    assert not services.projects.calls


@pytest.mark.parametrize(
    "path", ["/api/v1", "/api/v1/", "/api/v1//projects", "/api/v1/projects/", "/api/v1/plans", "/api/v1/%00"]
)
def test_unknown_paths_are_problems(path, client):
    response = client.get(path, headers=HEADERS)
    assert response.status_code == 404
    assert response.content_type == "application/problem+json"


def test_other_paths_are_left_alone(client):
    assert client.get("/api/v10/projects").content_type.startswith("text/html")


def test_wrong_methods_name_the_right_ones(client):
    response = client.delete("/api/v1/projects", headers=HEADERS)
    assert (response.status_code, response.json["code"]) == (405, "method_not_allowed")
    assert response.headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_problem_has_every_member(ask, services):
    services.plans.answer(get_plan=DagctlError("wrong_state", "Cannot.", allowed=["cancel"], current_status="running"))
    response = ask("GET", "/plans/plan_abc123")
    assert response.content_type == "application/problem+json"
    assert response.json == {
        "type": "urn:dagctl:problem:wrong_state",
        "title": "Not allowed in this state",
        "status": 409,
        "detail": "Cannot.",
        "instance": "/api/v1/plans/plan_abc123",
        "code": "wrong_state",
        "message": "Cannot.",
        "hint": ERRORS["wrong_state"].hint,
        "allowed": ["cancel"],
        "current_status": "running",
    }


@pytest.mark.parametrize("code", ERRORS)
def test_every_code_answers_with_its_status(code, ask, services):
    services.plans.answer(retry=DagctlError(code, "Sentence.", expected_commit="a" * 40, current_commit="b" * 7))
    response = ask("POST", "/plans/plan_abc123/retry")
    assert (response.status_code, response.json["code"]) == (ERRORS[code].status, code)
    assert (response.json["expected_commit"], response.json["current_commit"]) == ("a" * 7, "b" * 7)


def test_refused_repositories_name_the_field(ask, services):
    services.projects.answer(create_project=InvalidRepository("branch", "leading_dash", "A branch does not begin with a dash."))
    response = ask("POST", "/projects", json=GOOD)
    assert (response.status_code, response.json["code"]) == (422, "invalid_repository")
    assert response.json["reason"] == "leading_dash"
    assert fields(response) == {"branch"}


def test_what_nobody_foresaw_is_logged_and_not_told(ask, services, caplog):
    services.plans.answer(get_plan=RuntimeError("password=hunter2"))
    with caplog.at_level(logging.ERROR):
        response = ask("GET", "/plans/plan_abc123")
    assert (response.status_code, response.json["code"]) == (500, "internal_error")
    assert "hunter2" not in json.dumps(response.json)
    assert response.json["error_id"] in caplog.text
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("kind", [OperationalError, InterfaceError])
def test_a_database_that_is_away_is_no_fault_of_the_request(ask, services, kind):
    services.plans.answer(get_plan=kind("COMMIT", {}, Exception("server closed the connection; password=hunter2")))
    response = ask("GET", "/plans/plan_abc123")
    assert (response.status_code, response.json["code"]) == (503, "database_unavailable")
    assert response.headers["Retry-After"] == "5"
    assert "hunter2" not in response.text


def test_a_failure_before_the_request_is_ours_is_a_problem_too(services):
    """Auth managers look at each request first, and may fail."""
    from flask import Flask

    from dagctl_provider.api.v1.resources import PlansApi

    app = Flask(__name__)
    with app.app_context():
        app.register_blueprint(PlansApi().create_blueprint(None))

    @app.before_request
    def fail():
        raise RuntimeError("hunter2")

    response = app.test_client().get("/api/v1/plans/plan_abc123", headers=HEADERS)
    assert (response.status_code, response.json["code"]) == (500, "internal_error")
    assert "hunter2" not in response.text


def test_a_failed_step_says_why(ask, services):
    from dataclasses import replace

    from .records import EXECUTE

    failed = replace(
        EXECUTE,
        status="failed",
        error_message="Out of memory.",
        error_code="oom_killed",
        error_hint="Raise memory_limit.",
        verbs=("retry",),
    )
    services.plans.answer(get_plan=failed)
    plan = ask("GET", "/plans/plan_def456").json
    assert plan["error"] == {"code": "oom_killed", "message": "Out of memory.", "hint": "Raise memory_limit."}
    assert plan["allowed_verbs"] == ["retry"]
    services.plans.answer(get_plan=replace(failed, error_code=None, error_hint=None))
    assert ask("GET", "/plans/plan_def456").json["error"] == {"code": "step_failed", "message": "Out of memory."}


def test_answers_are_not_cached(ask):
    assert ask("GET", "/projects").headers["Cache-Control"] == "no-store"


def test_thousands_of_unknown_fields_are_refused_without_effort(ask, monkeypatch):
    """Pydantic took 1.7 s of CPU for 80,000 of them, one error for each."""
    monkeypatch.setattr(schemas.CreateProject, "model_validate", None)
    response = ask("POST", "/projects", json={**GOOD, **{f"k{n}": 1 for n in range(70_000)}})
    assert response.status_code == 422
    assert len(response.json["errors"]) == 50
    assert response.json["detail"].endswith(" and 69990 more.")


@pytest.mark.parametrize(
    "value",
    [[1] * 20_001, [[]] * 20_001, {str(n): n for n in range(20_001)}, [[1] * 300] * 300],
    ids=["list", "lists", "object", "nested"],
)
def test_too_many_values_are_refused_without_effort(ask, monkeypatch, value):
    monkeypatch.setattr(schemas.CreateProject, "model_validate", None)
    response = ask("POST", "/projects", json={**GOOD, "description": value})
    assert (response.status_code, response.json["detail"]) == (422, "Not accepted: the body.")
    assert response.json["errors"][0]["message"] == "holds more than 20000 values"
