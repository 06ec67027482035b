"""Walls between rooms that import contracts cannot express, since they end inside another package."""

from __future__ import annotations

import ast
from pathlib import Path

import dagctl_provider

PACKAGE = Path(dagctl_provider.__file__).parent


def _imported(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_only_orchestration_speaks_to_airflow_s_tables():
    importers = {
        path.relative_to(PACKAGE).parts[0]
        for path in PACKAGE.rglob("*.py")
        if any(f"{name}.".startswith("airflow.models.") for name in _imported(path))
    }
    assert importers == {"orchestration"}
