"""How much of the package says `Any` where it should say what goes in and what comes out.

Counted are functions, because a signature is what a reader and the type checker see from outside. A name that stands for a type
with `Any` in it counts like `Any` itself wherever it is written down as one of the package's own.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dagctl_provider

PACKAGE = Path(dagctl_provider.__file__).parent
MOST_PERCENT = 10.0


def _names(node: ast.AST) -> set[str]:
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            found.add(part.id)
        elif isinstance(part, ast.Attribute):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str):
            found |= set(re.findall(r"\w+", part.value))
    return found


def _signatures(tree: ast.AST) -> Iterator[set[str]]:
    """The names in each function's annotations."""
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
            annotations = [argument.annotation for argument in every if argument] + [node.returns]
            yield set().union(*(_names(annotation) for annotation in annotations if annotation))


def _stand_ins(tree: ast.Module) -> set[str]:
    """Names of the module that stand for a type with `Any` in it."""
    return {
        target.id
        for statement in tree.body
        if isinstance(statement, ast.Assign) and isinstance(statement.value, (ast.Subscript, ast.BinOp))
        for target in statement.targets
        if isinstance(target, ast.Name) and "Any" in _names(statement.value)
    }


def _found(tree: ast.Module, stand_ins: dict[str, set[str]], module: str) -> set[str]:
    """What counts like `Any` in a module: its own stand-ins and those it imports."""
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.name in stand_ins.get((node.module or "").rpartition(".")[2], ())
    }
    return {"Any"} | imported | stand_ins.get(module, set())


def _counted() -> tuple[int, Counter[Path]]:
    """How many functions there are; and those that count, by file."""
    trees = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
    stand_ins: dict[str, set[str]] = {}
    for path, tree in trees.items():
        stand_ins.setdefault(path.stem, set()).update(_stand_ins(tree))
    total, files = 0, Counter[Path]()
    for path, tree in trees.items():
        like_any = _found(tree, stand_ins, path.stem)
        for names in _signatures(tree):
            total += 1
            files[path.relative_to(PACKAGE)] += bool(names & like_any)
    return total, files


def test_few_signatures_say_any():
    total, files = _counted()
    percent = 100 * files.total() / total
    worst = "\n".join(f"{count:4} {path}" for path, count in files.most_common(20) if count)
    found = f"{files.total()} of {total} functions ({percent:.1f} %) say Any:\n{worst}"
    print(found)
    assert percent < MOST_PERCENT, found


def test_the_count_sees_what_it_should():
    tree = ast.parse(
        "Rows = list[dict[str, Any]]\n"
        "def a(x: 'dict[str, Any]') -> None: ...\n"
        "async def b(*, y: int, **more: Any) -> None: ...\n"
        "def c(rows: Rows) -> None: ...\n"
        "def d(x: object) -> typing.Any: ...\n"
        "def e(x: object) -> str: ...\n"
    )
    assert _stand_ins(tree) == {"Rows"}
    like_any = _found(tree, {"rows": {"Rows"}}, "rows")
    assert [bool(names & like_any) for names in _signatures(tree)] == [True, True, True, True, False]
