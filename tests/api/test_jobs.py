"""Jobs over REST: the shapes that the platform names, ours beside them, and what is refused before anything is done."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.api.v1.jobs import examples
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.jobs import TOTAL_BYTES

from . import conformance

JOB = {
    "id", "project_id", "name", "description", "command", "schedule", "enabled", "resources", "environment", "slack_channel",
    "slack_alerts_enabled", "slack_alert_on_success", "webhook_enabled", "created_at", "updated_at",
}  # fmt: skip
BEYOND_THE_DOCUMENT = {"time_zone", "dag_id", "default", "next_run_at"}
BODY = {"name": "hourly", "command": "sqlmesh run", "schedule": "@hourly"}


@pytest.fixture
def send(ask):
    """Asks, and every answer must be as documented."""

    def sent(method: str, path: str, **more: Any) -> Any:
        answer = ask(method, path, **more)
        conformance.check(method, f"/api/v1{path}", answer)
        return answer

    return sent


def test_the_list(send):
    answer = send("GET", "/projects/proj_abc123/jobs").json
    assert answer == examples.LIST
    assert set(answer["jobs"][0]) - BEYOND_THE_DOCUMENT == JOB


def test_one_job(send):
    assert send("GET", "/jobs/job_abc123").json == examples.JOB


def test_create_answers_201_and_hands_on_what_was_sent(send, services):
    answer = send("POST", "/projects/proj_abc123/jobs", json=BODY)
    assert (answer.status_code, answer.json) == (201, examples.JOB)
    (_, (_, project_id, values), _), = services.jobs.calls  # fmt: skip
    assert (project_id, values) == ("proj_abc123", BODY)


def test_a_schedule_may_be_said_to_be_none(send, services):
    assert send("POST", "/projects/proj_abc123/jobs", json={**BODY, "schedule": None}).status_code == 201


@pytest.mark.parametrize("missing", sorted(BODY))
def test_what_is_required(send, services, missing):
    answer = send("POST", "/projects/proj_abc123/jobs", json={name: value for name, value in BODY.items() if name != missing})
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [missing]
    assert services.jobs.calls == []


WRONG = [
    ("name", ""),
    ("name", "x" * 64),
    ("name", "two\nlines"),
    ("name", "<b>"),
    ("name", None),
    ("command", ""),
    ("command", "x" * 1001),
    ("command", "sqlmesh \x00run"),
    ("command", None),
    ("schedule", "0 0 30 2 *"),
    ("schedule", "* * * * *"),
    ("schedule", "@reboot"),
    ("schedule", "every day"),
    ("schedule", ""),
    ("time_zone", "Mars/Olympus"),
    ("time_zone", "../etc/passwd"),
    ("time_zone", "localtime"),
    ("time_zone", ""),
    ("enabled", "yes"),
    ("enabled", 1),
    ("enabled", None),
    ("resources", {"gpu": "1"}),
    ("resources", {"cpu_limit": "lots"}),
    ("resources", {"cpu_limit": 2}),
    ("resources", []),
    ("environment", {"PATH": "/tmp"}),
    ("environment", {"PYTHONPATH": "/tmp"}),
    ("environment", {"LD_PRELOAD": "x.so"}),
    ("environment", {"DAGCTL_X": "1"}),
    ("environment", {"SQLMESH__GATEWAYS": "1"}),
    ("environment", {"https_proxy": "http://evil"}),
    ("environment", {"1A": "x"}),
    ("environment", {"A B": "x"}),
    ("environment", {"A": 1}),
    ("environment", {"A": "x\x00"}),
    ("environment", {"A": "x" * 5000}),
    ("environment", {"A": "1", "a": "2"}),
    ("environment", {f"A{n}": "1" for n in range(51)}),
    ("environment", {f"A{n}": "x" * 4000 for n in range(TOTAL_BYTES // 4000 + 1)}),
    ("slack_channel", "<!here>"),
    ("slack_channel", "two words"),
    ("slack_channel", ""),
    ("slack_alerts_enabled", "true"),
    ("webhook_enabled", None),
    ("dag_id", "mine"),
    ("default", True),
]


@pytest.mark.parametrize(("field", "value"), WRONG)
def test_what_is_refused_names_its_field(send, services, field, value):
    for method, path, body in (
        ("POST", "/projects/proj_abc123/jobs", {**BODY, field: value}),
        ("PUT", "/jobs/job_abc123", {field: value}),
    ):
        answer = send(method, path, json=body)
        assert answer.status_code == 422
        assert [error["field"].split(".")[0] for error in answer.json["errors"]] == [field]
    assert services.jobs.calls == []


@pytest.mark.parametrize("name", ["description", "schedule", "time_zone", "resources", "environment", "slack_channel"])
def test_null_takes_away_what_may_be_absent(send, services, name):
    assert send("PUT", "/jobs/job_abc123", json={name: None}).status_code == 200
    (_, (_, identifier, values), _), = services.jobs.calls  # fmt: skip
    assert (identifier, values) == ("job_abc123", {name: None})


def test_removal_says_so(send):
    assert send("DELETE", "/jobs/job_abc123").json == examples.DELETED


@pytest.mark.parametrize("code", ["default_job", "job_busy"])
def test_removal_may_be_refused(send, services, code):
    services.jobs.answer(delete_job=DagctlError(code, "No."))
    assert send("DELETE", "/jobs/job_abc123").status_code == 409


def test_run_answers_as_running_the_project_does(send, services):
    assert send("POST", "/jobs/job_abc123/run").json == examples.RUN
    send("POST", "/jobs/job_abc123/run", json={"override_reason": "Now."})
    assert [args[2] for _, args, _ in services.jobs.calls] == [None, "Now."]


def test_the_runs_of_a_job(send, services):
    assert send("GET", "/jobs/job_abc123/runs").json == examples.RUNS
    send("GET", "/jobs/job_abc123/runs?page=2&limit=5&status=partial&updated_after=2026-02-26T00:00:00Z")
    assert services.jobs.calls[1][2]["status"] == "partial"
    for query in ("page=0", "limit=501", "status=done", "updated_after=yesterday"):
        assert send("GET", f"/jobs/job_abc123/runs?{query}").status_code == 422


def test_the_log_of_a_run(send):
    assert send("GET", "/runs/run_abc123/logs").json == examples.LOGS


def test_cancelling_a_run(send, services):
    assert send("POST", "/runs/run_abc123/cancel").json == examples.CANCELLED
    services.runs.answer(cancel=DagctlError("run_over", "It is over."))
    assert send("POST", "/runs/run_abc123/cancel").status_code == 409
