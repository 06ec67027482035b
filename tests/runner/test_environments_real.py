"""Two steps that need the same new environment at the same time, with the real installer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runner.conftest import ROOT

pytestmark = pytest.mark.slow


def test_two_processes_make_one_environment(tmp_path: Path) -> None:
    env = {**os.environ, "DAGCTL_ENVIRONMENTS_DIR": str(tmp_path)}
    command = [sys.executable, "-m", "dagctl_provider.runner", "install", "--version", "0.228.5"]
    running = [subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    pythons = {output.split()[-1] for output in outputs}
    assert len(pythons) == 1
    assert sorted("installing" in output for output in outputs) == [False, True]
    assert any("waiting for another step to install" in output for output in outputs)
    code = "import sqlmesh, psycopg2; print(sqlmesh.__version__)"
    assert subprocess.check_output([pythons.pop(), "-c", code], text=True).strip() == "0.228.5"
