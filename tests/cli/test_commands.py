"""The ``airflow dagctl`` commands as Airflow parses and runs them."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from dagctl_provider.cli.definition import get_dagctl_cli_commands
from dagctl_provider.services import organizations, plans, tokens
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS
from tests.services.world import World, world

__all__ = ["world"]


@pytest.fixture(scope="module")
def parser() -> Any:
    if not AIRFLOW_V_3_2_PLUS:
        pytest.skip("Airflow takes commands from providers since 3.2")
    from airflow.cli.cli_parser import get_parser

    return get_parser()


@pytest.fixture
def run(parser: Any, database: None, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run a command line; what it prints, read as JSON where it is."""

    def call(*words: str) -> Any:
        args = parser.parse_args(["dagctl", *words])
        args.func(args)
        out = capsys.readouterr().out
        return json.loads(out) if "json" in words else out

    return call


def test_a_token_is_made_shown_once_listed_and_revoked(run: Any) -> None:
    (made,) = run("tokens", "create", "--name", "ci", "--role", "developer", "--expires-in", "90d", "-o", "json")
    assert tokens.authenticate(made["token"], made["organization_id"]).name == "ci"
    (listed,) = run("tokens", "list", "-o", "json")
    assert (listed["token_id"], listed["role"], listed["revoked"]) == (made["token_id"], "developer", "")
    assert made["token"] not in json.dumps(listed)
    assert "revoked" in run("tokens", "revoke", made["token_id"])
    assert run("tokens", "list", "-o", "json")[0]["revoked"] != ""


def test_organizations_are_made_once(run: Any) -> None:
    (first,) = run("organizations", "create", "acme", "-o", "json")
    (second,) = run("organizations", "create", "acme", "-o", "json")
    assert first == second
    (made,) = run("tokens", "create", "--name", "x", "--organization", "acme", "-o", "json")
    assert made["organization_id"] == first["organization_id"]
    assert {row["name"] for row in run("organizations", "list", "-o", "json")} == {"acme"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("tokens", "create", "--name", "x", "--expires-in", "3y"), "no life time"),
        (("tokens", "create", "--name", " "), "1 to 255"),
        (("tokens", "create", "--name", "x", "--organization", "nobody"), "no organization 'nobody'"),
        (("tokens", "revoke", "tok_nothing"), "does not exist"),
        (("organizations", "create", ""), "1 to 255"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(run: Any, words: tuple[str, ...], message: str) -> None:
    with pytest.raises(SystemExit) as caught:
        run(*words)
    text = str(caught.value)
    assert message in text
    assert len(text.splitlines()) == 2
    assert text.splitlines()[1].startswith("Hint: ")
    assert tokens.list_tokens(organizations.default_organization_id()) == []


def test_every_command_says_what_it_is_for(parser: Any, capsys: pytest.CaptureFixture[str]) -> None:
    (group,) = get_dagctl_cli_commands()
    for command in group.subcommands:
        for action in getattr(command, "subcommands", [command]):
            words = [command.name] if action is command else [command.name, action.name]
            with pytest.raises(SystemExit) as caught:
                parser.parse_args(["dagctl", *words, "--help"])
            assert caught.value.code == 0
            assert action.help.split()[0] in capsys.readouterr().out


def test_the_record_of_decisions_can_be_read(run: Any, world: World) -> None:
    step = world.explained(world.project())
    plans.reject(world.actor(name="ada"), step.id, comment="not on a Friday")
    (row,) = run("decisions", step.group_id, "--organization", "acme", "-o", "json")
    assert (row["decision"], row["actor_name"], row["door"], row["comment"]) == ("rejected", "ada", "rest", "not on a Friday")
    assert row["digest"] == "sha256:1"
    with pytest.raises(SystemExit, match="does not exist"):
        run("decisions", "plangroup_nothing")


def test_the_commands_are_there_without_airflow_too() -> None:
    """Before Airflow 3.2 providers have no commands of their own."""
    command = [sys.executable, "-m", "dagctl_provider.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("tokens", "organizations", "decisions"))
