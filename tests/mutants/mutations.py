"""The small slips that a program can have, made one at a time in its syntax tree.

Tables are mutated as well as functions: here a missing row of a table is what a wrong condition is elsewhere. Docstrings,
annotations and the wording of messages are left alone.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

Change = Callable[[], object]

_SWAPS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}


@dataclass(frozen=True)
class Mutant:
    """One slip.

    :param line: Where it is.
    :param change: What stands there, and what the mutant has instead.
    :param tree: The module with it.
    """

    line: int
    change: str
    tree: ast.Module


def count(source: str) -> int:
    """How many slips a module can have."""
    return sum(1 for _ in _slips(ast.parse(source)))


def mutant(source: str, number: int) -> Mutant:
    """One of the slips of a module.

    :param number: Less than :func:`count`; in the order of a walk through the tree.
    """
    tree = ast.parse(source)
    node, change = next(itertools.islice(_slips(tree), number, None))
    line, before = getattr(node, "lineno", 0), ast.unparse(node)
    change()
    ast.fix_missing_locations(tree)
    return Mutant(line, _difference(before, ast.unparse(node)), tree)


def _difference(before: str, after: str) -> str:
    """The first lines in which two texts differ."""
    pairs = itertools.zip_longest(before.splitlines(), after.splitlines(), fillvalue="")
    was, now = next(((one, two) for one, two in pairs if one != two), (before, after))
    start = sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(was, now, strict=False)))
    cut = max(0, start - 40)
    return f"{was[cut : start + 60].strip()}  ->  {now[cut : start + 60].strip()}"


def _slips(tree: ast.Module) -> Iterator[tuple[ast.AST, Change]]:
    left_alone = _left_alone(tree)
    for node in ast.walk(tree):
        if id(node) not in left_alone:
            yield from ((node, change) for change in _changes(node))


def _left_alone(tree: ast.Module) -> set[int]:
    """Nodes that no test should have to know: docstrings, annotations, decorators, type aliases, f-strings, ``__all__``."""
    roots: list[ast.AST | None] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            roots.append(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            roots += [node.returns, *node.decorator_list]
        elif isinstance(node, ast.ClassDef):
            roots += node.decorator_list
        elif isinstance(node, (ast.AnnAssign, ast.arg)):
            roots.append(node.annotation)
        elif isinstance(node, (ast.JoinedStr, ast.Import, ast.ImportFrom)) or _is_for_readers(node):
            roots.append(node)
    return {id(inner) for root in roots if root is not None for inner in ast.walk(root)}


def _is_for_readers(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript):
        return isinstance(node.value, ast.Name) and node.value.id == "Literal"
    return isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "__all__"


def _changes(node: ast.AST) -> Iterator[Change]:
    """What can be done to one node; each is a function that does it."""
    if isinstance(node, ast.Compare):
        yield from (_swap(node.ops, at) for at, op in enumerate(node.ops) if type(op) in _SWAPS)
    elif isinstance(node, (ast.BoolOp, ast.BinOp)) and type(node.op) in _SWAPS:
        yield lambda: setattr(node, "op", _SWAPS[type(node.op)]())
    elif isinstance(node, (ast.If, ast.IfExp, ast.While)):
        yield lambda: setattr(node, "test", ast.UnaryOp(ast.Not(), node.test))
    elif isinstance(node, ast.Return) and node.value is not None and not _is_none(node.value):
        yield lambda: setattr(node, "value", ast.Constant(None))
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)) and isinstance(getattr(node, "ctx", ast.Load()), ast.Load):
        yield from (_without(node.elts, at) for at in range(len(node.elts)) if len(node.elts) > 1)
    elif isinstance(node, ast.Dict):
        yield from (_without(node.values, at, node.keys) for at in range(len(node.keys)) if len(node.keys) > 1)
    elif isinstance(node, ast.Call):
        yield from (_without(node.keywords, at) for at, keyword in enumerate(node.keywords) if keyword.arg)
    if isinstance(node, (ast.FunctionDef, ast.If, ast.For, ast.With, ast.Try)):
        yield from (_skipped(node.body, at) for at, statement in enumerate(node.body) if _can_be_skipped(statement))


def _is_none(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _other_constants(node: ast.Constant) -> Iterator[Change]:
    value = node.value
    if isinstance(value, bool):
        yield lambda: setattr(node, "value", not value)
    elif isinstance(value, (int, float)):
        yield lambda: setattr(node, "value", value + 1)
    elif isinstance(value, str) and " " not in value.strip():
        yield lambda: setattr(node, "value", value + "XX")


def _swap(ops: list, at: int) -> Change:
    return lambda: ops.__setitem__(at, _SWAPS[type(ops[at])]())


def _without(items: list, at: int, beside: list | None = None) -> Change:
    return lambda: [some.pop(at) for some in (items, beside) if some is not None]


def _can_be_skipped(statement: ast.stmt) -> bool:
    return isinstance(statement, (ast.Expr, ast.Raise, ast.AugAssign)) and not (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _skipped(body: list[ast.stmt], at: int) -> Change:
    return lambda: body.__setitem__(at, ast.copy_location(ast.Pass(), body[at]))
