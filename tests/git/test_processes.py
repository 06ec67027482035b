"""A git process ends in time, with all its helpers, and cannot fill memory or the disk."""

from __future__ import annotations

import gc
import os
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from dagctl_provider.domain.repository import parse_repository_url
from dagctl_provider.git.environment import git_environment
from dagctl_provider.git.errors import GitMissing, GitTimeout, RepositoryTooLarge
from dagctl_provider.git.processes import Deadline, ServerEnds, ending, run_git
from tests.processes import is_alive
from tests.waiting import nothing, wait_for

ADDRESS = parse_repository_url("https://git.example.com/a")


@pytest.fixture
def environment():
    with git_environment(ADDRESS) as made:
        yield made


def _shell(script: str) -> list[str]:
    return ["-c", f"alias.run=!{script}", "run"]


def _run(arguments, environment, *, seconds=60.0, **limits):
    return run_git(arguments, environment, Deadline(seconds), **{"max_file_bytes": 10_000_000, **limits})


def test_status_output_and_complaints_are_returned(environment):
    outcome = _run(_shell("echo out; echo complaint >&2; exit 3"), environment)

    assert (outcome.status, outcome.stdout, outcome.stderr) == (3, b"out\n", "complaint")


def test_a_process_sees_no_variable_of_ours(environment, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setenv("GIT_CONFIG_COUNT", "broken")

    names = {line.partition(b"=")[0].decode() for line in _run(_shell("env"), environment).stdout.splitlines()}

    # The shell and git add a few of their own.
    own = {"PWD", "SHLVL", "_", "OLDPWD", "GIT_CONFIG_PARAMETERS", "GIT_EXEC_PATH", "GIT_PREFIX"}
    assert names <= set(environment.variables) | own


def test_standard_input_is_passed_on(environment):
    assert _run(_shell("cat"), environment, standard_input=b"text").stdout == b"text"


def test_a_process_that_ends_before_it_reads_is_no_error(environment):
    assert _run(_shell("exit 4"), environment, standard_input=b"x" * 60_000).status == 4


class _UntilWritten(Deadline):
    """Time is up as soon as a file has a line, however slow the machine is."""

    def __init__(self, file: Path, then=lambda: None) -> None:
        super().__init__(60)
        self.file, self.then = file, then

    def remaining(self) -> float:
        if self.file.exists() and self.file.read_text().endswith("\n"):
            self.then()
            self._end = 0
        return super().remaining()


@pytest.mark.parametrize("stays", ["; sleep 300", ""], ids=["git stays", "git ends"])
def test_the_whole_family_is_killed_when_time_is_up(environment, tmp_path, stays):
    pids = tmp_path / "pids"

    with pytest.raises(GitTimeout):
        run_git(_shell(f"sleep 300 & echo $! > {pids}{stays}"), environment, _UntilWritten(pids), max_file_bytes=10_000_000)

    wait_for("the process to go", lambda: is_alive(int(pids.read_text())), nothing, seconds=60)


def test_a_server_that_ends_waits_for_no_answer(environment, tmp_path):
    pids = tmp_path / "pids"
    deadline = _UntilWritten(pids, then=ending.set)

    try:
        with pytest.raises(ServerEnds):
            run_git(_shell(f"sleep 300 & echo $! > {pids}; sleep 300"), environment, deadline, max_file_bytes=10_000_000)
    finally:
        ending.clear()

    wait_for("the process to go", lambda: is_alive(int(pids.read_text())), nothing, seconds=60)


def test_a_process_that_closes_its_pipes_and_stays_is_killed(environment, tmp_path):
    program = tmp_path / "git"
    program.write_text("#!/bin/sh\nexec sleep 60 >&- 2>&-\n")
    program.chmod(0o755)
    environment.variables["PATH"] = f"{tmp_path}:{environment.variables['PATH']}"

    with pytest.raises(GitTimeout):
        _run(["version"], environment, seconds=1.0)


def test_nothing_is_started_when_time_is_up_already(environment):
    with pytest.raises(GitTimeout):
        _run(["version"], environment, seconds=-1)


def test_endless_output_is_cut_off(environment):
    with pytest.raises(RepositoryTooLarge):
        _run(_shell("yes"), environment, max_output=100_000)


def test_endless_complaints_cost_no_memory(environment):
    outcome = _run(_shell("head -c 5000000 /dev/zero | tr '\\0' x >&2; echo end >&2"), environment)

    assert outcome.stderr.endswith("end")
    assert len(outcome.stderr) <= 500


def test_files_are_limited(environment, tmp_path):
    target = tmp_path / "large"

    outcome = _run(_shell(f"head -c 3000000 /dev/zero > {target}"), environment, max_file_bytes=1_000_000)

    assert outcome.status != 0
    assert target.stat().st_size <= 1_000_512


def test_a_machine_without_git_is_told_so(environment):
    environment.variables["PATH"] = "/nonexistent"

    with pytest.raises(GitMissing):
        _run(["version"], environment)


def test_a_machine_without_a_shell_is_told_so(environment, monkeypatch):
    import git.cmd

    def refuse(*args, **kwargs):
        raise FileNotFoundError("/bin/sh")

    monkeypatch.setattr(git.cmd, "safer_popen", refuse)
    with pytest.raises(GitMissing):
        _run(["version"], environment)


def test_gitpython_that_finds_no_git_at_import_is_told_apart(environment, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "git.cmd", None)

    with pytest.raises(GitMissing):
        _run(["version"], environment)


def test_no_descriptor_is_left_behind(environment):
    _run(["version"], environment)
    # What earlier tests forgot is not to be closed, and its number taken, in the middle of this one.
    gc.collect()
    before = _descriptors()

    for _ in range(5):
        _run(["version"], environment)

    assert _descriptors() - before == Counter()


def _descriptors() -> Counter[str]:
    """What this process has open, of the kinds that talking to git takes."""
    found = Counter[str]()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found[os.readlink(descriptor)] += 1
    return Counter({target: number for target, number in found.items() if target.startswith(("pipe:", "anon_inode:"))})


def test_no_value_of_a_variable_is_an_argument(environment, monkeypatch):
    """Arguments can be read by every user of the machine; the address of a proxy may have a password in it."""
    import git.cmd

    commands = []
    monkeypatch.setitem(environment.variables, "https_proxy", "http://me:secret@proxy.example.com:3128")
    monkeypatch.setattr(
        git.cmd,
        "safer_popen",
        lambda command, *rest, real=git.cmd.safer_popen, **options: commands.append(command) or real(command, *rest, **options),
    )

    assert _run(_shell("echo $https_proxy"), environment).stdout == b"http://me:secret@proxy.example.com:3128\n"
    assert "secret" not in " ".join(commands[0])
