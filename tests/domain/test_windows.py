"""Windows: deny beats allow, clocks that are changed, and when it opens next."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.windows import Window, is_open, next_open, said

BERLIN = "Europe/Berlin"
OFFICE = Window("allow", BERLIN, cron="0 8 * * 1-5", duration_minutes=8 * 60)
FREEZE = Window("deny", BERLIN, since="2026-12-19", until="2027-01-03")


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("moment", "is_it"),
    [
        ("2026-07-06T06:00", True),
        ("2026-07-06T05:59", False),
        ("2026-07-06T13:59", True),
        ("2026-07-06T14:00", False),
        ("2026-07-05T10:00", False),
        ("2026-01-05T07:00", True),
        ("2026-01-05T06:59", False),
        ("2026-12-18T14:00", True),
        ("2026-12-21T10:00", False),
        ("2027-01-04T07:00", True),
    ],
)
def test_office_hours_with_a_freeze(moment: str, is_it: bool) -> None:
    assert is_open((OFFICE, FREEZE), utc(moment)) is is_it


def test_without_allowing_windows_all_is_open_but_what_is_denied() -> None:
    assert is_open((), utc("2026-01-01T00:00"))
    assert is_open((FREEZE,), utc("2026-12-18T22:59"))
    assert not is_open((FREEZE,), utc("2026-12-18T23:00"))
    assert not is_open((FREEZE,), utc("2027-01-03T22:59"))
    assert is_open((FREEZE,), utc("2027-01-03T23:00"))


@pytest.mark.parametrize(
    ("cron", "moment", "holds"),
    [
        # On 29 March 2026 the clock goes from 02:00 to 03:00, on 25 October from 03:00 back to 02:00.
        ("30 2 * * *", "2026-03-29T01:30", True),
        ("0 1 * * *", "2026-03-29T00:30", True),
        ("0 2 * * *", "2026-10-25T00:30", True),
        ("0 2 * * *", "2026-10-25T01:30", False),
    ],
)
def test_days_on_which_clocks_are_changed(cron: str, moment: str, holds: bool) -> None:
    assert Window("allow", BERLIN, cron=cron, duration_minutes=60).holds(utc(moment)) is holds


def test_when_it_opens() -> None:
    after = utc("2026-12-18T20:00")
    opens = next_open((OFFICE, FREEZE), after)
    assert opens == utc("2027-01-04T07:00")
    assert said(opens, BERLIN) == "2027-01-04T07:00:00Z (2027-01-04 08:00 Europe/Berlin)"
    assert next_open((Window("deny", "UTC", since="2000-01-01"),), after) is None
    assert next_open((Window("deny", "UTC", cron="* * * * *", duration_minutes=1),), after) is None
    assert next_open((), after) == after


windows = st.builds(
    Window,
    st.sampled_from(["allow", "deny"]),
    st.sampled_from(["UTC", BERLIN, "America/New_York", "Australia/Lord_Howe"]),
    cron=st.sampled_from(["0 8 * * 1-5", "30 2 * * *", "*/30 * * * *", "0 0 1 * *"]),
    duration_minutes=st.integers(1, 1000),
)
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 31), timezones=st.just(timezone.utc))


@settings(deadline=None, max_examples=60)
@given(st.lists(windows, max_size=3), moments)
def test_it_is_open_when_it_is_said_to_open_and_not_a_minute_before(found: list[Window], moment: datetime) -> None:
    opens = next_open(found, moment)
    if opens is None:
        assert not is_open(found, moment)
        return
    assert is_open(found, opens)
    if opens > moment:
        assert not is_open(found, max(moment, opens - timedelta(minutes=1)))
