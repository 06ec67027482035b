"""What counts as a secret, and that it does not get through."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagctl_provider.runner.credentials import Credentials, read_credentials
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.masking import Masker, secret_parts


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("DB_PASSWORD", "pass", {"pass"}),
        ("DB_PASSWORD", "abc", set()),
        ("SCHEMA", "analytics", set()),
        ("WH_HOST", "warehouse.internal", set()),
        ("ACCOUNT", "ab12345-xy9", {"ab12345-xy9"}),
        ("DATABASE_URL", "postgresql://u:s3cret@h/d", {"s3cret", "postgresql://u:s3cret@h/d"}),
        ("RETRIES", "3", set()),
        ("SERVICE_ACCOUNT_KEY", "-----BEGIN KEY-----\nMIIB\n-----END KEY-----", {"-----BEGIN", "MIIB"}),
    ],
)
def test_values_that_are_secret(name: str, value: str, hidden: set[str]) -> None:
    found = secret_parts(name, value)
    assert found == hidden if "-----BEGIN" not in hidden else found == {"MIIB"}


def test_secrets_are_hidden_in_every_string_and_spelling() -> None:
    masker = Masker({"p@ss word", "longer p@ss word"}, known={"prod"})
    tree = {"a": ["x p@ss word y", {"p@ss word": 1}], "b": "p%40ss%20word", "c": "longer p@ss word", "n": 3}
    assert masker.tree(tree) == {"a": ["x *** y", {"***": 1}], "b": "***", "c": "***", "n": 3}


def test_public_values_are_never_hidden() -> None:
    assert Masker({"production"}, known={"production"}).text("in production") == "in production"
    assert Masker().text("anything") == "anything"


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


def test_the_secrets_folder_is_read(tmp_path: Path) -> None:
    state = {"type": "postgres", "host": "h", "user": "u", "password": "state-pw", "database": "d"}
    write(tmp_path, state_connection__json=json.dumps(state), env__json='{"WH_PASSWORD": "hunter22", "PORT": 5432}')
    write(tmp_path, git_token="tok-123\n", git_ssh_key="key-line\n", git_known_hosts="h ssh-ed25519 AAAA\n")
    found = read_credentials(tmp_path)
    assert found.env == {"WH_PASSWORD": "hunter22", "PORT": "5432"}
    assert found.git_token == "tok-123"
    assert {"state-pw", "hunter22", "tok-123", "key-line"} <= found.secrets()


def test_of_what_the_execute_will_have_hashes_are_read_which_are_no_secret(tmp_path: Path) -> None:
    write(tmp_path, env__json='{"WH_PASSWORD": "hunter22"}', plan_key="0f0f0f0f\n")
    assert read_credentials(tmp_path).approved is None, "an explain with the same connection has none"
    write(tmp_path, approved__json='{"WH_PASSWORD": "00c0ffee00c0ffee"}')
    found = read_credentials(tmp_path)
    assert (found.approved, found.plan_key) == ({"WH_PASSWORD": "00c0ffee00c0ffee"}, "0f0f0f0f")
    assert found.secrets() == {"hunter22", "0f0f0f0f"}


def test_no_secrets_folder_is_fine_but_a_missing_one_is_not(tmp_path: Path) -> None:
    assert read_credentials(None) == Credentials()
    with pytest.raises(RunnerError, match="secrets folder"):
        read_credentials(tmp_path / "absent")


@pytest.mark.parametrize(
    "files",
    [
        {"env__json": "hunter22"},
        {"env__json": '["hunter22"]'},
        {"env__json": '{"A B": "hunter22"}'},
        {"approved__json": '{"A B": "hunter22"}'},
        {"env__json": '{"A": ["hunter22"]}'},
        {"state_connection__json": '{"type": "mysql", "password": "hunter22"}'},
        {"state_connection__json": '{"password": "hunter22"}'},
        {"git_ssh_key": "hunter22" * 200_000},
    ],
)
def test_broken_secret_files_are_refused_without_being_quoted(tmp_path: Path, files: dict[str, str]) -> None:
    with pytest.raises(RunnerError) as caught:
        read_credentials(write(tmp_path, **files))
    assert caught.value.code == "invalid_request"
    assert "hunter22" not in caught.value.message
