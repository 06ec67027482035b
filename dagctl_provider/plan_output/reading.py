"""Reads what a runner reported, without trusting its shape.

``plan_output`` comes out of a process that runs the project's code. A page must not break because a member is absent or of
another type than it should be, so everything read from it passes through here: :func:`read` makes a declared record out of it,
and what does not fit its declaration counts as absent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any, TypeVar, get_args, get_origin

from dagctl_provider.plan_output.members import alternatives, members
from dagctl_provider.plan_output.shape import ExecuteOutput, ExplainOutput, Interval

LONGEST_TEXT = 4000
_MOST_SECONDS = 1e12
R = TypeVar("R")
Reader = Callable[[object], Any]
"""Makes a value out of JSON; ``None`` where there is none that fits."""

_known: dict[type, tuple[Mapping[str, tuple[str, Reader]], frozenset[str]]] = {}
"""For each record that was read: what reads each member, by its name in JSON, and what must be there."""


def explained(output: object) -> ExplainOutput:
    """What an explain found.

    :param output: ``plan_output`` of the explain step, as it is stored.
    """
    return read(ExplainOutput, output) or ExplainOutput()


def executed(output: object) -> ExecuteOutput:
    """What an execute did.

    :param output: ``plan_output`` of the execute step, as it is stored, or its whole result.
    """
    return read(ExecuteOutput, output) or ExecuteOutput()


def read(record: type[R], value: object) -> R | None:
    """A record out of an object; ``None`` when something is missing without which it says nothing.

    :param record: Declared as those of :mod:`~dagctl_provider.plan_output.shape`.
    """
    readers, required = _known.get(record) or _prepared(record)
    found = {}
    for key, member in mapping(value).items():
        if member is not None and key in readers:
            name, reader = readers[key]
            if (made := reader(member)) is not None:
                found[name] = made
    return record(**found) if required <= found.keys() else None


def read_all(record: type[R], value: object) -> tuple[R, ...]:
    """The records among the items of a list."""
    return tuple(made for row in rows(value) if (made := read(record, row)) is not None)


def _prepared(record: type) -> tuple[Mapping[str, tuple[str, Reader]], frozenset[str]]:
    declared = members(record)
    readers = {each.key: (each.name, _whole if each.says.whole else _reader(each.hint)) for each in declared}
    _known[record] = readers, frozenset(each.name for each in declared if each.required)
    return _known[record]


def _reader(hint: object) -> Reader:
    (kind,) = alternatives(hint)
    if get_origin(kind) is tuple:
        return _list_reader(get_args(kind)[0])
    if get_origin(kind) is Mapping:
        return partial(_values, _reader(get_args(kind)[1]))
    return _SIMPLE.get(kind) or partial(_some, kind)


def _list_reader(hint: object) -> Reader:
    kinds = alternatives(hint)
    if kinds == (str,):
        return _texts
    if str in kinds:
        return partial(_mixed, next(kind for kind in kinds if kind is not str))
    return partial(read_all, kinds[0])


def _some(record: type, value: object) -> Any:
    """A record that says something: an object without members, or with nulls only, is none."""
    return read(record, value) if any(member is not None for member in mapping(value).values()) else None


def _mixed(record: type, value: object) -> tuple[Any, ...]:
    """Records, and the texts that stand for one."""
    items = value if isinstance(value, list) else []
    made = (text(item) if isinstance(item, str) else read(record, item) if isinstance(item, dict) else None for item in items)
    return tuple(item for item in made if item is not None)


def _values(reader: Reader, value: object) -> Mapping[str, Any]:
    pairs = ((text(key), reader(member)) for key, member in mapping(value).items())
    return {key: member for key, member in pairs if key is not None and member is not None}


def _texts(value: object) -> tuple[str, ...] | None:
    return texts(value) if isinstance(value, list) else None


def _whole(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def text(value: object) -> str | None:
    """A non-empty text, cut at 4,000 characters; anything else is ``None``."""
    return value[:LONGEST_TEXT] if isinstance(value, str) and value else None


def texts(value: object) -> tuple[str, ...]:
    """The texts among the items of a list."""
    return tuple(item for item in map(text, value) if item is not None) if isinstance(value, list) else ()


def mapping(value: object) -> Mapping[str, Any]:
    """An object; empty when it is none."""
    return value if isinstance(value, dict) else {}


def rows(value: object) -> tuple[Mapping[str, Any], ...]:
    """The objects among the items of a list."""
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def seconds(value: object) -> float | None:
    """A duration in seconds."""
    # A whole number in JSON may be larger than any float.
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MOST_SECONDS
    return float(value) if fits else None  # type: ignore[arg-type]


_SIMPLE: Mapping[Any, Reader] = {str: text, int: _count, float: seconds, bool: _flag}


def length(interval: Interval) -> timedelta:
    """How long an interval is: dates count with the last one, moments without the end."""
    start, end = interval.start, interval.end
    if start is None or end is None:
        return timedelta()
    try:
        if len(start) == len(end) == len("2026-01-01"):
            return max(date.fromisoformat(end) - date.fromisoformat(start) + timedelta(days=1), timedelta())
        return max(datetime.fromisoformat(end) - datetime.fromisoformat(start), timedelta())
    except (TypeError, ValueError):
        return timedelta()


def spoken(span: timedelta) -> str:
    """A span for people, in the largest unit that says it well: ``14 days``, ``3 hours``, ``25 minutes``."""
    if span >= timedelta(days=2) or (span.days == 1 and not span.seconds):
        return counted(round(span / timedelta(days=1)), "day")
    if span >= timedelta(hours=1):
        return counted(round(span / timedelta(hours=1)), "hour")
    return counted(max(1, round(span / timedelta(minutes=1))), "minute")


def counted(count: int, thing: str, things: str | None = None) -> str:
    """``1 model``, ``2 models``, ``1,204 rows``."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"
