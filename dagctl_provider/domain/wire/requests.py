"""What a step is asked to do: made by the API server, carried in the run's conf, completed by the worker, done by the runner."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, cast

from dagctl_provider.domain.tools import DEFAULT_TOOL
from dagctl_provider.domain.wire.records import Record, WireError
from dagctl_provider.domain.wire.variables import GivenVariable

_CONF_KEY = "dagctl"


@dataclass(frozen=True, kw_only=True)
class RunnerRequest(Record):
    """The runner's part of a request: the fields of ``runner.requests.Request``, which checks what they hold.

    :param requirements: Python packages that the project's settings name.
    :param deployed_packages: Name and version of the packages that the deployed plan was worked out with.
    :param attempt: From here on a worker adds what it knows: its try, and what earlier steps left.
    :param inputs: Files for the runner by name, as base64.
    :param expected_digest: What was approved. An execute that comes to another one stops.
    :param turn: Of an execute: another one once a run of the deployed state has begun since.
    :param vars: Values of variables that the plan sets.
    :param full_refresh: Names of what the plan makes from scratch.
    :param adopted: Whether what is deployed was adopted: no plan of ours has been applied yet.
    :param job_command: Of a run: what the job does, as its text; without one, all that is due.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset(
        {
            "requirements",
            "deployed_packages",
            "gateway",
            "plan_group_id",
            "step_id",
            "attempt",
            "inputs",
            "expected_digest",
            "expected_digest_parts",
            "explained_plan_id",
            "turn",
            "vars",
            "full_refresh",
            "adopted",
            "job_command",
        }
    )

    tool: str = DEFAULT_TOOL
    tool_version: str | None = None
    python_version: str | None = None
    requirements: tuple[str, ...] | None = None
    deployed_tool_version: str | None = None
    deployed_packages: Mapping[str, str] | None = None
    repository_url: str = ""
    branch: str = "main"
    commit_sha: str = ""
    git_path: str = ""
    environment: str | None = None
    gateway: str | None = None
    run_tests: bool = True
    project_id: str = ""
    project_name: str = ""
    plan_group_id: str | None = None
    step_id: str | None = None
    unstable: str = "exclude"
    attempt: int | None = None
    inputs: Mapping[str, str] | None = None
    expected_digest: str | None = None
    expected_digest_parts: Mapping[str, str] | None = None
    explained_plan_id: str | None = None
    turn: str | None = None
    vars: Mapping[str, Any] | None = None
    full_refresh: tuple[str, ...] | None = None
    adopted: bool | None = None
    job_command: str | None = None


@dataclass(frozen=True, kw_only=True)
class LauncherSettings(Record):
    """The launcher's part of a request, which the runner never sees: where credentials are, how big a pod is, what it is called.

    :param warehouse_connection_id: The connection from which a profile may be made; no other one.
    :param resources: Of the pod: ``cpu_request``, ``memory_limit`` and so on.
    :param job_dag_ids: Of an execute: the Dags of the project's jobs besides the default one.
    """

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset(
        {"warehouse_connection_id", "job_name", "commit_message", "commit_author", "job_dag_ids"}
    )

    git_auth_method: str = "none"
    git_secret_ref: str | None = None
    state_connection_id: str | None = None
    warehouse_connection_id: str | None = None
    resources: Mapping[str, str] = field(default_factory=dict)
    job_name: str | None = None
    commit_message: str | None = None
    commit_author: str | None = None
    job_dag_ids: tuple[str, ...] | None = None


_OF_THE_RUNNER = tuple(one.name for one in fields(RunnerRequest))
_OF_THE_LAUNCHER = tuple(one.name for one in fields(LauncherSettings))
# In the letter the launcher's keys stand among the runner's.
_BEFORE = {
    "environment": ("git_auth_method", "git_secret_ref"),
    "unstable": ("state_connection_id",),
    "attempt": ("resources",),
}
_ORDER = tuple(dict.fromkeys(key for name in _OF_THE_RUNNER for key in (*_BEFORE.get(name, ()), name)))


@dataclass(frozen=True, kw_only=True)
class StepRequest:
    """A whole request. In a run's conf and in ``plan_step.settings`` both parts are one object.

    :param unknown: What a newer API server added. It goes to the runner, which may be newer, too, or else says so.
    :param variables: The environment variables that a worker was given beside the request. They are in no letter and in no log.
    """

    runner: RunnerRequest
    launcher: LauncherSettings
    unknown: Mapping[str, Any] = field(default_factory=dict)
    variables: Mapping[str, GivenVariable] = field(default_factory=dict, repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """The letter."""
        both = {**self.runner.to_json(), **self.launcher.to_json(), **self.unknown}
        return {key: both[key] for key in (*_ORDER, *both) if key in both}

    @classmethod
    def from_json(cls, letter: object) -> StepRequest:
        """The record of a letter.

        :raises WireError: when it is broken.
        """
        runner, launcher = RunnerRequest.from_json(letter), LauncherSettings.from_json(letter)
        known, every = {*_OF_THE_RUNNER, *_OF_THE_LAUNCHER}, cast("dict[str, Any]", letter)
        return cls(runner=runner, launcher=launcher, unknown={key: value for key, value in every.items() if key not in known})

    def for_runner(self) -> dict[str, Any]:
        """The request file of the runner (see docs/runner.md)."""
        return {**self.runner.to_json(), **self.unknown}


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a step starts from, handed out by the API server.

    :param files: By name, as base64.
    """

    files: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The letter: the files themselves."""
        return dict(self.files)

    @classmethod
    def from_json(cls, letter: object) -> Inputs:
        """The record of a letter; without one nothing was handed out.

        :raises WireError: when a file is no text. To start from less than was handed out would be another plan.
        """
        found = letter if isinstance(letter, dict) else {}
        if not all(isinstance(text, str) for text in found.values()):
            raise WireError("Inputs: each must be str")
        return cls(files=found)


def into_conf(letter: Mapping[str, Any]) -> dict[str, Any]:
    """The conf of a Dag run with a letter of ours."""
    return {_CONF_KEY: letter}


def from_conf(conf: Any) -> Any:
    """Our letter in the conf of a Dag run, ``None`` when there is none. Anybody who may trigger the Dag may have written it."""
    return conf.get(_CONF_KEY) if isinstance(conf, dict) else None
