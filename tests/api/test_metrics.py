"""Execution metrics over REST: the shapes that the document names, ours beside them, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timezone
from typing import Any

import pytest

from dagctl_provider.api.v1.metrics import examples
from dagctl_provider.domain.errors import not_found
from dagctl_provider.services.results import Page
from dagctl_provider.services.showing.metrics import Span
from dagctl_provider.store.session import utcnow

from . import conformance, records

PROJECT = "/projects/proj_abc123"
NAMED = {
    "id", "project_id", "job_name", "cronjob_name", "job_type", "status", "start_time", "end_time", "duration_seconds",
    "triggered_by", "created_at", "updated_at", "error_message", "pod_name",
}  # fmt: skip
OURS = {
    "job_id", "command", "environment", "commit_sha", "plan_id", "attempt", "error_code", "models_total", "models_succeeded",
    "models_failed", "models_skipped",
}  # fmt: skip
UNKNOWN_AT_FIRST = {"start_time", "end_time", "duration_seconds", "pod_name", "cronjob_name", "commit_sha", "error_message"}


@pytest.fixture
def get(ask):
    """Asks, and every answer must be as documented."""

    def sent(path: str) -> Any:
        answer = ask("GET", path)
        conformance.check("GET", f"/api/v1{path.partition('?')[0]}", answer)
        return answer

    return sent


def test_runs(get):
    assert get(f"{PROJECT}/runs").json == examples.RUN_LIST


def test_runs_without_stats(get, services):
    answer = get(f"{PROJECT}/runs?include_stats=true").json
    assert set(answer["stats"]) == {
        "project_id", "total_runs", "successful_runs", "failed_runs", "error_runs", "avg_success_duration",
    }  # fmt: skip
    services.metrics.answer(list_runs=(Page((), 0, 1, 50), None))
    answer = get(f"{PROJECT}/runs?include_stats=false").json
    assert answer == {"runs": [], "total": 0, "page": 1, "limit": 50, "total_pages": 0}
    assert [args[-1] for _, args, _ in services.metrics.calls] == [True, False]


def test_a_run_has_the_keys_that_the_document_names_once_they_are_known(get, services):
    every = replace(records.RUN, error_message="No.", error_code="model_failed", plan_id="plangroup_1", status="partial")
    services.metrics.answer(get_run=every)
    assert set(get("/runs/run_abc123").json) == NAMED | OURS
    waiting = replace(every, **dict.fromkeys(UNKNOWN_AT_FIRST), status="pending")
    services.metrics.answer(get_run=waiting)
    assert set(get("/runs/run_abc123").json) == (NAMED | OURS) - UNKNOWN_AT_FIRST


def test_a_run_of_nobody(get, services):
    services.metrics.answer(get_run=not_found("Run", "run_x"))
    assert get("/runs/run_x").status_code == 404


def test_days(get, services):
    assert get(f"{PROJECT}/runs/daily-stats?start_date=2026-02-26&end_date=2026-02-26").json == examples.DAILY_STATS


def test_model_executions(get):
    assert get(f"{PROJECT}/model-executions").json == examples.MODEL_EXECUTIONS


def test_figures_of_models(get):
    asked = f"{PROJECT}/model-executions/stats?start_date=2026-02-20&end_date=2026-02-26"
    assert get(asked).json == examples.MODEL_STATS


def test_a_total_that_is_capped_says_so(get, services):
    services.metrics.answer(list_models=Page((), 10_000, 1, 50))
    answer = get(f"{PROJECT}/model-executions").json
    assert (answer["total"], answer["total_capped"]) == (10_000, True)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-02-26T00:00:00Z", "2026-02-26T00:00:00+00:00"),
        ("2026-02-26t00:00:00z", "2026-02-26T00:00:00+00:00"),
        ("2026-02-26T00:00:00.5Z", "2026-02-26T00:00:00.500000+00:00"),
        ("2026-02-26T02:00:00%2B02:00", "2026-02-26T00:00:00+00:00"),
    ],
)
def test_filters_are_handed_on(text, moment, get, services):
    filters = f"updated_after={text}&status=failed&job_type=run&cronjob_name=dag&start_date=2026-02-01&end_date=2026-02-28"
    assert get(f"{PROJECT}/runs?limit=10&job_id=job_1&{filters}").status_code == 200
    assert get(f"{PROJECT}/model-executions?limit=10&model_name=m&run_id=run_1&{filters}").status_code == 200
    (_, (_, _, runs, page, limit, _), _), (_, (_, _, models, _, _), _) = services.metrics.calls
    assert (page, limit) == (1, 10)
    for wanted in (runs, models):
        assert wanted.updated_after.isoformat() == moment
        assert (wanted.status, wanted.job_type, wanted.cronjob_name) == ("failed", "run", "dag")
        assert wanted.since == datetime(2026, 2, 1, tzinfo=timezone.utc)
        assert wanted.until == datetime(2026, 3, 1, tzinfo=timezone.utc)
    assert (runs.job_id, models.model_name, models.execution_id) == ("job_1", "m", "run_1")


@pytest.mark.parametrize(
    ("query", "days"),
    [("", 30), ("days=1", 1), ("days=366", 366), ("end_date=2026-02-28", 30), ("start_date=2026-02-01&end_date=2026-02-28", 28)],
)
@pytest.mark.parametrize("path", ["runs/daily-stats", "model-executions/stats"])
def test_spans(query, days, path, get, services):
    answer = get(f"{PROJECT}/{path}?{query}")
    assert answer.json["days"] == days
    ((_, args, _),) = services.metrics.calls
    span = args[2]
    assert span.days == days
    if "date" not in query:
        assert span.last == utcnow().date()


def test_the_span_before():
    assert Span(date(2026, 3, 1), date(2026, 3, 7)).before() == Span(date(2026, 2, 22), date(2026, 2, 28))


BAD = [
    *((path, query, query.partition("=")[0]) for path in ("runs", "model-executions") for query in (
        "updated_after=2026-02-26", "updated_after=2026-02-26T00:00:00", "updated_after=1772064000", "updated_after=",
        "updated_after=0001-01-01T00:00:00%2B23:59", "updated_after=2026-13-01T00:00:00Z",
        "updated_after=2026-02-26T00:00:00+02:00", "updated_after=\u0662026-02-26T00:00:00Z", "status=completed", "status=",
        "limit=501", "limit=0", "page=0", "page=1.0", "job_type=backup", "cronjob_name=", "cronjob_name=a%00b", "start_date=x",
        "start_date=2026-02-30", "end_date=0000-00-00", "start_date=9999-12-31",
    )),
    ("runs", "start_date=2026-02-02&end_date=2026-02-01", "end_date"),
    ("runs", "include_stats=1", "include_stats"),
    ("runs", "model_name=x", "model_name"),
    ("model-executions", "start_date=2026-02-02&end_date=2026-02-01", "end_date"),
    ("model-executions", "status=partial", "status"),
    ("model-executions", "status=running", "status"),
    ("model-executions", "page=201", "page"),
    ("model-executions", "page=21&limit=500", "page"),
    ("model-executions", "job_id=x", "job_id"),
    *((path, query, field) for path in ("runs/daily-stats", "model-executions/stats") for query, field in (
        ("days=0", "days"), ("days=367", "days"), ("days=-1", "days"), ("days=7.0", "days"), ("days=x", "days"),
        ("days=7&start_date=2026-02-01", "days"), ("days=7&end_date=2026-02-01", "days"),
        ("start_date=2026-02-02&end_date=2026-02-01", "end_date"), ("start_date=9998-02-02", "start_date"),
        ("start_date=2020-01-01&end_date=2026-01-01", "start_date"), ("start_date=1", "start_date"), ("job_type=x", "job_type"),
    )),
    ("runs/daily-stats", "page=1", "page"),
    ("model-executions/stats", "limit=501", "limit"),
    ("model-executions/stats", "status=failed", "status"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "query", "field"), BAD)
def test_what_is_refused(path, query, field, get, services):
    answer = get(f"{PROJECT}/{path}?{query}")
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json["errors"]] == [f"query.{field}"]
    assert not services.metrics.calls


def test_times_are_utc_with_z(get):
    run = get("/runs/run_abc123").json
    assert (run["created_at"], run["duration_seconds"]) == ("2026-02-26T06:00:00Z", 754.123)
