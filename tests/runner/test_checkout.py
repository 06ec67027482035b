"""Commits are fetched from remotes that nobody vouches for."""

from __future__ import annotations

import datetime
import io
import subprocess
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner.checkout import fetch_project, git_environment
from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.repositories import parse_repository_url
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.stopping import Stop
from tests.runner.shop import Repository

LOCAL = Reach(local=True)
HTTPS = parse_repository_url("https://git.example.com/shop")
NOWHERE = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repository")


def request(repository: Repository | None = None, **changes: Any) -> Request:
    values = {"commit_sha": NOWHERE, "project_id": "proj_1", "step_id": "plan_1"}
    return Request(**{"repository_url": repository.url if repository else "", **values, **changes})


def fetch(wanted: Request, tmp_path: Path, reach: Reach = LOCAL) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    return fetch_project(wanted, Credentials(), scratch, Progress(io.StringIO()), Stop(), reach)[1]


def test_the_commit_is_checked_out_even_when_the_branch_has_moved_on(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit({"sub/a.txt": "1"})
    repository.commit({"sub/a.txt": "2"})
    assert (fetch(request(repository, commit_sha=first, git_path="sub"), tmp_path) / "a.txt").read_text() == "1"


def test_a_commit_that_is_gone_is_told(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.txt": "1"})
    with pytest.raises(RunnerError, match="0123456789ab is not in branch 'main'") as caught:
        fetch(request(repository), tmp_path)
    assert caught.value.code == "commit_not_found"


def test_an_empty_repository_is_told(repository: Repository, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as caught:
        fetch(request(repository), tmp_path)
    assert caught.value.code == "commit_not_found"


def test_an_unreachable_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(RunnerError, match=r"does not (exist|appear)") as caught:
        fetch(request(repository_url=f"file://{tmp_path}/absent"), tmp_path)
    assert caught.value.code == "repository_unreachable"


@pytest.mark.parametrize(("link", "target"), [("out", "../.."), ("out", "/etc"), ("git", ".git")])
def test_a_link_out_of_the_checkout_is_not_followed(repository: Repository, tmp_path: Path, link: str, target: str) -> None:
    (repository.folder / link).symlink_to(target)
    commit = repository.commit({"a.txt": "1"})
    with pytest.raises(RunnerError) as caught:
        fetch(request(repository, commit_sha=commit, git_path=link), tmp_path)
    assert caught.value.code == "project_path_not_found"


def test_a_folder_that_does_not_exist_is_told(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({"a.txt": "1"})
    for name in ("absent", "a.txt"):
        with pytest.raises(RunnerError, match="is not a folder"):
            fetch(request(repository, commit_sha=commit, git_path=name), tmp_path)
        (tmp_path / "scratch").rename(tmp_path / f"scratch-{name}")


def test_local_repositories_are_refused_where_the_machine_does_not_allow_them(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({"a.txt": "1"})
    with pytest.raises(RunnerError, match="not allowed") as refused:
        fetch(request(repository, commit_sha=commit), tmp_path, Reach(private=True))
    assert refused.value.code == "local_not_allowed"


def test_git_itself_knows_no_transport_but_the_repositorys_own(repository: Repository, tmp_path: Path) -> None:
    env = git_environment(HTTPS, Credentials(), tmp_path)
    asked = ["git", "ls-remote", repository.url]
    done = subprocess.run(asked, env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "transport 'file' not allowed" in done.stderr


def test_filters_and_submodules_of_the_repository_do_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.commit({"a.txt": "1"})
    modules = f'[submodule "x"]\n\tpath = x\n\turl = {repository.url}\n'
    commit = repository.commit({".gitattributes": "* filter=evil\n", ".gitmodules": modules})
    folder = fetch(request(repository, commit_sha=commit), tmp_path)
    assert (folder / "a.txt").read_text() == "1"
    assert not (folder / "x").exists()


def test_secrets_reach_git_by_files_only(tmp_path: Path) -> None:
    credentials = Credentials(git_ssh_key="KEY-MATERIAL", git_known_hosts="host key", git_token="TOKEN-VALUE")
    env = git_environment(HTTPS, credentials, tmp_path)
    assert "KEY-MATERIAL" not in str(env)
    assert "TOKEN-VALUE" not in str(env)
    assert "credential.https://git.example.com.helper" in env.values()
    assert "StrictHostKeyChecking=yes" in env["GIT_SSH_COMMAND"]
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}
    config = {env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(env["GIT_CONFIG_COUNT"]))}
    assert (config["protocol.allow"], config["protocol.https.allow"], config["core.hooksPath"]) == (
        "never",
        "always",
        "/dev/null",
    )
    assert "protocol.file.allow" not in config


def test_the_token_helper_answers_git(tmp_path: Path) -> None:
    env = git_environment(HTTPS, Credentials(git_token="TOKEN-VALUE"), tmp_path)

    def ask(host: str) -> str:
        question = f"protocol=https\nhost={host}\n\n"
        return subprocess.run(["git", "credential", "fill"], env=env, input=question, capture_output=True, text=True).stdout

    assert "password=TOKEN-VALUE" in ask("git.example.com")
    assert "TOKEN-VALUE" not in ask("evil.example.com")


def test_git_secrets_are_gone_when_the_project_runs(repository: Repository, tmp_path: Path) -> None:
    commit = repository.commit({"a.txt": "1"})
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    wanted = request(repository, commit_sha=commit)
    credentials = Credentials(git_ssh_key="KEY", git_known_hosts="host")
    fetch_project(wanted, credentials, scratch, Progress(io.StringIO()), Stop(), LOCAL)
    assert [path.name for path in scratch.iterdir()] == ["checkout"]


def test_a_commit_of_another_age_has_a_moment_of_the_calendar(repository: Repository, tmp_path: Path) -> None:
    tree = repository.commit({"a.txt": "1"})
    people = "author A <a@example.com> 1 +0000\ncommitter A <a@example.com> 99999999999999 +0000\n"
    names = subprocess.run(
        ["git", "rev-parse", f"{tree}^{{tree}}"], cwd=repository.folder, capture_output=True, check=True, text=True
    )
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--literally", "--stdin"],
        cwd=repository.folder, input=f"tree {names.stdout.strip()}\n{people}\nm", capture_output=True, check=True, text=True,
    ).stdout.strip()  # fmt: skip
    subprocess.run(["git", "update-ref", "refs/heads/main", made], cwd=repository.folder, check=True)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    wanted = request(repository, commit_sha=made)
    moment = fetch_project(wanted, Credentials(), scratch, Progress(io.StringIO()), Stop(), LOCAL)[2]
    assert datetime.datetime.fromtimestamp(moment, datetime.timezone.utc).year <= 9999
