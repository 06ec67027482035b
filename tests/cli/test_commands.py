"""The ``airflow dagctl`` commands as Airflow parses and runs them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet, MultiFernet

from dagctl_provider.cli.definition import get_dagctl_cli_commands
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.domain.proofs import read_public_key
from dagctl_provider.orchestration import encryption
from dagctl_provider.services import organizations, plans, projects, rotation, tokens, variables
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store import transactions
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS
from tests.services.world import World, world

__all__ = ["world"]

FERNET_KEY = "WzJ5bGJjb2RlLXRlc3Qta2V5LTMyLWJ5dGVzISEhISE="


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
    assert "errors" not in text.splitlines()[1], "hints speak of the command line, not of REST answers"
    assert tokens.list_tokens(system_actor(organizations.default_organization_id(), "test")) == []


def test_every_command_and_option_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `airflow dagctl ([a-z -]+?)(?: [A-Z_]+)?` \| (.*)$", page, re.MULTILINE))
    (group,) = get_dagctl_cli_commands()
    actions = {
        (command.name if action is command else f"{command.name} {action.name}"): action
        for command in group.subcommands
        for action in getattr(command, "subcommands", [command])
    }
    assert set(rows) == set(actions)
    for name, action in actions.items():
        own = {flag for arg in action.args for flag in arg.flags if flag.startswith("--")} - {"--output", "--verbose"}
        assert set(re.findall(r"`(--[a-z-]+)`", rows[name])) == own, name


def test_keys_are_printed_as_the_setting_takes_them_and_rotated(run: Any) -> None:
    first = run("keys").strip()
    assert dict([read_public_key(first)])
    second = run("rotate-keys").split()[3]
    assert run("keys").strip() == f"{second},{first}"
    third = run("rotate-keys", "--at-once").split()[3]
    assert run("keys").strip() == third


def test_a_token_stays_in_one_piece_on_a_narrow_terminal(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow.cli import simple_table

    monkeypatch.setattr(simple_table, "is_tty", lambda: True)
    monkeypatch.setenv("COLUMNS", "40")
    printed = run("tokens", "create", "--name", "ci")
    (token,) = [word for word in printed.split() if word.startswith("dctl_")]
    assert tokens.authenticate(token, organizations.default_organization_id()).name == "ci"


def test_a_new_token_says_that_it_is_shown_once(parser: Any, database: None, capsys: pytest.CaptureFixture[str]) -> None:
    args = parser.parse_args(["dagctl", "tokens", "create", "--name", "ci", "-o", "json"])
    args.func(args)
    captured = capsys.readouterr()
    assert "not shown again" in captured.err
    assert json.loads(captured.out)[0]["token"] not in captured.err


@pytest.mark.parametrize("output", ["table", "plain", "yaml", "json"])
def test_what_others_wrote_is_printed_as_text(run: Any, world: World, output: str) -> None:
    step = world.explained(world.project())
    plans.reject(world.actor(name="ada"), step.id, door="rest", comment="[/x] [red]no\x1b[2J \u202e")
    printed = run("decisions", step.group_id, "--organization", "acme", "-o", output)
    printed = json.dumps(printed) if output == "json" else printed
    assert "[/x] [red]no" in printed.replace("\n", " ")
    assert "\x1b[2J" not in printed
    assert "\u202e" not in printed


@pytest.mark.parametrize("verbose", [False, True])
def test_a_database_without_tables_is_one_line_and_a_hint(run: Any, monkeypatch: pytest.MonkeyPatch, verbose: bool) -> None:
    from sqlalchemy.exc import OperationalError

    def fail(*_: Any) -> Any:
        raise OperationalError("SELECT secret", {}, Exception("no such table: dagctl_organization"))

    monkeypatch.setattr(organizations, "list_organizations", fail)
    if verbose:
        with pytest.raises(OperationalError):
            run("organizations", "list", "--verbose")
        return
    with pytest.raises(SystemExit) as caught:
        run("organizations", "list")
    assert "airflow db migrate" in str(caught.value)
    assert "SELECT" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 2


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
    plans.reject(world.actor(name="ada"), step.id, door="rest", comment="not on a Friday")
    (row,) = run("decisions", step.group_id, "--organization", "acme", "-o", "json")
    assert (row["decision"], row["actor_name"], row["door"], row["comment"]) == ("rejected", "ada", "rest", "not on a Friday")
    assert row["digest"] == "sha256:1"
    with pytest.raises(SystemExit, match="does not exist"):
        run("decisions", "plangroup_nothing")
    with pytest.raises(SystemExit, match="does not exist"):
        run("decisions", step.group_id)


def test_the_record_of_decisions_outlives_what_was_decided(run: Any, world: World) -> None:
    project = world.project()
    step = world.explained(project)
    plans.delete(world.actor(name="ada"), step.id, door="rest")
    command = ("decisions", step.group_id, "--organization", "acme", "-o", "json")
    (row,) = run(*command)
    assert (row["decision"], row["actor_name"]) == ("deleted", "ada")
    with pytest.raises(SystemExit, match="does not exist"):
        run("decisions", step.group_id)
    projects.delete_project(world.actor(), project.id)
    assert run(*command) == [row]
    with pytest.raises(DagctlError):
        plans.decisions(world.actor(), step.group_id)


@pytest.mark.slow
def test_the_commands_are_there_without_airflow_too() -> None:
    """Before Airflow 3.2 providers have no commands of their own."""
    command = [sys.executable, "-m", "dagctl_provider.cli", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in ("tokens", "organizations", "decisions"))


def test_what_is_encrypted_is_encrypted_anew(run: Any, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    variables.create_variable(world.actor(), {"name": "TOKEN", "value": "planted"})
    former, present = Fernet(FERNET_KEY.encode()), Fernet(Fernet.generate_key())
    monkeypatch.setattr(encryption, "get_fernet", lambda: MultiFernet([present, former]))
    monkeypatch.setattr(rotation, "is_encrypting", lambda: True)
    signing = transactions.run(keys.public_texts)
    said = run("rotate-fernet")
    assert "planted" not in said
    count = int(said.split()[0])
    monkeypatch.setattr(encryption, "get_fernet", lambda: MultiFernet([present]))
    assert run("rotate-fernet") == said, "nothing needs the former key any more"
    assert transactions.run(keys.public_texts) == signing
    shown = variables.get_variable(world.actor(), "TOKEN")
    assert (shown.readable, count >= 3) == (True, True)

    monkeypatch.setattr(encryption, "get_fernet", lambda: MultiFernet([former]))
    with pytest.raises(SystemExit, match=r"(?s)variable TOKEN of acme.*Hint"):
        run("rotate-fernet")


class TestMembers:
    """People at the command line; SimpleAuthManager of these tests knows one user, admin."""

    def test_they_are_added_listed_changed_and_removed(self, run: Any) -> None:
        (made,) = run("members", "add", "--user", "admin", "--role", "owner", "-o", "json")
        assert (made["airflow_id"], made["role"]) == ("admin", "owner")
        (listed,) = run("members", "list", "-o", "json")
        assert listed["user_id"] == made["user_id"]
        with pytest.raises(SystemExit, match="last owner"):
            run("members", "role", "--user", "admin", "--role", "reader")
        with pytest.raises(SystemExit, match="last owner"):
            run("members", "remove", "--user", made["user_id"])
        with pytest.raises(SystemExit, match="member already"):
            run("members", "add", "--user", "admin", "--role", "reader")

    def test_another_owner_lets_the_first_go(self, run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "ada:admin,bob:user")
        for name in ("ada", "bob"):
            run("members", "add", "--user", name, "--role", "owner", "-o", "json")
        (changed,) = run("members", "role", "--user", "ada", "--role", "reader", "-o", "json")
        assert changed["role"] == "reader"
        assert "ada is no member any more." in run("members", "remove", "--user", "ada")
        assert [row["name"] for row in run("members", "list", "-o", "json")] == ["bob"]

    def test_nobody_unknown_is_made_a_member(self, run: Any) -> None:
        with pytest.raises(SystemExit, match="knows no user 'mallory'"):
            run("members", "add", "--user", "mallory", "--role", "owner")
        with pytest.raises(SystemExit, match="is no member 'mallory'"):
            run("members", "remove", "--user", "mallory")
        with pytest.raises(SystemExit, match="knows no user 'mallory'"):
            run("organizations", "create", "acme", "--owner", "mallory")
        assert "acme" not in {row["name"] for row in run("organizations", "list", "-o", "json")}

    def test_an_organization_begins_with_an_owner(self, run: Any) -> None:
        (made,) = run("organizations", "create", "acme", "--owner", "admin", "-o", "json")
        (owner,) = run("members", "list", "--organization", "acme", "-o", "json")
        assert owner["role"] == "owner"
        (other,) = run("organizations", "create", "empty", "-o", "json")
        assert run("members", "list", "--organization", "empty", "-o", "json") == []
        assert other["organization_id"] != made["organization_id"]

    def test_it_is_on_record_as_done_at_the_command_line(self, run: Any) -> None:
        run("organizations", "create", "acme", "--owner", "admin", "-o", "json")
        run("tokens", "create", "--name", "ci", "--organization", "acme", "-o", "json")
        entries = [json.loads(line) for line in run("audit", "export", "--organization", "acme").splitlines()]
        assert [(entry["verb"], entry["object_kind"]) for entry in entries] == [
            ("created", "organization"),
            ("added", "member"),
            ("created", "token"),
        ]
        assert {(entry["door"], entry["actor_name"][:4]) for entry in entries} == {("command_line", "cli:")}


def test_a_token_is_limited_to_projects_by_name_or_id_and_rotated(run: Any, world: World) -> None:
    project = world.project("shop")
    limits = ("--project", "Shop", "--project", project.id)
    (made,) = run("tokens", "create", "--name", "ci", "--organization", "acme", *limits, "-o", "json")
    assert tokens.authenticate(made["token"], world.organization_id).project_ids == frozenset((project.id,))
    assert run("tokens", "list", "--organization", "acme", "-o", "json")[0]["projects"] == project.id
    (rotated,) = run("tokens", "rotate", made["token_id"], "--organization", "acme", "--overlap", "0h", "-o", "json")
    assert tokens.authenticate(rotated["token"], world.organization_id).project_ids == frozenset((project.id,))
    with pytest.raises(DagctlError):
        tokens.authenticate(made["token"], world.organization_id)
    for words, message in (
        (("tokens", "create", "--name", "x", "--organization", "acme", "--project", "nothing"), "no project 'nothing'"),
        (("tokens", "rotate", made["token_id"], "--organization", "acme"), "rotated already"),
        (("tokens", "rotate", rotated["token_id"], "--organization", "acme", "--overlap", "3y"), "--overlap '3y'"),
        (("tokens", "rotate", rotated["token_id"], "--organization", "acme", "--overlap", "90d"), "between 0 and 720"),
    ):
        with pytest.raises(SystemExit, match=message):
            run(*words)
