"""Jobs as rows of fields: what each may hold, what a change makes of them, and what the record of changes may tell."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import Any
from zoneinfo import available_timezones

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.jobs import (
    FIELDS,
    MOST_VALUES,
    RESOURCES,
    TOTAL_BYTES,
    VALUE_BYTES,
    Job,
    changed,
    check_environment,
    check_resources,
    check_time_zone,
    missing_channel,
)
from dagctl_provider.domain.projects import FIELDS as OF_PROJECTS
from dagctl_provider.runner.job_commands import COMMAND_LIMIT
from dagctl_provider.runner.variables import reserved_for

NOW = datetime(2026, 4, 28, tzinfo=timezone.utc)
JOB = Job("job_1", "proj_1", "hourly", "sqlmesh run", "dagctl__a__b__hourly-1__run", NOW, NOW, schedule="@hourly")


def accepts(check: Any, value: Any) -> bool:
    """Whether a check has nothing to say."""
    try:
        check(value)
    except ValueError:
        return False
    return True


def test_a_change_changes_what_is_sent_and_nothing_else() -> None:
    after = changed(JOB, {"time_zone": "Europe/Berlin", "enabled": False})
    assert (after.time_zone, after.enabled, after.name, after.schedule) == ("Europe/Berlin", False, "hourly", "@hourly")
    assert changed(after, {"time_zone": None, "enabled": True}) == JOB
    assert changed(JOB, {}) == JOB


def test_nothing_is_the_same_as_empty() -> None:
    assert changed(JOB, {"environment": {}, "resources": {}}) == JOB
    assert changed(changed(JOB, {"environment": {"A": "1"}}), {"environment": {}}) == JOB


def test_a_job_tells_no_values_of_its_variables() -> None:
    told = changed(JOB, {"environment": {"a": "hush", "B": "hush"}}).told()
    assert told["environment"] == ["A", "B"]
    assert "hush" not in str(told)
    assert set(told) <= set(FIELDS)


def test_who_is_to_be_told_needs_an_address() -> None:
    for name in ("slack_alerts_enabled", "slack_alert_on_success"):
        assert missing_channel(changed(JOB, {name: True})) == name
        assert missing_channel(changed(JOB, {name: True, "slack_channel": "#a"})) is None
    assert missing_channel(JOB) is None


def test_rules_that_stand_elsewhere_too_are_the_same() -> None:
    assert {name: OF_PROJECTS[name].pattern for name in RESOURCES} == dict(RESOURCES)
    assert FIELDS["command"].max_length == COMMAND_LIMIT


@pytest.mark.parametrize("name", ["Europe/Berlin", "UTC", "America/Argentina/Buenos_Aires", "Asia/Kolkata"])
def test_time_zones(name: str) -> None:
    check_time_zone(name)


@pytest.mark.parametrize(
    "name", ["", "berlin", "europe/berlin", "/etc/localtime", "../UTC", "Europe", "localtime", "UTC\n", "+01:00"]
)
def test_what_is_no_time_zone(name: str) -> None:
    assert not accepts(check_time_zone, name)


def test_airflow_knows_each_time_zone_that_is_accepted() -> None:
    for name in available_timezones() - {"localtime"}:
        check_time_zone(name)
        pendulum.timezone(name)


@given(st.text())
def test_no_text_is_a_time_zone_by_chance(text: str) -> None:
    assert accepts(check_time_zone, text) == (text in available_timezones() - {"localtime"})


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=40), max_size=5))
def test_what_is_accepted_as_environment_can_be_set(values: dict[str, str]) -> None:
    if not accepts(check_environment, values):
        return
    job = changed(JOB, {"environment": values})
    assert len(job.environment) == len(values)
    for name in job.environment:
        assert re.fullmatch(r"[A-Z_][A-Z0-9_]*", name)
        assert reserved_for(name) is None
        assert not name.startswith("SQLMESH_")


def test_how_much_an_environment_may_hold() -> None:
    check_environment({f"A{n}": "x" for n in range(MOST_VALUES)})
    check_environment({"A": "x" * VALUE_BYTES})
    assert not accepts(check_environment, {"A": "x" * (VALUE_BYTES + 1)})
    assert not accepts(check_environment, {"A": "ü" * (VALUE_BYTES // 2 + 1)}), "bytes, not characters"
    number = TOTAL_BYTES // VALUE_BYTES
    assert not accepts(check_environment, {f"A{n}": "x" * VALUE_BYTES for n in range(number)}), "names count as well"


@given(st.dictionaries(st.sampled_from([*RESOURCES, "gpu", ""]), st.text(alphabet="0123456789mMiGKk.-", max_size=6), max_size=4))
def test_resources_are_those_of_projects(values: dict[str, str]) -> None:
    wanted = all(name in RESOURCES and re.fullmatch(RESOURCES[name], value) for name, value in values.items())
    assert accepts(check_resources, values) == wanted
