"""The room's walls: GitPython is imported in one module, and this room knows neither Airflow nor the rooms above it."""

from __future__ import annotations

import ast
from pathlib import Path

import dagctl_provider

PACKAGE = Path(dagctl_provider.__file__).parent


def _imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def test_gitpython_is_imported_in_one_module_only():
    importers = [path for path in PACKAGE.rglob("*.py") if any(name.split(".")[0] == "git" for name in _imports(path))]

    assert importers == [PACKAGE / "git" / "processes.py"]


SHARED = {f"dagctl_provider.runner.{name}" for name in ("addresses", "causes", "git_settings")}
"""What the runner has to know of git as well, and so holds for both."""


def test_the_room_knows_only_itself_the_domain_and_what_it_shares_with_the_runner():
    for path in (PACKAGE / "git").glob("*.py"):
        for name in _imports(path):
            assert not name.startswith("airflow")
            if name.startswith("dagctl_provider") and name not in SHARED:
                assert name.split(".")[1] in {"git", "domain"}
