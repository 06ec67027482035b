"""Environment variables of the organization in a step: seen by the project's code, as values and files, and by nobody else."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.inputs import value_hash
from dagctl_provider.runner.masking import MASK, sensitive_parts
from dagctl_provider.runner.organization import FOLDERS, place_files, read_variables
from tests.runner.test_steps import ANSWER, Step, step

__all__ = ["step"]

PLANTED = "planted s3cret"
PEM = "-----BEGIN KEY-----\nplantedline1\nplantedline2\n-----END KEY-----\n"
GIVEN: dict[str, dict[str, Any]] = {
    "TOKEN": {"value": PLANTED, "is_sensitive": True},
    "SCHEMA": {"value": "analytics_v2", "is_sensitive": False},
    "KEY_FILE": {"value": PEM, "is_sensitive": True, "file_mount_path": "/secrets/wh/key.p8", "file_permissions": 0o400},
}
LOOK = """
path = os.environ["KEY_FILE"]
seen = {"env": {n: os.environ[n] for n in ("TOKEN", "SCHEMA", "KEY_FILE")}, "file": open(path).read(),
        "mode": os.stat(path).st_mode & 0o7777, "given": job["given"], "files": job["given_files"], "scratch": job["scratch"]}
open(SEEN, "w").write(json.dumps(seen))
os.write(job["events_fd"], json.dumps({"event": "stage", "text": os.environ["TOKEN"]}).encode() + b"\\n")
print("token", os.environ["TOKEN"], "key", seen["file"], os.environ["SCHEMA"], flush=True)
json.dump({"outcome": "succeeded", "plan_output": {"x": seen["file"], "y": [os.environ["TOKEN"], os.environ["SCHEMA"]]}},
          open(job["answer"], "w"))
"""


def look(step: Step, tmp_path: Path, env: dict[str, str] | None = None, given: object = None) -> dict[str, Any]:
    """What the project's code sees, with the step's result."""
    secrets = tmp_path / "secrets"
    secrets.mkdir(exist_ok=True)
    (secrets / "variables.json").write_text(json.dumps(GIVEN if given is None else given))
    (secrets / "env.json").write_text(json.dumps(env or {}))
    (secrets / "plan_key").write_text("the-plan-key")
    body = f"SEEN = {str(tmp_path / 'seen.json')!r}\n{LOOK}"
    result = step.run(body, "--secrets", str(secrets), "--events", str(tmp_path / "events.jsonl"))
    assert result["outcome"] == "succeeded", result
    seen: dict[str, Any] = json.loads((tmp_path / "seen.json").read_text())
    return {**seen, "result": result}


def test_values_and_files_are_seen_and_hidden_wherever_they_leave(
    step: Step, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = look(step, tmp_path)
    path = f"{seen['scratch']}/files/secrets/wh/key.p8"
    assert seen["env"] == {"TOKEN": PLANTED, "SCHEMA": "analytics_v2", "KEY_FILE": path}
    assert (seen["file"], oct(seen["mode"]), seen["files"]) == (PEM, "0o400", [path])
    assert seen["result"]["plan_output"]["y"] == [MASK, "analytics_v2"]
    output = capfd.readouterr().out
    for text in (output, (tmp_path / "events.jsonl").read_text(), json.dumps(seen["result"])):
        assert PLANTED not in text
        assert "plantedline" not in text
    assert "analytics_v2" in output
    assert not Path(path).exists()


def test_the_projects_own_variables_are_nearer(step: Step, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    seen = look(step, tmp_path, {"TOKEN": "nearer", "KEY_FILE": str(mine)})
    assert (seen["env"]["TOKEN"], seen["file"], seen["files"]) == ("nearer", "mine", [])
    assert seen["given"]["TOKEN"] == value_hash("TOKEN", "nearer", "the-plan-key", "proj_1")


def test_the_digest_knows_values_modes_and_contents_but_not_where_a_file_stands(
    step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = look(step, tmp_path)["given"]
    assert list(first) == ["KEY_FILE", "SCHEMA", "TOKEN"]
    monkeypatch.setenv("DAGCTL_STEPS_DIR", str(tmp_path / "elsewhere"))
    assert look(step, tmp_path)["given"] == first
    for name, change in (("TOKEN", {"value": "x"}), ("KEY_FILE", {"value": "x"}), ("KEY_FILE", {"file_permissions": 0o600})):
        now = look(step, tmp_path, given={**GIVEN, name: {**GIVEN[name], **change}})["given"]
        assert [key for key in first if now[key] != first[key]] == [name]


def test_what_only_the_runner_may_set_stays_its_own(step: Step, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    given = {**GIVEN, "LD_PRELOAD": {"value": "/tmp/evil.so"}}
    assert "LD_PRELOAD" not in look(step, tmp_path, given=given)["given"]
    assert "the variable LD_PRELOAD is the runner's own and ignored" in capfd.readouterr().out


@pytest.mark.parametrize(
    "text",
    [
        *("[]", "{", "1", '{"A": 1}', '{"A": {}}', '{"A": {"value": 1}}', '{"A": {"value": "a\\u0000"}}'),
        *('{"A": {"value": "x", "file_mount_path": "a/b"}}', '{"A": {"value": "x", "file_mount_path": "/a/../etc/passwd"}}'),
        *('{"A": {"value": "x", "file_mount_path": 1}}', '{"A": {"value": "x", "file_permissions": "0777"}}'),
    ],
)
def test_a_broken_letter_ends_the_step_and_is_not_quoted(text: str) -> None:
    with pytest.raises(RunnerError) as caught:
        read_variables(text)
    assert (caught.value.code, caught.value.message) == (
        "invalid_request",
        "The secret 'variables.json' is not an object of variables.",
    )


def test_a_file_stands_where_it_was_asked_for_when_a_place_was_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "secrets"
    made.mkdir()
    monkeypatch.setenv(FOLDERS, f"/nowhere:{made}")
    given = {
        "A": {"value": "one", "file_mount_path": f"{made}/sub/a", "file_permissions": 0o644},
        "B": {"value": "two", "file_mount_path": "/elsewhere/b"},
    }
    placed = place_files(read_variables(json.dumps(given)), tmp_path / "own")
    assert placed == {"A": f"{made}/sub/a", "B": str(tmp_path / "own" / "files" / "elsewhere" / "b")}
    assert stat.S_IMODE(Path(placed["A"]).stat().st_mode) == 0o644
    assert stat.S_IMODE(Path(placed["B"]).stat().st_mode) == 0o600
    assert Path(placed["B"]).read_text() == "two"


def test_it_is_gone_from_there_when_the_step_is_over(step: Step, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = tmp_path / "made"
    made.mkdir()
    monkeypatch.setenv(FOLDERS, str(made))
    given = {**GIVEN, "KEY_FILE": {**GIVEN["KEY_FILE"], "file_mount_path": f"{made}/wh/key.p8"}}
    assert look(step, tmp_path, given=given)["env"]["KEY_FILE"] == f"{made}/wh/key.p8"
    assert [path for path in made.rglob("*") if path.is_file()] == []


def test_what_a_killed_step_left_the_next_one_removes(step: Step, tmp_path: Path) -> None:
    left = Path(look(step, tmp_path)["env"]["KEY_FILE"])
    left.parent.mkdir(parents=True)
    left.write_text("planted by a step that was killed")
    left.chmod(0o400)
    step.run(ANSWER.format(answer={"outcome": "succeeded"}))
    assert not left.exists()


def test_pieces_of_a_sensitive_value() -> None:
    assert sensitive_parts("abc") == set()
    assert sensitive_parts("word") == {"word"}
    assert sensitive_parts(PEM) == {PEM.strip(), "plantedline1", "plantedline2"}
    account = json.dumps({"type": "service_account", "private_key": PEM, "project_id": "shop"})
    assert {"plantedline1", "plantedline2", account} <= sensitive_parts(account)
    assert not {"service_account", "shop"} & sensitive_parts(account)


def test_a_step_without_variables_has_none(step: Step) -> None:
    assert step.run(ANSWER.format(answer={"outcome": "succeeded"}))["outcome"] == "succeeded"
