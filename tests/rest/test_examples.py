"""The examples, as programs of their own, against our server over a real socket."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from dagctl_provider.domain.projects import Project
from dagctl_provider.services import tokens
from dagctl_provider.store import executions, transactions
from dagctl_provider.store.session import utcnow
from tests.services.test_metrics import DAY, at, put
from tests.services.world import World

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = ["poll.py", "sla.py", "compare_models.py", "poll.sh"]
NOW = (utcnow() - DAY) / timedelta(hours=1)


@dataclass
class Caller:
    """Somebody at a shell with a token of a reader."""

    home: Path
    variables: dict[str, str]

    def run(self, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable] if script.endswith(".py") else ["sh"]
        return subprocess.run(
            [*command, str(EXAMPLES / script), *arguments],
            env=self.variables,
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def caller(world: World, address: str, tmp_path: Path) -> Caller:
    secret = tokens.create_token(world.organization_id, "poller", "reader", "ada").secret
    variables = {"DAGCTL_URL": address, "DAGCTL_TOKEN": secret, "DAGCTL_ORGANIZATION": world.organization_id}
    return Caller(tmp_path, {**variables, "PATH": os.environ["PATH"]})


@pytest.fixture
def project(world: World) -> Project:
    made = world.project()
    put(made, "good", NOW - 2, ("a", "success", 10.0), updated_at=at(NOW - 1))
    put(made, "bad", NOW - 1.5, ("a", "success", 10.0), ("b", "failed", 1.0), status="partial", updated_at=at(NOW - 1))
    return made


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_and_what_has_to_be_said(script: str, caller: Caller) -> None:
    told = caller.run(script, "--help")
    assert told.returncode == 0
    assert told.stdout.strip()
    del caller.variables["DAGCTL_TOKEN"]
    spans = ["--before", "2026-04-01", "2026-04-02", "--after", "2026-04-03", "2026-04-04"]
    refused = caller.run(script, "proj_x", *(spans if script.startswith("compare") else []))
    assert refused.returncode not in (0,)
    assert "DAGCTL_TOKEN" in refused.stderr


def rows(text: str) -> list[tuple[str, str]]:
    """Lists and statuses that were printed."""
    return sorted((row["id"], row["status"]) for row in map(json.loads, text.splitlines()))


def test_polling_in_python_prints_each_change_once(caller: Caller, project: Project) -> None:
    first = caller.run("poll.py", project.id)
    assert first.stderr == ""
    assert rows(first.stdout) == [
        ("mx_bad_0", "success"), ("mx_bad_1", "failed"), ("mx_good_0", "success"), ("run_bad", "partial"),
        ("run_good", "success"),
    ]  # fmt: skip
    assert caller.run("poll.py", project.id).stdout == ""
    # It began before the last call and ended after it.
    put(project, "long", NOW - 3, ("a", "success", 9.0), status="running", updated_at=at(NOW - 1))
    assert rows(caller.run("poll.py", project.id).stdout) == [("mx_long_0", "success"), ("run_long", "running")]
    transactions.run(lambda session: executions.change_execution(session, "run_long", status="success"))
    assert rows(caller.run("poll.py", project.id).stdout) == [("run_long", "success")]
    assert caller.run("poll.py", project.id).stdout == ""


def test_polling_with_curl(caller: Caller, project: Project) -> None:
    if shutil.which("curl") is None:
        pytest.skip("needs curl")
    first = caller.run("poll.sh", project.id)
    assert first.stderr == ""
    runs, models = map(json.loads, first.stdout.splitlines())
    assert {run["id"] for run in runs["runs"]} == {"run_good", "run_bad"}
    assert len(models["model_executions"]) == 3
    again = caller.run("poll.sh", project.id)
    assert [json.loads(line)["total"] for line in again.stdout.splitlines()] == [0, 0]
    assert caller.run("poll.sh", "proj_x").returncode != 0


def test_thresholds_of_days(caller: Caller, project: Project) -> None:
    held = caller.run("sla.py", project.id, "--least-success", "0", "--most-seconds", "60", "--days", "2")
    assert (held.returncode, held.stdout) == (0, "All 2 days hold.\n")
    broken = caller.run("sla.py", project.id, "--least-success", "90", "--most-seconds", "30", "--days", "2")
    assert broken.returncode == 1
    assert "1 of 2 runs succeeded, less than 90 %" in broken.stdout
    assert "60.0 s on average, more than 30 s" in broken.stdout
    assert "0 runs, fewer than 1" in caller.run("sla.py", project.id, "--least-runs", "1").stdout


def test_what_the_server_refuses_is_said(caller: Caller, project: Project) -> None:
    refused = caller.run("sla.py", project.id, "--days", "0")
    assert refused.returncode == 2
    assert "422" in refused.stderr
    assert "query.days" in refused.stderr
    assert "404" in caller.run("poll.py", "proj_x").stderr
    caller.variables["DAGCTL_URL"] = "http://127.0.0.1:9"
    assert caller.run("sla.py", project.id).returncode == 2


def test_models_of_two_spans(caller: Caller, world: World) -> None:
    project = world.project("compared")
    put(
        project,
        "then",
        1,
        ("slow", "success", 10.0),
        ("fast", "success", 10.0),
        ("old", "success", 5.0),
        ("tiny", "success", 0.1),
    )
    put(
        project, "now", 49, ("slow", "success", 20.0), ("fast", "success", 5.0), ("new", "success", 5.0), ("tiny", "success", 0.9)
    )
    spans = ("--before", "2026-04-28", "2026-04-28", "--after", "2026-04-30", "2026-04-30")
    told = caller.run("compare_models.py", project.id, *spans)
    assert told.returncode == 1, told.stderr
    lines = [re.split(r"\s{2,}", line) for line in told.stdout.splitlines()]
    assert [line[0] for line in lines] == ["slow", "fast", "new", "old"]
    assert told.stdout.splitlines()[0].endswith("2.00 x  slower")
    assert told.stdout.splitlines()[1].endswith("0.50 x  faster")
    assert caller.run("compare_models.py", project.id, *spans, "--factor", "3").returncode == 0
    assert "422" in caller.run("compare_models.py", project.id, *spans[:3], "--after", "x", "y").stderr
