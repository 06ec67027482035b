"""The embedded launcher with a user for the steps: what a project's code can reach then, and that it still starts and stops.

Nothing is made on the machine: the user is ``nobody``. By ``setpriv`` these tests need root; ``sudo`` is a stand-in that does
what sudo does to descriptors and environment, so it needs root as well.
"""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dagctl_provider.domain import wire
from dagctl_provider.domain.wire.variables import GivenVariable
from dagctl_provider.operators import process, users
from dagctl_provider.operators.process import ProcessStepOperator
from dagctl_provider.operators.users import UserUnavailable, step_user
from dagctl_provider.runner.environments import READY_MARKER
from dagctl_provider.runner.errors import STEP_ERRORS
from tests.runner.shop import Repository
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]
AS_NOBODY = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--init-groups", "--", "env", "--")
LOADS = """import sys
sys.path.insert(0, sys.argv[1])
from dagctl_provider.runner import cli
print(cli.make_spec('sqlmesh', None).name)
"""
needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("setpriv"), reason="becoming another user needs root and setpriv"
)
NOBODY = pwd.getpwnam("nobody")

TOOL = """#!{python} -I
import json, os, sys, time
from pathlib import Path
job = json.load(open(sys.argv[2]))
{body}
json.dump({{"outcome": "succeeded"}}, open(job["answer"], "w"))
"""

LOOK = """
def tried(path):
    try:
        return Path(path).read_bytes().decode(errors="replace")
    except OSError as error:
        return type(error).__name__
asked = json.loads(Path({asked!r}).read_text())
seen = {{name: tried(path) for name, path in asked.items()}}
seen["own runner"] = tried(f"/proc/{{os.getppid()}}/environ")
seen["uid"] = os.getuid()
seen["groups"] = os.getgroups()
seen["environment"] = dict(os.environ)
seen["processes"] = sum(name.isdigit() for name in os.listdir("/proc"))
seen["status"] = dict(line.split(":\\t", 1) for line in Path("/proc/self/status").read_text().splitlines())
seen["files"] = sorted(str(path.name) for path in Path(job["scratch"]).parent.iterdir())
Path({seen!r}).write_text(json.dumps(seen))
print("the project speaks")
"""

SUDO = """#!{python} -I
import os, sys
assert sys.argv[1:5] == ["-n", "-u", "nobody", "--"], sys.argv
os.closerange(3, 256)
words = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--init-groups", "--", "env", "--", *sys.argv[5:]]
os.execvpe("setpriv", words, {{"PATH": os.environ["PATH"]}})
"""


@pytest.fixture(scope="module")
def python() -> tuple[str, str]:
    """An interpreter that ``nobody`` can run, and what the runner calls its environment of SQLMesh."""
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if os.geteuid() == 0 and Path(path).exists():
            done = subprocess.run([*AS_NOBODY, path, "-I", "-c", LOADS, str(ROOT)], capture_output=True, text=True, cwd="/")
            if done.returncode == 0:
                return path, done.stdout.strip()
    return sys.executable, ""


class Machine:
    """A worker's machine in a folder: what is Airflow's in it, what is the user's, and a project whose tool is a stand-in."""

    def __init__(self, folder: Path, python: tuple[str, str]) -> None:
        self.python, self.environment = python
        self.folder = folder
        self.seen = folder / "user" / "seen.json"
        self.airflow = folder / "airflow.cfg"
        self.airflow.write_text("fernet_key = s3cret")
        self.airflow.chmod(0o600)
        repository = Repository(folder / "repository")
        request = {
            "repository_url": repository.url,
            "commit_sha": repository.commit({"config.yaml": "model_defaults: {}"}),
            "project_id": f"proj_{folder.name}",
            "project_name": "shop",
            "step_id": "plan_1",
            "tool": "sqlmesh",
        }
        self.request = wire.requests.StepRequest.from_json(request)
        self.reported: list[dict[str, Any]] = []
        self.progress: list[dict[str, Any]] = []

    def tool(self, body: str) -> None:
        """Make the tool's environment, as if it had been installed for the user."""
        if not self.environment:
            pytest.skip("'nobody' can run no Python here that is new enough")
        home = self.folder / "cache" / "nobody" / "environments" / self.environment
        (home / "bin").mkdir(parents=True)
        (home / READY_MARKER).write_text("{}")
        python = home / "bin" / "python"
        python.write_text(TOOL.format(python=self.python, body=body))
        python.chmod(0o755)
        (self.folder / "user").mkdir()
        for path in [self.folder / "user", *self.folder.glob("cache/**/*"), *(self.folder / "repository").rglob("*")]:
            os.chown(path, NOBODY.pw_uid, NOBODY.pw_gid)
        os.chown(self.folder / "repository", NOBODY.pw_uid, NOBODY.pw_gid)

    def look(self, **paths: object) -> dict[str, Any]:
        """Run an explain whose tool tries to read."""
        asked = self.folder / "asked.json"
        asked.write_text(json.dumps({name: str(path) for name, path in paths.items()}))
        self.tool(LOOK.format(asked=str(asked), seen=str(self.seen)))
        ProcessStepOperator(task_id="explain", kind="explain").execute({})  # type: ignore[typeddict-item]
        assert self.reported[-1]["outcome"] == "succeeded", self.reported
        found: dict[str, Any] = json.loads(self.seen.read_text())
        return found


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, python: tuple[str, str]) -> Iterator[Machine]:
    # Where pytest keeps files only its own user can enter.
    folder = Path(tempfile.mkdtemp(prefix="dagctl-user-", dir="/tmp"))
    folder.chmod(0o755)
    it = Machine(folder, python)
    monkeypatch.setattr(sys, "executable", it.python)
    monkeypatch.setenv("AIRFLOW__DAGCTL__PROCESS_USER", "nobody")
    monkeypatch.setenv("AIRFLOW__DAGCTL__CACHE_FOLDER", str(folder / "cache"))
    monkeypatch.setenv("DAGCTL_STEPS_DIR", str(folder / "user" / "steps"))
    monkeypatch.setattr(process, "received_request", lambda context, kind: it.request)
    monkeypatch.setattr(process, "report", lambda context, request, result: it.reported.append(result))
    monkeypatch.setattr(process, "progress_to_xcom", lambda context, request: it.progress.append)
    yield it
    shutil.rmtree(folder)


@pytest.fixture
def scheduler() -> Iterator[subprocess.Popen[bytes]]:
    """A process of Airflow beside the worker, with what Airflow's processes have in their environment."""
    env = {**os.environ, "AIRFLOW__CORE__FERNET_KEY": "s3cret"}
    child = subprocess.Popen([sys.executable, "-c", "print(1, flush=True); input()"], env=env, stdin=-1, stdout=-1)
    assert child.stdout is not None
    child.stdout.readline()
    yield child
    child.communicate(b"\n")


@pytest.fixture
def by_sudo(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A worker that is not root, as far as it knows itself, and a ``sudo`` that allows it."""
    program = machine.folder / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text(SUDO.format(python=machine.python))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(users, "os", SimpleNamespace(geteuid=lambda: 12345, chown=os.chown))
    return program


def assert_nothing_of_airflow(seen: dict[str, Any]) -> None:
    assert seen["airflow"] == "PermissionError"
    assert seen["worker"] == "PermissionError"
    assert "s3cret" not in json.dumps(seen)
    assert seen["own runner"] == "PermissionError", "the installer's index may have a password"
    assert seen["uid"] == NOBODY.pw_uid
    assert seen["groups"] == [NOBODY.pw_gid]
    assert [name for name in seen["environment"] if name.startswith(("AIRFLOW", "UV_", "SUDO_"))] == []


@needs_root
@pytest.mark.parametrize("hidden", [True, False])
def test_a_project_reads_nothing_that_is_airflows(
    machine: Machine, scheduler: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, hidden: bool
) -> None:
    if hidden and not users._can_hide():
        pytest.skip("the kernel allows no process namespace here")
    monkeypatch.setattr(users, "_can_hide", lambda: hidden)
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "s3cret")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://me:s3cret@index.invalid/simple")
    worker = machine.folder / "scratch"
    worker.mkdir(mode=0o700)
    (worker / "of-another-step").write_text("s3cret")
    seen = machine.look(
        scheduler=f"/proc/{scheduler.pid}/environ",
        airflow=machine.airflow,
        worker=worker / "of-another-step",
        root="/proc/1/environ",
    )
    assert_nothing_of_airflow(seen)
    assert seen["scheduler"] == ("FileNotFoundError" if hidden else "PermissionError")
    assert seen["root"] == "PermissionError"
    assert (seen["processes"] < 8) is hidden
    assert seen["status"]["NoNewPrivs"] == "1"
    assert {int(seen["status"][name], 16) for name in ("CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb")} == {0}


@needs_root
@pytest.mark.usefixtures("by_sudo")
def test_by_sudo_it_is_the_same(machine: Machine, scheduler: subprocess.Popen[bytes]) -> None:
    worker = machine.folder / "scratch"
    worker.mkdir(mode=0o700)
    seen = machine.look(scheduler=f"/proc/{scheduler.pid}/environ", airflow=machine.airflow, worker=worker / "x")
    assert_nothing_of_airflow(seen)
    assert seen["scheduler"] == "PermissionError"


@needs_root
@pytest.mark.parametrize("way", ["root", "sudo"])
def test_variables_of_the_organization_reach_the_user_and_are_its_own(
    machine: Machine, request: pytest.FixtureRequest, capfd: pytest.CaptureFixture[str], way: str
) -> None:
    if way == "sudo":
        request.getfixturevalue("by_sudo")
    given = {
        "TOKEN": GivenVariable(value="planted é"),
        "KEY": GivenVariable(value="planted key", file_mount_path="/secrets/k", file_permissions=0o400),
    }
    machine.request = replace(machine.request, variables=given)
    machine.tool(
        f"""
path = os.environ["KEY"]
facts = os.stat(path)
seen = [os.environ["TOKEN"], path, open(path).read(), facts.st_mode & 0o777, facts.st_uid]
Path({str(machine.seen)!r}).write_text(json.dumps(seen))
print("told", os.environ["TOKEN"], open(path).read(), flush=True)
"""
    )
    ProcessStepOperator(task_id="explain", kind="explain").execute({})  # type: ignore[typeddict-item]
    token, path, content, mode, owner = json.loads(machine.seen.read_text())
    assert (token, content, mode, owner) == ("planted é", "planted key", 0o400, NOBODY.pw_uid)
    assert path.startswith(str(machine.folder / "user" / "steps"))
    assert not Path(path).exists()
    machine.seen.unlink()
    assert [file for file in machine.folder.rglob("*") if file.is_file() and b"planted" in file.read_bytes()] == []
    assert "planted" not in capfd.readouterr().out + json.dumps(machine.reported)


@needs_root
@pytest.mark.parametrize("way", ["root", "sudo"])
def test_a_step_that_is_killed_stops_the_tool_and_leaves_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, way: str
) -> None:
    if way == "sudo":
        request.getfixturevalue("by_sudo")
    body = f"""
def ended(*_):
    Path({str(machine.folder / "user" / "ended")!r}).touch()
    sys.exit(1)
import signal
signal.signal(signal.SIGTERM, ended)
Path({str(machine.seen)!r}).write_text(sys.argv[2])
signal.pause()
"""
    machine.tool(body)
    step = ProcessStepOperator(task_id="explain", kind="explain")
    thread = threading.Thread(target=step.execute, args=({},))
    thread.start()
    wait_for("the tool to run", machine.seen.exists, seconds=20)
    assert list((machine.folder / "user" / "steps").glob("*.lock"))
    step.on_kill()
    thread.join(60)
    assert not thread.is_alive()
    assert machine.reported[-1]["outcome"] == "cancelled"
    assert (machine.folder / "user" / "ended").exists()
    assert [path.suffix for path in (machine.folder / "user" / "steps").iterdir()] == [".lock"]


@needs_root
@pytest.mark.parametrize("way", ["root", "sudo"])
def test_a_runner_that_does_not_hear_is_ended(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest, way: str
) -> None:
    if way == "sudo":
        request.getfixturevalue("by_sudo")
        monkeypatch.setattr(users, "os", SimpleNamespace(geteuid=lambda: 12345))
    monkeypatch.setattr(process, "_GRACE_SECONDS", -9.5)
    monkeypatch.setattr(process.ByStreams, "stop", lambda self, child: None)
    machine.tool(f"Path({str(machine.seen)!r}).write_text(sys.argv[2])\nos.read(job['alive_fd'], 1)")
    step = ProcessStepOperator(task_id="explain", kind="explain")
    thread = threading.Thread(target=step.execute, args=({},))
    thread.start()
    wait_for("the tool to run", machine.seen.exists, seconds=20)
    step.on_kill()
    thread.join(60)
    assert not thread.is_alive()
    assert machine.reported == [None]


@needs_root
def test_events_reach_the_worker(machine: Machine) -> None:
    machine.tool("""os.write(job["events_fd"], b'{"event": "stage", "stage": "plan"}\\n')\nprint("::dagctl-result:: {}")""")
    ProcessStepOperator(task_id="explain", kind="explain").execute({})  # type: ignore[typeddict-item]
    assert machine.reported[-1]["outcome"] == "succeeded", machine.reported
    assert machine.reported[-1]["outcome"] == "succeeded", "what the project prints is not taken for the result"
    assert [told["stage"] for told in machine.progress] == ["plan"]


# What is wrong with a user is said in one sentence.


def refused(machine: Machine) -> str:
    ProcessStepOperator(task_id="explain", kind="explain").execute({})  # type: ignore[typeddict-item]
    error = machine.reported[-1]["error"]
    assert error["code"] == "user_unavailable"
    assert error["hint"] == STEP_ERRORS["user_unavailable"].hint
    message: str = error["message"]
    return message


@pytest.mark.parametrize(
    ("user", "said"),
    [("nobody-of-that-name", "There is no user"), ("root", "is root"), ("<own>", "is the one that the worker runs as")],
)
def test_a_user_that_cannot_serve(machine: Machine, monkeypatch: pytest.MonkeyPatch, user: str, said: str) -> None:
    if user == "<own>":
        user = "nobody"
        monkeypatch.setattr(users, "os", SimpleNamespace(geteuid=lambda: NOBODY.pw_uid))
    monkeypatch.setenv("AIRFLOW__DAGCTL__PROCESS_USER", user)
    assert said in refused(machine)


@pytest.mark.parametrize(("uid", "program"), [(0, "setpriv"), (12345, "sudo")])
def test_a_worker_without_the_program(machine: Machine, monkeypatch: pytest.MonkeyPatch, uid: int, program: str) -> None:
    monkeypatch.setattr(users, "os", SimpleNamespace(geteuid=lambda: uid))
    monkeypatch.setattr(users.shutil, "which", lambda name: None)
    assert f"has no program '{program}'" in refused(machine)


def test_sudo_that_refuses_is_quoted(by_sudo: Path, machine: Machine) -> None:
    by_sudo.write_text("#!/bin/sh\necho 'sudo: a password is required' >&2\nexit 1\n")
    (machine.folder / "cache" / "nobody").mkdir(parents=True)
    os.chown(machine.folder / "cache" / "nobody", NOBODY.pw_uid, -1)
    assert refused(machine) == "The runner did not start as 'nobody': sudo: a password is required"


@needs_root
def test_a_python_that_the_user_cannot_run_is_named(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    hidden = machine.folder / "hidden"
    hidden.mkdir(mode=0o700)
    (hidden / "python").symlink_to(machine.python)
    monkeypatch.setattr(sys, "executable", str(hidden / "python"))
    assert "Permission denied" in refused(machine)


def test_caches_of_a_user_without_a_home(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "os", SimpleNamespace(geteuid=lambda: 12345))
    monkeypatch.setattr(users.shutil, "which", lambda name: name)
    with pytest.raises(UserUnavailable, match="has to be there and to belong to 'nobody'"):
        step_user("shop")
    monkeypatch.delenv("AIRFLOW__DAGCTL__CACHE_FOLDER")
    with pytest.raises(UserUnavailable, match="has no home folder"):
        step_user("shop")


def test_each_project_can_have_a_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__PROCESS_USER", "dagctl-<project>")
    with pytest.raises(UserUnavailable, match="'dagctl-shop-eu'"):
        step_user("Shop EU")


def test_without_the_setting_steps_are_the_workers_own() -> None:
    assert step_user("shop") is None
