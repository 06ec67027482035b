"""The contract that holds whatever happens: a result file, an exit code from the table, no traceback in the message."""

from __future__ import annotations

import base64
import gzip
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner.cli import main
from dagctl_provider.runner.errors import MESSAGE_LIMIT, STEP_ERRORS, RunnerError, one_line
from dagctl_provider.runner.inputs import UNSTABLE, value_hash
from dagctl_provider.runner.masking import Masker
from dagctl_provider.runner.results import error_result, finish_result, write_result
from tests.runner.conftest import ROOT
from tests.runner.shop import Repository

TOOL = """#!{python}
import json, os, sys
job = json.load(open(sys.argv[2]))
{body}
"""


class Step:
    """Runs steps in this process with a stand-in for the tool."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder / "repository")
        self.tool = folder / "tool"
        self.result = folder / "out" / "result.json"
        self.request: dict[str, Any] = {
            "repository_url": self.repository.url,
            "commit_sha": self.repository.commit({"config.yaml": "model_defaults: {}"}),
            "project_id": "proj_1",
            "step_id": "plan_1",
        }

    def run(self, body: str, *options: str, command: str = "explain", **request: Any) -> dict[str, Any]:
        self.tool.write_text(TOOL.format(python=sys.executable, body=body))
        self.tool.chmod(0o755)
        path = self.folder / "request.json"
        path.write_text(json.dumps({**self.request, **request}))
        status = main([command, "--request", str(path), "--result", str(self.result), *options])
        result: dict[str, Any] = json.loads(self.result.read_text())
        assert result["exit_code"] == status
        assert [left for left in (self.folder / "steps").glob("*") if left.suffix != ".lock"] == []
        return result


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Step:
    found = Step(tmp_path)
    monkeypatch.setenv("DAGCTL_TOOL_PYTHON", str(found.tool))
    monkeypatch.setenv("DAGCTL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("DAGCTL_STEPS_DIR", str(tmp_path / "steps"))
    monkeypatch.setenv("DAGCTL_ALLOW_LOCAL_REPOSITORIES", "1")
    return found


ANSWER = "json.dump({answer!r}, open(job['answer'], 'w'))"


def test_the_tools_answer_becomes_the_result(step: Step) -> None:
    body = ANSWER.format(answer={"outcome": "succeeded", "digest": "sha256:0", "timings": {"plan": 1.0}, "nothing": None})
    result = step.run(body)
    assert (result["outcome"], result["exit_code"], result["digest"]) == ("succeeded", 0, "sha256:0")
    assert {"total", "checkout", "environment", "plan"} <= set(result["timings"])
    assert "nothing" not in result
    assert "error" not in result


def test_the_tools_error_gets_exit_code_and_hint_from_the_table(step: Step) -> None:
    answer = {"outcome": "failed", "error": {"code": "plan_drifted", "message": "other\nthan approved"}, "plan_output": {"a": 1}}
    result = step.run(ANSWER.format(answer=answer))
    assert (result["outcome"], result["exit_code"], result["plan_output"]) == ("drifted", 3, {"a": 1})
    assert result["error"] == {"code": "plan_drifted", "message": "other than approved", "hint": STEP_ERRORS["plan_drifted"].hint}


def test_an_error_code_from_nowhere_is_internal(step: Step) -> None:
    answer = {"outcome": "failed", "error": {"code": "made_up", "message": "m"}}
    assert step.run(ANSWER.format(answer=answer))["error"]["code"] == "internal"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("import signal; os.kill(os.getpid(), signal.SIGKILL)", "tool_killed"),
        ("print('Fatal Python error: out of luck'); sys.exit(70)", "internal"),
        ("open(job['answer'], 'w').write('{'); sys.exit(0)", "internal"),
        ("open(job['answer'], 'w').write('[]'); sys.exit(0)", "internal"),
    ],
)
def test_a_tool_that_dies_without_an_answer_is_told(step: Step, body: str, code: str) -> None:
    result = step.run(body)
    assert (result["outcome"], result["error"]["code"]) == ("failed", code)
    if "luck" in body:
        assert "out of luck" in result["error"]["message"]


def test_a_search_for_leftovers_that_takes_too_long_is_told(
    step: Step, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("dagctl_provider.runner.steps.SWEEP_TIMEOUT", 0.2)
    body = "import signal, time; time.sleep(300) if job['command'] == 'sweep' else os.kill(os.getpid(), signal.SIGKILL)"
    result = step.run(body, command="execute", expected_digest=f"sha256:{0:064}", explained_plan_id="plan_0")
    assert result["error"]["code"] == "tool_killed"
    assert "could not look for statements of killed steps: " in capfd.readouterr().out


def test_events_and_output_are_passed_on_masked(step: Step, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "env.json").write_text(json.dumps({"WH_PASSWORD": "hunter22", "HOME": "/root"}))
    body = (
        'os.write(job[\'events_fd\'], b\'{"event": "stage", "text": "hunter22"}\\nrubbish\\n\');'
        "print('seen', os.environ['WH_PASSWORD'], os.environ['HOME'], flush=True);"
        "json.dump({'outcome': 'succeeded', 'plan_output': {'x': os.environ['WH_PASSWORD']}}, open(job['answer'], 'w'))"
    )
    result = step.run(body, "--secrets", str(secrets), "--events", str(tmp_path / "events" / "e.jsonl"))
    assert result["plan_output"] == {"x": "***"}
    assert [json.loads(line) for line in (tmp_path / "events" / "e.jsonl").read_text().splitlines()] == [
        {"event": "stage", "text": "***"}
    ]
    output = capfd.readouterr().out
    assert "seen *** " in output
    assert "the variable HOME is the runner's own" in output


def test_the_tool_finds_no_git_credentials(step: Step, tmp_path: Path) -> None:
    """It is the same user as the runner, so a file that is still there it can read."""
    for name in ("git_token", "git_ssh_key", "git_known_hosts", "env.json"):
        (tmp_path / name).write_text("{}" if name == "env.json" else "s3cret")
    body = (
        f"found = sorted(os.listdir({str(tmp_path)!r}));"
        "json.dump({'outcome': 'succeeded', 'plan_output': {'warnings': found}}, open(job['answer'], 'w'))"
    )
    found = step.run(body, "--secrets", str(tmp_path))["plan_output"]["warnings"]
    assert "env.json" in found
    assert [name for name in found if name.startswith("git_")] == []


def test_the_tool_is_told_what_is_installed_and_an_explain_what_of_it_changes(
    step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    python = step.folder / "environment" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(step.tool)
    (python.parents[1] / "lib" / "python3.11" / "site-packages" / "Six_more-1.2.dist-info").mkdir(parents=True)
    monkeypatch.setenv("DAGCTL_TOOL_PYTHON", str(python))
    body = "json.dump({'outcome': 'succeeded', 'plan_output': {'warnings': [repr(job['packages'])]}}, open(job['answer'], 'w'))"
    told = {"warnings": ["{'six-more': '1.2'}"]}
    assert step.run(body)["plan_output"] == told
    assert step.run(body, deployed_packages={"six-more": "1.2"})["plan_output"] == told
    changed = step.run(body, deployed_packages={"six-more": "1.1"})["plan_output"]
    assert changed == {**told, "packages_diff": "- six-more==1.1\n+ six-more==1.2"}


def test_a_requirement_that_is_refused_ends_the_step_before_anything_is_installed(step: Step) -> None:
    commit = step.repository.commit({"requirements.txt": "six\n-e .\n"})
    result = step.run("raise SystemExit(1)", commit_sha=commit)
    assert (result["error"]["code"], result["exit_code"]) == ("requirements_failed", 2)
    assert result["error"]["message"].startswith("requirements.txt:2: this line holds the option -e")
    commit = step.repository.commit({"requirements.txt": None})
    result = step.run("raise SystemExit(1)", commit_sha=commit, requirements=["six", "./six"])
    assert result["error"]["message"].startswith("python_requirements:2: this line names a path")


def test_the_tool_runs_in_a_small_world_of_its_own(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setenv("KEPT", "yes")
    monkeypatch.setenv("DAGCTL_PASS_ENV", "KEPT")
    body = (
        "facts = {'env': dict(os.environ), 'cwd': os.getcwd(), 'leader': os.getsid(0) == os.getpid(), 'stdin': sys.stdin.read()};"
        "json.dump({'outcome': 'succeeded', 'plan_output': facts}, open(job['answer'], 'w'))"
    )
    facts = step.run(body)["plan_output"]
    env = facts["env"]
    assert facts["leader"] is True
    assert facts["stdin"] == ""
    # Its order is one, too, whatever order the worker's has.
    assert list(env) == sorted(env)
    assert env["HOME"].startswith(str(step.folder / "steps"))
    assert env["SQLMESH_HOME"].startswith(env["HOME"])
    assert env["PGAPPNAME"].startswith("dagctl:")
    assert len(env["PGAPPNAME"]) <= 63
    assert env["KEPT"] == "yes"
    assert "AIRFLOW__CORE__FERNET_KEY" not in env
    assert "PYTHONDONTWRITEBYTECODE" not in env


def given(step: Step, command: str, mounted: str, **files: dict[str, str] | str) -> tuple[dict[str, str], bool]:
    """What a step's inner program is told of the variables, and whether of an explain's own credentials.

    :param mounted: Value of the variable ``MOUNTED``, which comes from a Secret.
    :param files: Of the secrets folder.
    """
    folder, secrets = step.folder / "secrets", step.folder / "mounted"
    shutil.rmtree(folder, ignore_errors=True)
    for path in (folder, secrets):
        path.mkdir(exist_ok=True)
    (secrets / "MOUNTED").write_text(mounted)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content if isinstance(content, str) else json.dumps(content))
    body = (
        "facts = {name: job[name] for name in ('given', 'explain_connection')};"
        "json.dump({'outcome': 'succeeded', 'plan_output': facts}, open(job['answer'], 'w'))"
    )
    approval = {"expected_digest": f"sha256:{0:064}", "explained_plan_id": "plan_0"} if command == "execute" else {}
    facts = step.run(body, "--secrets", str(folder), command=command, **approval)["plan_output"]
    return facts["given"], facts["explain_connection"]


KEY = "0f0f0f0f"
WRITER = {"WH_PASSWORD": "hunter22", "TOKEN": "of-the-hour", "SQLMESH_HOME": "/elsewhere", "DAGCTL_CACHE_DIR": "/elsewhere"}


@pytest.fixture
def mounted(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    """One variable from a Secret that both steps have, and one variable that may change."""
    monkeypatch.setenv("DAGCTL_ENV_SECRETS", str(step.folder / "mounted"))
    monkeypatch.setenv("DAGCTL_VOLATILE_ENV", "TOKEN")


@pytest.mark.usefixtures("mounted")
@pytest.mark.parametrize("key", [KEY, None])
def test_an_explain_with_a_connection_of_its_own_finds_what_its_execute_finds(step: Step, key: str | None) -> None:
    more = {"plan_key": key} if key else {}
    approved = {name: value_hash(name, value, key, "proj_1") for name, value in WRITER.items()}
    explained, own = given(step, "explain", "1", env__json={"WH_PASSWORD": "reader22"}, approved__json=approved, **more)
    executed = given(step, "execute", "1", env__json=WRITER, **more)
    assert (explained, own) == (executed[0], True)
    assert (explained.keys(), executed[1]) == ({"MOUNTED", "WH_PASSWORD"}, False)
    assert given(step, "execute", "2", env__json=WRITER, **more)[0] != explained
    assert given(step, "execute", "1", env__json={**WRITER, "WH_PASSWORD": "reader22"}, **more)[0] != explained


@pytest.mark.usefixtures("mounted")
def test_of_secrets_that_an_explain_does_not_have_only_the_names_count(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGCTL_EXPLAIN_SECRETS", "1")
    assert given(step, "explain", "1", env__json=WRITER) == ({"MOUNTED": UNSTABLE, "WH_PASSWORD": UNSTABLE}, True)
    approved = {name: value_hash(name, value, KEY, "proj_1") for name, value in WRITER.items()}
    explained, _ = given(step, "explain", "1", env__json={"WH_PASSWORD": "reader22"}, approved__json=approved, plan_key=KEY)
    assert explained == {"MOUNTED": UNSTABLE, "WH_PASSWORD": approved["WH_PASSWORD"]}, "the connection's are known all the same"


def test_the_cache_of_a_project_is_kept_and_its_own(step: Step) -> None:
    body = (
        "n = len(os.listdir('.cache')); open('.cache/' + str(n), 'w').close();"
        "json.dump({'outcome': 'succeeded', 'plan_output': {'n': n}}, open(job['answer'], 'w'))"
    )
    assert [step.run(body)["plan_output"]["n"] for _ in range(2)] == [0, 1]
    assert step.run(body, project_id="proj_2")["plan_output"]["n"] == 0
    committed = step.repository.commit({".cache/a": "", ".cache/b": "", ".cache/c": ""})
    assert step.run(body, commit_sha=committed)["plan_output"]["n"] == 3


@pytest.mark.parametrize(
    ("request_changes", "code", "status"),
    [
        ({"commit_sha": "x"}, "invalid_request", 2),
        ({"tool": "make"}, "tool_version_unsupported", 2),
        ({"tool_version": "0.0.1"}, "tool_version_unsupported", 2),
        ({"tool_version": "0.200.0", "deployed_tool_version": "0.228.5"}, "state_migration_downgrade", 2),
        ({"git_path": "absent"}, "project_path_not_found", 2),
        ({"commit_sha": "0" * 40}, "commit_not_found", 2),
    ],
)
def test_what_fails_before_the_tool_starts_has_a_result_too(
    step: Step, request_changes: dict[str, Any], code: str, status: int
) -> None:
    (step.folder / "work").mkdir()
    result = step.run("raise SystemExit('must not start')", **request_changes)
    assert (result["error"]["code"], result["exit_code"]) == (code, status)


def test_a_repository_without_project_is_told(step: Step) -> None:
    result = step.run("", commit_sha=step.repository.commit({"config.yaml": None, "README.md": ""}))
    assert result["error"]["code"] == "no_sqlmesh_project"


def dbt(step: Step, **secrets: str) -> dict[str, Any]:
    """Make the repository a dbt project; what the request needs for it."""
    folder = step.folder / "dbt-secrets"
    folder.mkdir()
    (folder / "env.json").write_text(json.dumps(secrets))
    profile = "shop: {outputs: {prod: {type: duckdb}}}"
    commit = step.repository.commit({"dbt_project.yml": "profile: shop\n", "profiles.yml": profile, "config.yaml": None})
    return {"tool": "dbt", "commit_sha": commit}


def test_a_dbt_step_gets_its_profile_inputs_and_a_world_where_nothing_else_is_chosen(step: Step) -> None:
    request = dbt(
        step, DBT_PASSWORD="hunter22hunter", DBT_FULL_REFRESH="1", DBT_STATE="/x", DBT_TARGET_PATH="/x", SHORT_KEY="abc"
    )
    deployed = base64.b64encode(gzip.compress(b'{"nodes": {}}')).decode()
    artifact = base64.b64encode(b"hunter22hunter").decode() + "hunter22hunter"
    body = (
        "facts = {'job': job, 'env': dict(os.environ), 'given': open(job['inputs']['deployed']).read(),"
        " 'secrets': len(job['secrets'])};"
        f"packed = {{'deployed': {artifact!r}}};"
        "json.dump({'outcome': 'succeeded', 'plan_output': facts, 'artifacts': packed}, open(job['answer'], 'w'))"
    )
    result = step.run(body, "--secrets", str(step.folder / "dbt-secrets"), **request, inputs={"deployed": deployed})
    facts = result["plan_output"]
    assert facts["given"] == '{"nodes": {}}'
    assert (facts["job"]["profile"], facts["job"]["target"], facts["secrets"]) == (None, None, 1)
    assert facts["env"]["DBT_PASSWORD"] == "***"
    assert facts["env"]["DBT_TARGET_PATH"].startswith(str(step.folder / "steps"))
    assert {"DBT_FULL_REFRESH", "DBT_STATE"} & set(facts["env"]) == set()
    assert result["artifacts"] == {"deployed": artifact}, "cutting pieces out of a packed file would break it"


# Named, since packed bytes hold the second they were packed in: two processes that collect the tests would not agree.
@pytest.mark.parametrize(
    "text",
    ["no base64!", base64.b64encode(b"no gzip").decode(), base64.b64encode(gzip.compress(b"x" * 9)[:-9]).decode()],
    ids=["no base64", "no gzip", "cut off"],
)
def test_an_input_that_is_no_packed_file_is_refused(step: Step, text: str) -> None:
    project = dbt(step)
    result = step.run("raise SystemExit('must not start')", **project, inputs={"deployed": text})
    assert (result["error"]["code"], "deployed state" in result["error"]["message"]) == ("state_damaged", True)
    result = step.run("raise SystemExit('must not start')", **project, inputs={"progress": text})
    assert (result["error"]["code"], "'progress'" in result["error"]["message"]) == ("invalid_request", True)


def test_an_older_dbt_may_follow_a_newer_one(step: Step) -> None:
    body = ANSWER.format(answer={"outcome": "succeeded"})
    assert step.run(body, **dbt(step), tool_version="1.8.10", deployed_tool_version="1.12.6")["exit_code"] == 0


def test_an_error_of_our_own_has_a_result_too(step: Step, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("dagctl_provider.runner.steps.fetch_project", broken)
    result = step.run("")
    assert (result["exit_code"], result["error"]["code"], result["error"]["message"]) == (
        1,
        "internal",
        "ZeroDivisionError: oops",
    )


def test_a_time_limit_ends_the_tool(step: Step) -> None:
    result = step.run("import time; time.sleep(60)", "--timeout", "1.5", "--grace", "0.5")
    assert (result["outcome"], result["error"]["code"], result["exit_code"]) == ("failed", "timeout", 1)


def start(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dagctl_provider.runner", *arguments], cwd=ROOT, capture_output=True, text=True, **more
    )


def test_the_request_may_come_by_environment_or_standard_input(tmp_path: Path) -> None:
    broken = json.dumps({"project_id": "p"})
    for arguments, more in (
        ([], {"env": {**os.environ, "DAGCTL_REQUEST": broken}}),
        (["--request", "-"], {"input": broken}),
        (["--request", "-", "--watch-stdin"], {"input": broken + "\n"}),
    ):
        done = start("explain", "--result", str(tmp_path / "r.json"), *arguments, **more)
        assert done.returncode == 2
        assert "'repository_url' is missing" in json.loads((tmp_path / "r.json").read_text())["error"]["message"]


def test_a_missing_request_file_has_a_result_too(tmp_path: Path) -> None:
    assert main(["run", "--request", str(tmp_path / "absent"), "--result", str(tmp_path / "r.json")]) == 2
    assert json.loads((tmp_path / "r.json").read_text())["error"]["code"] == "invalid_request"


def test_the_versions_are_printed() -> None:
    done = start("versions")
    assert {"sqlmesh 0.236.4 2026-10-23", "dbt 1.12.6 2026-10-15"} <= set(done.stdout.splitlines())
    assert {line.split()[0] for line in start("versions", "--tool", "dbt").stdout.splitlines()} == {"dbt"}


def test_an_environment_cannot_be_made_for_an_unknown_version(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["install", "--version", "0.0.1"]) == 2
    assert "not supported" in capfd.readouterr().out


def test_the_runner_needs_neither_airflow_nor_the_rest_of_the_package() -> None:
    code = (
        "import sys, dagctl_provider.runner.cli\n"
        "foreign = [n for n in sys.modules if n.split('.')[0] in ('airflow', 'sqlalchemy', 'pydantic', 'yaml', 'flask')]\n"
        "ours = [n for n in sys.modules if n.startswith('dagctl_provider.') and not n.startswith('dagctl_provider.runner')]\n"
        "assert not foreign and not ours, (foreign, ours)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_result_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_result(path, {"a": 1})
    with pytest.raises(TypeError):
        write_result(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert [item.name for item in tmp_path.iterdir()] == ["result.json"]


def test_messages_are_one_bounded_line() -> None:
    error = RunnerError("internal", "a\n  b" + "c" * 1000)
    assert error.message.startswith("a bccc")
    assert len(error.message) == MESSAGE_LIMIT
    assert one_line("  short \n") == "short"
    result = finish_result(error_result(error), {}, Masker({"bccc"}))
    assert result["error"]["message"].startswith("a ***")


def test_every_row_of_the_table_is_usable() -> None:
    for code, row in STEP_ERRORS.items():
        assert row.exit_code in (1, 2, 3, 130), code
        assert row.meaning.endswith("."), code
        assert row.hint.endswith("."), code
