"""What older Airflows do differently, as far as it can be seen on this one; the rest is ``make test-airflow``."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

from dagctl_provider.services.outside import airflow_users

FIELDS = ({"username": "ada", "role": "admin"}, {"username": "vera", "role": "viewer"})


@pytest.mark.parametrize(
    ("new", "listed"),
    [(True, [SimpleAuthManagerUser(**fields) for fields in FIELDS]), (False, [dict(fields) for fields in FIELDS])],
)
def test_who_answered_is_found_among_the_simple_users_of_any_airflow(
    monkeypatch: pytest.MonkeyPatch, new: bool, listed: list[Any]
) -> None:
    monkeypatch.setattr(airflow_users, "AIRFLOW_V_3_2_PLUS", new)
    monkeypatch.setattr(airflow_users, "everyone_is_admin", lambda: False)
    manager = SimpleNamespace(get_users=lambda: listed)
    found = airflow_users._simple_user(manager, "vera")
    assert (found.get_id(), found.role.lower()) == ("vera", "viewer")
    assert airflow_users._simple_user(manager, "nobody") is None
