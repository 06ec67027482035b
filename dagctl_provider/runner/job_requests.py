"""A job's command on its way to the tool: the text of the request as what the inner program is to do.

A retry is what the last run of dbt left: its command, and the nodes that did not succeed. The control plane keeps both and hands
them out as an input, because the folder in which dbt itself would look for them is gone. It is checked as a text from outside.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.job_commands import CommandRefused, JobCommand, parse_command
from dagctl_provider.runner.requests import Request

RETRY = "retry"
"""Name of the input."""
NODES_LIMIT = 5_000
RETRIED = frozenset({"build", "run", "test", "seed", "snapshot"})
"""Subcommands of dbt whose nodes are run again; of the others nothing is left half done."""

_UNIQUE_ID = re.compile(r"[a-z_]{1,30}\.[^\x00-\x20\x7f]{1,400}")


def job_of(request: Request, version: str, retry: str | None) -> dict[str, object] | None:
    """What the inner program is to do; ``None`` for all that is due, as every project has it.

    :param request: Of a run.
    :param version: Version of the tool that runs.
    :param retry: File with what the last run left.
    :raises RunnerError: ``nothing_to_retry``, or ``invalid_request`` for an input that is broken.
    """
    text = (request.job_command or "").strip()
    if text in ("", "run"):
        return None
    command = _parsed(request, text, version)
    if command.verb != "retry":
        return {**_told(command), "nodes": None, "text": text}
    before, nodes, text = _left(request, version, retry)
    again = _told(before)
    # What is said of the retry counts more: fewer threads may be why there is one.
    return {**again, "options": {**before.options, **command.options}, "nodes": nodes, "text": text}


def _parsed(request: Request, text: str, version: str) -> JobCommand:
    try:
        return parse_command(request.tool, text, version, request.environment)
    except CommandRefused as refused:
        raise RunnerError("invalid_request", f"'job_command' is refused: {refused}") from None


def _told(command: JobCommand) -> dict[str, object]:
    return {"verb": command.verb, "options": dict(command.options), "arguments": list(command.arguments)}


def _left(request: Request, version: str, retry: str | None) -> tuple[JobCommand, list[str], str]:
    if retry is None:
        raise RunnerError("nothing_to_retry", "No run of dbt before this one has left anything to retry.")
    try:
        found = json.loads(Path(retry).read_text(encoding="utf-8"))
        text, nodes = found["command"], found["nodes"]
    except (ValueError, KeyError, TypeError) as error:
        raise RunnerError("invalid_request", "The input 'retry' is not an object of 'command' and 'nodes'.") from error
    if not (isinstance(text, str) and isinstance(nodes, list) and len(nodes) <= NODES_LIMIT):
        raise RunnerError("invalid_request", "The input 'retry' is not an object of 'command' and 'nodes'.")
    if not all(isinstance(node, str) and _UNIQUE_ID.fullmatch(node) for node in nodes):
        raise RunnerError("invalid_request", "The input 'retry' names something that is no node of dbt.")
    command = _parsed(request, text, version)
    if command.verb == "retry":
        # Of which command it was a retry, nobody kept; a build runs nodes of any kind.
        command, text = JobCommand(request.tool, "build"), "dbt build"
    if not nodes or command.verb not in RETRIED:
        raise RunnerError("nothing_to_retry", f"The last run, '{text}', has left nothing to retry.")
    return command, nodes, text
