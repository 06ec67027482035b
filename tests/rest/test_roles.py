"""Who may do what by which door: every operation and every page with every role, against the table of ``docs/team.md``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dagctl_provider.api.contracts import LINES
from dagctl_provider.api.v1.routes import OPERATIONS
from dagctl_provider.domain.members import Person
from dagctl_provider.domain.permissions import ROLES, Role, system_actor
from dagctl_provider.services import invitations, jobs, members, protections, tokens, variables
from dagctl_provider.services.outside import airflow_users
from dagctl_provider.ui.plan_actions import VERBS
from tests.api import conformance
from tests.services.executions import recorded
from tests.services.people import Known, People, people
from tests.services.world import World

__all__ = ["people"]

PAGE = (Path(__file__).parents[2] / "docs" / "team.md").read_text(encoding="utf-8")
# What needs no membership at all, or no sign-in.
FREE_OPERATIONS = {"POST /invitations/accept"}
FREE_PAGES = {"GET /static/{name}", "GET /invitations/{secret}", "GET /invitations/accept", "POST /invitations/accept"}
_PARAMETERS = {"project_id": "id", "plan_id": "id", "user_id": "id", "invitation_id": "id", "token_id": "id", "dag_id": "dag"}
_PARAMETERS |= {"variable_name": "id", "protection_id": "id", "execution_id": "id", "job_id": "id"}

ID_OF = {"projects": "id", "plans": "planGroupId", "members": "userId", "invitations": "invitationId", "tokens": "tokenId"}
ID_OF |= {"variables": "variableName", "environments": "protectionId", "runs": "runId", "jobs": "jobId"}
"""The parameter whose id an address has after a word."""


def table() -> Iterator[tuple[str, list[str], list[str], frozenset[str]]]:
    """What stands in the documented table: what it is about, operations, pages, and the roles that may."""
    lines = PAGE.partition("## Roles\n")[2].partition("\nA test asks")[0].strip().splitlines()
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert head == ["what", "over REST", "on pages", *ROLES]
    for line in lines[2:]:
        what, rest, pages, *marks = [cell.strip() for cell in line.strip("|").split("|")]
        assert set(marks) <= {"yes", "no"}
        allowed = frozenset(role for role, mark in zip(ROLES, marks, strict=True) if mark == "yes")
        yield what, re.findall(r"`([A-Z]+ [^`]+)`", rest), re.findall(r"`([A-Z]+ [^`]+)`", pages), allowed


BY_REST = {request: allowed for _, requests, _, allowed in table() for request in requests}
BY_PAGE = {request: allowed for _, _, requests, allowed in table() for request in requests}


@pytest.fixture(scope="module")
def both_doors() -> Flask:
    """A Flask app with all resources and all pages."""
    from dagctl_provider.api.registry import RESOURCES
    from dagctl_provider.ui.views import VIEWS

    made = Flask("doors")
    with made.app_context():
        for view in (*RESOURCES, *VIEWS):
            made.register_blueprint(view().create_blueprint(None))
    return made


def page_requests(app: Flask) -> Iterator[str]:
    """Every page with every method, with one line for each word that stands in an address."""
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/dagctl/"):
            continue
        path = re.sub(r"<(?:path:)?(\w+)>", lambda found: f"{{{_PARAMETERS.get(found[1], found[1])}}}", rule.rule)
        path = path.removeprefix("/dagctl").replace("{run_id}", "{run}")
        words = re.search(r"<any\(([^)]*)\):verb>", path)
        verbs = words[1].split(",") if words else [*VERBS] if "{verb}" in path else [""]
        for verb in verbs:
            for method in sorted((rule.methods or set()) & {"GET", "POST", "PUT", "DELETE"}):
                yield f"{method} " + re.sub(r"<any\([^)]*\):verb>|{verb}", verb, path)


def test_every_operation_stands_in_the_table_once() -> None:
    documented = [request for _, requests, _, _ in table() for request in requests]
    assert sorted(documented) == sorted({f"{one.method} {one.path}" for one in OPERATIONS} - FREE_OPERATIONS)


def test_every_page_stands_in_the_table_once(both_doors: Flask) -> None:
    documented = [request for _, _, requests, _ in table() for request in requests]
    assert sorted(documented) == sorted(set(page_requests(both_doors)) - FREE_PAGES)


@dataclass
class Doors:
    """The doors of an organization with something of everything, and somebody of each role as a person and as a token.

    :param ids: By parameter of a path.
    """

    client: FlaskClient
    organization_id: str
    secrets: dict[str, str]
    ids: dict[str, str]
    step_id: str

    def headers(self, kind: str, role: str) -> dict[str, str]:
        """Credentials."""
        credential = f"{role}.b.c" if kind == "person" else self.secrets[role]
        return {"Authorization": f"Bearer {credential}", "X-Organization-ID": self.organization_id}

    def of_operation(self, path: str) -> str:
        """A path of an operation with ids in the places of its parameters."""
        return "/api/v1" + re.sub(r"{(\w+)}", lambda place: self.ids[place[1]], path)

    def of_page(self, path: str) -> str:
        """The address of a page, likewise."""
        words = path.split("/")
        for number, word in enumerate(words):
            if word == "{id}":
                words[number] = self.ids[ID_OF[words[number - 1]]]
        return "/dagctl" + "/".join(words).replace("{dag}", "some_dag").replace("{run}", "some_run")


def named_by_token(token: str) -> Known:
    """Somebody of whose credential of Airflow's the first part is the name."""
    name = token.partition(".")[0]
    return Known(f"id-{name}", name)


@pytest.fixture
def doors(both_doors: Flask, world: World, people: People, monkeypatch: pytest.MonkeyPatch) -> Doors:
    monkeypatch.setattr(airflow_users, "everyone_is_admin", lambda: False)
    monkeypatch.setattr(airflow_users, "public_host", lambda: "localhost")
    monkeypatch.setattr(airflow_users, "user_from_token", named_by_token)
    root, owner = system_actor(world.organization_id, "cli:root"), world.actor()
    secrets = {}
    for role in ROLES:
        members.add_member(root, Person(f"id-{role}", role), role)
        secrets[role] = tokens.create(root, role, role).secret
    other = members.add_member(root, Person("id-other", "other"), "reader")
    project = world.project()
    step = world.explained(project)
    job = jobs.create_job(owner, step.project_id, {"name": "spare", "command": "run", "schedule": None})
    ids = {
        "jobId": job.job.id,
        "id": step.project_id,
        "runId": recorded(project, ("shop.orders", 0, 5, "success"), job_id=job.job.id).id,
        "planId": step.id,
        "planGroupId": step.group_id,
        "userId": other.user.id,
        "invitationId": invitations.invite(owner, "eve@example.org", "reader").invitation.id,
        "tokenId": tokens.create(root, "spare", "reader").token.id,
        "variableName": variables.create_variable(owner, {"name": "SPARE", "value": "x"}).variable.name,
        # Not in force, so that roles alone decide.
        "protectionId": protections.create_protection(owner, {"environment_name": "prod", "enabled": False}).protection.id,
    }
    return Doors(both_doors.test_client(use_cookies=False), world.organization_id, secrets, ids, step.id)


KINDS = ("person", "token")


def differences(documented: dict[str, frozenset[str]], ask: Callable[[str, str, str], Any]) -> list[str]:
    """Where what is answered is not what is documented; roles that may least ask first, so that nothing is gone before."""
    found = []
    for kind in KINDS:
        for role in reversed(ROLES):
            for request, allowed in documented.items():
                status = ask(kind, role, request).status_code
                if status >= 500 or status in (401, 405) or (status == 403) != (role not in allowed):
                    found.append(f"{kind} {role} {request}: {status}")
    return found


def test_every_operation_with_every_role(doors: Doors) -> None:
    def ask(kind: str, role: str, request: str) -> Any:
        method, path = request.split(" ")
        # A role that everybody who may give roles may give.
        body = {"role": "reader"} if path.endswith("/role") else {}
        sent = {"json": body} if method in ("POST", "PUT") else {}
        address = doors.of_operation(path)
        answer = doors.client.open(address, method=method, headers=doors.headers(kind, role), **sent)
        if answer.content_type != LINES:
            conformance.check(method, address, answer)
        return answer

    assert differences(BY_REST, ask) == []


def test_every_page_with_every_role(doors: Doors) -> None:
    def ask(kind: str, role: str, request: str) -> Any:
        method, path = request.split(" ")
        if path == "/organization/choose" and kind == "token":
            path = "/organization"
            method = "GET"
        form = {"step": doors.step_id, "role": "reader", "organization_id": doors.organization_id, "comment": "no"}
        headers = {**doors.headers(kind, role), "Sec-Fetch-Site": "same-origin"}
        sent = {"data": form} if method == "POST" else {}
        return doors.client.open(doors.of_page(path), method=method, headers=headers, **sent)

    assert differences(BY_PAGE, ask) == []


# Beyond the table: the role of who asks, the member's role, and the new one, None to remove them.
def beyond(asking: Role, theirs: Role, new: Role | None) -> bool:
    return asking == "owner" or (asking == "admin" and not {theirs, new} & {"owner", "admin"})


@pytest.mark.parametrize("door", ["rest", "page"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_gives_and_takes_which_role(doors: Doors, kind: str, door: str) -> None:
    root = system_actor(doors.organization_id, "cli:root")
    wrong, number = [], 0
    for asking in ROLES:
        for theirs in ROLES:
            for new in (*ROLES, None):
                number += 1
                target = members.add_member(root, Person(f"id-t{number}", f"t{number}"), theirs).user.id
                headers = {**doors.headers(kind, asking), "Sec-Fetch-Site": "same-origin"}
                if door == "rest" and new is not None:
                    path, sent = f"/api/v1/organizations/members/{target}/role", {"json": {"role": new}}
                    answer = doors.client.put(path, headers=headers, **sent)
                elif door == "rest":
                    answer = doors.client.delete(f"/api/v1/organizations/members/{target}", headers=headers)
                else:
                    path = f"/dagctl/organization/members/{target}/{'role' if new else 'remove'}"
                    answer = doors.client.post(path, headers=headers, data={"role": new} if new else {})
                if (answer.status_code in (200, 303)) != beyond(asking, theirs, new) or answer.status_code >= 500:
                    wrong.append(f"{asking} {theirs} {new}: {answer.status_code}")
    assert wrong == []


@pytest.mark.parametrize("kind", KINDS)
def test_who_makes_which_token_and_invites_whom(doors: Doors, kind: str) -> None:
    wrong = []
    for asking in ("owner", "admin"):
        for role in ROLES:
            headers = doors.headers(kind, asking)
            invited = doors.client.post(
                "/api/v1/organizations/invitations",
                headers=headers,
                json={"email": f"{kind}-{asking}-{role}@example.org", "role": role},
            )
            made = doors.client.post("/api/v1/organizations/tokens", headers=headers, json={"name": "x", "role": role})
            may_invite, may_make = asking == "owner" or role in ("developer", "reader"), asking == "owner" or role != "owner"
            if (invited.status_code, made.status_code) != (201 if may_invite else 403, 201 if may_make else 403):
                wrong.append(f"{asking} {role}: {invited.status_code} {made.status_code}")
    assert wrong == []
