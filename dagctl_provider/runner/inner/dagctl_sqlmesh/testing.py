"""The project's unit tests: run before a plan is worked out or applied, and by jobs."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, TypedDict

from dagctl_common.channel import StepFailed
from dagctl_common.frames import Answer

from dagctl_sqlmesh.journals import Step

if TYPE_CHECKING:
    from sqlmesh.core.context import Context

OUTPUT_LIMIT = 20_000


class TestReport(TypedDict):
    """What the project's unit tests said; names are those of the failed ones."""

    run: int
    passed: int
    failed: int
    output: str
    names: list[str]


def run_tests(step: Step, context: Context, **chosen: Any) -> TestReport:
    """Run unit tests.

    :param step: The step.
    :param context: With its models loaded.
    :param chosen: Which ones, as this SQLMesh's ``Context.test`` has it; all without.
    """
    with step.channel.stage("tests"):
        stream = io.StringIO()
        result = context.test(stream=stream, **chosen)
    failed = len(result.failures) + len(result.errors)
    details = "\n".join(f"{test}\n{text}" for test, text in [*result.failures, *result.errors])
    run, passed = result.testsRun, result.testsRun - failed
    step.channel.event("tests", run=run, passed=passed, failed=failed)
    step.channel.line(f"unit tests: {run} run, {failed} failed")
    output = (details or stream.getvalue()).strip()
    if failed or chosen:
        for line in output.splitlines():
            step.channel.line(line)
    return {
        "run": run,
        "passed": passed,
        "failed": failed,
        "output": output[:OUTPUT_LIMIT],
        "names": [str(test).split(" ")[0] for test, _ in [*result.failures, *result.errors]],
    }


def refuse_failed_tests(tests: TestReport | None, answer: Answer) -> None:
    """End the step when tests failed.

    :param answer: What it has found by then.
    :raises StepFailed: ``tests_failed``.
    """
    if tests and tests["failed"]:
        text = f"{tests['failed']} of {tests['run']} unit tests failed: {', '.join(tests['names'][:5])}"
        raise StepFailed("tests_failed", text, **answer)
