"""What is stored as ``plan_output``: the runner's report, and what only dagctl knows of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagctl_provider.domain.wire.reports import Finished, Result
from dagctl_provider.plan_output.figures import counted_anew
from dagctl_provider.plan_output.reading import executed as read_executed
from dagctl_provider.plan_output.reading import explained as read_explained
from dagctl_provider.plan_output.reading import mapping

_RESULTS = ("models", "tests", "already_applied", "timings", "warnings")
"""Members of an execute's result that stand in its output."""


def explained(reported: Mapping[str, Any]) -> dict[str, Any]:
    """The output of an explain that succeeded, with the numbers that everybody tells.

    :param reported: What it found.
    """
    return counted_anew(reported, read_explained(reported))


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


_RESUMES = "resumes"


def begun(finished: Finished | None = None, allow_destructive: Sequence[str] = ()) -> dict[str, Any] | None:
    """The output of an execute that begins.

    :param finished: How far earlier executes of the group have come.
    :param allow_destructive: The models whose destructive changes the approval named.
    """
    found: dict[str, Any] = {"allow_destructive": list(allow_destructive)} if allow_destructive else {}
    if finished is not None and (finished.succeeded or finished.touched):
        found.update({"already_succeeded": list(finished.succeeded), _RESUMES: finished.to_json()})
    return found or None


def resumes(output: object) -> Finished:
    """What an execute was told of earlier ones.

    :param output: As it is stored.
    """
    return Finished.read(mapping(output).get(_RESUMES)) or Finished()


def executed(output: Mapping[str, Any], result: Result) -> dict[str, Any]:
    """The output of an execute that succeeded.

    :param output: What it began with.
    """
    return {**output, **(result.plan_output or {}), **_results(result)}


def failed(output: Mapping[str, Any], result: Result, finished: Finished) -> dict[str, Any]:
    """The output of an execute that failed: what it did all the same, what had drifted, and what a retry need not do again.

    :param output: What it began with.
    """
    drifts = (result.plan_output or {}).get("drifts")
    began = begun(finished, read_executed(output).allow_destructive)
    return {**_results(result), **({"drifts": drifts} if drifts else {}), **(began or {}), **left(result)}


def left(result: Result) -> dict[str, Any]:
    """What an execute that did not succeed began to change in the warehouse, where it says so."""
    return {} if result.left is None else {"left": [dict(mapping(row)) for row in result.left]}


def _results(result: Result) -> dict[str, Any]:
    return {key: value for key in _RESULTS if (value := getattr(result, key)) is not None}
