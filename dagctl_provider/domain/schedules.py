"""When the deployed state of a project runs by itself: what a schedule may be, how it is said, and when it is due.

Airflow's scheduler starts the runs. What it would stumble over is refused when a project is saved: a schedule that cannot be
read, or that is never due, would take the Dags of all projects with it, since they come from one file.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from cron_descriptor import ExpressionDescriptor, Options
from croniter import CroniterBadDateError, croniter

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
"""The presets of Airflow that stand for a cron expression; a test holds them against Airflow's own."""

MIN_GAP = timedelta(minutes=5)
"""Between two runs: the rule of dagctl's Jobs for ``sqlmesh run``."""

MAX_LENGTH = 100
_NAMES = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|mon|tue|wed|thu|fri|sat|sun"
# Not all that croniter knows: seconds and years are not cron, and H and R mean another time in each process that reads them.
_FIELD = rf"(?:[0-9*,/#?lL-]|{_NAMES}|{_NAMES.upper()})+"
_FIVE_FIELDS = re.compile(rf"{_FIELD}(?: {_FIELD}){{4}}")
_UNREADABLE = "five cron fields such as 30 6 * * 1-5, or a preset such as @daily"


def cron_of(schedule: str) -> str:
    """The cron expression that a schedule stands for."""
    return PRESETS.get(schedule, schedule)


def check_schedule(schedule: str) -> None:
    """Refuse what Airflow could not or should not run by.

    :raises ValueError: saying what is wrong with it.
    """
    check_times(schedule)
    if _smallest_gap(cron_of(schedule)) < MIN_GAP:
        raise ValueError(f"at least {MIN_GAP.seconds // 60} minutes must lie between two runs")
    try:
        describe(schedule)
    except Exception:
        # Airflow describes it too, while it reads the Dag file.
        raise ValueError(_UNREADABLE) from None


def check_times(cron: str) -> None:
    """Refuse what is no cron expression, and what is never due.

    :param cron: Or a preset that stands for one.
    :raises ValueError: saying what is wrong with it.
    """
    cron = cron_of(cron)
    if cron.startswith("@"):
        raise ValueError(f"the presets are {', '.join(PRESETS)}")
    if not _FIVE_FIELDS.fullmatch(cron) or not croniter.is_valid(cron):
        raise ValueError(_UNREADABLE)
    try:
        next_times(cron, datetime(2024, 1, 1), 1)
    except CroniterBadDateError:
        raise ValueError("there is no such day") from None


def _smallest_gap(cron: str) -> timedelta:
    """The shortest time between two runs, if the days allow it."""
    minutes, hours = (_values(field, size) for field, size in zip(croniter.expand(cron)[0][:2], (60, 24), strict=True))
    gaps = [later - earlier for earlier, later in itertools.pairwise(minutes)]
    if any((hour + 1) % 24 in hours for hour in hours):
        gaps.append(60 - minutes[-1] + minutes[0])
    return timedelta(minutes=min(gaps, default=60))


def _values(field: Sequence[int | str], size: int) -> list[int]:
    return list(range(size)) if field == ["*"] else sorted(int(value) for value in field)


def describe(schedule: str) -> str:
    """A schedule in words, to stand within a sentence: ``every hour``, ``at 06:30, Monday through Friday``."""
    options = Options()
    options.use_24hour_time_format = True
    text = str(ExpressionDescriptor(cron_of(schedule), options).get_description())
    return text[:1].lower() + text[1:]


def next_times(schedule: str, after: datetime, count: int) -> list[datetime]:
    """The next times at which a schedule is due, in the time zone of ``after``."""
    times = croniter(cron_of(schedule), after)
    return [times.get_next(datetime) for _ in range(count)]
