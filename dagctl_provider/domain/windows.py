"""Times in which an environment may be changed, and times in which it may not.

A denying window beats an allowing one. With at least one allowing window, all other times are closed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from typing import Literal
from zoneinfo import ZoneInfo

from croniter import croniter

Kind = Literal["allow", "deny"]
KINDS: tuple[Kind, ...] = ("allow", "deny")
MOST_MINUTES = 31 * 24 * 60
_MOST_STEPS = 60
_FARTHEST = timedelta(days=5 * 365)
_INSTANT = timedelta(seconds=1)
_ALWAYS, _NEVER = datetime(1000, 1, 1, tzinfo=timezone.utc), datetime(9500, 1, 1, tzinfo=timezone.utc)


@dataclass(frozen=True)
class Window:
    """One window: again and again (``cron`` with ``duration_minutes``), or once (``since`` and ``until``).

    :param cron: When it begins, in its time zone.
    :param since: The first day or moment of a window that comes once; absent: it has always been.
    :param until: Its last day, or the moment at which it ends; absent: for ever.
    :param time_zone: As the IANA database names it.
    """

    kind: Kind
    time_zone: str
    cron: str | None = None
    duration_minutes: int | None = None
    since: str | None = None
    until: str | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether it is in force at a moment."""
        return any(begin <= moment < end for begin, end in self._around(moment))

    def ends_after(self, moment: datetime) -> datetime | None:
        """When it ends that is in force at a moment; ``None`` where it is not."""
        return max((end for begin, end in self._around(moment) if begin <= moment < end), default=None)

    def begins_after(self, moment: datetime) -> datetime | None:
        """When it begins next, later than a moment."""
        spans = (*self._around(moment), *self._next(moment))
        return min((begin for begin, _ in spans if begin > moment), default=None)

    def _around(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        """The spans that may hold a moment."""
        if self.cron is None:
            yield self._once()
            return
        local = _wall(moment, self.time_zone)
        # Where clocks are set back or forward, the wall shows an hour more or less than went by.
        for shift in (timedelta(hours=-1), timedelta(), timedelta(hours=1)):
            times = croniter(self.cron, local + shift + _INSTANT)
            yield self._span(times.get_prev(datetime))

    def _next(self, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
        if self.cron is not None:
            yield self._span(croniter(self.cron, _wall(moment, self.time_zone)).get_next(datetime))

    def _span(self, wall: datetime) -> tuple[datetime, datetime]:
        begin = _instant(wall, self.time_zone)
        return begin, begin + timedelta(minutes=self.duration_minutes or 0)

    def _once(self) -> tuple[datetime, datetime]:
        begin = _instant(moment_of(self.since), self.time_zone) if self.since else _ALWAYS
        end = _instant(moment_of(self.until, ends=True), self.time_zone) if self.until else _NEVER
        return begin, end


def moment_of(text: str, *, ends: bool = False) -> datetime:
    """A day or a moment on the wall: ``2026-12-20`` or ``2026-12-20T18:00``.

    :param ends: Of a day its end: the day counts with.
    :raises ValueError: when it is neither.
    """
    if len(text) == len("2026-12-20"):
        day = datetime.combine(date.fromisoformat(text), time())
        return day + timedelta(days=1) if ends else day
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is not None:
        raise ValueError("has an offset beside the time zone")
    return moment


def is_open(windows: Sequence[Window], moment: datetime) -> bool:
    """Whether the environment may be changed at a moment."""
    if any(window.kind == "deny" and window.holds(moment) for window in windows):
        return False
    allowing = [window for window in windows if window.kind == "allow"]
    return not allowing or any(window.holds(moment) for window in allowing)


def next_open(windows: Sequence[Window], after: datetime) -> datetime | None:
    """When it may be changed next; ``None`` where that is further away than can be told."""
    moment = after
    denying = [window for window in windows if window.kind == "deny"]
    allowing = [window for window in windows if window.kind == "allow"]
    for _ in range(_MOST_STEPS):
        if is_open(windows, moment):
            return moment
        # Closed until all that denies now is over, or else until something allows.
        ends = [end for window in denying if (end := window.ends_after(moment)) is not None]
        begins = [begin for window in allowing if (begin := window.begins_after(moment)) is not None]
        if not (ends or begins):
            return None
        moment = max(ends) if ends else min(begins)
        if moment > after + _FARTHEST:
            return None
    return None


def said(moment: datetime, time_zone: str) -> str:
    """A moment for programs and for people: RFC 3339 in UTC, and as the clock on the wall shows it."""
    local = moment.astimezone(ZoneInfo(time_zone))
    return f"{moment.astimezone(timezone.utc):%Y-%m-%dT%H:%M:%SZ} ({local:%Y-%m-%d %H:%M} {time_zone})"


def _wall(moment: datetime, time_zone: str) -> datetime:
    return moment.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None)


def _instant(wall: datetime, time_zone: str) -> datetime:
    return wall.replace(tzinfo=ZoneInfo(time_zone)).astimezone(timezone.utc)
