"""Ids sort by age, names fit where they are put; errors and settings hold together."""

from __future__ import annotations

import re
import time
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagctl_provider
from dagctl_provider.domain import ids
from dagctl_provider.domain.errors import ERRORS, DagctlError, not_found
from dagctl_provider.domain.ids import job_name, new_id, short_sha, slug
from dagctl_provider.domain.names import job_dag_id, plan_dag_id, project_variable, run_dag_id, writer_pool
from dagctl_provider.domain.settings import SETTINGS

AT = datetime(2026, 4, 28, 10, 0, 5, tzinfo=timezone.utc)


def test_ids_have_their_shape_and_are_never_the_same():
    made = {new_id("plan_") for _ in range(2000)}
    assert len(made) == 2000
    assert all(re.fullmatch(r"plan_[0-9a-hjkmnp-tv-z]{20}", one) for one in made)
    assert new_id("org-").startswith("org-")


def test_ids_sort_by_age(monkeypatch):
    moments = [0, 1, 31, 32, 33, 1023, 1024, 32**5, time.time_ns() // 1_000_000, 32**10 - 1]
    made = []
    for moment in moments:
        monkeypatch.setattr(ids.time, "time_ns", lambda moment=moment: moment * 1_000_000)
        made.append(new_id("x_"))
    assert made == sorted(made)
    assert [one[2:12] for one in made][:5] == ["0000000000", "0000000001", "000000000z", "0000000010", "0000000011"]


def test_ids_take_50_random_bits(monkeypatch):
    monkeypatch.setattr(ids.secrets, "randbits", lambda bits: (1 << bits) - 1)
    assert new_id("")[10:] == "z" * 10


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("Shop EU", "shop-eu"),
        ("a.b_c", "a-b-c"),
        ("--x--", "x"),
        ("déjà", "d-j"),
        ("表", "project"),
        ("", "project"),
        ("A  B", "a-b"),
    ],
)
def test_slugs(name, wanted):
    assert slug(name) == wanted


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=80), st.sampled_from(["plan-explain", "plan-execute", "scheduled-run-manual"]))
def test_job_names_leave_room_for_a_pods_suffix(name, kind):
    made = job_name(name, kind, AT)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", made)
    assert len(made) + len("-abcde") <= 63


def test_job_names_look_like_the_documents():
    assert job_name("analytics", "plan-explain", AT) == "analytics-plan-explain-20260428-100005"
    assert job_name("a" * 23 + " b", "plan-execute", AT) == "a" * 23 + "-plan-execute-20260428-100005"


def test_short_commits_and_names_for_airflow():
    assert short_sha("0123456789abcdef") == "0123456"
    plan = plan_dag_id(slug("The  Shop__s"), "0abc")
    assert (plan, run_dag_id(plan)) == ("dagctl__the-shop-s__0abc", "dagctl__the-shop-s__0abc__run")
    for dag_id in (plan, run_dag_id(plan), job_dag_id(plan, slug("Every hour"), "1def")):
        assert (project_variable(dag_id), writer_pool(dag_id)) == (plan, f"{plan}__writer")


@pytest.mark.parametrize("code", ERRORS)
def test_each_error_has_a_status_a_title_and_a_hint(code):
    kind = DagctlError(code, "Something.").kind
    assert re.fullmatch(r"[a-z_]+", code)
    assert kind.status in {400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 424, 429, 500, 503}
    assert kind.title
    assert not kind.title.endswith(".")
    assert kind.hint.endswith(".")


def test_each_error_that_is_raised_stands_in_the_table():
    sources = [path.read_text("utf-8") for path in Path(dagctl_provider.__file__).parent.rglob("*.py")]
    raised = {code for source in sources for code in re.findall(r'DagctlError\(\s*"([a-z_]+)"', source)}
    assert len(raised) > 20
    assert raised <= set(ERRORS)


def test_errors_keep_what_they_were_given():
    error = DagctlError("head_moved", "It moved.", expected_commit="a", current_commit="b")
    assert (str(error), error.detail, error.code) == ("It moved.", "It moved.", "head_moved")
    assert error.extra == {"expected_commit": "a", "current_commit": "b"}


def test_what_is_not_found_is_named_and_cut():
    error = not_found("Plan", "x" * 64 + "y" * 1000)
    assert (error.code, error.detail) == ("not_found", f"Plan '{'x' * 64}' does not exist.")


@pytest.mark.parametrize("name", SETTINGS)
def test_each_default_can_be_read_as_what_the_setting_is(name):
    setting = SETTINGS[name]
    readers = {"string": str, "boolean": ["True", "False"].index, "integer": int, "float": float}
    readers[setting.kind](setting.default)
    assert re.fullmatch(r"[a-z_]+", name)
    assert setting.description.endswith((".", ":"))


def test_what_widens_rights_is_off_unless_somebody_says_so():
    assert SETTINGS["allow_local_repositories"].default == SETTINGS["allow_private_hosts"].default == "False"
