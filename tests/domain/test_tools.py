"""The table of tools: whole, in step with the runner's, and the only place that knows a tool by its name."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

import dagctl_provider
from dagctl_provider.domain import tools
from dagctl_provider.domain.projects import FIELDS
from dagctl_provider.domain.tools import DEFAULT_TOOL, TOOLS, ProjectType, UnknownTool, tool_of
from dagctl_provider.runner import tools as runner_tools
from dagctl_provider.runner.versions import DEFAULT_TOOL as RUNNER_DEFAULT
from dagctl_provider.runner.versions import TOOL_VERSIONS

PACKAGE = Path(dagctl_provider.__file__).parent
NAMES = {*TOOLS, *(name for tool in TOOLS.values() for name in (tool.environment_field, tool.version_field))}
KNOW_TOOLS = (
    "domain/tools.py",
    "domain/manifests.py",
    "runner/",
    "api/v1/projects/examples.py",
    "plan_output/shape.py",
    "plan_output/members.py",
    "store/migrations/versions/",
)
"""The table, the reader of dbt's manifest that a row of it names, the runner, which has a table of its own, the requests that
the API documents show, and the shape of a plan's output, where documents say which tool reports a member; and migrations, which
are about one day's fields."""
MARKUP = re.compile(rf"""["'](?:{"|".join(sorted(NAMES))})["']""")


def _is_known(path: Path) -> bool:
    return path.relative_to(PACKAGE).as_posix().startswith(KNOW_TOOLS)


def named_in(source: str) -> Iterator[tuple[int, str]]:
    """Line and text of each expression of Python code that depends on how a tool, or a field of one, is called."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in NAMES:
            yield node.lineno, str(node.value)
        if isinstance(node, ast.JoinedStr):
            for before, after in zip(node.values, node.values[1:], strict=False):
                made = isinstance(before, ast.FormattedValue) and isinstance(after, ast.Constant)
                if made and str(after.value).startswith(("_version", "_environment", "_target")):  # type: ignore[attr-defined]
                    yield node.lineno, ast.unparse(node)


class TestNothingElseKnowsAToolByItsName:
    @pytest.mark.parametrize(
        "code",
        [
            'if project.project_type == "dbt": pass',
            'if tool != "sqlmesh": pass',
            'if tool in ("dbt", "other"): pass',
            'version = settings[f"{tool}_version"]',
            'WORDS = {"sqlmesh": "models"}',
            'target = settings.get("dbt_target")',
            'match tool:\n    case "dbt": pass',
        ],
    )
    def test_what_would_be_found(self, code: str) -> None:
        assert list(named_in(code))

    def test_in_python(self) -> None:
        files = [path for path in PACKAGE.rglob("*.py") if not _is_known(path)]
        found = [f"{path}:{line}: {text}" for path in files for line, text in named_in(path.read_text())]
        assert len(files) > 100
        assert not found

    @pytest.mark.parametrize(
        ("folder", "endings"),
        [(PACKAGE / "ui" / "templates", (".html",)), (PACKAGE.parent / "frontend" / "src", (".js", ".css"))],
    )
    def test_in_pages_and_scripts(self, folder: Path, endings: tuple[str, ...]) -> None:
        files = [path for path in folder.rglob("*") if path.suffix in endings]
        assert files
        assert not [f"{path}: {found.group()}" for path in files for found in MARKUP.finditer(path.read_text())]


class TestTable:
    def test_types_and_fields_come_from_it(self) -> None:
        assert get_args(ProjectType) == tuple(TOOLS)
        assert FIELDS["project_type"].choices == tuple(TOOLS)
        assert FIELDS["project_type"].default == DEFAULT_TOOL

    @pytest.mark.parametrize("name", TOOLS)
    def test_a_row_is_whole(self, name: str) -> None:
        tool = TOOLS[name]
        assert {tool.environment_field, tool.version_field} <= tool.fields.keys()
        assert tool.fields[tool.environment_field].default == tool.default_environment
        assert sorted(tool.form.fields) == sorted(tool.fields) == sorted(tool.form.labels)
        closed = {field for field, row in tool.fields.items() if row.choices is not None and row.default is None}
        assert closed == tool.form.unset.keys()
        assert tool.form.hints.keys() | tool.form.choices.keys() <= tool.fields.keys()
        assert tool.project_files

    def test_no_two_tools_have_a_field_of_one_name(self) -> None:
        own = [field for tool in TOOLS.values() for field in tool.fields]
        assert len(own) == len(set(own))
        assert {name: FIELDS[name].project_type for name in own} == {
            field: name for name in TOOLS for field in TOOLS[name].fields
        }

    def test_a_tool_without_a_row_is_taken_for_no_other(self) -> None:
        with pytest.raises(UnknownTool) as caught:
            tool_of("dbt-fusion")
        assert str(caught.value) == "dagctl knows no tool 'dbt-fusion'; it knows sqlmesh, dbt."
        with pytest.raises(UnknownTool):
            tools.fields_of("dbt-fusion")


class TestTheRunnerSaysTheSame:
    def test_of_which_tools_there_are(self) -> None:
        assert list(TOOLS) == list(runner_tools.TOOLS) == list(TOOL_VERSIONS)
        assert RUNNER_DEFAULT == DEFAULT_TOOL

    @pytest.mark.parametrize("name", TOOLS)
    def test_of_each(self, name: str) -> None:
        ours, theirs = TOOLS[name], runner_tools.TOOLS[name]
        assert (ours.label, ours.default_environment, ours.has_state) == (
            theirs.label,
            theirs.environment,
            theirs.versioned_state,
        )
