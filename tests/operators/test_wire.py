"""What a worker hands to the runner and leaves for the API server, word for word, from what an API server of today wrote."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.operators.process import ProcessStepOperator
from tests.granting import content, granted, seal_of, task

COMMIT = "a" * 40
# What the runner is told.
TOLD = {
    "tool": "sqlmesh",
    "tool_version": "0.236.4",
    "python_version": None,
    "deployed_tool_version": None,
    "repository_url": "https://example.com/acme/shop",
    "branch": "main",
    "commit_sha": COMMIT,
    "git_path": "warehouse",
    "environment": "prod_eu",
    "run_tests": True,
    "project_id": "proj_1",
    "project_name": "Shop EU",
    "unstable": "exclude",
}
# What it is not told: where credentials are, and what only the launcher or people need.
KEPT = {
    "git_auth_method": "none",
    "git_secret_ref": None,
    "state_connection_id": None,
    "resources": {"cpu_limit": "2000m", "memory_limit": "4Gi"},
}
STEP = {"plan_group_id": "plangroup_1", "step_id": "plan_explain"}
CONF = {
    **TOLD,
    **STEP,
    **KEPT,
    "job_name": "shop-eu-plan-explain-1",
    "commit_message": "Take discounts off",
    "commit_author": "Ada",
}
RESULT = {"outcome": "succeeded", "digest": "sha256:1", "tool_plan_id": "t", "plan_output": {"models": []}, "later": {"a": None}}

RUNNER = """
import json, pathlib, sys
options = dict(zip(sys.argv[4::2], sys.argv[5::2]))
pathlib.Path("REQUEST").write_text(pathlib.Path(options["--request"]).read_text())
with open(options["--events"], "a") as events:
    events.write(json.dumps({"event": "stage", "stage": "apply"}) + "\\n")
pathlib.Path(options["--result"]).write_text(pathlib.Path("RESULT").read_text())
"""


class Place:
    """A worker with a runner that does nothing but note its request and leave a result.

    :param folder: For the runner and its files.
    """

    def __init__(self, folder: Path) -> None:
        self._request, self.result = folder / "seen.json", folder / "left.json"
        self.result.write_text(json.dumps(RESULT))
        self.python = folder / "python"
        text = RUNNER.replace("REQUEST", str(self._request)).replace("RESULT", str(self.result))
        self.python.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{text}' \"$@\"\n")
        self.python.chmod(0o755)

    def run(self, kind: Any, context: Any) -> Any:
        """Run a step; what the runner was told."""
        ProcessStepOperator(task_id=kind, kind=kind).execute(context)
        return json.loads(self._request.read_text())


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made = Place(tmp_path)
    monkeypatch.setattr(sys, "executable", str(made.python))
    return made


def test_an_explain(place: Place) -> None:
    it = granted("explain", CONF, inputs={"deployed": "bWFuaWZlc3Q="})
    assert place.run("explain", it) == {**TOLD, **STEP, "attempt": 1, "inputs": {"deployed": "bWFuaWZlc3Q="}}
    progress = {"step_id": "plan_explain", "stage": "apply", "expected": {}, "models": [], "succeeded": []}
    assert left(it) == {"progress": json.dumps(progress), "result": json.dumps({**RESULT, "step_id": "plan_explain"})}


def test_an_execute(place: Place) -> None:
    bound = {"expected_digest": "sha256:1", "expected_digest_parts": {"commit": "c"}, "explained_plan_id": "t"}
    place.result.write_text(json.dumps({**RESULT, "artifacts": {"deployed": "bmV3"}}))
    it = granted("execute", {**CONF, "step_id": "plan_execute", **bound}, task("execute", try_number=2))
    assert place.run("execute", it) == {**TOLD, **STEP, "step_id": "plan_execute", "attempt": 2, **bound}
    assert left(it)["artifacts"] == json.dumps({"step_id": "plan_execute", "artifacts": {"deployed": "bmV3"}})
    assert left(it)["result"] == json.dumps({**RESULT, "step_id": "plan_execute"})


def test_a_run(place: Place) -> None:
    step = "run_0123456789abcdefghij"
    it = granted("run", {**TOLD, **KEPT, "plan_group_id": step, "step_id": step}, task("run", run_id=step))
    assert place.run("run", it) == {**TOLD, "plan_group_id": step, "step_id": step, "attempt": 1}
    assert left(it)["result"] == json.dumps({**RESULT, "step_id": step})


def test_what_a_newer_api_server_asks_for_reaches_the_runner(place: Place) -> None:
    """The runner may be newer than the worker; it says in its log what it does not know either."""
    it = granted("explain", {**CONF, "later": {"a": [1, None]}})
    assert place.run("explain", it) == {**TOLD, **STEP, "later": {"a": [1, None]}, "attempt": 1}


def left(it: Any) -> dict[str, str]:
    """What the task left, as text and without what proves it; which proves it."""
    assert all(seal_of(letter, it["ti"], key) for key, letter in it["ti"].pushed.items())
    return {key: json.dumps(content(letter)) for key, letter in it["ti"].pushed.items()}
