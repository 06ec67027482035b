"""How values are said to people: times, ages, durations, counts."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from markupsafe import Markup

_UNITS = ((31536000, "year"), (2592000, "month"), (86400, "day"), (3600, "hour"), (60, "minute"))


def age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, or how soon, in one unit: ``3 hours ago``, ``in 2 minutes``.

    :param now: The present, for tests.
    """
    seconds = ((now or datetime.now(timezone.utc)) - moment).total_seconds()
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            text = counted(int(abs(seconds) // size), unit)
            return f"{text} ago" if seconds > 0 else f"in {text}"
    return "just now" if seconds > -1 else "in less than a minute"


def when(moment: datetime | None, missing: str = "-", passed: str | None = None) -> Markup | str:
    """A moment as ``<time>``: its age to read, the moment itself for scripts and as a tooltip.

    :param passed: What is said instead of an age once the moment has come.
    """
    if moment is None:
        return missing
    iso = moment.astimezone(timezone.utc).isoformat(timespec="seconds")
    full = moment.astimezone(timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")
    # The second before counts: an age calls it "just now", as if it had been.
    text = passed if passed and moment - timedelta(seconds=1) <= datetime.now(timezone.utc) else age(moment)
    instead = Markup(' data-passed="{}"').format(passed) if passed else ""
    return Markup('<time datetime="{}" title="{}" data-age{}>{}</time>').format(iso, full, instead, text)


def duration(span: timedelta | float | None) -> str:
    """A time span: ``850 ms``, ``42 s``, ``3 min 20 s``, ``2 h 5 min``. Numbers are seconds."""
    if span is None:
        return "-"
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    if seconds < 1:
        return f"{max(seconds, 0) * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)} min {int(seconds % 60)} s"
    return f"{int(seconds // 3600)} h {int(seconds % 3600 // 60)} min"


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """``1 model``, ``3 models``, ``1,200 models``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def first_line(text: str | None) -> str:
    """The subject of a commit message."""
    return (text or "").strip().split("\n", 1)[0]
