"""What the inner program is told of a job, and what a retry of dbt may bring along."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.job_requests import job_of
from tests.runner.test_requests import parse

NODES = ["model.shop.a", "test.shop.not_null_a.1f2e", "unit_test.shop.a.zero"]


def asked(command: str | None, retry: object = None, folder: Path | None = None, tool: str = "dbt") -> dict[str, Any] | None:
    request = parse("run", tool=tool, **({} if command is None else {"job_command": command}))[0]
    path = None
    if folder is not None:
        (folder / "retry.json").write_text(retry if isinstance(retry, str) else json.dumps(retry))
        path = str(folder / "retry.json")
    return job_of(request, "1.12.6" if tool == "dbt" else "0.236.4", path)


@pytest.mark.parametrize("command", [None, "run", "  run "])
@pytest.mark.parametrize("tool", ["dbt", "sqlmesh"])
def test_the_default_job_is_no_command(command: str | None, tool: str) -> None:
    assert asked(command, tool=tool) is None


def test_a_command_is_told_in_parts() -> None:
    assert asked("dbt build --select a b --fail-fast") == {
        "verb": "build", "options": {"select": ("a", "b"), "fail_fast": True}, "arguments": [], "nodes": None,
        "text": "dbt build --select a b --fail-fast",
    }  # fmt: skip
    told = asked("sqlmesh invalidate dev --sync", tool="sqlmesh")
    assert told is not None
    assert (told["verb"], told["arguments"], told["options"]) == ("invalidate", ["dev"], {"sync": True})


def test_a_retry_is_the_command_of_before_with_what_is_left(tmp_path: Path) -> None:
    left = {"command": "dbt build --select tag:nightly --threads 8", "nodes": NODES}
    assert asked("dbt retry --threads 1 --fail-fast", left, tmp_path) == {
        "verb": "build", "options": {"select": ("tag:nightly",), "threads": "1", "fail_fast": True}, "arguments": [],
        "nodes": NODES, "text": "dbt build --select tag:nightly --threads 8",
    }  # fmt: skip
    default = asked("dbt retry", {"command": "run", "nodes": NODES[:1]}, tmp_path)
    assert default is not None
    assert (default["verb"], default["text"], default["nodes"]) == ("build", "run", NODES[:1])


def test_a_retry_of_a_retry_builds_what_is_left(tmp_path: Path) -> None:
    again = asked("dbt retry --threads 2", {"command": "dbt retry --fail-fast", "nodes": NODES}, tmp_path)
    assert again == {"verb": "build", "options": {"threads": "2"}, "arguments": [], "nodes": NODES, "text": "dbt build"}


@pytest.mark.parametrize(
    ("left", "code"),
    [
        ({"command": "dbt build", "nodes": []}, "nothing_to_retry"),
        ({"command": "dbt compile", "nodes": NODES}, "nothing_to_retry"),
        ({"command": "dbt retry", "nodes": []}, "nothing_to_retry"),
        ({"command": "dbt build --target other", "nodes": NODES}, "invalid_request"),
        ({"command": "sqlmesh run", "nodes": NODES}, "invalid_request"),
        ({"command": "dbt build", "nodes": ["--target"]}, "invalid_request"),
        ({"command": "dbt build", "nodes": ["model.a\nb"]}, "invalid_request"),
        ({"command": "dbt build", "nodes": [1]}, "invalid_request"),
        ({"command": "dbt build", "nodes": "model.a"}, "invalid_request"),
        ({"command": "dbt build", "nodes": ["model.a"] * 5001}, "invalid_request"),
        ({"command": 1, "nodes": NODES}, "invalid_request"),
        ({"nodes": NODES}, "invalid_request"),
        ([], "invalid_request"),
        ("no json", "invalid_request"),
    ],
)
def test_what_a_retry_brings_along_is_not_believed(left: object, code: str, tmp_path: Path) -> None:
    with pytest.raises(RunnerError) as refused:
        asked("dbt retry", left, tmp_path)
    assert refused.value.code == code


def test_without_anything_left_there_is_nothing_to_retry() -> None:
    with pytest.raises(RunnerError) as refused:
        asked("dbt retry")
    assert refused.value.code == "nothing_to_retry"
