"""How far the newest step of a plan is: while it runs as its task tells, afterwards as its result has it.

The task leaves the sum of the runner's events in its XCom (docs/runner.md, Events), so looking costs one small read, works with
every executor, and any API server can do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.parts import Progress, RunningModel, Tally

STAGES: Mapping[str, str] = {
    "import": "Starting the tool",
    "config": "Reading the configuration",
    "state": "Reading what is deployed",
    "load": "Loading the models",
    "deps": "Installing packages",
    "parse": "Parsing the project",
    "lock": "Waiting until nobody else writes",
    "tests": "Running the unit tests",
    "plan": "Working out the plan",
    "migrate": "Migrating SQLMesh's state",
    "compile": "Compiling what changed",
    "columns": "Comparing columns",
    "create_tables": "Creating tables",
    "apply": "Computing models",
    "build": "Building",
    "publish": "Publishing",
}
"""What people read for the stages that runners report."""

_LAST = "publish"
"""The one stage that is worth saying when models have been counted; numbers say more than the others."""
_TESTS = ("test", "unit_test")


def progress_of(step: PlanStep, told: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], now: datetime) -> Progress | None:
    """How far ``step`` is; ``None`` where there is nothing to count: nothing runs, and nothing was executed.

    :param step: The newest of its group.
    :param told: What its task has told so far.
    :param rows: Its models, see :func:`rows_of`.
    """
    running = step.status == "running"
    if not running and not rows:
        return None
    expected = reading.mapping(told.get("expected"))
    models = [row for row in rows if row.get("kind") not in _TESTS]
    tests = _tally([row for row in rows if row.get("kind") in _TESTS], reading.number(expected.get("tests")))
    tally = _tally(models, reading.number(expected.get("models")))
    counted = tally.total and told.get("stage") != _LAST
    return Progress(
        running=running,
        stage=_stage(step, told) if running and not counted else None,
        models=tally,
        tests=_reported_tests(step) or tests,
        now=tuple(_running(row, now) for row in rows if row["status"] == "running"),
        seconds=_span(step, now),
    )


def rows_of(step: PlanStep, told: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """One row per model that was begun or skipped, from the result or, before there is one, from what was told.

    What still ran when a step ended without a word was cancelled with it.
    """
    if step.plan_type != "execute":
        return ()
    rows = reading.rows((step.plan_output or {}).get("models")) or reading.rows(told.get("models"))
    left = "running" if step.status == "running" else "cancelled"
    named = [row for row in rows if reading.text(row.get("name"))]
    return [row if row.get("status") not in (None, "running") else {**row, "status": left} for row in named]


def _stage(step: PlanStep, told: Mapping[str, Any]) -> str:
    if step.started_at is None:
        return "Waiting for a worker"
    return STAGES.get(reading.text(told.get("stage")) or "", "Starting")


def _tally(rows: Sequence[Mapping[str, Any]], expected: int) -> Tally:
    states = [row["status"] for row in rows]
    return Tally(
        total=max(expected, len(states)),
        succeeded=states.count("succeeded"),
        failed=states.count("failed"),
        running=states.count("running"),
        skipped=states.count("skipped") + states.count("cancelled"),
    )


def _reported_tests(step: PlanStep) -> Tally | None:
    """Tests as the result of an execute has them: as numbers, not as rows."""
    tests = reading.mapping((step.plan_output or {}).get("tests")) if step.plan_type == "execute" else {}
    run, skipped, failed = (reading.number(tests.get(key)) for key in ("run", "skipped", "failed"))
    return Tally(run + skipped, max(run - failed, 0), failed, 0, skipped) if run or skipped else None


def _running(row: Mapping[str, Any], now: datetime) -> RunningModel:
    started = reading.seconds(row.get("started"))
    batch, batches = reading.number(row.get("batch")), reading.number(row.get("batches"))
    return RunningModel(
        name=str(row["name"])[: reading.LONGEST_TEXT],
        seconds=max(0.0, now.timestamp() - started) if started is not None else None,
        # The runner says which one is done; people want to know which one is at work.
        batch=(min(batch + 1, batches), batches) if batches > 1 else None,
    )


def _span(step: PlanStep, now: datetime) -> float | None:
    end = now if step.status == "running" else step.finished_at
    return max(0.0, (end - step.started_at).total_seconds()) if step.started_at and end else None
