"""A real Airflow API server in one process, asked in every way a client can reach and authenticate to the API.

Run as a program, because Airflow reads its configuration once per process: ``airflow_server.py simple|fab``. Prints what was
answered as JSON. Services are faked, so that this is about doors and people only.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

AUTH_MANAGERS = {
    "simple": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "fab": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
}
ROOTS = {"simple": "", "fab": "/airflow"}
"""Airflow's own path: none, and the one of a ``base_url`` with a prefix."""

ROLES = {
    "simple": {"admin": "ADMIN", "member": "OP", "reader": "VIEWER"},
    "fab": {"admin": "Admin", "member": "Op", "reader": "Viewer", "stranger": "User"},
}


def configure(kind: str, home: str) -> None:
    os.environ.update(
        AIRFLOW_HOME=home,
        AIRFLOW__CORE__AUTH_MANAGER=AUTH_MANAGERS[kind],
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        AIRFLOW__CORE__PLUGINS_FOLDER=str(Path(__file__).parents[2] / "plugins"),
        AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS="admin:admin,member:op,reader:viewer",
        AIRFLOW__DATABASE__SQL_ALCHEMY_CONN=f"sqlite:///{home}/airflow.db",
        AIRFLOW__API_AUTH__JWT_SECRET="0123456789abcdef" * 4,
        AIRFLOW__API__SECRET_KEY="fedcba9876543210" * 4,
        AIRFLOW__API__BASE_URL=f"http://testserver{ROOTS[kind]}",
        AIRFLOW__LOGGING__LOGGING_LEVEL="ERROR",
    )


def fake_services() -> None:
    from dagctl_provider.api import authentication
    from dagctl_provider.api.v1.plans import handlers as plan_handlers
    from dagctl_provider.api.v1.projects import handlers as project_handlers
    from tests.api import conftest

    fakes = conftest.Services()
    plan_handlers.plans, project_handlers.projects = fakes.plans, fakes.projects
    # Members are real: that Airflow says who somebody is, and our tables what they may, is what this is about.
    authentication.tokens = conftest.FakeTokens()


def fake_controller(events: list[str]) -> None:
    module: Any = ModuleType("dagctl_provider.controller.runtime")

    @asynccontextmanager
    async def controller_lifespan(app: Any) -> Any:
        events.append("started")
        yield
        events.append("stopped")

    module.controller_lifespan = controller_lifespan
    sys.modules[module.__name__] = module


def make_users(kind: str) -> dict[str, Any]:
    from airflow.api_fastapi.app import get_auth_manager

    if kind == "simple":
        return {user.username: user for user in get_auth_manager().get_users()}
    manager: Any = get_auth_manager()
    users = {}
    with manager.flask_app.app_context():
        security = manager.security_manager
        for name, role in ROLES["fab"].items():
            users[name] = security.add_user(name, name, name, f"{name}@example.org", security.find_role(role), password="secret")
    return users


def grant(role_name: str, permission: str) -> None:
    """Give one permission on the dagctl view to a role of the FAB auth manager."""
    from airflow.api_fastapi.app import get_auth_manager

    manager: Any = get_auth_manager()
    with manager.flask_app.app_context():
        security = manager.security_manager
        security.add_permission_to_role(security.find_role(role_name), security.get_permission(permission, "dagctl"))


def summary(response: Any) -> dict[str, Any]:
    body = response.json() if "json" in response.headers.get("content-type", "") else None
    return {
        "status": response.status_code,
        "type": response.headers.get("content-type"),
        "allow": response.headers.get("allow"),
        "code": body.get("code") if isinstance(body, dict) else None,
        "instance": body.get("instance") if isinstance(body, dict) else None,
        "servers": body.get("servers") if isinstance(body, dict) else None,
    }


def chunks(text: bytes) -> Any:
    """A body of unknown length, so that it is sent in chunks."""
    yield text[:5]
    yield text[5:]


def ask_door(client: Any, door: str) -> dict[str, Any]:
    from tests.api.conftest import HEADERS

    answers = {
        "document": client.get(f"{door}/openapi.json"),
        "unknown": client.get(f"{door}/nothing/here"),
        "root": client.get(f"{door}/", headers=HEADERS),
        "wrong method": client.patch(f"{door}/projects", headers=HEADERS),
        "odd method": client.request("PROPFIND", f"{door}/projects", headers=HEADERS),
        "slash": client.get(f"{door}/projects/", headers=HEADERS, follow_redirects=False),
        "anonymous": client.get(f"{door}/projects"),
        "token": client.get(f"{door}/projects", headers=HEADERS),
        "token writes": client.post(f"{door}/plans/plan_abc123/approve", headers=HEADERS),
        "chunked": client.post(
            f"{door}/plans/plan_abc123/reject",
            headers={**HEADERS, "Content-Type": "application/json"},
            content=chunks(b'{"comment": "no"}'),
        ),
        "chunked wrong": client.post(
            f"{door}/plans/plan_abc123/reject",
            headers={**HEADERS, "Content-Type": "application/json"},
            content=chunks(b'{"nope": "no"}'),
        ),
        "chunked large": client.post(
            f"{door}/projects",
            headers={**HEADERS, "Content-Type": "application/json"},
            content=chunks(b" " * 1_100_000),
        ),
        "large": client.post(f"{door}/nothing", content=b" " * 1_100_000),
        "line break": client.get(f"{door}/a%0Ab"),
        "any bytes": client.get(f"{door}/projects?a=%ff%00", headers=HEADERS),
    }
    return {name: summary(response) for name, response in answers.items()}


def ask_people(client: Any, door: str, users: dict[str, Any]) -> dict[str, Any]:
    from airflow.api_fastapi.app import get_auth_manager

    manager: Any = get_auth_manager()
    approve = f"{door}/plans/plan_abc123/approve"
    answers: dict[str, Any] = {}
    for name, user in users.items():
        bearer = {"Authorization": f"Bearer {manager.generate_jwt(user)}"}
        answers[f"{name} reads"] = client.get(f"{door}/projects", headers=bearer)
        answers[f"{name} approves"] = client.post(approve, headers=bearer)
        answers[f"{name} manages"] = client.delete(f"{door}/projects/proj_abc123", headers=bearer)
    good = manager.generate_jwt(users["admin"])
    session = {"Cookie": f"_token={good}"}
    answers["session reads"] = client.get(f"{door}/projects", headers=session)
    answers["session writes"] = client.post(approve, headers=session)
    answers["session writes from own page"] = client.post(approve, headers={**session, "Origin": "http://testserver"})
    answers["session writes from foreign page"] = client.post(approve, headers={**session, "Origin": "http://evil.example"})
    answers["session writes by script"] = client.post(approve, headers={**session, "X-Dagctl-Request": "1"})
    answers["forged"] = client.get(f"{door}/projects", headers={"Authorization": f"Bearer {good[:-4]}AAAA"})
    expired = manager.generate_jwt(users["admin"], expiration_time_in_seconds=-3600)
    answers["expired"] = client.get(f"{door}/projects", headers={"Authorization": f"Bearer {expired}"})
    answers["expired session"] = client.get(f"{door}/projects", headers={"Cookie": f"_token={expired}"})
    answers["foreign organization"] = client.get(
        f"{door}/projects", headers={"Authorization": f"Bearer {good}", "X-Organization-ID": "org-other"}
    )
    return {name: summary(response) for name, response in answers.items()}


def look_up(users: dict[str, Any]) -> dict[str, Any]:
    from dagctl_provider.services import members, organizations

    default = organizations.default_organization_id()
    found = {name: members.actor_by_airflow_id(user.get_id(), default) for name, user in users.items() if name != "stranger"}
    return {
        **{name: [actor.role, actor.email] if actor else None for name, actor in found.items()},
        "nobody": members.actor_by_airflow_id("4711", default),
        "nonsense": members.actor_by_airflow_id("no number", default),
    }


def found_at_the_command_line() -> dict[str, Any]:
    """Whom the command line finds by name."""
    from dagctl_provider.services.outside.airflow_users import find_person

    found = {name: find_person(name) for name in ("admin", "reader", "4711", "x" * 300)}
    return {name: [person.name, person.email] if person else None for name, person in found.items()}


def fab_permissions() -> list[str]:
    from airflow.api_fastapi.app import get_auth_manager

    manager: Any = get_auth_manager()
    with manager.flask_app.app_context():
        security = manager.security_manager
        resource = security.get_resource("dagctl")
        return sorted(permission.action.name for permission in security.get_resource_permissions(resource))


def main(kind: str) -> dict[str, Any]:
    from airflow.utils.db import initdb

    from tests.ui.doors import ask_pages

    initdb()
    fake_services()
    events: list[str] = []
    fake_controller(events)
    from airflow.api_fastapi.app import create_app
    from starlette.testclient import TestClient

    app = create_app(apps="core")
    users = make_users(kind)
    if kind == "fab":
        grant("Viewer", "can_read")
        grant("Op", "can_read")
    root = ROOTS[kind]
    report: dict[str, Any] = {}
    with TestClient(app, raise_server_exceptions=False) as client:
        for door in ("/api/v1", "/pluginsv2/api/v1"):
            report[door] = {**ask_door(client, root + door), **ask_people(client, root + door, users)}
        report["looked up"] = look_up(users)
        report["pages"] = ask_pages(client, root, users)
    report["looked up without server loop"] = look_up(users)
    report["found"] = found_at_the_command_line()
    report["controller"] = events
    report["permissions"] = fab_permissions() if kind == "fab" else []
    return report


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    with tempfile.TemporaryDirectory() as folder:
        configure(sys.argv[1], folder)
        answer = main(sys.argv[1])
    print("REPORT" + json.dumps(answer))
