"""What a person can tell the demo, right and wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from demo.options import REPOSITORY_ROOT, DemoError, free_port, read_options, require_free_port
from demo.stack import Stack
from demo.terminal import Terminal


def test_nothing_said_means_the_defaults() -> None:
    options = read_options({})
    assert (options.home, options.port, options.once, options.kind) == (REPOSITORY_ROOT / "var", 8080, False, "sqlmesh")
    assert read_options({"PORT": "", "ONCE": "", "DAGCTL_HOME": ""}) == options


def test_all_said(tmp_path: Path) -> None:
    options = read_options({"PORT": "8123", "ONCE": "1", "DAGCTL_HOME": str(tmp_path), "KIND": "dbt"})
    assert (options.home, options.port, options.once, options.kind) == (tmp_path, 8123, True, "dbt")


def test_a_relative_home_is_below_the_checkout() -> None:
    assert read_options({"DAGCTL_HOME": "state"}).home == REPOSITORY_ROOT / "state"


@pytest.mark.parametrize("once", ["0", "no", "false", ""])
def test_once_can_be_said_off(once: str) -> None:
    assert read_options({"ONCE": once}).once is False


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "abc"),
        ("PORT", "0"),
        ("PORT", "65536"),
        ("PORT", "-1"),
        ("PORT", "8080 "),
        ("PORT", "٨٠"),
        ("ONCE", "maybe"),
        ("KIND", "spreadsheet"),
        ("DAGCTL_HOME", "/tmp/100%"),
    ],
)
def test_nonsense_is_named(name: str, value: str) -> None:
    with pytest.raises(DemoError) as refused:
        read_options({name: value})
    assert name in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.hint


def test_a_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(DemoError, match=f"PORT={port} is taken"):
            require_free_port(port)
    require_free_port(free_port())


def test_a_free_port_is_none_that_the_system_hands_out_meanwhile() -> None:
    ranges = Path("/proc/sys/net/ipv4/ip_local_port_range")
    lowest = int(ranges.read_text().split()[0]) if ranges.exists() else 32768
    assert all(1024 < free_port() < lowest for _ in range(100))


def test_a_folder_that_is_not_the_demos_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    stack = Stack(tmp_path, 8080, Terminal())
    with pytest.raises(DemoError, match="not empty"):
        stack.claim()
    stack.remove()
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_reset_keeps_the_cache_and_nothing_else(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", 8080, Terminal())
    stack.claim()
    for name in ("cache", "logs", "airflow"):
        (stack.home / name).mkdir()
    stack.secrets()
    assert (stack.home / "secrets.json").stat().st_mode & 0o777 == 0o600
    stack.reset()
    assert sorted(path.name for path in stack.home.iterdir()) == [".dagctl-demo", "cache"]
    stack.claim()


def test_only_the_api_server_learns_the_administrators_password(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", 8080, Terminal())
    stack.claim()
    password = stack.secrets()["state_admin_password"]
    told = {
        name: password in " ".join(stack.environment(name).values()) for name in ("", "api-server", "scheduler", "dag-processor")
    }
    assert told == {"": False, "api-server": True, "scheduler": False, "dag-processor": False}


@pytest.mark.parametrize(
    ("arguments", "settings", "code", "says"),
    [
        (["run"], {"PORT": "abc"}, 2, "PORT=abc is no port number"),
        (["dance"], {}, 2, "Usage"),
        ([], {}, 2, "Usage"),
        (["commit"], {}, 1, "No demo runs here"),
        (["stop"], {}, 0, "Nothing runs"),
    ],
)
def test_the_command_line_is_short_about_what_is_wrong(
    tmp_path: Path, arguments: list[str], settings: dict[str, str], code: int, says: str
) -> None:
    environment = {"PATH": "/usr/bin:/bin", "DAGCTL_HOME": str(tmp_path / "home"), **settings}
    done = subprocess.run(
        [sys.executable, "-m", "demo", *arguments],
        env=environment,
        cwd=REPOSITORY_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert (done.stderr == "") == (code == 0)
    assert len(done.stderr.splitlines()) in (0, 2)


def test_a_served_project_of_the_other_kind_is_not_taken_for_the_wanted_one(tmp_path: Path) -> None:
    stack = Stack(tmp_path / "home", 8080, Terminal())
    stack.claim()
    stack.information_file.write_text(json.dumps({"base_url": "http://127.0.0.1:8080", "kind": "dbt"}))
    environment = {"PATH": "/usr/bin:/bin", "DAGCTL_HOME": str(stack.home)}
    command = [sys.executable, "-m", "demo", "serve"]
    done = subprocess.run(command, env=environment, cwd=REPOSITORY_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "holds a demo with a dbt project" in done.stderr
