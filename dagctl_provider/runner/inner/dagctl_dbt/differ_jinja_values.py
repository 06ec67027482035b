"""What is found out about a text of Jinja, as data: what an expression may be, what is called with what, what is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Path = tuple[str, ...]
"""A variable's name, and the keys that are taken from its value."""


@dataclass(frozen=True)
class Value:
    """What an expression may be.

    :param texts: Texts that stand in the code.
    :param paths: Variables, or what stands under keys of theirs.
    :param given: What a macro is called with: its name and the parameter's.
    :param unknown: Or something else.
    """

    texts: frozenset[str] = frozenset()
    paths: frozenset[Path] = frozenset()
    given: frozenset[tuple[str, str]] = frozenset()
    unknown: bool = False
    items: Value | None = None

    def __or__(self, other: Value) -> Value:
        items = self.items | other.items if self.items and other.items else self.items or other.items
        return Value(
            self.texts | other.texts, self.paths | other.paths, self.given | other.given, self.unknown or other.unknown, items
        )


UNKNOWN = Value(unknown=True)


@dataclass(frozen=True)
class Call:
    """A call of something by its name: what is given to it, by position and by name; `open` when that is not all."""

    name: str
    arguments: tuple[Value, ...]
    named: tuple[tuple[str, Value], ...]
    open: bool


@dataclass
class Reading:
    """What one text reads.

    :param paths: Variables that are read by names that stand there.
    :param computed: Names that are made of something else: whatever is known of each.
    :param values: Names that stand for something from outside and are not called: a macro among them is handed on.
    :param called: Names of what is called: dbt notes no call of a model that happens only while it runs.
    :param looked_up: Texts by which something is looked up (`context[...]`, `adapter.dispatch(...)`).
    :param looks_up: Whether something is looked up by a name that does not stand there.
    :param texts: All texts of the code.
    :param calls: Of anything that has a name.
    :param macros: Parameters of the macros that the text defines, with defaults.
    :param sound: Whether the text was understood.
    """

    paths: set[Path] = field(default_factory=set)
    computed: list[Value] = field(default_factory=list)
    values: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    looked_up: set[str] = field(default_factory=set)
    looks_up: bool = False
    texts: set[str] = field(default_factory=set)
    calls: list[Call] = field(default_factory=list)
    macros: dict[str, list[tuple[str, Value | None]]] = field(default_factory=dict)
    sound: bool = True


def argument_of(calls: Iterable[Call], macro: str, parameters: list[tuple[str, Value | None]], name: str) -> Iterator[Value]:
    """What a parameter of a macro may be: what each call gives for it, or the default.

    :param calls: All calls of the macro.
    :param macro: Its name, as it is called.
    :param parameters: Of the macro.
    :param name: The parameter's.
    """
    position = [row[0] for row in parameters].index(name)
    default = parameters[position][1] or UNKNOWN
    for call in calls:
        if call.name != macro:
            continue
        named = dict(call.named)
        if call.open:
            yield UNKNOWN
        elif position < len(call.arguments):
            yield call.arguments[position]
        else:
            yield named.get(name, default)
