"""How far a step is: what people read while it runs and afterwards, what scripts get, and when open pages hear of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.plan_output.parts import ModelResult, Progress, Tally
from dagctl_provider.plan_output.progress import progress_of, rows_of
from dagctl_provider.services import plans
from dagctl_provider.services.showing import live, plan_view
from dagctl_provider.ui.plan_progress import MOST_MARKED, bar, marked, progress_texts, result_text
from tests.plan_output.samples import EXECUTE, EXPLAIN, NOW
from tests.services.world import World
from tests.ui.conftest import Browser

TOLD: dict[str, Any] = {
    "step_id": EXECUTE.id,
    "stage": "apply",
    "expected": {"models": 5, "batches": 40},
    "models": [
        {"name": "shop.orders", "status": "succeeded", "started": NOW.timestamp() - 9, "duration": 3.2, "rows": 1200},
        {"name": "shop.items", "status": "failed", "started": NOW.timestamp() - 8, "duration": 1.0},
        {"name": "shop.daily", "status": "running", "started": NOW.timestamp() - 6, "batch": 3, "batches": 30},
        {"name": "shop.board", "status": "skipped", "duration": 0},
    ],
}


def progress(step: PlanStep = EXECUTE, told: dict[str, Any] = TOLD) -> Progress | None:
    return progress_of(step, told, rows_of(step, told), NOW)


# Members that a worker might tell, of whatever kind.
_SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=9)
_KEYS = st.sampled_from(["name", "status", "started", "duration", "batch", "batches", "rows", "kind", "models", "tests"])
VALUES = st.recursive(_SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=5))


class TestWhatIsKnown:
    def test_a_running_execution_is_counted(self) -> None:
        found = progress()
        assert found is not None
        assert found.models == Tally(total=5, succeeded=1, failed=1, running=1, skipped=1)
        assert (found.models.done, found.stage, found.seconds) == (3, None, 297.0)
        (now,) = found.now
        assert (now.name, now.seconds, now.batch) == ("shop.daily", 6.0, (4, 30))
        assert progress_texts(found) == ("1 of 5 models, 1 failed, 1 skipped",)
        assert bar(found) == [
            {"kind": "succeeded", "start": 0, "length": 1},
            {"kind": "failed", "start": 1, "length": 1},
            {"kind": "skipped", "start": 2, "length": 1},
            {"kind": "running", "start": 3, "length": 1},
        ]

    def test_publishing_is_said_after_all_models(self) -> None:
        found = progress(told={**TOLD, "stage": "publish"})
        assert found is not None
        assert found.stage == "Publishing"

    def test_tests_of_dbt_are_counted_apart(self) -> None:
        rows = [{"name": "fct", "kind": "model", "status": "succeeded"}, {"name": "not_null", "kind": "test", "status": "failed"}]
        found = progress(told={"expected": {"models": 2, "tests": 9}, "models": rows})
        assert found is not None
        assert progress_texts(found) == ("1 of 2 models", "0 of 9 tests, 1 failed")

    @pytest.mark.parametrize(
        ("step", "told", "stage"),
        [
            (replace(EXECUTE, started_at=None), {}, "Waiting for a worker"),
            (EXECUTE, {}, "Starting"),
            (EXECUTE, {"stage": "lock"}, "Waiting until nobody else writes"),
            (EXECUTE, {"stage": "something new"}, "Starting"),
            (replace(EXPLAIN, status="running"), {"stage": "load"}, "Loading the models"),
        ],
    )
    def test_before_there_is_anything_to_count_the_stage_is_said(self, step: PlanStep, told: dict[str, Any], stage: str) -> None:
        found = progress(step, told)
        assert found is not None
        assert (found.stage, found.models.total, progress_texts(found)) == (stage, 0, ())

    def test_the_result_has_the_last_word(self) -> None:
        rows = [{"name": "a", "status": "succeeded"}, {"name": "b", "status": "skipped"}]
        ended = replace(
            EXECUTE,
            status="failed",
            finished_at=NOW,
            plan_output={"models": rows, "tests": {"run": 3, "passed": 2, "failed": 1, "skipped": 4}},
        )
        found = progress(ended, {})
        assert found is not None
        assert not found.running
        assert found.stage is None
        assert found.now == ()
        assert progress_texts(found) == ("1 of 2 models, 1 skipped", "2 of 7 tests, 1 failed, 4 skipped")

    def test_what_ran_when_a_step_was_stopped_was_stopped_with_it(self) -> None:
        stopped = replace(EXECUTE, status="cancelled", finished_at=NOW)
        assert [row.status for row in rows_of(stopped, TOLD)] == ["succeeded", "failed", "cancelled", "skipped"]
        found = progress(stopped)
        assert found is not None
        assert found.models == Tally(total=5, succeeded=1, failed=1, running=0, skipped=2)

    @pytest.mark.parametrize("step", [EXPLAIN, replace(EXPLAIN, status="failed"), replace(EXECUTE, status="failed")])
    def test_where_nothing_was_executed_there_is_none(self, step: PlanStep) -> None:
        assert progress(step, {}) is None

    @given(st.dictionaries(st.sampled_from(["stage", "expected", "models"]), VALUES))
    @settings(max_examples=80, deadline=None)
    def test_nothing_a_worker_tells_breaks_it(self, told: dict[str, Any]) -> None:
        for step in (EXECUTE, replace(EXECUTE, status="cancelled")):
            found = progress(step, told)
            assert found is None or (bar(found) is not None and progress_texts(found) is not None)


@pytest.mark.parametrize(
    ("result", "text"),
    [
        (ModelResult("succeeded", 3.2, 1200, 4), "✓ done in 3 s, 1,200 rows"),
        (ModelResult("succeeded", 0.0, None, None), "✓ done"),
        (ModelResult("failed", 61.0, None, None), "✕ failed in 1 min 1 s"),
        (ModelResult("running", 2.0, None, None), "↻ running"),
        (ModelResult("skipped", 0.0, None, None), "⊘ skipped"),
        (ModelResult("cancelled", 2.0, None, None), "■ stopped"),
        (ModelResult("no\u202ewn", None, None, None), "no[U+202E]wn"),
    ],
)
def test_a_result_in_words(result: ModelResult, text: str) -> None:
    assert result_text(result) == text


def test_of_very_many_models_only_those_that_run_or_failed_are_marked_while_it_goes_on() -> None:
    results = {f"m{at}": ModelResult("succeeded", 1.0, None, None) for at in range(MOST_MARKED)}
    assert len(marked(results)) == MOST_MARKED
    results |= {"now": ModelResult("running", None, None, None), "bad": ModelResult("failed", 1.0, None, None)}
    assert [name for name, *_ in marked(results)] == ["now", "bad"]


# Over HTTP, with Airflow's own tables

MODELS = [{"name": name, "change": "added", "kind": "FULL", "backfill": []} for name in ("shop.orders", "shop.daily")]


@pytest.fixture
def executing(world: World) -> PlanStep:
    """An execute step whose task runs."""
    step = world.explained(world.project(), models=MODELS)
    execute = plans.approve(world.actor(), step.id, door="rest").execute  # type: ignore[union-attr]
    world.end_task(execute, "execute", "running")
    return execute


def tell(world: World, step: PlanStep, **changes: Any) -> None:
    """What the task tells while it runs."""
    world.end_task(step, "execute", "running", xcoms={"progress": {**TOLD, "step_id": step.id, **changes}})


def test_the_page_and_its_part_show_how_far_it_is(browser: Browser, world: World, executing: PlanStep) -> None:
    tell(world, executing)
    page = browser.get(f"/dagctl/plans/{executing.group_id}")
    assert "1 of 5 models, 1 failed, 1 skipped" in page.text
    assert "✓ done in 3 s, 1,200 rows" in page.text
    (shown,) = page.all("svg", role="progressbar")
    assert (shown["aria-valuenow"], shown["aria-valuemax"]) == ("3", "5")

    part = browser.json(f"/dagctl/plans/{executing.group_id}/progress")
    assert 'data-region="progress"' in part["html"]
    assert "shop.daily" in part["html"]
    assert ["shop.orders", "succeeded", "✓ done in 3 s, 1,200 rows"] in part["results"]


def test_what_an_earlier_attempt_told_is_not_shown(browser: Browser, world: World, executing: PlanStep) -> None:
    tell(world, executing, step_id="plan_earlier")
    page = browser.get(f"/dagctl/plans/{executing.group_id}")
    assert "of 5 models" not in page.text
    assert "shop.items" not in page.text


def test_a_plan_that_waits_has_no_progress(browser: Browser, world: World) -> None:
    step = world.explained(world.project(), models=MODELS)
    assert browser.json(f"/dagctl/plans/{step.group_id}/progress")["results"] == []
    assert browser.get("/dagctl/plans/plangroup_none/progress").status == 404


def test_open_pages_hear_of_each_telling(world: World, executing: PlanStep) -> None:
    before = live.take_picture()
    assert before.progress == {}
    tell(world, executing)
    first = live.take_picture(before)
    assert live.changes(before, first, world.organization_id) == live.Changes(
        frozenset(), frozenset(), frozenset({executing.group_id})
    )
    assert not live.changes(first, live.take_picture(first), world.organization_id)
    tell(world, executing, stage="publish")
    assert live.changes(first, live.take_picture(first), world.organization_id).progress == {executing.group_id}
    world.finish_execute(executing)
    assert live.take_picture(first).progress == {}, "of what does not run nothing is looked for"


def test_the_end_shows_the_result(browser: Browser, world: World, executing: PlanStep) -> None:
    tell(world, executing)
    ran = [{"name": row["name"], "status": "succeeded", "duration": 2.0} for row in MODELS]
    world.finish_execute(executing, models=ran, tests={"run": 3, "passed": 3, "failed": 0, "skipped": 0})
    _, found, results = plan_view.get_progress(world.actor(), executing.group_id)
    assert found is not None
    assert not found.running
    assert set(results) == {"shop.orders", "shop.daily"}
    assert "2 of 2 models · 3 of 3 tests" in browser.get(f"/dagctl/plans/{executing.group_id}").text


def test_the_clock_of_a_worker_may_be_ahead() -> None:
    row = {"name": "a", "status": "running", "started": (NOW + timedelta(minutes=5)).timestamp()}
    found = progress(told={"models": [row]})
    assert found is not None
    assert found.now[0].seconds == 0.0
