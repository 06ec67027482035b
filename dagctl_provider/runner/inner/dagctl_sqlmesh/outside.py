"""Which of a project's code can see more than the project: the clock, chance, files, variables, the network, the warehouse.

What a model's fingerprint says is all that its SQL depends on, unless its macros look outside. Telling the two apart by reading
the code is cheap; where it is in doubt, the code counts as looking outside, and its SQL is worked out and compared.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmesh.core.environment import EnvironmentStatements
    from sqlmesh.core.model import Model
    from sqlmesh.utils.metaprogramming import Executable

PURE = frozenset(
    {
        "__future__", "abc", "collections", "copy", "dataclasses", "decimal", "enum", "fractions", "functools", "hashlib",
        "inspect", "itertools", "json", "math", "numbers", "operator", "re", "sqlglot", "sqlmesh", "string", "textwrap", "types",
        "typing", "typing_extensions", "unicodedata",
    }
)  # fmt: skip
"""Modules that give the same answer everywhere and at any time."""
_BUILTINS = frozenset(
    {"now", "today", "open", "eval", "exec", "compile", "input", "__import__", "id", "hash", "globals", "vars", "breakpoint"}
)
_ATTRIBUTES = frozenset(
    {"engine_adapter", "fetchdf", "fetchall", "fetchone", "fetch_pyspark_df", "locals", "env_var", "now", "today"}
)
_JINJA = re.compile(r"\b(env_var|run_query|statement|adapter|modules|run_started_at|invocation_id|random|lipsum|execute)\b")
_DIGESTIBLE = 512 * 1024


@functools.lru_cache(maxsize=4096)
def looks_outside(code: str) -> bool:
    """Whether Python code can see more than its arguments and the project.

    :param code: A module, or a function as SQLMesh keeps it.
    """
    if len(code) > _DIGESTIBLE:
        return True
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return True
    return any(_sees(node) for node in ast.walk(tree))


def _sees(node: ast.AST) -> bool:
    if isinstance(node, ast.Import):
        return any(name.name.split(".")[0] not in PURE for name in node.names)
    if isinstance(node, ast.ImportFrom):
        return node.level == 0 and (node.module or "").split(".")[0] not in PURE
    if isinstance(node, ast.Name):
        return node.id in _BUILTINS or node.id == "__file__"
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and node.value in _ATTRIBUTES
    return isinstance(node, ast.Attribute) and (node.attr in _ATTRIBUTES or node.attr.startswith("__"))


def project_looks_outside(project: Path) -> bool:
    """Whether any Python file of a project can see more than the project, its own modules aside.

    :param project: The project's folder.
    """
    own = {path.stem for path in _python(project)} | {path.parent.name for path in _python(project)}
    for path in _python(project):
        code = path.read_text(encoding="utf-8", errors="replace")
        kept = "\n".join(line for line in code.splitlines() if not _imports_own(line, own))
        if looks_outside(kept):
            return True
    return False


def _imports_own(line: str, own: set[str]) -> bool:
    match = re.fullmatch(r"\s*(?:from|import)\s+([A-Za-z_]\w*).*", line)
    return match is not None and match[1] in own and "(" not in line


def _python(project: Path) -> Iterator[Path]:
    for path in sorted(project.rglob("*.py")):
        if ".cache" not in path.parts and path.is_file() and not path.is_symlink():
            yield path


def model_looks_outside(model: Model) -> bool:
    """Whether what a model is rendered to may depend on more than its fingerprint.

    :param model: A model that is SQL; Python models are not rendered before they run.
    """
    if not getattr(model, "is_sql", False):
        return False
    if any(_executable_looks_outside(executable) for executable in model.python_env.values()):
        return True
    query = getattr(model, "query", None)
    return query is not None and type(query).__name__ == "JinjaQuery" and bool(_JINJA.search(query.sql()))


def _executable_looks_outside(executable: Executable) -> bool:
    kind = str(getattr(executable.kind, "value", executable.kind))
    return kind != "value" and looks_outside(executable.payload)


def code_of_statements_looks_outside(statements: EnvironmentStatements) -> bool:
    """Whether what statements before or after all models are rendered to may depend on more than their code.

    :param statements: Of one project.
    """
    return any(_executable_looks_outside(executable) for executable in statements.python_env.values())
