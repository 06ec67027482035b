"""The contract's document says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from dagctl_provider.runner import cli
from dagctl_provider.runner.errors import STEP_ERRORS
from dagctl_provider.runner.requests import Request
from tests.runner.conftest import ROOT

DOCUMENT = (ROOT / "docs" / "runner.md").read_text()


@pytest.mark.parametrize("code", STEP_ERRORS)
def test_every_error_code_is_documented_as_it_is(code: str) -> None:
    row = STEP_ERRORS[code]
    assert f"| `{code}` | {row.exit_code} | {row.meaning} {row.hint} |" in DOCUMENT


def test_no_error_code_is_documented_that_does_not_exist() -> None:
    section = DOCUMENT.split("## Exit codes")[1].split("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(STEP_ERRORS)


def test_every_argument_and_request_key_is_documented() -> None:
    help_text = cli.build_parser().format_help()
    explain = next(action for action in cli.build_parser()._actions if action.dest == "command").choices["explain"]  # type: ignore[index]
    options = [option for action in explain._actions for option in action.option_strings if option.startswith("--")]
    assert {option for option in options if f"`{option}`" not in DOCUMENT} == {"--help"}
    assert {field.name for field in fields(Request) if f"`{field.name}`" not in DOCUMENT} == set()
    assert all(command in DOCUMENT for command in re.findall(r"^    (\w+) ", help_text, re.MULTILINE))


def test_every_environment_variable_is_documented() -> None:
    sources = "".join(path.read_text() for path in (ROOT / "dagctl_provider" / "runner").glob("*.py"))
    read = set(re.findall(r"environ(?:\.get\(|\[)\"(DAGCTL_\w+)\"", sources))
    assert {name for name in read if f"`{name}`" not in DOCUMENT} == set()
    assert len(read) >= 5
