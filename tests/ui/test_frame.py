"""What pages have in common that needs no database: sign-in, files, how times are said."""

from __future__ import annotations

import json

from dagctl_provider.ui import filters
from dagctl_provider.ui.assets import STATIC

from .conftest import Browser


def test_without_a_session_one_signs_in_and_comes_back(nobody: Browser) -> None:
    answer = nobody._send("GET", "/dagctl/plans?status=pending", None, {})
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/auth/login?next=%2Fpluginsv2%2Fdagctl%2Fplans%3Fstatus%3Dpending"


def test_inside_airflows_frame_the_sign_in_is_offered_and_not_shown(nobody: Browser) -> None:
    shown = nobody.get("/dagctl/projects", Sec_Fetch_Dest="iframe")
    assert shown.status == 401
    assert "Your session has expired" in shown.text
    assert shown.all("a", data_outside=None)


def test_scripts_are_told_in_their_own_words(nobody: Browser) -> None:
    answer = nobody._send("GET", "/dagctl/projects", None, {"X-Dagctl-Request": "live"})
    assert (answer.status_code, json.loads(answer.data)["code"]) == (401, "unauthenticated")


def test_a_form_without_a_session_is_answered_with_a_page(nobody: Browser) -> None:
    assert nobody.post("/dagctl/projects/new", {"name": "x"}).status_code == 401


def test_files_are_kept_for_good_under_the_address_with_their_hash(nobody: Browser) -> None:
    plain = nobody._send("GET", "/dagctl/static/dagctl.css", None, {})
    assert plain.headers["Cache-Control"] == "no-cache"
    from dagctl_provider.ui.assets import asset_path

    hashed = nobody._send("GET", f"/dagctl{asset_path('dagctl.css')}", None, {})
    assert "immutable" in hashed.headers["Cache-Control"]
    assert hashed.data == (STATIC / "dagctl.css").read_bytes()
    assert nobody._send("GET", "/dagctl/static/../views.py", None, {}).status_code == 404


def test_what_was_to_come_is_said_otherwise_once_it_has() -> None:
    from datetime import datetime, timedelta, timezone

    now = datetime.now(timezone.utc)
    said = {minutes: str(filters.when(now + timedelta(minutes=minutes), passed="due now")) for minutes in (-5, 5)}
    assert ">due now<" in said[-5]
    assert ">due now<" in filters.when(now + timedelta(seconds=0.9), passed="due now"), "rather than just now"
    assert ">in 4 minutes<" in said[5]
    assert all('data-passed="due now"' in text for text in said.values()), "the page goes on saying it"


def test_ages_and_durations() -> None:
    from datetime import datetime, timedelta, timezone

    now = datetime(2026, 4, 28, 12, tzinfo=timezone.utc)
    said = {
        0: "just now",
        59: "just now",
        60: "1 minute ago",
        7300: "2 hours ago",
        86400 * 45: "1 month ago",
        -180: "in 3 minutes",
    }
    assert {seconds: filters.age(now - timedelta(seconds=seconds), now) for seconds in said} == said
    spans = {0.25: "250 ms", 42: "42 s", 200: "3 min 20 s", 7500: "2 h 5 min"}
    assert {span: filters.duration(span) for span in spans} == spans
    assert [filters.counted(number, "model") for number in (0, 1, 1200)] == ["0 models", "1 model", "1,200 models"]
