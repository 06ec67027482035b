"""Follows names through the tree of one text: what `set` gives them, what a loop runs over, what a macro is called with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dagctl_dbt.differ_jinja_values import UNKNOWN, Call, Reading, Value

if TYPE_CHECKING:
    from jinja2 import nodes

#: More texts than these for one name are taken for any.
_MOST = 64
_OF_DICTS = {"get", "items", "keys", "values", "copy", "pop", "setdefault", "update"}


class Reader:
    """Walks through one tree.

    :param found: Gets what is read.
    :param names: What names are known to stand for, all over the text.
    :param read_inner: Reads a text that stands in this one.
    """

    def __init__(self, found: Reading, names: dict[str, Value], read_inner: Callable[[str], Reading]) -> None:
        self.found = found
        self._read_inner = read_inner
        self.names = names
        self.parameters: list[dict[str, Value]] = []

    def body(self, rows: Iterable[nodes.Node]) -> None:
        """Statements."""
        for row in rows:
            handler = self._STATEMENTS.get(type(row).__name__)
            if handler:
                handler(self, row)
            else:
                self._children(row)

    def _children(self, row: nodes.Node) -> None:
        from jinja2 import nodes as tree

        for child in row.iter_child_nodes():
            self.use(child) if isinstance(child, tree.Expr) else self.body([child])

    def _assign(self, row: nodes.Assign) -> None:
        self._give(row.target, self.value(row.node))

    def _assign_block(self, row: Any) -> None:
        self.body(row.body)
        texts = [part.data for out in row.body if type(out).__name__ == "Output" for part in out.nodes if hasattr(part, "data")]
        plain = len(row.body) == 1 and len(texts) == len(getattr(row.body[0], "nodes", ())) == 1
        self._give(row.target, Value(frozenset(text.strip() for text in texts)) if plain else UNKNOWN)

    def _give(self, target: Any, value: Value) -> None:
        if type(target).__name__ == "Name":
            name = target.name
            self.names[name] = value if name not in self.names else self.names[name] | value
            return
        # Into a namespace, or several at once: what becomes of it is not followed.
        self._used(value)
        for name in target.find_all(_node("Name")):
            self.names[name.name] = UNKNOWN

    def _for(self, row: nodes.For) -> None:
        over = self.value(row.iter)
        self._used(Value(paths=over.paths))
        # A loop over a macro's parameter or anything else gives what nobody knows.
        plain = over.items is not None and not (over.paths or over.given or over.unknown or over.texts)
        self._give(row.target, (over.items or UNKNOWN) if plain else UNKNOWN)
        if row.test:
            self.use(row.test)
        self.body([*row.body, *row.else_])

    def _macro(self, row: nodes.Macro) -> None:
        name = getattr(row, "name", "")
        shift = len(row.args) - len(row.defaults)
        defaults = [None] * shift + [self.value(default) for default in row.defaults]
        self.found.macros[name] = [(arg.name, default) for arg, default in zip(row.args, defaults, strict=True)]
        self.parameters.append({arg.name: Value(given=frozenset({(name, arg.name)})) for arg in row.args})
        self.body(row.body)
        self.parameters.pop()

    def _call_block(self, row: nodes.CallBlock) -> None:
        self.use(row.call)
        self.parameters.append({arg.name: UNKNOWN for arg in row.args})
        self.body(row.body)
        self.parameters.pop()

    _STATEMENTS: Mapping[str, Callable[[Reader, Any], None]] = {
        "Assign": _assign, "AssignBlock": _assign_block, "For": _for, "Macro": _macro, "CallBlock": _call_block,
    }  # fmt: skip

    def use(self, row: nodes.Node) -> Value:
        """An expression that comes out, or is looked at: variables in it are read."""
        value = self.value(row)
        self._used(value)
        return value

    def _used(self, value: Value) -> None:
        self.found.paths |= value.paths
        if value.items:
            self._used(value.items)

    def value(self, row: nodes.Node) -> Value:
        """What an expression may be; what stands inside of it is noted."""
        handler = self._EXPRESSIONS.get(type(row).__name__)
        if handler:
            return handler(self, row)
        self._children(row)
        return UNKNOWN

    def _const(self, row: nodes.Const) -> Value:
        if not isinstance(row.value, str):
            return UNKNOWN
        self._text(row.value)
        return Value(frozenset({row.value}))

    def _text(self, text: str) -> None:
        """A text may be a template itself, a hook for example."""
        self.found.texts.add(text)
        if "{{" in text or "{%" in text:
            inner = self._read_inner(text)
            self.found.paths |= inner.paths
            self.found.computed += [UNKNOWN for _ in inner.computed]
            self.found.values |= inner.values
            self.found.called |= inner.called
            self.found.texts |= inner.texts
            self.found.looked_up |= inner.looked_up
            self.found.looks_up = self.found.looks_up or inner.looks_up
            self.found.calls += inner.calls

    def _name(self, row: nodes.Name) -> Value:
        for scope in reversed(self.parameters):
            if row.name in scope:
                # It may be given anew inside of the macro.
                return scope[row.name] | self.names.get(row.name, Value())
        if row.name in self.names:
            return self.names[row.name] | (Value() if row.name != "var" else UNKNOWN)
        if row.name == "var":
            self.found.computed.append(UNKNOWN)
        self.found.values.add(row.name)
        return UNKNOWN

    def _list(self, row: nodes.List | nodes.Tuple) -> Value:
        items = [self.value(item) for item in row.items]
        for item in items:
            self._used(item)
        return Value(items=functools.reduce(Value.__or__, items, Value()))

    def _either(self, row: nodes.CondExpr) -> Value:
        self.use(row.test)
        return self.value(row.expr1) | (self.value(row.expr2) if row.expr2 else UNKNOWN)

    def _joined(self, row: Any) -> Value:
        parts = [self.value(part) for part in (row.nodes if hasattr(row, "nodes") else (row.left, row.right))]
        for part in parts:
            self._used(part)
        texts = {""}
        for part in parts:
            if part.paths or part.given or part.unknown or part.items or not part.texts or len(texts) * len(part.texts) > _MOST:
                return UNKNOWN
            texts = {one + other for one in texts for other in part.texts}
        return Value(frozenset(texts))

    def _or(self, row: nodes.BinExpr) -> Value:
        return self.use(row.left) | self.use(row.right)

    def _member(self, row: nodes.Getattr | nodes.Getitem) -> Value:
        """`x.key`, `x['key']`."""
        return self._taken(row, self._key(row))

    def _taken(self, row: Any, key: Value) -> Value:
        owner = _owner(row.node)
        if owner in ("context", "builtins"):
            self._look_up(key)
            if "var" in key.texts or key.unknown or key.given:
                self.found.computed.append(UNKNOWN)
            return UNKNOWN
        if owner and type(row).__name__ == "Getattr" and not self._is_local(owner):
            # A macro of a package, handed on.
            self.found.values.add(f"{owner}.{row.attr}")
        value = self.value(row.node)
        known = key.texts and not (key.paths or key.given or key.unknown or key.texts & _OF_DICTS)
        if not value.paths or not known:
            self._used(value)
            return UNKNOWN
        taken = Value(paths=frozenset((*path, name) for path in value.paths for name in key.texts))
        return taken if value == Value(paths=value.paths) else taken | UNKNOWN

    def _key(self, row: Any) -> Value:
        return Value(frozenset({row.attr})) if type(row).__name__ == "Getattr" else self.use(row.arg)

    def _is_local(self, name: str) -> bool:
        return name in self.names or any(name in scope for scope in self.parameters)

    def _call(self, row: Any) -> Value:
        name = _called(row.node)
        if name == "var" or (name == "has_var" and _owner(row.node.node) == "var"):
            return self._variable(row)
        if name == "get" and type(row.node).__name__ == "Getattr" and row.args:
            key = self.use(row.args[0])
            for other in row.args[1:]:
                self.use(other)
            return self._taken(row.node, key)
        inner = row.node
        if type(inner).__name__ == "Call" and _called(inner.node) == "dispatch":
            key = self.use(inner.args[0]) if inner.args else UNKNOWN
            self._look_up(key)
            self._note_calls(row, key.texts)
            return UNKNOWN
        if name == "dispatch":
            self._look_up(self.use(row.args[0]) if row.args else UNKNOWN)
        self._callee(inner, name)
        self._note_calls(row, {name} if name else ())
        return UNKNOWN

    def _callee(self, inner: Any, name: str | None) -> None:
        kind = type(inner).__name__
        if kind == "Name":
            if self._is_local(inner.name):
                self.value(inner)
            else:
                self.found.called.add(inner.name)
            return
        if kind == "Getattr":
            owner = _owner(inner.node)
            if owner and not self._is_local(owner):
                self.found.called.add(f"{owner}.{inner.attr}")
            value = self.value(inner.node)
            self._used(value)
            return
        self.use(inner)

    def _note_calls(self, row: nodes.Call, names: Iterable[str]) -> None:
        arguments = tuple(self.use(argument) for argument in row.args)
        named = tuple((pair.key, self.use(pair.value)) for pair in row.kwargs)
        for more in (row.dyn_args, row.dyn_kwargs):
            if more is not None:
                self.use(more)
        is_open = row.dyn_args is not None or row.dyn_kwargs is not None
        self.found.calls += [Call(name, arguments, named, is_open) for name in names]

    def _look_up(self, key: Value) -> None:
        self.found.looked_up |= key.texts
        self.found.looks_up = self.found.looks_up or key.unknown or bool(key.given or key.paths)

    def _variable(self, row: nodes.Call) -> Value:
        """`var(name)`, or `var(name, default)`."""
        named = {pair.key: pair.value for pair in row.kwargs}
        first = row.args[0] if row.args else named.get("var_name", named.get("name"))
        rest = [*row.args[1:], *(value for key, value in named.items() if value is not first)]
        spread = row.dyn_args is not None or row.dyn_kwargs is not None
        key = self.use(first) if first is not None and not spread else UNKNOWN
        for value in rest:
            self.use(value)
        if key.unknown or key.given or key.paths or key.items:
            self.found.computed.append(key)
        return Value(paths=frozenset((name,) for name in key.texts)) if key.texts else UNKNOWN

    _EXPRESSIONS: Mapping[str, Callable[[Reader, Any], Value]] = {
        "Const": _const, "Name": _name, "List": _list, "Tuple": _list, "CondExpr": _either, "Concat": _joined, "Add": _joined,
        "Or": _or, "And": _or, "Getattr": _member, "Getitem": _member, "Call": _call,
    }  # fmt: skip


def _node(name: str) -> Any:
    from jinja2 import nodes as tree

    return getattr(tree, name)


def _owner(row: Any) -> str | None:
    return row.name if type(row).__name__ == "Name" else None


def _called(row: Any) -> str | None:
    """Name of what is called, without the package's; of `context['x']` the text."""
    kind = type(row).__name__
    if kind == "Name":
        return str(row.name)
    if kind == "Getattr":
        # `x.var(...)` of something that is no set of dbt's functions is none of dbt's.
        return str(row.attr) if row.attr != "var" or _owner(row.node) in ("builtins", "context") else None
    if kind == "Getitem" and _owner(row.node) in ("context", "builtins") and isinstance(getattr(row.arg, "value", None), str):
        return str(row.arg.value)
    return None
