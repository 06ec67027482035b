"""What import contracts cannot say: which parts of Airflow a room may use, and that rooms speak for themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "dagctl_provider"
MODULES = sorted(PACKAGE.rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Full names of all imported modules, wherever in the file they stand."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("internal", ["airflow.models", "airflow.jobs", "airflow.api.common"])
def test_only_orchestration_knows_airflows_tables(internal: str) -> None:
    users = {
        path.relative_to(PACKAGE).parts[0]
        for path in MODULES
        if any(f"{name}.".startswith(f"{internal}.") for name in imports(path))
    }
    assert users <= {"orchestration"}


def test_every_module_says_why_it_is_there() -> None:
    silent = [
        str(path.relative_to(PACKAGE))
        for path in MODULES
        if path.read_text().strip() and path.parent.name != "versions" and not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []
