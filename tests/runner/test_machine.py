"""What is wrong with the machine ends a step with that as its code: no network is blamed for a full disk."""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner import checkout, environments
from dagctl_provider.runner.causes import cause_in, cause_of
from dagctl_provider.runner.checkout import fetch_project
from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.errors import STEP_ERRORS, RunnerError, os_error
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.results import RESERVED_BYTES, ResultFile
from dagctl_provider.runner.stopping import Stop
from tests.disks import UNWRITABLE, small_disk
from tests.runner.conftest import ROOT
from tests.runner.shop import Repository

ANSWERS = """#!{python}
import json, sys
job = json.load(open(sys.argv[2]))
{body}
"""


class Machine:
    """Runs whole steps of a small repository as a launcher does, with a stand-in for the tool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder / "repository")
        self.commit = self.repository.commit({"config.yaml": "model_defaults: {}"})
        self.variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1",
            "DAGCTL_CACHE_DIR": str(folder / "cache"),
            "DAGCTL_STEPS_DIR": str(folder / "steps"),
            "DAGCTL_TOOL_PYTHON": str(folder / "tool"),
        }
        self.result = folder / "result.json"
        self.tool("json.dump({'outcome': 'succeeded'}, open(job['answer'], 'w'))")

    def tool(self, body: str) -> None:
        path = self.folder / "tool"
        path.write_text(ANSWERS.format(python=sys.executable, body=body))
        path.chmod(0o755)

    def explain(self, **more: Any) -> tuple[int, str, dict[str, Any]]:
        """Exit code, log and result of a step; nothing is left where it happened, and nobody sees a traceback."""
        request = {"repository_url": self.repository.url, "commit_sha": self.commit, "project_id": "proj_1", "step_id": "plan_1"}
        done = subprocess.run(
            [sys.executable, "-m", "dagctl_provider.runner", "explain", "--request", "-", "--result", str(self.result)],
            cwd=ROOT, env=self.variables, input=json.dumps(request), capture_output=True, text=True, check=False, **more,
        )  # fmt: skip
        assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        steps = Path(self.variables["DAGCTL_STEPS_DIR"])
        assert [left for left in steps.glob("*") if left.suffix != ".lock"] == []
        assert list(self.result.parent.glob(".*")) == []
        return done.returncode, done.stdout, json.loads(self.result.read_text()) if self.result.exists() else {}

    def code(self, **more: Any) -> str:
        """The code of a step that fails."""
        status, _, result = self.explain(**more)
        code = str(result["error"]["code"])
        assert (status, result["error"]["hint"]) == (STEP_ERRORS[code].exit_code, STEP_ERRORS[code].hint)
        return code


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def limited(size: int) -> Any:
    """No file may become larger than this: a limit that everybody may set, where disks take root."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_healthy_machine_does_the_step(machine: Machine) -> None:
    assert machine.explain()[2]["outcome"] == "succeeded"


def fails(code: str, message: str) -> str:
    return f"json.dump({{'outcome': 'failed', 'error': {{'code': {code!r}, 'message': {message!r}}}}}, open(job['answer'], 'w'))"


# Disks


@pytest.mark.parametrize("kilobytes", [0, 200, 400, 700, 1500])
def test_a_full_disk_of_the_checkout_is_told_whatever_is_written_first(machine: Machine, tmp_path: Path, kilobytes: int) -> None:
    machine.commit = machine.repository.commit({"seed.csv": "".join(f"{os.urandom(30).hex()}\n" for _ in range(16_000))})
    with small_disk(tmp_path / "disk", 2048) as disk:
        machine.variables["DAGCTL_STEPS_DIR"] = str(disk / "steps")
        (disk / "ballast").write_bytes(os.urandom((2048 - 48 - kilobytes) * 1024))
        assert machine.code() == "disk_full"


def test_a_limit_on_files_is_told_where_git_meets_it(machine: Machine) -> None:
    machine.commit = machine.repository.commit({"seed.csv": "".join(f"{os.urandom(30).hex()}\n" for _ in range(16_000))})
    assert machine.code(preexec_fn=limited(200_000)) == "disk_full"


def test_a_full_disk_of_the_result_leaves_room_to_say_so(machine: Machine, tmp_path: Path) -> None:
    machine.tool("json.dump({'outcome': 'succeeded', 'plan_output': {'text': 'x' * 3_000_000}}, open(job['answer'], 'w'))")
    with small_disk(tmp_path / "disk", 1024) as disk:
        machine.result = disk / "result.json"
        _, log, result = machine.explain()
        assert result["error"]["code"] == "disk_full"
        assert "The step ended as 'succeeded', but its result could not be written" in result["error"]["message"]
    assert "succeeded" in log


def test_a_disk_that_fills_during_the_step_takes_a_small_result(machine: Machine, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 256) as disk:
        machine.result = disk / "result.json"
        machine.tool(
            "import contextlib\n"
            "with contextlib.suppress(OSError), open({!r}, 'wb', 0) as stream:\n"
            "    while True: stream.write(bytes(4096))\n"
            "json.dump({{'outcome': 'succeeded'}}, open(job['answer'], 'w'))".format(str(disk / "ballast"))
        )
        assert machine.explain()[2]["outcome"] == "succeeded"


def test_a_disk_without_any_room_for_a_result_ends_the_step_before_it_begins(machine: Machine, tmp_path: Path) -> None:
    machine.tool("raise SystemExit('must not start')")
    with small_disk(tmp_path / "disk", 64) as disk:
        machine.result = disk / "out" / "result.json"
        (disk / "ballast").write_bytes(bytes(60 * 1024))
        status, log, result = machine.explain()
    assert status == 1
    assert "[disk_full]" in log
    assert "must not start" not in log
    assert result.get("error", {}).get("code", "disk_full") == "disk_full", "a result of a few words may find room"


def test_a_result_that_cannot_be_written_whole_is_an_error_and_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dagctl_provider.runner import results

    real = results.write_result

    def full(path: Path, result: Any) -> None:
        if len(json.dumps(result)) > 1000:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), str(path))
        real(path, result)

    monkeypatch.setattr(results, "write_result", full)
    file = ResultFile(tmp_path / "result.json")
    file.reserve()
    assert next(tmp_path.glob(".*")).stat().st_size == RESERVED_BYTES
    assert file.write({"outcome": "succeeded", "exit_code": 0, "plan_output": "x" * 2000}) == 1
    assert json.loads((tmp_path / "result.json").read_text())["error"]["code"] == "disk_full"
    assert list(tmp_path.glob(".*")) == []


def test_a_tool_that_meets_a_full_disk_is_not_a_broken_project(machine: Machine) -> None:
    full = "OSError: [Errno 28] No space left on device: '/tmp/dagctl-steps/x/home'"
    machine.tool(f"print({full!r}); sys.exit(1)")
    assert machine.code() == "disk_full"
    machine.tool(fails("project_load_failed", full))
    assert machine.code() == "disk_full"
    machine.tool(fails("plan_failed", "could not extend file: No space left on device"))
    assert machine.code() == "plan_failed", "that is the disk of the warehouse's server"


# Folders


@pytest.mark.parametrize("name", ["DAGCTL_STEPS_DIR", "DAGCTL_CACHE_DIR"])
def test_a_folder_that_cannot_be_written_is_named(machine: Machine, name: str) -> None:
    machine.variables[name] = str(UNWRITABLE / "folder")
    # An image that holds the tool needs no cache.
    del machine.variables["DAGCTL_TOOL_PYTHON"]
    _, log, result = machine.explain()
    assert result["error"]["code"] == "folder_not_writable"
    assert str(UNWRITABLE) in result["error"]["message"]
    assert "[folder_not_writable]" in log


def test_a_result_folder_that_cannot_be_written_is_told_in_the_log(machine: Machine) -> None:
    machine.result = UNWRITABLE / "result.json"
    status, log, result = machine.explain()
    assert (status, result) == (1, {})
    assert "[folder_not_writable]" in log


def test_a_home_that_cannot_be_written_is_told_where_the_cache_is_in_it(machine: Machine) -> None:
    del machine.variables["DAGCTL_CACHE_DIR"], machine.variables["DAGCTL_TOOL_PYTHON"]
    machine.variables["HOME"] = str(UNWRITABLE)
    assert machine.code() == "folder_not_writable"


def test_a_user_without_a_home_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGCTL_CACHE_DIR", raising=False)
    monkeypatch.setenv("HOME", "")
    with pytest.raises(RunnerError) as caught:
        environments.cache_folder()
    assert caught.value.code == "home_missing"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    with pytest.raises(RunnerError) as caught:
        environments.cache_folder()
    assert caught.value.code == "home_missing"


def test_a_step_without_home_needs_none_when_its_folders_are_named(machine: Machine) -> None:
    del machine.variables["HOME"]
    assert machine.explain()[2]["outcome"] == "succeeded"


# Git


def program(folder: Path, body: str) -> dict[str, str]:
    """A `git` of this content, and nothing else on the path but a shell's own needs."""
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{body}\n")
    (folder / "git").chmod(0o755)
    return {"PATH": str(folder)}


def test_an_absent_git_is_told(machine: Machine, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    machine.variables["PATH"] = str(tmp_path / "empty")
    assert machine.code() == "git_missing"


def test_an_absent_ssh_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    for name in ("sh", "cat"):
        (tmp_path / "bin" / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    request = Request(repository_url="ssh://git@127.0.0.1:1/shop", commit_sha="0" * 40, project_id="p", step_id="s")
    with pytest.raises(RunnerError) as caught:
        fetch_project(request, Credentials(), tmp_path, Progress(io.StringIO()), Stop(), Reach(private=True))
    assert caught.value.code == "git_missing"


@pytest.mark.parametrize("version", ["2.30.9", "1.8.3.1"])
def test_a_git_that_our_settings_do_not_reach_is_not_let_near_a_remote(machine: Machine, tmp_path: Path, version: str) -> None:
    machine.variables |= program(tmp_path / "bin", f'test "$1" = version || touch {tmp_path}/ran; echo git version {version}')
    assert machine.code() == "git_too_old"
    assert not (tmp_path / "ran").exists()


def test_a_git_that_cannot_be_pinned_is_told_in_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    git = checkout._Git(tmp_path, {**os.environ, **program(tmp_path / "bin", "echo git version 2.34.1")}, Progress(said), Stop())
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    checkout._check_version(git, pinned=False)
    assert said.getvalue() == ""
    checkout._check_version(git, pinned=True)
    assert "older than 2.37" in said.getvalue()


# Words


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("fatal: write error: No space left on device", "disk_full"),
        ("error: failed to write to file `/c/x`: No space left on device (os error 28)", "disk_full"),
        ("error: failed to create directory `/.cache/uv`: Permission denied (os error 13)", "folder_not_writable"),
        ("fatal: cannot mkdir x: Read-only file system", "folder_not_writable"),
        ("error: unable to create file a.txt: Permission denied", "folder_not_writable"),
        ("git@github.com: Permission denied (publickey).", None),
        ("remote: error: No space left on device\nfatal: the remote end hung up unexpectedly", None),
        ("fatal: unable to find remote helper for 'https'", "git_missing"),
        ("", None),
    ],
)
def test_words_of_programs(text: str, code: str | None) -> None:
    assert cause_in(text) == code


def test_errors_of_the_system() -> None:
    assert {cause_of(OSError(number, "")) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)} == {"disk_full"}
    assert {cause_of(OSError(number, "")) for number in (errno.EROFS, errno.EACCES)} == {"folder_not_writable"}
    assert os_error(OSError(errno.EIO, "Input/output error", "/x")).code == "internal"
    assert os_error(OSError(errno.ENOSPC, "No space left on device", "/x"), "No").message == "No: No space left on device: /x"
