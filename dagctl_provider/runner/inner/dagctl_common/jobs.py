"""The job file: what the outer program tells the inner one. The outer one checked the request; the rest is its own doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict


class Request(TypedDict):
    """What was asked for, as far as the tools read it."""

    tool: str
    project_id: str
    step_id: str
    environment: str
    gateway: str | None
    commit_sha: str
    git_path: str
    run_tests: bool
    expected_digest: str | None
    expected_digest_parts: Mapping[str, str] | None
    explained_plan_id: str | None
    turn: str | None
    vars: Mapping[str, Any] | None
    full_refresh: list[str] | None
    adopted: bool


class Command(TypedDict):
    """What a job does: a command that the outer program has read and found to be one of a job's.

    :param verb: The subcommand, such as ``"source freshness"``.
    :param options: By long name; a truth value, a text or several texts.
    :param arguments: What stands without an option.
    :param nodes: Of a retry: unique ids of what did not succeed the last time.
    :param text: What people would type for it.
    """

    verb: str
    options: Mapping[str, bool | str | list[str]]
    arguments: list[str]
    nodes: list[str] | None
    text: str


class Finding(TypedDict, total=False):
    """What was found in the project; each tool has its own."""

    empty_file: str
    state_file: str | None
    profile: str
    profile_file: str
    target: str


class Channels(TypedDict, total=False):
    """How the two programs talk; a sweep has no channels."""

    events_fd: int
    alive_fd: int
    grace: float


class Ground(TypedDict, total=False):
    """What the step stands on beside the commit.

    :param given: Hashes of the variables that the project's code gets, by name.
    :param known: Names of all variables that are the project's own, those that do not count among them.
    :param given_files: Files that the project's code was given with its variables; they count as these do.
    :param packages: Versions of the packages that the tool runs with.
    :param plan_key: Key by which hashes of variables are made.
    :param explain_connection: Whether an explain has a connection of its own.
    :param unstable: What becomes of parts that differ each time: ``exclude`` or ``refuse``.
    :param data_folder: Where files of a warehouse are kept whose paths are relative; ``None``: nowhere.
    """

    given: Mapping[str, str]
    known: list[str]
    given_files: list[str]
    packages: Mapping[str, str]
    plan_key: str | None
    explain_connection: bool
    unstable: str
    data_folder: str | None


class Job(Request, Finding, Channels, Ground):
    """The request and what the outer program prepared.

    :param inputs: Files with what the request brought along, by name.
    :param cache: Folder of the project, kept between steps.
    :param shared: Folder of all projects.
    :param answer: File for the answer.
    :param job_command: Of a run: what the job does. ``None``: all that is due, as every project has it.
    """

    command: str
    job_command: Command | None
    project: str
    checkout: str
    scratch: str
    tool_version: str
    cache: str
    shared: str
    locks: str
    secrets: list[str]
    inputs: Mapping[str, str]
    application_prefix: str
    application_name: str
    answer: str
