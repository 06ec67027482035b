"""People whom Airflow's auth manager knows, for tests of what becomes of them here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import Person
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import members
from dagctl_provider.services.outside import airflow_users


@dataclass
class Known:
    """A user of Airflow, as an auth manager gives it."""

    airflow_id: str
    name: str
    email: str | None = None
    is_admin: bool = False
    may_enter: bool = True


class People:
    """Stands in for the auth manager."""

    def __init__(self) -> None:
        self.admins_asked: list[str] = []

    def person_of(self, user: Any) -> Person:
        if not user.may_enter:
            raise DagctlError("forbidden", "Airflow does not let you in.")
        return Person(user.airflow_id, user.name, user.email)

    def is_admin(self, user: Any) -> bool:
        self.admins_asked.append(user.airflow_id)
        return bool(user.is_admin)

    def comes(self, name: str, wanted: str | None = None, preferred: str | None = None, **known: Any) -> Actor:
        """Somebody signs in and asks for something."""
        user: Any = Known(known.pop("airflow_id", f"id-{name}"), name, **known)
        return members.actor_for(user, wanted, preferred, members.Visit("page", "10.1.2.3"))

    def outside(self, name: str, **known: Any) -> Actor:
        """Somebody signs in where no membership is needed."""
        user: Any = Known(f"id-{name}", name, **known)
        return members.person_for(user, members.Visit("page", "10.1.2.3"))


@pytest.fixture
def people(monkeypatch: pytest.MonkeyPatch) -> People:
    """Nobody is known to this product yet, and Airflow knows whoever comes."""
    made = People()
    monkeypatch.setattr(airflow_users, "person_of", made.person_of)
    monkeypatch.setattr(airflow_users, "is_admin", made.is_admin)
    return made
