"""Repositories that are hostile, gone, empty or hold no project: what the caller is told, and that nothing is kept."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.domain.hostile_repositories import HOSTILE_BRANCHES, HOSTILE_PATHS, HOSTILE_URLS

GOOD = {"repository_url": "https://github.com/acme/analytics", "branch": "main"}


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail the test when anything is started, contacted or read from the disk by the request."""

    def refuse(*args: Any, **_: Any) -> Any:
        raise AssertionError(f"something was touched: {args!r}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(os, "stat", refuse)
    monkeypatch.setattr(builtins, "open", refuse)


def test_more_than_200_hostile_places_are_refused_before_anything_starts(
    ask: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES", "False")
    ask("GET", "/projects")  # What is imported and connected on first use is so by now.
    bodies = [{**GOOD, "repository_url": url} for url in HOSTILE_URLS]
    bodies += [{**GOOD, "branch": branch} for branch in HOSTILE_BRANCHES]
    bodies += [{**GOOD, "git_path": path} for path in HOSTILE_PATHS]
    assert len(bodies) > 200
    ask("POST", "/projects", json={"name": "x", **bodies[0]})
    request.getfixturevalue("no_process")
    wrong = []
    for number, body in enumerate(bodies):
        answer = ask("POST", "/projects", json={"name": f"project {number}", **body})
        if answer.status_code != 422 or answer.get_json()["code"] not in ("invalid_repository", "invalid_request"):
            wrong.append((body, answer.status_code, answer.text))
    monkeypatch.undo()
    assert wrong == []
    assert ask("GET", "/projects").get_json()["total"] == 0


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit on main."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "config.yaml").write_text(
        "gateways: {warehouse: {connection: {type: duckdb}}}\nmodel_defaults: {dialect: duckdb}\n"
    )
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "First")
    return folder


def create(ask: Callable[..., Any], repository: Path, **values: Any) -> Any:
    return ask("POST", "/projects", json={"name": "analytics", "repository_url": repository.as_uri(), **values})


def test_a_real_repository_becomes_a_project(ask: Callable[..., Any], repository: Path) -> None:
    answer = create(ask, repository)
    assert answer.status_code == 201, answer.text
    assert answer.get_json()["gateways"] == ["warehouse"]
    assert len(answer.get_json()["latest_commit_sha"]) == 7


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({"branch": "gone"}, 422, "branch_not_found"),
        ({"git_path": "nothing/here"}, 422, "project_not_found_in_repository"),
        ({"sqlmesh_version": "0.1.0"}, 422, "unsupported_version"),
        ({"sqlmesh_version": "newest"}, 422, "invalid_request"),
        ({"git_auth_method": "ssh", "git_secret_ref": "no_such_connection"}, 424, "repository_authentication_failed"),
        ({"cpu_request": "lots"}, 422, "invalid_request"),
        ({"name": "a" * 64}, 422, "invalid_request"),
        ({"agent_context": "x" * 10_001}, 422, "invalid_request"),
        ({"polling_interval": "5m"}, 422, "invalid_request"),
        ({"unknown": 1}, 422, "invalid_request"),
        ({"auto_apply": "yes"}, 422, "invalid_request"),
        ({"description": "a\0b"}, 422, "invalid_request"),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, dict) else None,
)
def test_what_is_wrong_is_named_and_nothing_is_kept(
    ask: Callable[..., Any], repository: Path, values: dict[str, Any], status: int, code: str
) -> None:
    answer = create(ask, repository, **values)
    assert (answer.status_code, answer.get_json()["code"]) == (status, code), answer.text
    assert answer.content_type == "application/problem+json"
    assert "Traceback" not in answer.text
    assert ask("GET", "/projects").get_json()["total"] == 0


def test_an_empty_and_an_absent_repository(ask: Callable[..., Any], tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "--quiet", "--initial-branch=main")
    answer = create(ask, empty)
    assert (answer.status_code, answer.get_json()["code"]) == (422, "repository_empty")
    answer = create(ask, tmp_path / "absent")
    assert (answer.status_code, answer.get_json()["code"]) == (424, "repository_unreachable")


def test_a_branch_that_goes_away_later(ask: Callable[..., Any], repository: Path) -> None:
    project = create(ask, repository).get_json()
    git(repository, "branch", "-m", "main", "trunk")
    answer = ask("POST", f"/projects/{project['id']}/plans")
    assert (answer.status_code, answer.get_json()["code"]) == (422, "branch_not_found")
    assert ask("GET", f"/projects/{project['id']}/plans").get_json()["total"] == 0
    status = ask("GET", f"/projects/{project['id']}/sync-status")
    assert status.status_code == 200
    assert "main" in status.get_json()["error_message"] or "branch" in status.get_json()["error_message"].lower()
