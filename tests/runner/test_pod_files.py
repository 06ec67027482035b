"""What a pod gives the runner and takes from it: a request in pieces, secrets from other folders, one line on the cause."""

from __future__ import annotations

import gzip
import io
import json
from pathlib import Path

import pytest

from dagctl_provider.runner.cli import main
from dagctl_provider.runner.credentials import read_credentials
from dagctl_provider.runner.events import EventFile
from dagctl_provider.runner.masking import Masker
from dagctl_provider.runner.progress import EVENT_MARK, Progress

REQUEST = {"repository_url": "ftp://example.com/x", "commit_sha": "0" * 40, "project_id": "p", "step_id": "s"}


def error_of(tmp_path: Path, request: Path) -> dict[str, str]:
    result = tmp_path / "result.json"
    code = main(["explain", "--request", str(request), "--result", str(result), "--termination-log", str(tmp_path / "cause")])
    assert code == 2
    error: dict[str, str] = json.loads(result.read_text())["error"]
    assert (tmp_path / "cause").read_text() == f"{error['code']}: {error['message']}"
    assert result.stat().st_mode & 0o777 == 0o640
    return error


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder_of_pieces_is_one_request(tmp_path: Path, packed: bool) -> None:
    text = json.dumps({**REQUEST, "project_name": "x" * 1000, "branch": "--upload-pack=evil"}).encode()
    data = gzip.compress(text) if packed else text
    folder = tmp_path / "request"
    folder.mkdir()
    for number, start in enumerate(range(0, len(data), 50)):
        (folder / f"request-{number:03}").write_bytes(data[start : start + 50])
    # As Kubernetes mounts a Secret: links to a folder that is exchanged as a whole.
    (folder / "..data").mkdir()
    assert "project_name" in error_of(tmp_path, folder)["message"]


# Named, since packed bytes hold the second they were packed in: two processes that collect the tests would not agree.
@pytest.mark.parametrize(
    "content", [b"\x1f\x8bbroken", gzip.compress(b"{}" * 9)[:-9], b"\xff"], ids=["not gzip", "cut off", "not text"]
)
def test_a_broken_request_is_a_result(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "request").mkdir()
    (tmp_path / "request" / "request-000").write_bytes(content)
    assert error_of(tmp_path, tmp_path / "request")["code"] == "invalid_request"


def test_secrets_that_people_made_fill_what_the_step_s_own_lack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, git, env = (tmp_path / name for name in ("own", "git", "env"))
    for folder in (own, git, env):
        folder.mkdir()
    (own / "env.json").write_text('{"PASSWORD": "own"}')
    (git / "ssh-privatekey").write_text("KEY\n")
    (git / "known_hosts").write_text("host ssh-ed25519 AAAA\n")
    (env / "PASSWORD").write_text("other")
    (env / "ACCOUNT").write_text("acme\n")
    (env / "not-a-name").write_text("x")
    monkeypatch.setenv("DAGCTL_GIT_SECRETS", str(git))
    monkeypatch.setenv("DAGCTL_ENV_SECRETS", str(env))
    found = read_credentials(own)
    assert (found.git_ssh_key, found.git_known_hosts, found.git_token) == ("KEY\n", "host ssh-ed25519 AAAA\n", None)
    assert found.env == {"PASSWORD": "own", "ACCOUNT": "acme"}
    assert found.mounted == {"PASSWORD": "other", "ACCOUNT": "acme"}
    (own / "git_ssh_key").write_text("OWN")
    assert read_credentials(own).git_ssh_key == "OWN"


def test_an_explain_is_told_that_it_has_secrets_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own").mkdir()
    assert read_credentials(tmp_path / "own").own_secrets is False
    monkeypatch.setenv("DAGCTL_EXPLAIN_SECRETS", "1")
    assert read_credentials(tmp_path / "own").own_secrets is True


def test_events_can_go_into_the_log_masked_and_marked() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    progress.masker = Masker({"planted-secret"})
    with EventFile(Path("-"), progress) as events:
        events.event(json.dumps({"event": "model_finished", "unique_id": "model.a.b", "message": "planted-secret"}))
        events.event("no event")
    (line,) = stream.getvalue().splitlines()
    assert json.loads(line.removeprefix(EVENT_MARK))["unique_id"] == "model.a.b"
    assert "planted" not in line


@pytest.mark.parametrize("place", ["/dev/full", "/dev/null/no/such/folder"])
def test_events_that_cannot_be_written_do_not_end_the_step(place: str) -> None:
    stream = io.StringIO()
    with EventFile(Path(place), Progress(stream)) as events:
        for line in ('{"event": "stage", "stage": "plan"}', '{"event": "stage"}', '["no object"]', "7", "no event"):
            events.event(line)
    assert stream.getvalue().count("events cannot be written any more") == 1
