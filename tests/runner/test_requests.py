"""Requests are hostile until proven otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.reach import Reach, reach_here, reach_variables
from dagctl_provider.runner.requests import Request, parse_request

SHA = "0123456789abcdef0123456789abcdef01234567"
MINIMAL: dict[str, Any] = {
    "repository_url": "https://git.example.com/team/shop.git",
    "commit_sha": SHA,
    "project_id": "proj_1",
    "step_id": "plan_1",
}


def parse(command: str = "explain", **changes: Any) -> tuple[Request, list[str]]:
    return parse_request(json.dumps({**MINIMAL, **changes}), command, Reach())


def test_the_smallest_request_gets_defaults() -> None:
    request, unknown = parse()
    assert (request.tool, request.branch, request.environment, request.git_path, request.run_tests) == (
        "sqlmesh",
        "main",
        None,
        "",
        True,
    )
    assert unknown == []


def test_unknown_keys_are_named_and_ignored() -> None:
    assert parse(from_the_future=1, another={})[1] == ["another", "from_the_future"]


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/team/shop.git",
        "https://git.example.com:8443/shop",
        "ssh://git@git.example.com:2222/team/shop.git",
        "git@git.example.com:team/shop.git",
    ],
)
def test_usual_addresses_are_accepted(url: str) -> None:
    assert parse(repository_url=url)[0].repository_url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "-oProxyCommand=sh",
        "--upload-pack=touch /tmp/x",
        "ext::sh -c 'touch /tmp/x'",
        "fd::17",
        "../shop",
        "http://git.example.com/shop",
        "git://git.example.com/shop",
        "https://user:secret@git.example.com/shop",
        "https://token@git.example.com/shop",
        "ssh://git:secret@git.example.com/shop",
        "ssh://-oProxyCommand=sh/shop",
        "-git@git.example.com:shop",
        "git@-oProxyCommand=sh:shop",
        "git@git.example.com::shop",
        "https://git.example.com/shop\n",
        "https://git.example.com/a b",
        "https://git.example.com/" + "a" * 3000,
    ],
)
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(RunnerError) as caught:
        parse(repository_url=url)
    assert caught.value.code == "invalid_request"
    assert "secret" not in caught.value.message.replace("as a secret", "")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("file:///srv/shop", "local_not_allowed"),
        ("/srv/shop", "local_not_allowed"),
        ("https://127.0.0.1/shop", "private_host"),
        ("https://[::1]/shop", "private_host"),
        ("https://[::ffff:10.0.0.7]/shop", "private_host"),
        ("https://[64:ff9b::a00:7]/shop", "private_host"),
        ("git@169.254.169.254:shop", "private_host"),
        ("https://gitea/shop", "private_host"),
    ],
)
def test_the_machine_allows_local_repositories_and_private_hosts_and_no_request_does(url: str, code: str) -> None:
    for asked in ({}, {"allow_local_repositories": True}, {"allow_private_hosts": True}):
        with pytest.raises(RunnerError) as refused:
            parse(repository_url=url, **asked)
        assert refused.value.code == code
    text = json.dumps({**MINIMAL, "repository_url": url, "allow_local_repositories": False})
    request, unknown = parse_request(text, "explain", Reach(local=True, private=True))
    assert request.repository_url.removeprefix("file://") == url.removeprefix("file://").replace("10.0.0.7", "a00:7")
    assert unknown == [], "what older launchers say is passed over without a word"


def test_only_a_launchers_clear_word_allows_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in reach_variables(local=True, private=True):
        monkeypatch.delenv(name, raising=False)
    assert reach_here() == Reach()
    for local, private in ((True, False), (False, True), (True, True), (False, False)):
        for name, value in reach_variables(local=local, private=private).items():
            monkeypatch.setenv(name, value)
        assert reach_here() == Reach(local=local, private=private)
    monkeypatch.setenv("DAGCTL_ALLOW_PRIVATE_HOSTS", "yes")
    assert not reach_here().private


def test_what_becomes_of_unstable_plans_is_one_of_two() -> None:
    assert (parse()[0].unstable, parse(unstable="refuse")[0].unstable) == ("exclude", "refuse")
    with pytest.raises(RunnerError, match="'unstable' must be one of exclude, refuse"):
        parse(unstable="ignore")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("requirements", "six"),
        ("requirements", [1]),
        ("deployed_packages", ["six"]),
        ("deployed_packages", {"six": 1}),
        ("deployed_packages", {"six": "1\n--index-url https://example.com"}),
        ("deployed_packages", {"--index-url": "1"}),
    ],
)
def test_packages_of_another_form_are_refused(name: str, value: object) -> None:
    with pytest.raises(RunnerError, match=name) as caught:
        parse(**{name: value})
    assert caught.value.code == "invalid_request"


@pytest.mark.parametrize("branch", ["main", "feature/x-1", "v1.2", "release_2026", "ünïcode"])
def test_usual_branches_are_accepted(branch: str) -> None:
    assert parse(branch=branch)[0].branch == branch


ODD_BRANCHES = ["-x", "--upload-pack=x", "a..b", "a b", "a:b", "a~1", "a^", "a*", "a[", "a\\b", "x.lock"]
ODD_BRANCHES += ["a//b", "/a", "a/", ".a", "a@{1}", "@", "a\n", "a."]


@pytest.mark.parametrize("branch", ODD_BRANCHES)
def test_odd_branches_are_refused(branch: str) -> None:
    with pytest.raises(RunnerError, match="branch"):
        parse(branch=branch)


@pytest.mark.parametrize(
    "path", ["..", "a/../..", "/etc", "~root", "-a", "a\\..\\b", "a\x00b", ".git", "a/.git/hooks", "models*", "a[b]"]
)
def test_paths_out_of_the_repository_are_refused(path: str) -> None:
    with pytest.raises(RunnerError, match="git_path"):
        parse(git_path=path)


@pytest.mark.parametrize(
    "changes",
    [
        {"commit_sha": "HEAD"},
        {"commit_sha": SHA[:12]},
        {"commit_sha": "-" + SHA[1:]},
        {"commit_sha": SHA.upper()},
        {"project_id": "a/b"},
        {"project_id": None},
        {"step_id": "a b"},
        {"environment": "-prod"},
        {"environment": ""},
        {"environment": "a\nb"},
        {"project_name": "a\nsucceeded"},
        {"gateway": ""},
        {"tool_version": 236},
        {"run_tests": "yes"},
        {"attempt": True},
        {"expected_digest": "sha256:short"},
        {"explained_plan_id": "a'b"},
    ],
)
def test_malformed_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(RunnerError) as caught:
        parse(**changes)
    assert caught.value.code == "invalid_request"
    assert next(iter(changes)) in caught.value.message


@pytest.mark.parametrize("text", ["", "{", "[]", '"x"', "x" * 1_100_000])
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(RunnerError) as caught:
        parse_request(text, "explain", Reach())
    assert caught.value.code == "invalid_request"


def test_an_execute_needs_what_was_approved() -> None:
    with pytest.raises(RunnerError, match="expected_digest"):
        parse("execute")
    with pytest.raises(RunnerError, match="explained_plan_id"):
        parse("execute", expected_digest="sha256:" + "0" * 64)
    assert parse("execute", expected_digest="sha256:" + "0" * 64, explained_plan_id="abc")[0].explained_plan_id == "abc"


def test_a_job_has_a_command_that_is_read_like_any_text_from_outside() -> None:
    request, unknown = parse("run", job_command="sqlmesh run --select-model 'shop.*'")
    assert (request.job_command, unknown) == ("sqlmesh run --select-model 'shop.*'", [])
    assert parse("run", tool="dbt", job_command="dbt retry", tool_version="1.12.6")[0].job_command == "dbt retry"


@pytest.mark.parametrize(
    ("command", "changes", "reason"),
    [
        ("run", {"job_command": "sqlmesh plan --auto-apply"}, "create a plan and approve it"),
        ("run", {"job_command": "sqlmesh run; rm -rf /"}, "not given to a shell"),
        ("run", {"job_command": "dbt build"}, "This is a SQLMesh project"),
        ("run", {"job_command": "sqlmesh run prod", "environment": "dev"}, "belongs to a plan of it"),
        ("run", {"job_command": "sqlmesh check_intervals", "tool_version": "0.130.2"}, "since SQLMesh 0.175.1"),
        ("run", {"job_command": ["sqlmesh", "run"]}, "must be of type str"),
        ("explain", {"job_command": "run"}, "belongs to a run"),
        (
            "execute",
            {"job_command": "run", "expected_digest": "sha256:" + "0" * 64, "explained_plan_id": "p"},
            "belongs to a run",
        ),
    ],
)
def test_a_command_that_no_job_may_have_ends_the_step(command: str, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(RunnerError) as refused:
        parse(command, **changes)
    assert refused.value.code == "invalid_request"
    assert "'job_command'" in refused.value.message
    assert reason in refused.value.message
