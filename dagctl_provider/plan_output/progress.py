"""How far the newest step of a plan is: while it runs as its task tells, afterwards as its result has it.

The task leaves the sum of the runner's events in its XCom (docs/runner.md, Events), so looking costs one small read, works with
every executor, and any API server can do it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.plan_output import reading
from dagctl_provider.plan_output.members import key_of
from dagctl_provider.plan_output.parts import Progress, RunningModel, Tally
from dagctl_provider.plan_output.shape import ExecuteOutput, Expected, RunningModelRow, Told

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
    "run": "Computing models",
    "job": "Doing what the job says",
    "publish": "Publishing",
}
"""What people read for the stages that runners report."""

_LAST = "publish"
"""The one stage that is worth saying when models have been counted; numbers say more than the others."""
_TESTS = ("test", "unit_test")
_MODELS = key_of(ExecuteOutput, "models")


def progress_of(step: PlanStep, told: object, rows: Sequence[RunningModelRow], now: datetime) -> Progress | None:
    """How far ``step`` is; ``None`` where there is nothing to count: nothing runs, and nothing was executed.

    :param step: The newest of its group.
    :param told: What its task has told so far.
    :param rows: Its models, see :func:`rows_of`.
    """
    running = step.status == "running"
    if not running and not rows:
        return None
    said = reading.read(Told, told) or Told()
    expected = said.expected or Expected()
    tests = _tally([row for row in rows if row.kind in _TESTS], expected.tests)
    tally = _tally([row for row in rows if row.kind not in _TESTS], expected.models)
    counted = tally.total and said.stage != _LAST
    return Progress(
        running=running,
        stage=_stage(step, said) if running and not counted else None,
        models=tally,
        tests=_reported_tests(step) or tests,
        now=tuple(_running(row, now) for row in rows if row.status == "running"),
        seconds=_span(step, now),
    )


def rows_of(step: PlanStep, told: object) -> Sequence[RunningModelRow]:
    """One row per model that was begun or skipped, from the result or, before there is one, from what was told.

    What still ran when a step ended without a word was cancelled with it.
    """
    if step.plan_type != "execute":
        return ()
    rows = _rows(step.plan_output) or _rows(told)
    left = "running" if step.status == "running" else "cancelled"
    return [row if row.status not in (None, "running") else replace(row, status=left) for row in rows]


def is_reported(step: PlanStep) -> bool:
    """Whether the result of a step says what became of its models."""
    return bool(reading.rows(reading.mapping(step.plan_output).get(_MODELS)))


def _rows(report: object) -> Sequence[RunningModelRow]:
    return reading.read_all(RunningModelRow, reading.mapping(report).get(_MODELS))


def _stage(step: PlanStep, told: Told) -> str:
    if step.started_at is None:
        return "Waiting for a worker"
    return STAGES.get(told.stage or "", "Starting")


def _tally(rows: Sequence[RunningModelRow], expected: int) -> Tally:
    states = [row.status for row in rows]
    return Tally(
        total=max(expected, len(states)),
        succeeded=states.count("succeeded"),
        failed=states.count("failed"),
        running=states.count("running"),
        skipped=sum(states.count(status) for status in ("skipped", "cancelled", "not_ready")),
    )


def _reported_tests(step: PlanStep) -> Tally | None:
    """Tests as the result of an execute has them: as numbers, not as rows."""
    tests = reading.executed(step.plan_output).tests if step.plan_type == "execute" else None
    if tests is None:
        return None
    run, skipped, failed = tests.run or 0, tests.skipped or 0, tests.failed or 0
    return Tally(run + skipped, max(run - failed, 0), failed, 0, skipped) if run or skipped else None


def _running(row: RunningModelRow, now: datetime) -> RunningModel:
    batch, batches = row.batch or 0, row.batches or 0
    return RunningModel(
        name=row.name,
        seconds=max(0.0, now.timestamp() - row.started) if row.started is not None else None,
        # The runner says which one is done; people want to know which one is at work.
        batch=(min(batch + 1, batches), batches) if batches > 1 else None,
    )


def _span(step: PlanStep, now: datetime) -> float | None:
    end = now if step.status == "running" else step.finished_at
    return max(0.0, (end - step.started_at).total_seconds()) if step.started_at and end else None
