"""Executions: on record from the first moment, in line with Airflow, settled once whatever happens meanwhile."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.executions import Execution, ModelExecution, ModelStats, execution_id
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.orchestration import dags
from dagctl_provider.orchestration import runs as airflow_runs
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import dispatching, recording, scheduled_runs
from dagctl_provider.store import executions, tables, transactions
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store.session import utcnow
from tests.services.test_races import together
from tests.services.test_runs import by_itself, deployed, start
from tests.services.world import World

MODELS: list[dict[str, Any]] = [
    {"name": "shop.orders", "status": "succeeded", "duration": 2.5, "rows": 10, "batches": 2},
    {"name": "shop.customers", "status": "succeeded", "duration": 1.0},
    {"name": "shop.daily", "status": "failed", "duration": 0.5, "error": "no such column"},
    {"name": "shop.weekly", "status": "skipped"},
]


def stored(run_id: str) -> Execution:
    """The execution on record."""
    found = transactions.run(lambda session: executions.get_execution(session, run_id))
    assert found is not None
    return found


def models_of(run_id: str) -> list[ModelExecution]:
    """Its models."""
    return transactions.run(lambda session: executions.models_of(session, run_id))


def sums_of(project: Project) -> dict[str, ModelStats]:
    """Sums of all days."""
    return transactions.run(lambda session: executions.model_stats(session, project.id, "0001-01-01", "9999-12-31"))


def under_way(world: World, **values: Any) -> tuple[Project, Any]:
    """A project and a run of it that Airflow has; the run stands in for a step where a test ends tasks."""
    project = deployed(world, **values)
    run_id = start(world, project)
    dispatching.dispatch_waiting_runs()
    return project, the_run(run_id)


def the_run(run_id: str) -> Any:
    """The run on record."""
    return transactions.run(lambda session: run_rows.get_run(session, run_id))


def end(
    world: World, run: Any, state: str = "success", outcome: str = "succeeded", code: str | None = None, **result: Any
) -> None:
    """Let the task of a run end with a result."""
    error = {"error": {"code": code, "message": f"It was {code}."}} if code else {}
    world.end_task(cast(PlanStep, run), "run", state, {"outcome": outcome, "step_id": run.id, **error, **result})


def test_a_run_is_on_record_at_once(world: World) -> None:
    project = deployed(world)
    run_id = start(world, project)
    waiting = stored(run_id)
    assert (waiting.status, waiting.job_type, waiting.cronjob_name, waiting.command) == ("pending", "run", None, "run")
    assert waiting.commit_sha == project.current_commit_sha
    assert waiting.triggered_by == "ada"
    recording.record_all()
    assert stored(run_id) == waiting, "nothing has happened, so nothing was changed"


def test_what_the_schedule_started_names_its_dag(world: World) -> None:
    project = deployed(world)
    by_itself(project)
    by_itself(project, hour=13, kind="manual")
    scheduled_runs.follow()
    found = transactions.run(
        lambda session: executions.list_executions(session, project.id, executions.Wanted(), page=1, limit=10)
    )[0]
    assert [(one.cronjob_name, one.triggered_by) for one in found] == [(None, "eve"), (project.run_dag_id, "scheduled")]


def test_a_run_goes_from_pending_to_running_to_its_end(world: World) -> None:
    project, run = under_way(world)
    world.begin_task(run.dag_id, run.run_id, "run")
    recording.record_all()
    begun = stored(run.id)
    assert begun.status == "running"
    assert begun.start_time is not None
    end(world, run, models=MODELS[:2], pod_name="pod-1")
    assert recording.record_all() == 1
    over = stored(run.id)
    assert (over.status, over.error_code, over.pod_name, over.models_total, over.models_succeeded) == (
        "success",
        None,
        "pod-1",
        2,
        2,
    )
    assert over.duration_seconds is not None
    assert over.updated_at > begun.updated_at
    first = models_of(run.id)[0]
    assert {model.model_name for model in models_of(run.id)} == {"shop.orders", "shop.customers"}
    assert {model.job_type for model in models_of(run.id)} == {"run"}
    assert first.project_id == project.id


@pytest.mark.parametrize(
    ("models", "outcome", "code", "status"),
    [
        (MODELS, "failed", "model_failed", "partial"),
        (MODELS[2:], "failed", "model_failed", "failed"),
        ([], "failed", "tests_failed", "failed"),
        ([], "failed", "repository_unreachable", "error"),
        (MODELS, "cancelled", "cancelled", "error"),
        ([], "failed", None, "error"),
        (MODELS, "failed", "tool_killed", "error"),
    ],
)
def test_how_a_run_ended(world: World, models: list[Any], outcome: str, code: str | None, status: str) -> None:
    _, run = under_way(world)
    end(world, run, "failed", outcome, code, models=models)
    recording.record_all()
    over = stored(run.id)
    assert over.status == status
    assert over.models_total == len(models)
    assert over.error_message


def test_numbers_and_sums_of_a_run(world: World) -> None:
    project, run = under_way(world)
    end(world, run, "failed", "failed", "model_failed", models=MODELS, remaining=["model.shop.daily"])
    recording.record_all()
    over = stored(run.id)
    assert (over.models_total, over.models_succeeded, over.models_failed, over.models_skipped) == (4, 2, 1, 1)
    assert over.remaining == ("model.shop.daily",)
    orders = sums_of(project)["shop.orders"]
    assert (orders.executions, orders.avg_duration, orders.rows_processed, orders.last_status) == (1, 2.5, 10, "success")
    assert sums_of(project)["shop.daily"].failed == 1
    failed = next(model for model in models_of(run.id) if model.model_name == "shop.daily")
    assert failed.error_message == "no such column"


def test_settling_twice_records_once(world: World) -> None:
    project, run = under_way(world)
    end(world, run, models=MODELS)
    settle = [lambda: transactions.run(lambda session: recording.settle_run(session, run.id)) for _ in range(4)]
    outcomes = together(*settle)
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert outcomes.count(True) == 1
    recording.record_all()
    assert len(models_of(run.id)) == 4
    assert {one.executions for one in sums_of(project).values()} == {1}


def test_killed_at_any_line_nothing_is_half_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    project, run = under_way(world)
    end(world, run, models=MODELS)
    for name in ("insert_models", "add_to_days", "finish_execution"):
        with monkeypatch.context() as patch:

            def die(*args: Any, **values: Any) -> None:
                raise KeyboardInterrupt

            patch.setattr(executions, name, die)
            with pytest.raises(KeyboardInterrupt):
                recording.record_all()
        assert models_of(run.id) == []
        assert sums_of(project) == {}
        assert stored(run.id).status == "pending"
    recording.record_all()
    assert {one.executions for one in sums_of(project).values()} == {1}


def test_a_result_without_proof_is_not_believed(world: World) -> None:
    from airflow.models.xcom import XComModel

    _, run = under_way(world)
    world.end_task(run, "run", "success")
    forged = {"outcome": "succeeded", "step_id": run.id, "models": MODELS}
    place = {"dag_id": run.dag_id, "run_id": run.run_id, "task_id": "run"}
    transactions.run(lambda session: XComModel.set(key="result", value=forged, session=session, **place))
    recording.record_all()
    assert (stored(run.id).status, stored(run.id).error_code) == ("error", "task_failed")
    assert models_of(run.id) == []


def test_a_run_that_is_gone_in_airflow_does_not_run_for_ever(world: World) -> None:
    from airflow.models.dagrun import DagRun
    from sqlalchemy import delete

    _, run = under_way(world)
    world.begin_task(run.dag_id, run.run_id, "run")
    recording.record_all()
    transactions.run(lambda session: session.execute(delete(DagRun).where(DagRun.run_id == run.run_id)))
    recording.record_all()
    assert (stored(run.id).status, stored(run.id).error_code) == ("error", "run_lost")


def test_a_run_that_was_ended_for_a_newer_one(world: World) -> None:
    _, run = under_way(world)
    world.begin_task(run.dag_id, run.run_id, "run")

    def stop(session: Any) -> None:
        airflow_runs.stop_tasks(session, run.dag_id, run.run_id, ("run",))
        airflow_runs.fail_run(session, run.dag_id, run.run_id)

    transactions.run(stop)
    recording.record_all()
    assert stored(run.id).status == "error"


def test_one_that_gives_way_before_it_began_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dags, "is_ready", lambda session, dag_id: False)
    project = deployed(world, concurrency_policy="Replace")
    first = start(world, project)
    start(world, project)
    assert transactions.run(lambda session: executions.get_execution(session, first)) is None


def test_a_run_that_is_cleared_in_airflow_is_recorded_again_beside_its_first_attempt(world: World) -> None:
    project, run = under_way(world)
    end(world, run, "failed", "failed", "model_failed", models=MODELS)
    recording.record_all()
    transactions.run(lambda session: airflow_runs.clear_tasks(session, run.dag_id, run.run_id, ("run",)))
    recording.record_all()
    again = stored(run.id)
    assert (again.status, again.attempt, again.error_code, again.end_time) == ("pending", 2, None, None)
    recording.record_all()
    assert stored(run.id) == again
    end(world, run, models=MODELS[:2])
    recording.record_all()
    over = stored(run.id)
    assert (over.status, over.attempt, over.models_total) == ("success", 2, 2)
    assert sorted(model.attempt for model in models_of(run.id)) == [1, 1, 1, 1, 2, 2]
    assert sums_of(project)["shop.orders"].executions == 2


def test_history_is_removed_only_once_it_is_recorded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in ("SUCCESSFUL", "FAILED"):
        monkeypatch.setenv(f"AIRFLOW__DAGCTL__{limit}_RUNS_HISTORY_LIMIT", "0")
    _, run = under_way(world)
    end(world, run, models=MODELS)
    transactions.run(lambda session: airflow_runs.fail_run(session, run.dag_id, run.run_id))
    later = utcnow() + timedelta(hours=1)
    scheduled_runs.clean_history(later)
    assert the_run(run.id) is None
    recording.record_all()
    assert stored(run.id).status == "success"
    assert len(models_of(run.id)) == 4


def test_plans_are_executions_too(world: World) -> None:
    project = world.project()
    created = plans.create_plan(world.actor(), project.id).step
    assert created is not None
    dispatching.dispatch_waiting_plans()
    recording.record_all()
    waiting = stored(execution_id(created.id))
    assert (waiting.status, waiting.job_type, waiting.command, waiting.plan_id) == (
        "pending",
        "plan",
        "explain",
        created.group_id,
    )
    explained = world.finish_explain(created)
    recording.record_all()
    assert stored(execution_id(created.id)).status == "success"
    approved = plans.approve(world.actor(), explained.id, "rest")
    assert isinstance(approved, PlanApproved)
    execute = approved.execute
    world.finish_execute(execute, "failed", models=MODELS, error={"code": "model_failed", "message": "no"})
    recording.record_all()
    over = stored(execution_id(execute.id))
    assert (over.status, over.attempt, over.models_failed, over.error_code) == ("partial", 1, 1, "model_failed")
    assert {model.job_type for model in models_of(over.id)} == {"plan"}
    retried = plans.retry(world.actor(), execute.id, "rest")
    world.finish_execute(retried, models=MODELS[:2])
    recording.record_all()
    assert stored(execution_id(retried.id)).status == "success"
    assert stored(execution_id(retried.id)).attempt == 2


def test_an_explain_that_was_rejected_has_succeeded_all_the_same(world: World) -> None:
    project = world.project()
    explained = world.explained(project)
    plans.reject(world.actor(), explained.id, "rest")
    recording.record_all()
    assert stored(execution_id(explained.id)).status == "success"


def test_a_cancelled_explain_never_came_to_an_answer(world: World) -> None:
    project = world.project()
    created = plans.create_plan(world.actor(), project.id).step
    assert created is not None
    plans.cancel(world.actor(), created.id, "rest")
    recording.record_all()
    over = stored(execution_id(created.id))
    assert (over.status, over.error_code) == ("error", "cancelled")


def test_what_was_there_before_the_upgrade_appears(world: World) -> None:
    project, run = under_way(world)
    end(world, run, models=MODELS)
    world.head = "second"
    explained = world.explained(project)
    transactions.run(lambda session: session.execute(tables.execution.delete()))
    recording.record_all()
    recording.record_all()
    assert stored(run.id).status == "success"
    assert len(models_of(run.id)) == 4
    assert stored(execution_id(explained.id)).status == "success"
    assert {one.executions for one in sums_of(project).values()} == {1}


def test_what_is_too_old_goes_and_does_not_come_back(world: World) -> None:
    project, run = under_way(world)
    end(world, run, models=MODELS)
    recording.record_all()
    later = utcnow() + timedelta(days=179)
    assert recording.clean(later) == 0
    assert recording.clean(later + timedelta(days=2)) == 1
    assert models_of(run.id) == []
    assert sums_of(project) == {}


def test_zero_keeps_all_for_ever(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__METRICS_RETENTION_DAYS", "0")
    _, run = under_way(world)
    end(world, run, models=MODELS)
    recording.record_all()
    assert recording.clean(utcnow() + timedelta(days=9000)) == 0
    assert len(models_of(run.id)) == 4


HOSTILE: list[Any] = [
    {"name": "x" * 1_000_000, "status": "succeeded"},
    {"name": "nan", "status": "succeeded", "duration": float("nan")},
    {"name": "endless", "status": "succeeded", "duration": float("inf")},
    {"name": "huge", "status": "succeeded", "duration": 1e300, "rows": 10**30, "batches": 10**12},
    {"name": "negative", "status": "succeeded", "duration": -5, "rows": -1},
    {"name": "dates", "status": "failed", "started": "9999-12-31T23:59:59Z", "ended": "0001-01-01", "interval": ["x", "y"]},
    {"name": "spans", "status": "failed", "interval": ["0001-01-01", "9999-12-31"], "error": "\x00\ud800" * 1000},
    {"name": "wrong", "status": ["succeeded"], "started": {}, "ended": 5, "interval": 3},
    {"name": "\x00", "status": "succeeded"},
    {"name": "shop.Orders", "status": "succeeded", "rows": 10**13},
    {"name": "shop.orders", "status": "succeeded", "rows": 10**13},
    {"name": "twice", "status": "succeeded"},
    {"name": "twice", "status": "failed"},
    "no object",
    None,
]


def test_hostile_results_are_bounded_and_never_break_the_turn(world: World) -> None:
    project, run = under_way(world)
    # As it comes out of a column of JSON, which holds no NaN in every database.
    end(
        world,
        run,
        models=json.loads(json.dumps([row for row in HOSTILE if "nan" not in str(row)[:20] and "endless" not in str(row)])),
    )
    recording.record_all()
    over = stored(run.id)
    assert over.status == "success"
    by_name = {model.model_name: model for model in models_of(run.id)}
    assert by_name["x" * 255].status == "success"
    assert by_name["huge"].duration_seconds is None
    assert by_name["huge"].rows_processed is None
    assert by_name["dates"].start_time is None
    assert by_name["spans"].interval_start is None
    assert len(by_name["spans"].error_message or "") <= 500
    assert "wrong" not in by_name
    sums = sums_of(project)
    assert sums["shop.Orders"].executions == sums["shop.orders"].executions == 1
    assert sums["twice"].executions == 2


def test_five_thousand_models(world: World) -> None:
    project, run = under_way(world)
    end(world, run, models=[{"name": f"shop.m{number}", "status": "succeeded", "duration": 0.1} for number in range(5000)])
    recording.record_all()
    assert stored(run.id).models_total == 5000
    assert len(sums_of(project)) == 5000


_runs = st.lists(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["succeeded", "failed", "skipped", "cancelled", "not_ready"]),
            st.integers(0, 100),
            st.integers(0, 1000),
        ),
        max_size=6,
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(reported=_runs)
def test_sums_by_day_are_the_sums_of_the_rows(world: World, reported: list[list[tuple[str, str, int, int]]]) -> None:
    project = deployed(world, f"p{utcnow().timestamp():.6f}".replace(".", "-"))
    rows: list[ModelExecution] = []
    for models in reported:
        run_id = start(world, project)
        dispatching.dispatch_waiting_runs()
        told = [{"name": n, "status": status, "duration": seconds, "rows": count} for n, status, seconds, count in models]
        end(world, the_run(run_id), models=told)
        recording.record_all()
        rows += models_of(run_id)
    expected: dict[str, list[ModelExecution]] = defaultdict(list)
    for row in rows:
        expected[row.model_name].append(row)
    found = sums_of(project)
    assert found.keys() == expected.keys()
    for name, of_model in expected.items():
        succeeded = [row.duration_seconds or 0.0 for row in of_model if row.status == "success"]
        one = found[name]
        assert one.executions == len(of_model)
        assert one.succeeded == len(succeeded)
        assert one.total_duration == pytest.approx(sum(succeeded))
        assert one.max_duration == (max(succeeded) if succeeded else None)
        assert one.rows_processed == sum(row.rows_processed or 0 for row in of_model)


def test_a_run_that_cannot_be_settled_keeps_no_other_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    _, first = under_way(world)
    project = deployed(world, "second")
    run_id = start(world, project)
    dispatching.dispatch_waiting_runs()
    end(world, first, models=MODELS)
    end(world, the_run(run_id), models=MODELS)
    real = recording.recorded

    def broken(reported: object, execution: Execution, now: Any) -> list[ModelExecution]:
        if execution.id == first.id:
            raise ValueError("poison")
        return real(reported, execution, now)

    monkeypatch.setattr(recording, "recorded", broken)
    recording.record_all()
    assert stored(run_id).status == "success"
    assert stored(first.id).status == "pending"
