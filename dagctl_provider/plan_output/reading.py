"""Reads what a runner reported, without trusting its shape.

``plan_output`` comes out of a process that runs the project's code. A page must not break because a member is absent or of
another type than it should be, so everything read from it passes through here.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

LONGEST_TEXT = 4000


def text(value: Any) -> str | None:
    """A non-empty text, cut at 4,000 characters; anything else is ``None``."""
    return value[:LONGEST_TEXT] if isinstance(value, str) and value else None


def texts(value: Any) -> tuple[str, ...]:
    """The texts among the items of a list."""
    return tuple(item for item in map(text, value) if item is not None) if isinstance(value, list) else ()


def mapping(value: Any) -> Mapping[str, Any]:
    """An object; empty when it is none."""
    return value if isinstance(value, dict) else {}


def rows(value: Any) -> tuple[Mapping[str, Any], ...]:
    """The objects among the items of a list."""
    return tuple(item for item in value if isinstance(item, dict)) if isinstance(value, list) else ()


def number(value: Any) -> int:
    """A whole number that is not negative; 0 when it is none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def seconds(value: Any) -> float | None:
    """A duration in seconds."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value >= 0 else None


def length(interval: Mapping[str, Any]) -> timedelta:
    """How long an interval of docs/runner.md is: dates count with the last one, moments without the end."""
    start, end = text(interval.get("start")), text(interval.get("end"))
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
