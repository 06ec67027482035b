"""The runner that is handed everything through its standard streams, here as the same user: nothing of it needs another."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner import handed
from dagctl_provider.runner.reach import reach_variables
from tests.runner.conftest import ROOT
from tests.runner.shop import Repository

TOOL = """#!{python}
import json, os, sys, signal
from pathlib import Path
job = json.load(open(sys.argv[2]))
{body}
json.dump({{"outcome": "succeeded"}}, open(job["answer"], "w"))
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts a step whose tool is a stand-in, and writes its letter."""
    repository = Repository(tmp_path / "repository")
    commit = repository.commit({"config.yaml": "model_defaults: {}"})
    temporary = tmp_path / "tmp"
    temporary.mkdir()

    def begin(body: str, **secrets: str) -> subprocess.Popen[str]:
        tool = tmp_path / "tool"
        tool.write_text(TOOL.format(python=sys.executable, body=body))
        tool.chmod(0o755)
        environment = {
            "PATH": os.environ["PATH"],
            "TMPDIR": str(temporary),
            "DAGCTL_TOOL_PYTHON": str(tool),
            "DAGCTL_CACHE_DIR": str(tmp_path / "cache"),
            "DAGCTL_STEPS_DIR": str(tmp_path / "steps"),
            **reach_variables(local=True, private=False),
        }
        request = {
            "repository_url": repository.url,
            "commit_sha": commit,
            "project_id": "proj_1",
            "step_id": "plan_1",
        }
        child = subprocess.Popen(
            handed.command(sys.executable, ROOT, ["explain", "--grace", "30"]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            # What sudo leaves of an environment has nothing to say.
            env={"AIRFLOW__CORE__FERNET_KEY": "s3cret", "PYTHONPATH": "/nowhere"},
            cwd="/",
        )
        assert child.stdin is not None
        child.stdin.write(handed.letter(environment, request, secrets))
        child.stdin.flush()
        return child

    return begin


def told(child: subprocess.Popen[str]) -> tuple[list[str], dict[str, Any] | None]:
    """The log, and the result."""
    assert child.stdout is not None
    assert child.stdin is not None
    lines = child.stdout.read().splitlines()
    child.wait()
    child.stdout.close()
    child.stdin.close()
    results = [json.loads(line.removeprefix(handed.RESULT_MARK)) for line in lines if line.startswith(handed.RESULT_MARK)]
    return lines, results[-1] if results else None


def test_a_step_by_streams(start: Start, tmp_path: Path) -> None:
    child = start(
        "print('has', os.environ['WORD'], sorted(n for n in os.environ if 'AIRFLOW' in n))", **{"env.json": '{"WORD": "x"}'}
    )
    lines, result = told(child)
    assert lines[0] == f"{handed.BEGAN_MARK}{child.pid}"
    assert "has x []" in lines
    assert result is not None
    assert result["outcome"] == "succeeded"
    assert list((tmp_path / "tmp").iterdir()) == [], "the secrets are gone"


def test_the_secrets_are_in_a_folder_of_the_user_alone(start: Start, tmp_path: Path) -> None:
    body = f"""
import stat
folder, = Path({str(tmp_path / "tmp")!r}).iterdir()
print("modes", oct(folder.stat().st_mode), *(oct(path.stat().st_mode)[-3:] for path in (folder / "secrets").iterdir()))
"""
    lines, _ = told(start(body, **{"env.json": "{}"}))
    assert "modes 0o40700 600" in lines


def test_the_end_of_the_input_cancels_whatever_the_reason(start: Start, tmp_path: Path) -> None:
    """A worker that was killed closes it, too."""
    body = """
signal.signal(signal.SIGTERM, lambda *_: (print("interrupted", flush=True), os._exit(1)))
print("running", flush=True)
signal.pause()
"""
    child = start(body)
    assert child.stdin is not None
    assert child.stdout is not None
    assert child.stdout.readline().startswith(handed.BEGAN_MARK)
    before = list(itertools.takewhile(lambda line: line != "running\n", child.stdout))
    assert before
    assert child.poll() is None, before
    child.stdin.close()
    lines, result = told(child)
    assert "interrupted" in lines
    assert result is not None
    assert result["outcome"] == "cancelled"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_fails_comes_back_as_a_result(start: Start) -> None:
    lines, result = told(start("", **{"env.json": "no JSON"}))
    assert result is not None
    assert result["error"]["code"] == "invalid_request"
    assert not any("no JSON" in line for line in lines)
