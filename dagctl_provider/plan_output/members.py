"""Looks into declared records such as those of ``plan_output.shape``: what members there are, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields
from types import NoneType, UnionType
from typing import Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

By = Literal["both", "SQLMesh", "dbt", "dagctl"]


@dataclass(frozen=True)
class Says:
    """What is known of a member beside its type.

    :param text: What it means.
    :param by: Who sets it: both tools, one of them, or dagctl itself.
    :param key: Its name in JSON, where that is not the attribute's.
    :param whole: Whether a text is read at whatever length.
    """

    text: str
    by: By = "both"
    key: str | None = None
    whole: bool = False


class Member(NamedTuple):
    """One member of a record.

    :param name: Attribute of the record.
    :param key: Name in JSON.
    :param hint: Its type.
    :param required: Whether the object says nothing without it.
    """

    name: str
    key: str
    hint: Any
    says: Says
    required: bool


_known: dict[type, tuple[Member, ...]] = {}


def members(record: type) -> tuple[Member, ...]:
    """The members of a record, in order."""
    if record not in _known:
        _known[record] = _members(record)
    return _known[record]


def _members(record: type) -> tuple[Member, ...]:
    hints = get_type_hints(record, include_extras=True)
    return tuple(
        Member(each.name, says.key or each.name, hint, says, each.default is MISSING and each.default_factory is MISSING)
        for each in fields(record)
        for hint, says in [get_args(hints[each.name])]
    )


def key_of(record: type, name: str) -> str:
    """The name in JSON of a member."""
    return next(member.key for member in members(record) if member.name == name)


def alternatives(hint: object) -> tuple[Any, ...]:
    """The types that a hint allows, ``None`` left out."""
    allowed = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(each for each in allowed if each is not NoneType)


def records_in(*roots: type) -> Iterator[type]:
    """Records and all records inside them, each once."""
    seen: dict[type, None] = {}
    waiting = list(roots)
    while waiting:
        record = waiting.pop(0)
        if record not in seen:
            seen[record] = None
            waiting += [inner for member in members(record) for inner in _inside(member.hint)]
    return iter(seen)


def _inside(hint: object) -> Iterator[type]:
    for each in alternatives(hint):
        if hasattr(each, "__dataclass_fields__"):
            yield each
        else:
            for argument in get_args(each):
                if argument is not Ellipsis:
                    yield from _inside(argument)
