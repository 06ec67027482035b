"""How a project reaches its workers: the Variable that is written together with it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from dagctl_provider.domain.wire.records import Record, WireError
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.domain.wire.specs import DagSpec


@dataclass(frozen=True, kw_only=True)
class RunSpec:
    """What a run of the deployed state is to do, read by its task when it starts.

    :param request: As the deployed commit was executed; ``None`` when nothing is deployed.
    """

    suspended: bool = False
    request: StepRequest | None = None

    def to_json(self) -> dict[str, Any]:
        """The letter. The request is text in it: Airflow masks in a worker's logs what stands under keys such as git_secret_ref,
        which is only a name.
        """
        letter: dict[str, Any] = {"suspended": self.suspended}
        return letter if self.request is None else {**letter, "run": json.dumps(self.request.to_json())}

    @classmethod
    def from_json(cls, letter: object) -> RunSpec:
        """The record of a letter, which may hold more.

        :raises WireError: when it is broken.
        """
        outer = _RunLetter.from_json(letter)
        if not outer.run:
            return cls(suspended=outer.suspended)
        try:
            request = json.loads(outer.run)
        except ValueError as error:
            raise WireError(f"RunSpec: 'run' must be the text of an object: {error}") from None
        return cls(suspended=outer.suspended, request=StepRequest.from_json(request))


@dataclass(frozen=True, kw_only=True)
class _RunLetter(Record):
    suspended: bool = False
    run: str = ""


@dataclass(frozen=True, kw_only=True)
class ProjectSpec:
    """All that a worker gets of its project. It reads the half that it needs: to build a Dag, or to run the deployed state."""

    dag: DagSpec
    run: RunSpec

    def to_json(self) -> dict[str, Any]:
        """The letter: both halves in one object."""
        return {**self.dag.to_json(), **self.run.to_json()}

    @classmethod
    def from_json(cls, letter: object) -> ProjectSpec:
        """The record of a letter.

        :raises WireError: when it is broken.
        """
        return cls(dag=DagSpec.from_json(letter), run=RunSpec.from_json(letter))
