"""The embedded launcher: how far an execution got is told while it runs, and nothing with a credential stays behind."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.operators import process, progress
from dagctl_provider.operators.process import ProcessStepOperator
from dagctl_provider.operators.steps import StepFailed, StepInterrupted
from dagctl_provider.operators.users import StepUser
from dagctl_provider.runner import scratch
from tests.granting import granted
from tests.waiting import wait_for

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place of its own for the folders of steps."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


# Scratch folders

HOLDER = """
import subprocess, sys, tempfile
tempfile.tempdir = sys.argv[1]
from dagctl_provider.runner.scratch import scratch_folder
with scratch_folder() as (folder, lock):
    (folder / "secrets").write_text("s3cret")
    child = subprocess.Popen(["sleep", "60"], pass_fds=(lock,), stdout=subprocess.DEVNULL)
    print(folder, child.pid, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_private_and_gone_at_the_end(temporary: Path) -> None:
    with scratch.scratch_folder() as (folder, _):
        assert folder.stat().st_mode & 0o777 == 0o700
        assert folder.parent == temporary
        assert scratch.sweep(temporary) == 0, "it is in use"
        (folder / "deep").mkdir()
    assert list(temporary.iterdir()) == []


def test_what_a_killed_worker_left_is_removed_once_its_runner_is_gone_too(temporary: Path) -> None:
    worker = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(temporary)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert worker.stdout is not None
    path, child = worker.stdout.readline().split()
    worker.kill()
    worker.wait()
    assert scratch.sweep(temporary) == 0, "the runner is still stopping"
    os.kill(int(child), 9)
    wait_for("the lock to be free", lambda: scratch.sweep(temporary), seconds=30)
    assert not Path(path).exists()
    assert worker.stdin is not None
    worker.stdin.close()
    worker.stdout.close()


def test_what_is_no_step_is_left_alone(temporary: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    prefix = scratch._prefix()
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / ".lock").touch()
    (temporary / f"{prefix}link").symlink_to(elsewhere)
    (temporary / f"{prefix}unlocked").mkdir()
    trap = temporary / f"{prefix}trap"
    trap.mkdir()
    (trap / ".lock").symlink_to(elsewhere / ".lock")
    (temporary / "dagctl-step-another-machine-abc").mkdir()
    assert scratch.sweep(temporary) == 0
    assert len(list(temporary.iterdir())) == 4


# Progress


def finished(name: str, status: str = "succeeded") -> str:
    return json.dumps({"event": "model_finished", "model": name, "unique_id": f"model.shop.{name}", "status": status}) + "\n"


def test_what_events_add_up_to() -> None:
    state = progress.HowFar()
    for event in (
        {"event": "stage", "stage": "apply"},
        {"event": "expected", "models": 2, "batches": 4, "later": "x"},
        {"event": "model_start", "model": "shop.a", "batches": 3, "ts": 5.5},
        {"event": "model_batch", "model": "shop.a", "batch": 1, "batches": 3, "duration_ms": 7},
        {"event": "model_start", "model": "b", "unique_id": "model.shop.b", "kind": "model", "ts": 6.0},
        {"event": "model_finished", "model": "b", "unique_id": "model.shop.b", "status": "succeeded", "duration": 1.5, "rows": 3},
        {"event": "model_skipped", "model": "shop.c", "status": "skipped", "message": "not told"},
    ):
        state.take(event)
    version = state.version
    state.take({"event": "tests", "run": 1})
    state.take(["stage"])
    assert state.version == version
    assert state.as_json() == {
        "stage": "apply",
        "expected": {"models": 2, "batches": 4},
        "models": [
            {"name": "shop.a", "status": "running", "started": 5.5, "batch": 1, "batches": 3},
            {
                "name": "b",
                "unique_id": "model.shop.b",
                "kind": "model",
                "status": "succeeded",
                "started": 6.0,
                "duration": 1.5,
                "rows": 3,
            },
            {"name": "shop.c", "status": "skipped"},
        ],
        "succeeded": ["model.shop.b"],
    }


def test_what_is_finished_is_told_each_time_it_grows(temporary: Path) -> None:
    told: list[list[str]] = []
    events = temporary / "events.jsonl"
    teller = progress.ProgressTeller(events, lambda state: told.append(state["succeeded"]))
    teller._look()
    events.write_text(finished("a") + json.dumps({"event": "stage"}) + "\n" + finished("b", "failed") + "nonsense\n")
    teller._look()
    teller._look()
    with events.open("a") as file:
        file.write(finished("c")[:20])
        file.flush()
        teller._look()
        file.write(finished("c")[20:] + json.dumps(["model_finished"]) + "\n")
    teller._look()
    assert told == [["model.shop.a"], ["model.shop.a", "model.shop.c"]]


def test_what_could_not_be_told_is_told_with_the_next(temporary: Path) -> None:
    told: list[list[str]] = []
    failures = iter([True, False])

    def tell(state: dict[str, Any]) -> None:
        if next(failures):
            raise OSError("the API server does not answer")
        told.append(state["succeeded"])

    events = temporary / "events.jsonl"
    events.write_text(finished("a"))
    with progress.ProgressTeller(events, tell) as teller:
        teller._look()
    assert told == [["model.shop.a"]], "the last look is at the end of the step"


def test_a_step_keeps_the_api_server_busy_for_a_twentieth_of_the_time_at_most(
    temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])

    def tell(state: dict[str, Any]) -> None:
        clock[0] += 0.5 * len(state["models"])
        if len(state["models"]) > 2:
            raise OSError("the API server does not answer")

    events = temporary / "events.jsonl"
    teller = progress.ProgressTeller(events, tell)
    rests = []
    for lines in ("", json.dumps({"event": "stage"}) + "\n", finished("a"), finished("b"), "", finished("c")):
        with events.open("a") as file:
            file.write(lines)
        teller._look()
        rests.append(teller._rest)
    assert rests == [0, 0.2, 10, 20, 0, 2]


# The operator

RUNNER = """
import json, pathlib, sys
options = dict(zip(sys.argv[4::2], sys.argv[5::2]))
request = json.loads(pathlib.Path(options["--request"]).read_text())
with open(options["--events"], "a") as events:
    events.write(json.dumps({"event": "model_finished", "unique_id": "model.shop.a", "status": "succeeded"}) + "\\n")
result = {"outcome": "failed", "error": {"message": "b"}, "seen": request["inputs"]}
pathlib.Path(options["--result"]).write_text(json.dumps(result))
"""


CONF = {"tool": "dbt", "step_id": "plan_explain", "project_name": "shop", "environment": "prod"}
BOUND = {**CONF, "step_id": "plan_execute", "expected_digest": "sha256:1"}


def test_the_installer_hears_what_the_deployment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {"UV_DEFAULT_INDEX": "i", "DAGCTL_EXCLUDE_NEWER": "off", "DAGCTL_ALLOW_SOURCE_PACKAGES": "docopt"}
    for name, value in {**said, "AIRFLOW__CORE__FERNET_KEY": "k", "DAGCTL_TOOL_PYTHON": "/x"}.items():
        monkeypatch.setenv(name, value)
    seen = process._environment()
    assert said.items() <= seen.items()
    assert not {"AIRFLOW__CORE__FERNET_KEY", "DAGCTL_TOOL_PYTHON"} & set(seen)


def test_another_user_gets_nothing_that_is_the_workers_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    user = StepUser("steps", tmp_path / "home", tmp_path / "home" / ".cache" / "dagctl", (), hides=False)
    own = {"HOME": "/worker", "TMPDIR": "/worker/tmp", "UV_CACHE_DIR": "/worker/uv", "DAGCTL_STEPS_DIR": ""}
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DAGCTL_STEPS_DIR")
    seen = process._environment(user)
    assert not any("/worker" in value for name, value in seen.items() if name != "PATH")
    assert seen["HOME"] == str(tmp_path / "home")
    assert seen["DAGCTL_CACHE_DIR"] == str(tmp_path / "home" / ".cache" / "dagctl" / "tools")
    assert seen["DAGCTL_STEPS_DIR"] == "/tmp/dagctl-steps-steps"
    monkeypatch.setenv("DAGCTL_STEPS_DIR", "/srv/steps")
    assert process._environment(user)["DAGCTL_STEPS_DIR"] == "/srv/steps"


def test_indexes_of_pip_stay_with_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """The installer is uv, which does not read them; they may have a password."""
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:s3cret@index.invalid/simple")
    assert "s3cret" not in str(process._environment())


def test_a_failed_execute_leaves_what_it_finished(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = temporary / "python"
    fake.write_text(f"#!/bin/sh\nexec {sys.executable} -c '{RUNNER}' \"$@\"\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    it = granted("execute", BOUND, inputs={"deployed": "x"})
    with pytest.raises(StepFailed):
        ProcessStepOperator(task_id="execute", kind="execute").execute(it)
    told = it["ti"].pushed["progress"]
    assert (told["step_id"], told["succeeded"]) == ("plan_execute", ["model.shop.a"])
    assert it["ti"].pushed["result"]["seen"] == {"deployed": "x"}
    assert [path.name for path in temporary.iterdir()] == ["python"]


@pytest.mark.parametrize("when", ["before the runner is started", "while it is being started"])
def test_a_step_that_is_stopped_as_it_begins_does_not_run(temporary: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    fake = temporary / "python"
    fake.write_text("#!/bin/sh\nexec sleep 600\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    step = ProcessStepOperator(task_id="execute", kind="execute")
    secrets, start = process.project_secrets, subprocess.Popen
    children: list[subprocess.Popen[str]] = []

    def stopped_before(request: Any, kind: str) -> Any:
        step.on_kill()
        return secrets(request, kind)

    def stopped_then(*arguments: Any, **more: Any) -> Any:
        children.append(start(*arguments, **more))
        step.on_kill()
        return children[0]

    if when == "before the runner is started":
        monkeypatch.setattr(process, "project_secrets", stopped_before)
    else:
        monkeypatch.setattr(process.subprocess, "Popen", stopped_then)
    with pytest.raises(StepInterrupted):
        step.execute(granted("execute", BOUND))
    assert [child.poll() for child in children] == ([] if when.startswith("before") else [-signal.SIGTERM])


def test_a_profile_that_cannot_be_made_fails_the_step_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"profile": {"connection": "gone"}}
    monkeypatch.setenv("AIRFLOW_CONN_DAGCTL_SHOP", json.dumps({"conn_type": "dagctl", "extra": extra}))
    it = granted("explain", {**CONF, "warehouse_connection_id": "gone"})
    with pytest.raises(StepFailed, match="'gone'"):
        ProcessStepOperator(task_id="explain", kind="explain").execute(it)
    assert it["ti"].pushed["result"]["error"]["code"] == "profile_invalid"
    assert it["ti"].pushed["result"]["step_id"] == "plan_explain"


def test_the_runner_is_told_where_files_of_warehouses_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "DAGCTL_DATA_DIR" not in process._environment()
    monkeypatch.setenv("AIRFLOW__DAGCTL__DATA_FOLDER", "/srv/data")
    assert process._environment()["DAGCTL_DATA_DIR"] == "/srv/data"


def test_the_runner_is_told_which_variables_may_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGCTL_VOLATILE_ENV", "TOKEN")
    assert process._environment()["DAGCTL_VOLATILE_ENV"] == "TOKEN"


def test_the_configuration_of_the_worker_says_how_far_git_reaches(monkeypatch: pytest.MonkeyPatch) -> None:
    local, private = "DAGCTL_ALLOW_LOCAL_REPOSITORIES", "DAGCTL_ALLOW_PRIVATE_HOSTS"
    monkeypatch.setenv(private, "1")
    monkeypatch.setenv("AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES", "False")
    seen = process._environment()
    assert (seen[local], seen[private]) == ("0", "0"), "a variable of the worker is not its configuration"
    monkeypatch.setenv("AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES", "True")
    monkeypatch.setenv("AIRFLOW__DAGCTL__ALLOW_PRIVATE_HOSTS", "True")
    seen = process._environment()
    assert (seen[local], seen[private]) == ("1", "1")


def test_a_worker_whose_disk_is_full_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: object, folder: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))

    monkeypatch.setattr(process.ProjectSecrets, "write_to", full)
    it = granted("explain", CONF)
    with pytest.raises(StepFailed, match="No space left on device"):
        ProcessStepOperator(task_id="explain", kind="explain").execute(it)
    assert it["ti"].pushed["result"]["error"]["code"] == "disk_full"
