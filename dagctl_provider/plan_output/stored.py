"""What is stored as ``plan_output``: the runner's report, and what only dagctl knows of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagctl_provider.domain.wire.reports import Result

_RESULTS = ("models", "tests", "already_applied", "timings")
"""Members of an execute's result that stand in its output."""


def unfinished(reported: Mapping[str, Any]) -> dict[str, Any]:
    """The output of an explain that failed.

    :param reported: What it had found by then.
    """
    return {**reported, "explain_completed": False}


def discarded(output: Mapping[str, Any], reason: str, current_commit: str) -> dict[str, Any]:
    """The output of an explain whose plan was rejected because the branch or the deployed state moved on.

    :param output: What it found.
    :param reason: For people.
    :param current_commit: What stands there now.
    """
    return {**output, "auto_discarded": True, "auto_discard_reason": reason, "current_commit": current_commit}


def resumed(succeeded: Sequence[str]) -> dict[str, Any] | None:
    """The output of an execute that begins.

    :param succeeded: What earlier executes of the group have finished.
    """
    return {"already_succeeded": list(succeeded)} if succeeded else None


def executed(output: Mapping[str, Any], result: Result) -> dict[str, Any]:
    """The output of an execute that succeeded.

    :param output: What it began with.
    """
    return {**output, **(result.plan_output or {}), **_results(result)}


def failed(result: Result, succeeded: Sequence[str]) -> dict[str, Any]:
    """The output of an execute that failed: what it did all the same, what had drifted, and what a retry need not do again."""
    drifts = (result.plan_output or {}).get("drifts")
    return {**_results(result), **({"drifts": drifts} if drifts else {}), **(resumed(succeeded) or {})}


def _results(result: Result) -> dict[str, Any]:
    return {key: value for key in _RESULTS if (value := getattr(result, key)) is not None}
