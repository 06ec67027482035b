"""Two steps that need the same new environment at the same time, with the real installer."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagctl_provider.runner.environments import make_spec
from tests.runner.conftest import PATIENCE, ROOT
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


def test_two_processes_make_one_environment(tmp_path: Path) -> None:
    env = {**os.environ, "DAGCTL_ENVIRONMENTS_DIR": str(tmp_path / "environments")}
    command = [sys.executable, "-m", "dagctl_provider.runner", "install", "--version", "0.228.5"]
    lock = tmp_path / "environments" / f"{make_spec('sqlmesh', '0.228.5').name}.lock"
    lock.parent.mkdir()
    logs = [tmp_path / name for name in ("one", "other")]

    def outputs() -> list[str]:
        return [log.read_text() for log in logs]

    with lock.open("w") as held:
        # Until both have come as far as this, whichever starts first.
        fcntl.flock(held, fcntl.LOCK_EX)
        running = []
        for log in logs:
            with log.open("w") as out:
                running.append(subprocess.Popen(command, cwd=ROOT, env=env, stdout=out))
        wait_for(
            "both to wait",
            outputs,
            lambda seen: all("waiting for another step to install" in log for log in seen),
            seconds=PATIENCE,
        )
    assert [process.wait(PATIENCE) for process in running] == [0, 0], outputs()
    pythons = {output.split()[-1] for output in outputs()}
    assert len(pythons) == 1
    assert sorted("installing" in output for output in outputs()) == [False, True]
    code = "import sqlmesh, psycopg2; print(sqlmesh.__version__)"
    assert subprocess.check_output([pythons.pop(), "-c", code], text=True).strip() == "0.228.5"
