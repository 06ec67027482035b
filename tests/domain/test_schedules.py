"""What a schedule of runs may be, and how it is said."""

from __future__ import annotations

from datetime import datetime, timezone
from zoneinfo import ZoneInfo

import pytest

from dagctl_provider.domain import schedules

GOOD = {
    "@hourly": "every hour",
    "@daily": "at 00:00",
    "@weekly": "at 00:00, only on Sunday",
    "0 * * * *": "every hour",
    "*/5 * * * *": "every 5 minutes",
    "58 * * * *": "at 58 minutes past the hour",
    "30 6 * * 1-5": "at 06:30, Monday through Friday",
    "0 3 * JAN,jul mon": None,
    "0 0 l * *": None,
    "0 0 * * 5#2": None,
    "0 0 29 2 *": None,
    "0,58 6 * * *": None,
}
BAD = {
    "": "five cron fields",
    "hourly": "five cron fields",
    "@once": "presets are @hourly",
    "@continuous": "presets are @hourly",
    "@reboot": "presets are @hourly",
    "* * * *": "five cron fields",
    "0 * * * * *": "five cron fields",
    "0 0 * * * 0 2027": "five cron fields",
    "H * * * *": "five cron fields",
    "R * * * *": "five cron fields",
    "r(0-5) * * * *": "five cron fields",
    "60 * * * *": "five cron fields",
    "*/0 * * * *": "five cron fields",
    "0  * * * *": "five cron fields",
    "0 * * * *\n": "five cron fields",
    "٠ * * * *": "five cron fields",  # noqa: RUF001
    "0 * * * *; rm": "five cron fields",
    "* * * * *": "at least 5 minutes",
    "*/4 * * * *": "at least 5 minutes",
    "*/7 * * * *": "at least 5 minutes",
    "0,4 6 * * *": "at least 5 minutes",
    "2,58 * * * *": "at least 5 minutes",
    "2,58 0,23 * * *": "at least 5 minutes",
    "0 0 31 2 *": "no such day",
    "0 0 30 feb *": "no such day",
}


@pytest.mark.parametrize("schedule", GOOD)
def test_schedules_that_airflow_can_run_by_are_taken(schedule: str) -> None:
    schedules.check_schedule(schedule)
    said = schedules.describe(schedule)
    assert said
    assert GOOD[schedule] in (None, said)


@pytest.mark.parametrize("schedule", BAD)
def test_others_are_refused_with_the_reason(schedule: str) -> None:
    with pytest.raises(ValueError, match=BAD[schedule]):
        schedules.check_schedule(schedule)


def test_the_presets_are_those_of_airflow() -> None:
    from airflow.utils.dates import cron_presets

    assert cron_presets == schedules.PRESETS


def test_airflow_reads_all_that_is_taken() -> None:
    from airflow.timetables.trigger import CronTriggerTimetable

    for schedule in GOOD:
        CronTriggerTimetable(schedule, timezone="UTC").validate()


def test_next_times_are_those_of_the_time_zone() -> None:
    noon = datetime(2026, 4, 28, 12, 10, tzinfo=timezone.utc)
    assert [time.hour for time in schedules.next_times("@hourly", noon, 3)] == [13, 14, 15]
    berlin = noon.astimezone(ZoneInfo("Europe/Berlin"))
    assert schedules.next_times("0 3 * * *", berlin, 1)[0].astimezone(timezone.utc).hour == 1
