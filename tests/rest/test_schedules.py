"""The schedule of a project over REST: set, changed, taken away, refused with the reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rest.test_dbt import Ask, create, repository

__all__ = ["repository"]

pytestmark = pytest.mark.slow


def test_a_schedule_is_set_changed_and_taken_away(ask: Ask, repository: Path) -> None:
    made = create(ask, repository, run_schedule="@hourly")
    assert made.status_code == 201, made.text
    address = f"/projects/{made.get_json()['id']}"
    assert made.get_json()["run_schedule"] == "@hourly"
    assert ask("PUT", address, json={"run_schedule": "30 6 * * 1-5"}).get_json()["run_schedule"] == "30 6 * * 1-5"
    for schedule, reason in (
        ("* * * * *", "at least 5 minutes"),
        ("@often", "presets"),
        ("0 0 31 2 *", "no such day"),
        ("", "five"),
    ):
        refused = ask("PUT", address, json={"run_schedule": schedule})
        assert (refused.status_code, refused.get_json()["code"]) == (422, "invalid_request"), refused.text
        (error,) = refused.get_json()["errors"]
        assert error["field"] == "run_schedule"
        assert reason in error["message"]
    assert ask("GET", address).get_json()["run_schedule"] == "30 6 * * 1-5"
    assert "run_schedule" not in ask("PUT", address, json={"run_schedule": None}).get_json()
