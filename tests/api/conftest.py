"""The REST door with faked services: a real Flask app, the real resources, no Airflow process and no database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.permissions import Actor, permissions_of

from . import records

TOKEN = "dctl_owner"
ORGANIZATION = "org-xxxxxxxx"
JWT = "aaa.bbb.ccc"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "X-Organization-ID": ORGANIZATION}


class FakeServices:
    """Stands in for a module of services: answers what a test puts there, and notes how it was called."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers
        self.calls: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def answer(self, **answers: Any) -> None:
        """Have functions answer with a value, or raise an exception."""
        self._answers.update(answers)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls.append((name, args, kwargs))
            answer = self._answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class FakeTokens:
    """Tokens by name of their role."""

    def authenticate(self, secret: str, organization_id: str) -> Actor:
        role = secret.removeprefix("dctl_")
        if role not in ("owner", "admin", "developer", "reader") or organization_id != ORGANIZATION:
            raise DagctlError("unauthenticated", "The token is not valid for this organization.")
        return Actor("token", f"tok_{role}", role, organization_id, permissions_of(role), role=role)


class FakeMembers:
    """Everybody whom Airflow knows is an admin of the one organization."""

    def actor_for(self, user: str, wanted: str | None = None, preferred: str | None = None, visit: object = None) -> Actor:
        if wanted not in (None, ORGANIZATION):
            raise not_found("Organization", str(wanted))
        return Actor("user", user, user, ORGANIZATION, permissions_of("admin"), role="admin", user_id=f"user_{user}")

    def person_for(self, user: str, visit: object = None) -> Actor:
        return Actor("user", user, user, "", user_id=f"user_{user}")


class Services:
    """All fakes of one test."""

    def __init__(self) -> None:
        self.plans = FakeServices(**records.PLAN_ANSWERS)
        self.projects = FakeServices(**records.PROJECT_ANSWERS)
        self.adoption = FakeServices(adopt=records.PROJECT_ANSWERS["get_project"])
        self.metrics = FakeServices(**records.METRICS_ANSWERS)
        self.jobs = FakeServices(**records.JOB_ANSWERS)
        self.runs = FakeServices(**records.JOB_RUN_ANSWERS)
        self.audit = FakeServices(**records.AUDIT_ANSWERS)
        self.variables = FakeServices(**records.VARIABLE_ANSWERS)
        self.protections = FakeServices(**records.PROTECTION_ANSWERS)
        self.members = FakeServices(**records.MEMBER_ANSWERS)
        self.invitations = FakeServices(**records.INVITATION_ANSWERS)
        self.tokens = FakeServices(**records.TOKEN_ANSWERS)

    def all(self) -> list[FakeServices]:
        """Every one of them."""
        return list(vars(self).values())


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Services:
    """Faked services behind the handlers."""
    from dagctl_provider.api import authentication
    from dagctl_provider.api.v1.audit import handlers as audit_handlers
    from dagctl_provider.api.v1.jobs import handlers as job_handlers
    from dagctl_provider.api.v1.metrics import handlers as metrics_handlers
    from dagctl_provider.api.v1.plans import handlers as plan_handlers
    from dagctl_provider.api.v1.projects import handlers as project_handlers
    from dagctl_provider.api.v1.protections import handlers as protection_handlers
    from dagctl_provider.api.v1.team import handlers as team_handlers
    from dagctl_provider.api.v1.tokens import handlers as token_handlers
    from dagctl_provider.api.v1.variables import handlers as variable_handlers

    fakes = Services()
    monkeypatch.setattr(plan_handlers, "plans", fakes.plans)
    monkeypatch.setattr(project_handlers, "projects", fakes.projects)
    monkeypatch.setattr(project_handlers, "adoption", fakes.adoption)
    monkeypatch.setattr(metrics_handlers, "metrics", fakes.metrics)
    monkeypatch.setattr(job_handlers, "jobs", fakes.jobs)
    monkeypatch.setattr(job_handlers, "runs", fakes.runs)
    monkeypatch.setattr(audit_handlers, "audit", fakes.audit)
    monkeypatch.setattr(variable_handlers, "variables", fakes.variables)
    monkeypatch.setattr(protection_handlers, "protections", fakes.protections)
    monkeypatch.setattr(team_handlers, "members", fakes.members)
    monkeypatch.setattr(team_handlers, "invitations", fakes.invitations)
    monkeypatch.setattr(token_handlers, "tokens", fakes.tokens)
    monkeypatch.setattr(authentication, "tokens", FakeTokens())
    monkeypatch.setattr(authentication, "members", FakeMembers())
    return fakes


@pytest.fixture(scope="session")
def flask_app() -> Flask:
    """A Flask app with the product's resources."""
    from dagctl_provider.api.registry import RESOURCES

    app = Flask(__name__)
    with app.app_context():
        for resource in RESOURCES:
            app.register_blueprint(resource().create_blueprint(None))
    return app


@pytest.fixture
def client(flask_app: Flask, services: Services) -> Iterator[FlaskClient]:
    """A client without credentials."""
    with flask_app.test_client(use_cookies=False) as client:
        yield client


@pytest.fixture
def ask(client: FlaskClient) -> Callable[..., Any]:
    """Ask as the owner of the organization: ``ask("GET", "/projects")``."""

    def send(method: str, path: str, **kwargs: Any) -> Any:
        headers = {**HEADERS, **kwargs.pop("headers", {})}
        return client.open(f"/api/v1{path}", method=method, headers=headers, **kwargs)

    return send


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Airflow knows one person by :data:`JWT`; the switch makes everybody an admin."""
    from dagctl_provider.services.outside import airflow_users

    switch = {"everyone": False, "host": "airflow.example"}

    def user_from_token(token: str) -> str:
        if token != JWT:
            raise DagctlError("unauthenticated", "The credential is not valid or has expired.")
        return "ann"

    monkeypatch.setattr(airflow_users, "user_from_token", user_from_token)
    monkeypatch.setattr(airflow_users, "everyone_is_admin", lambda: switch["everyone"])
    monkeypatch.setattr(airflow_users, "public_host", lambda: switch["host"])
    return switch
