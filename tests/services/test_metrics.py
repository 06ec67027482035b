"""Figures of runs and models: what the filters leave, pages that end, days without runs, spans beside each other."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from dagctl_provider.domain.executions import DayStats, Execution, ModelExecution
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import organizations
from dagctl_provider.services.showing import metrics
from dagctl_provider.services.showing.metrics import Span, Wanted
from dagctl_provider.store import executions, transactions
from tests.services.test_plans import refused
from tests.services.world import World

DAY = datetime(2026, 4, 28, tzinfo=timezone.utc)


def at(hours: float) -> datetime:
    """A moment, in hours from the beginning of the day."""
    return DAY + timedelta(hours=hours)


def put(project: Project, name: str, created: float, *models: tuple[str, str, float], **values: Any) -> str:
    """An execution with its models, on record.

    :param models: Name, status and seconds of each.
    """
    told: dict[str, Any] = {
        "job_type": "run",
        "status": "success",
        "duration_seconds": 60.0,
        "updated_at": at(created + 1),
        "models_total": len(models),
        "models_failed": sum(status == "failed" for _, status, _ in models),
    }
    execution = Execution(
        id=f"run_{name}",
        project_id=project.id,
        job_name=name,
        triggered_by="ada",
        created_at=at(created),
        **{**told, **values},
    )
    rows = [
        ModelExecution(
            id=f"mx_{name}_{place}",
            execution_id=execution.id,
            project_id=project.id,
            job_type=execution.job_type,
            model_name=model,
            status=status,  # type: ignore[arg-type]
            created_at=execution.created_at,
            updated_at=execution.updated_at,
            cronjob_name=execution.cronjob_name,
            duration_seconds=seconds,
        )
        for place, (model, status, seconds) in enumerate(models)
    ]

    def work(session: Any) -> None:
        executions.insert_execution(session, execution)
        executions.insert_models(session, rows)
        executions.add_to_days(session, rows)

    transactions.run(work)
    return execution.id


def names(world: World, project: Project, **wanted: Any) -> list[str]:
    """The runs that a filter leaves."""
    page, _ = metrics.list_runs(world.actor("reader"), project.id, Wanted(**wanted), 1, 50)
    assert page.total == len(page.items)
    return [run.job_name for run in page.items]


def models(world: World, project: Project, **wanted: Any) -> list[str]:
    """Likewise the model executions, by model and run."""
    page = metrics.list_models(world.actor("reader"), project.id, Wanted(**wanted), 1, 50)
    assert page.total == len(page.items)
    return [f"{model.model_name} of {model.execution_id}" for model in page.items]


@pytest.fixture
def project(world: World) -> Project:
    made = world.project()
    put(made, "first", 1, ("a", "success", 10.0), ("b", "failed", 1.0), status="partial", cronjob_name="dag")
    put(made, "plan", 2, ("a", "success", 500.0), job_type="plan", updated_at=at(9))
    put(made, "janitor", 30, job_type="janitor", status="error", job_id="job_1", duration_seconds=None)
    put(made, "last", 49, ("a", "success", 20.0), cronjob_name="dag", job_id="job_1")
    return made


def test_runs_are_filtered(world: World, project: Project) -> None:
    assert names(world, project) == ["last", "janitor", "plan", "first"]
    assert names(world, project, status="partial") == ["first"]
    assert names(world, project, job_type="plan") == ["plan"]
    assert names(world, project, cronjob_name="dag") == ["last", "first"]
    assert names(world, project, job_id="job_1") == ["last", "janitor"]
    assert names(world, project, since=at(24), until=at(48)) == ["janitor"]


def test_a_poller_sees_what_began_before_and_ended_after_its_last_look(world: World, project: Project) -> None:
    assert names(world, project, updated_after=at(8)) == ["last", "janitor", "plan"]
    assert names(world, project, updated_after=at(9)) == ["last", "janitor"], "after, not at"
    put(project, "earlier", 3, ("a", "success", 1.0), updated_at=at(60))
    assert names(world, project, updated_after=at(8))[0] == "earlier", "newest change first"
    assert models(world, project, updated_after=at(49)) == ["a of run_earlier", "a of run_last"]


def test_sums_are_of_all_that_the_filters_leave(world: World, project: Project) -> None:
    page, stats = metrics.list_runs(world.actor(), project.id, Wanted(), 2, 1)
    assert (len(page.items), page.total, page.total_pages) == (1, 4, 4)
    assert stats is not None
    assert (stats.total_runs, stats.successful_runs, stats.failed_runs, stats.error_runs) == (4, 2, 1, 1)
    assert stats.avg_success_duration == 60.0
    assert metrics.list_runs(world.actor(), project.id, Wanted(), 1, 1, with_stats=False)[1] is None


def test_models_are_filtered(world: World, project: Project) -> None:
    assert models(world, project) == ["a of run_last", "a of run_plan", "b of run_first", "a of run_first"]
    assert models(world, project, model_name="b") == ["b of run_first"]
    assert models(world, project, status="failed") == ["b of run_first"]
    assert models(world, project, job_type="plan") == ["a of run_plan"]
    assert models(world, project, cronjob_name="dag", model_name="a") == ["a of run_last", "a of run_first"]
    assert models(world, project, execution_id="run_first") == ["b of run_first", "a of run_first"]


def test_models_are_counted_up_to_a_bound(world: World, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executions, "COUNTED", 3)
    page = metrics.list_models(world.actor(), project.id, Wanted(), 1, 2)
    assert (len(page.items), page.total) == (2, 3)


def test_days_without_runs_are_there(world: World, project: Project) -> None:
    days = metrics.daily_stats(world.actor(), project.id, Span(date(2026, 4, 27), date(2026, 4, 30)))
    assert [(day.day, day.total_runs) for day in days] == [
        ("2026-04-27", 0), ("2026-04-28", 2), ("2026-04-29", 1), ("2026-04-30", 1),
    ]  # fmt: skip
    assert days[0] == DayStats("2026-04-27")
    assert (days[1].partial_runs, days[1].successful_runs, days[1].models_executed, days[1].models_failed) == (1, 1, 3, 1)
    (one,) = metrics.daily_stats(world.actor(), project.id, Span(date(2026, 4, 28), date(2026, 4, 28)), "plan")
    assert one.total_runs == 1


def test_a_span_beside_the_one_before(world: World, project: Project) -> None:
    page = metrics.model_stats(world.actor(), project.id, Span(date(2026, 4, 30), date(2026, 5, 1)), 1, 50, "run")
    (one,) = page.items
    assert (one.avg_duration, one.previous_avg_duration, one.change) == (20.0, 10.0, 2.0)
    page = metrics.model_stats(world.actor(), project.id, Span(date(2026, 4, 28), date(2026, 4, 28)), 1, 50)
    assert [(one.model_name, one.total_duration) for one in page.items] == [("a", 510.0), ("b", 0.0)]
    page = metrics.model_stats(world.actor(), project.id, Span(date(2026, 4, 28), date(2026, 4, 28)), 1, 50, None, "b")
    assert [(one.model_name, one.failed, one.last_status) for one in page.items] == [("b", 1, "failed")]


def test_what_is_anothers_is_not_there(world: World, project: Project) -> None:
    other = World(organizations.ensure_organization("other"))
    span = Span(date(2026, 4, 28), date(2026, 4, 28))
    for ask in (
        lambda: metrics.list_runs(other.actor(), project.id, Wanted(), 1, 1),
        lambda: metrics.get_run(other.actor(), "run_first"),
        lambda: metrics.daily_stats(other.actor(), project.id, span),
        lambda: metrics.list_models(other.actor(), project.id, Wanted(), 1, 1),
        lambda: metrics.model_stats(other.actor(), project.id, span, 1, 1),
    ):
        with refused("not_found"):
            ask()
    assert metrics.get_run(world.actor(), "run_first").job_name == "first"
