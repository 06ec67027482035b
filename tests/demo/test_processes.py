"""Programs that are started, remembered and ended, with everything below them."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from demo.processes import ProcessTable, write_private
from tests.waiting import wait_for

SLEEPER = [sys.executable, "-c", "import time; time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]
# A child in a session of its own, as a plan step's runner is.
PARENT = [
    sys.executable,
    "-c",
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
    "print(child.pid, flush=True); time.sleep(60)",
]


@pytest.fixture
def table(tmp_path: Path) -> ProcessTable:
    return ProcessTable(tmp_path, tmp_path / "logs")


def wait_for_output(table: ProcessTable, name: str) -> str:
    return wait_for(f"output of {name}", lambda: table.tail(name).strip(), seconds=20)


def test_a_program_is_found_again_by_another_table_and_ended(table: ProcessTable, tmp_path: Path) -> None:
    process = table.start("one", SLEEPER, os.environ)
    again = ProcessTable(tmp_path, tmp_path / "logs")
    assert again.running() == ["one"]
    again.stop()
    assert again.running() == []
    table.stop()
    assert not process.is_running()


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_children_that_left_the_group_end_too(table: ProcessTable) -> None:
    table.start("parent", PARENT, os.environ)
    child = psutil.Process(int(wait_for_output(table, "parent")))
    table.stop(grace=0.5)
    assert has_ended(child)


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the system itself remembers when a process was started")
def test_a_clock_that_is_set_loses_no_program(table: ProcessTable, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux counts a process's start from boot; when that was is told by the clock, which may be set meanwhile."""
    system: Any = psutil._psplatform  # type: ignore[attr-defined]
    table.start("one", SLEEPER, os.environ)
    monkeypatch.setattr(system, "boot_time", lambda told=system.boot_time: told() + 3600)
    try:
        assert table.running() == ["one"]
    finally:
        monkeypatch.undo()
        table.stop(kill=True)


def test_a_program_that_ignores_the_polite_signal_ends_as_well(table: ProcessTable) -> None:
    process = table.start("stubborn", STUBBORN, os.environ)
    wait_for_output(table, "stubborn")
    table.stop(grace=0.3)
    assert not process.is_running()


def test_a_stale_number_ends_nobody(table: ProcessTable, tmp_path: Path) -> None:
    write_private(tmp_path / "processes.json", json.dumps({"old": {"pid": os.getpid(), "started": 1.0}}))
    assert table.running() == []
    table.stop()
    os.kill(os.getpid(), 0)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": {}}', '{"x": {"pid": "?"}}'])
def test_a_damaged_table_is_an_empty_one(table: ProcessTable, tmp_path: Path, text: str) -> None:
    (tmp_path / "processes.json").write_text(text)
    assert table.running() == []


def test_exit_codes_are_kept(table: ProcessTable) -> None:
    table.start("short", [sys.executable, "-c", "raise SystemExit(3)"], os.environ)
    assert wait_for("its exit code", lambda: table.exit_code("short"), lambda code: code is not None, seconds=20) == 3
    assert table.get("short") is None


def test_the_signal_is_sent_to_the_group(table: ProcessTable) -> None:
    process = table.start("one", SLEEPER, os.environ)
    assert os.getpgid(process.pid) == process.pid != os.getpgid(0)
    os.killpg(process.pid, signal.SIGTERM)
    table.stop(grace=1)


def test_private_files_are_private(tmp_path: Path) -> None:
    write_private(tmp_path / "secret", "x")
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["secret"]
