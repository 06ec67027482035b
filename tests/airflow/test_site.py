"""What a test kills must be its own: tests in other processes run steps at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.airflow.site import Site


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Two processes that look like runners: one of the site's, one of another test's."""
    command = [sys.executable, "-c", "print(flush=True); input()", "-m", "dagctl_provider.runner", "--watch-stdin"]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    started = {}
    for name in ("own", "foreign"):
        environment = {**os.environ, "DAGCTL_CACHE_DIR": str(tmp_path / name / "cache" / "tools")}
        started[name] = subprocess.Popen(command, env=environment, **pipes)
        started[name].stdout.readline()
    yield started
    for process in started.values():
        process.communicate(b"\n")


def test_a_site_sees_its_own_runners_and_no_others(runners: dict[str, subprocess.Popen[bytes]], tmp_path: Path) -> None:
    stack: Any = SimpleNamespace(home=tmp_path / "own", base_url="http://localhost")
    site = Site(stack=stack, organization_id="org", token="unused")
    assert [process.pid for process in site.runner_processes()] == [runners["own"].pid]
