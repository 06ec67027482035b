"""What a step tells while it runs and leaves when it ends, as XComs of its task, read by the API server.

A worker hands the runner's result on as it is. Its members are the runner's (docs/runner.md); what is read of them stands here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeVar

from dagctl_provider.domain.wire.records import Record

S = TypeVar("S", bound="OfStep")


@dataclass(frozen=True, kw_only=True)
class OfStep(Record):
    """What the task of a step left. An execute that is retried runs in the same task, so each letter names its step.

    :param try_id: Airflow's id of the try that left it. It is added with the seal (:mod:`dagctl_provider.domain.proofs`).
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"try_id"})

    step_id: str | None = None
    try_id: str | None = None

    @classmethod
    def read_own(cls: type[S], letter: object, step_id: str) -> S | None:
        """The record of a letter of this very step; ``None`` when it is another's, or none."""
        found = cls.read(letter)
        return found if found is not None and found.step_id == step_id else None


@dataclass(frozen=True, kw_only=True)
class Failure(Record):
    """Why a step did not succeed.

    :param code: Stable, for programs.
    """

    code: str | None = None
    message: str | None = None
    hint: str | None = None


@dataclass(frozen=True, kw_only=True)
class Result(OfStep):
    """The runner's result. What a step did not get to is ``None``.

    :param outcome: ``succeeded``, ``failed``, ``drifted`` or ``cancelled``.
    :param digest: What explain found; what execute compared it with.
    :param error: See :attr:`failure`.
    :param left: Of an execute that did not succeed: what of the warehouse it began to change. ``None`` when nobody knows.
    :param turn: The execute's.
    :param command: Of a run of dbt: what was done, for a later retry.
    :param remaining: Of a run of dbt: unique ids of what did not succeed.
    """

    outcome: str | None = None
    digest: str | None = None
    tool_plan_id: str | None = None
    plan_output: Mapping[str, Any] | None = None
    models: list[Any] | None = None
    tests: Any = None
    already_applied: bool | None = None
    timings: Mapping[str, Any] | None = None
    warnings: list[Any] | None = None
    error: Mapping[str, Any] | None = None
    pod_name: str | None = None
    left: list[Any] | None = None
    turn: str | None = None
    command: str | None = None
    remaining: list[Any] | None = None

    @property
    def failure(self) -> Failure:
        """What the error says; all ``None`` when there is none."""
        return Failure.read(self.error) or Failure()


def failed(code: str, message: str, hint: str) -> dict[str, Any]:
    """The result of a step that a worker did not hand to a runner."""
    return {"outcome": "failed", "error": {"code": code, "message": message, "hint": hint}}


@dataclass(frozen=True, kw_only=True)
class Artifacts(OfStep):
    """What a step leaves for later ones, apart from its result, which is read often.

    :param artifacts: Files by name, as base64.
    """

    artifacts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Progress(OfStep):
    """How far a step is.

    :param expected: How many models, batches and tests there are to do.
    :param models: One object each.
    :param succeeded: ``unique_id`` of what a retry leaves out.
    :param batches: Of models that are loaded batch by batch: ``all`` and ``done``, by ``unique_id``.
    :param turn: The execute's.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"batches", "turn", "try_id"})

    stage: str | None = None
    expected: Mapping[str, Any] = field(default_factory=dict)
    models: list[Any] = field(default_factory=list)
    succeeded: tuple[str, ...] = ()
    batches: Mapping[str, Any] | None = None
    turn: str | None = None


@dataclass(frozen=True, kw_only=True)
class Finished(Record):
    """How far the executes of a plan have come: what the next one need not do again.

    :param succeeded: ``unique_id`` of what is done.
    :param touched: ``unique_id`` of all that was begun.
    :param batches: As in :class:`Progress`.
    :param turn: In which all of it was done.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset({"touched", "batches", "turn"})

    succeeded: tuple[str, ...] = ()
    touched: tuple[str, ...] | None = None
    batches: Mapping[str, Any] | None = None
    turn: str | None = None


@dataclass(frozen=True, kw_only=True)
class PodSeen(OfStep):
    """Which pod a step runs in, for who looks before there is a result."""

    pod_name: str | None = None
