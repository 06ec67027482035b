"""The request of a step: what it may hold, checked before anything is done with it.

Each string may come from a person outside the team, so nothing is passed on that could be read as an option, as another
transport or as a way out of the checkout.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from typing import Any

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.job_commands import CommandRefused, parse_command
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.repositories import (
    InvalidRepository,
    RepositoryAddress,
    check_branch,
    check_git_path,
    parse_repository_url,
)
from dagctl_provider.runner.versions import DEFAULT_TOOL

REQUEST_LIMIT = 64 * 1024 * 1024
"""Characters; nearly all of them are the deployed manifest of a dbt project, about 600 KB for a thousand models."""

VARS_LIMIT = 16_384
"""Characters of the variables that a plan sets: they go onto the tool's command line."""

UNSTABLE = ("exclude", "refuse")
"""What becomes of parts of a plan that differ each time they are computed: they are named and not compared, or it fails."""

_OUT_OF_REACH = frozenset({"local_not_allowed", "private_host"})
_NOT_BELIEVED = frozenset({"allow_local_repositories"})
"""Keys of older launchers that the machine's own configuration decides about now."""
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:-]{0,127}")
_PYTHON_VERSION = re.compile(r"3\.\d{1,2}(\.\d{1,3})?")
_INPUT_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")
_PACKAGE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?")
_PACKAGE_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,127}")
_NODE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}")
_VARIABLE = re.compile(r"[^\x00-\x1f\x7f]{1,255}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def _fail(name: str, why: str) -> RunnerError:
    return RunnerError("invalid_request", f"'{name}' {why}.")


def _check_identifier(name: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not _IDENTIFIER.fullmatch(value):
            raise _fail(name, "may hold only letters, digits, '_', '-', '.' and ':', at most 128")

    return check


def _check_text(name: str) -> Callable[[str], None]:
    def check(value: str) -> None:
        if not value or len(value) > 255 or re.search(r"[\x00-\x1f\x7f]", value):
            raise _fail(name, "must be a text of 1 to 255 printable characters")

    return check


@dataclass(frozen=True)
class Request:
    """What a step is to do. The fields are those of the request file."""

    repository_url: str
    commit_sha: str
    project_id: str
    step_id: str
    tool: str = DEFAULT_TOOL
    tool_version: str | None = None
    python_version: str | None = None
    requirements: Sequence[str] | None = None
    branch: str = "main"
    git_path: str = ""
    environment: str | None = None
    gateway: str | None = None
    run_tests: bool = True
    project_name: str = ""
    plan_group_id: str = ""
    attempt: int = 1
    expected_digest: str | None = None
    expected_digest_parts: Mapping[str, str] | None = None
    explained_plan_id: str | None = None
    turn: str | None = None
    vars: Mapping[str, Any] | None = None
    full_refresh: Sequence[str] | None = None
    adopted: bool = False
    deployed_tool_version: str | None = None
    deployed_packages: Mapping[str, str] | None = None
    inputs: Mapping[str, str] | None = None
    unstable: str = "exclude"
    job_command: str | None = None

    def address(self, reach: Reach) -> RepositoryAddress:
        """Where the repository is, once address, branch and path have passed the rules that the project's had to pass.

        :param reach: What this machine allows.
        :raises RunnerError: ``local_not_allowed`` and ``private_host`` for what it does not allow, else ``invalid_request``.
        """
        try:
            address = parse_repository_url(self.repository_url, allow_local=reach.local, allow_private=reach.private)
            check_branch(self.branch)
            check_git_path(self.git_path)
        except InvalidRepository as refused:
            code = refused.code if refused.code in _OUT_OF_REACH else "invalid_request"
            raise RunnerError(code, f"'{refused.field}' is refused: {refused}") from None
        return address

    def check(self, command: str) -> None:
        """Check everything that can be checked without looking at the repository or its address.

        :param command: ``explain``, ``execute`` or ``run``.
        :raises RunnerError: ``invalid_request``.
        """
        if not _COMMIT.fullmatch(self.commit_sha):
            raise _fail("commit_sha", "must be the full lower-case hash of a commit")
        for name in ("tool", "project_id", "step_id"):
            _check_identifier(name)(getattr(self, name))
        for name in ("environment", "gateway", "tool_version", "deployed_tool_version", "explained_plan_id", "turn"):
            value = getattr(self, name)
            if value is not None:
                (_check_identifier if name in ("explained_plan_id", "turn") else _check_text)(name)(value)
        for name in ("project_name", "plan_group_id"):
            if getattr(self, name):
                _check_text(name)(getattr(self, name))
        if self.python_version is not None and not _PYTHON_VERSION.fullmatch(self.python_version):
            raise _fail("python_version", "must be a version such as 3.11")
        if self.unstable not in UNSTABLE:
            raise _fail("unstable", f"must be one of {', '.join(UNSTABLE)}")
        self._check_packages()
        self._check_inputs()
        self._check_options()
        if (self.environment or "").startswith("-"):
            raise _fail("environment", "must not begin with '-'")
        self._check_approval(command)
        self._check_job_command(command)

    def _check_job_command(self, command: str) -> None:
        """A job has a command of its own, and nothing else that is approved without one."""
        if self.job_command is None:
            return
        if command != "run":
            raise _fail("job_command", f"belongs to a run, not to an {command}")
        try:
            parse_command(self.tool, self.job_command, self.tool_version, self.environment)
        except CommandRefused as refused:
            raise RunnerError("invalid_request", f"'job_command' is refused: {refused}") from None

    def _check_packages(self) -> None:
        """What a requirement may be is said where all of a project's requirements are read."""
        if not all(isinstance(text, str) for text in self.requirements or ()):
            raise _fail("requirements", "must be a list of texts")
        for name, version in (self.deployed_packages or {}).items():
            if not (_PACKAGE.fullmatch(name) and isinstance(version, str) and _PACKAGE_VERSION.fullmatch(version)):
                raise _fail("deployed_packages", "must map names of packages to versions")

    def _check_inputs(self) -> None:
        for name, value in (self.inputs or {}).items():
            if not _INPUT_NAME.fullmatch(name) or not isinstance(value, str):
                raise _fail("inputs", "must map names to base64 texts")

    def _check_options(self) -> None:
        """What a plan asks for beside its commit."""
        if not all(isinstance(name, str) and _NODE.fullmatch(name) for name in self.full_refresh or ()):
            raise _fail("full_refresh", "must be a list of names of models and seeds")
        if not all(_VARIABLE.fullmatch(name) for name in self.vars or {}):
            raise _fail("vars", "must map names of variables to values")
        if len(json.dumps(self.vars)) > VARS_LIMIT:
            raise _fail("vars", f"must not be longer than {VARS_LIMIT} characters")

    def _check_approval(self, command: str) -> None:
        """What an execute brings along of the plan that was approved."""
        if self.expected_digest is not None and not _DIGEST.fullmatch(self.expected_digest):
            raise _fail("expected_digest", "must be 'sha256:' and 64 hexadecimal digits")
        if command == "execute" and not (self.expected_digest and self.explained_plan_id):
            raise RunnerError(
                "invalid_request", "An execute needs 'expected_digest' and 'explained_plan_id' of the approved explain."
            )


_TYPES: Mapping[str, tuple[type, ...]] = {
    "run_tests": (bool,),
    "adopted": (bool,),
    "attempt": (int,),
    "expected_digest_parts": (dict,),
    "inputs": (dict,),
    "requirements": (list,),
    "vars": (dict,),
    "full_refresh": (list,),
    "deployed_packages": (dict,),
}


def parse_request(text: str, command: str, reach: Reach) -> tuple[Request, list[str]]:
    """Read and check a request.

    :param text: JSON object.
    :param command: ``explain``, ``execute`` or ``run``.
    :param reach: What this machine allows, whatever the request says.
    :return: The request, and the names of unknown keys, which a newer launcher may send.
    :raises RunnerError: ``invalid_request``, ``local_not_allowed`` or ``private_host``.
    """
    if len(text) > REQUEST_LIMIT:
        raise RunnerError("invalid_request", "The request is larger than 64 MiB.")
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise RunnerError("invalid_request", f"The request is not JSON: {error}.") from error
    if not isinstance(raw, dict):
        raise RunnerError("invalid_request", "The request is not a JSON object.")
    request = Request(**_known_values(raw))
    request.check(command)
    # Git knows a scheme in small letters only, so it is asked in the spelling in which the API server asked.
    request = replace(request, repository_url=request.address(reach).url)
    return request, sorted(set(raw) - {field.name for field in fields(Request)} - _NOT_BELIEVED)


def _known_values(raw: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for field in fields(Request):
        value = raw.get(field.name)
        if value is None:
            if field.default is MISSING:
                raise _fail(field.name, "is missing")
            continue
        expected = _TYPES.get(field.name, (str,))
        if not isinstance(value, expected) or (isinstance(value, bool) and bool not in expected):
            raise _fail(field.name, f"must be of type {expected[0].__name__}")
        values[field.name] = value
    return values
