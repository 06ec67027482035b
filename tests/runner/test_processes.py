"""Children are supervised: their output arrives as it is written, and they end when told to."""

from __future__ import annotations

import io
import itertools
import os
import signal
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner import processes as processes_module
from dagctl_provider.runner import progress as progress_module
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.masking import Masker
from dagctl_provider.runner.processes import Child, base_environment, run_child
from dagctl_provider.runner.progress import LINE_LIMIT, OUTPUT_LIMIT, Progress, Ticker
from dagctl_provider.runner.stopping import Stop
from tests.processes import is_alive
from tests.waiting import nothing, wait_for


def child(code: str, lines: list[str], **more: object) -> Child:
    return Child([sys.executable, "-c", code], base_environment(), Path("/"), lines.append, **more)  # type: ignore[arg-type]


def test_output_is_cut_into_lines_whatever_is_written() -> None:
    lines: list[str] = []
    code = "import os,sys; os.write(1, b'a\\nb\\xff'); os.write(2, b'c\\n\\nlast'); sys.exit(7)"
    assert run_child(child(code, lines), Stop()) == 7
    assert lines == ["a", "b\ufffdc", "", "last"]


def test_a_line_without_end_does_not_fill_the_memory() -> None:
    lines: list[str] = []
    assert run_child(child("print('x' * 300_000)", lines), Stop()) == 0
    assert len(lines) > 1
    assert sum(map(len, lines)) == 300_000


def test_channels_bring_their_own_lines() -> None:
    lines: list[str] = []
    events: list[str] = []
    read, write = os.pipe()
    code = f"import os; os.write({write}, b'one\\ntwo\\n'); print('out')"
    assert run_child(child(code, lines, channels={read: events.append}, pass_fds=(write,)), Stop()) == 0
    os.close(read)
    assert (lines, events) == (["out"], ["one", "two"])


def test_a_child_that_ignores_the_end_is_killed_with_its_own_children() -> None:
    lines: list[str] = []
    stop = Stop()

    def on_line(line: str) -> None:
        lines.append(line)
        stop.request("cancelled")

    code = (
        "import signal,subprocess,sys,time; signal.signal(15, signal.SIG_IGN);"
        "p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)']); print(p.pid, flush=True); time.sleep(60)"
    )
    assert run_child(replace(child(code, lines, grace=0.3), on_line=on_line), stop) == -signal.SIGKILL
    with pytest.raises(RunnerError, match="cancelled"):
        stop.check()
    wait_for("the child's own child to go", lambda: is_alive(int(lines[0])), nothing, seconds=60)


def test_a_child_may_leave_an_orphan_that_keeps_its_output_open() -> None:
    lines: list[str] = []
    code = "import subprocess,sys; subprocess.Popen([sys.executable,'-c','import time; time.sleep(300)']); print('done')"
    started = time.monotonic()
    assert run_child(child(code, lines), Stop()) == 0
    assert time.monotonic() - started < 120, "it did not wait for the orphan"
    assert lines == ["done"]


def test_what_a_child_wrote_last_is_read_however_late(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    code = "import os,time; os.write(1, b'first\\n'); time.sleep(0.3); os.write(1, b'last\\n' * 10_000)"
    clock = itertools.count(step=2)
    read_once = processes_module._read_once

    def read_and_be_kept_from_running(*them: Any) -> bool:
        found = read_once(*them)
        time.sleep(0.5)
        return found

    monkeypatch.setattr(processes_module.time, "monotonic", lambda: next(clock))
    monkeypatch.setattr(processes_module, "_read_once", read_and_be_kept_from_running)
    assert run_child(child(code, lines), Stop()) == 0
    assert lines == ["first"] + ["last"] * 10_000


def test_a_child_has_its_own_time_limit() -> None:
    with pytest.raises(RunnerError) as caught:
        run_child(child("import time; time.sleep(60)", [], timeout=0.3, grace=1.0), Stop())
    assert caught.value.code == "timeout"


def test_a_step_has_a_time_limit_too() -> None:
    stop = Stop(timeout=0.01)
    time.sleep(0.05)
    with pytest.raises(RunnerError, match="time limit") as caught:
        stop.check()
    assert caught.value.code == "timeout"
    stop.request("cancelled")
    assert stop.reason == "timeout"


def test_the_end_of_the_parent_is_noticed() -> None:
    stop = Stop()
    read, write = os.pipe()
    stop.listen_to_parent(read)
    os.write(write, b"x")
    time.sleep(0.1)
    assert not stop.requested
    os.close(write)
    wait_for("the end to be noticed", lambda: stop.requested, seconds=60)


def test_little_of_the_workers_environment_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", "postgresql://secret")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("https_proxy", "http://proxy")
    monkeypatch.setenv("WANTED", "1")
    env = base_environment("WANTED")
    assert not [name for name in env if name.startswith(("AIRFLOW", "PYTHON"))]
    assert (env["https_proxy"], env["WANTED"]) == ("http://proxy", "1")


def test_the_log_is_masked_and_bounded() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.masker = Masker({"hunter22"})
    progress.line("\x1b[31mred\x1b[0m hunter22\r\n")
    progress.line("x" * (LINE_LIMIT + 1))
    assert stream.getvalue().splitlines()[0] == "red ***"
    assert stream.getvalue().splitlines()[1].endswith("(cut)")
    for _ in range(OUTPUT_LIMIT // LINE_LIMIT + 10):
        progress.line("y" * LINE_LIMIT)
    assert len(stream.getvalue()) < OUTPUT_LIMIT + 2 * LINE_LIMIT
    assert "the rest is left out" in stream.getvalue()
    assert progress.tail[-1].startswith("y")


def test_a_reader_that_went_away_does_not_end_the_step() -> None:
    stream = io.StringIO()
    stream.close()
    Progress(stream).line("anything")


def test_something_slow_says_so_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = itertools.count()
    monkeypatch.setattr(progress_module.time, "monotonic", lambda: next(clock) / 2)
    stream = io.StringIO()
    ticker = Ticker(Progress(stream), "still waiting", every=1)
    for _ in range(40):
        ticker.tick()
    assert 2 <= len(stream.getvalue().splitlines()) <= 6
    assert stream.getvalue().startswith("still waiting (")
