"""Nobody sees, changes or hears of what is another organization's, or beyond a token's limits: every operation, every page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from dagctl_provider.api.v1.routes import OPERATIONS
from dagctl_provider.domain.members import Person
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.services import invitations, jobs, members, organizations, protections, tokens, variables
from dagctl_provider.services.outside import airflow_users
from dagctl_provider.services.showing import live
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import tables, transactions
from tests.services.executions import recorded
from tests.services.people import People, people
from tests.services.world import World

from .test_roles import ID_OF, both_doors, named_by_token, page_requests

__all__ = ["both_doors", "people"]

# What the other organization is made of: in no answer there may be a word of it.
WORDS = ("bravo", "Bruno")


@dataclass
class Two:
    """Two organizations, of which the other one has something of everything.

    :param ids: Of what is the other's, by parameter of a path.
    :param callers: Credentials of those who must not see it, by who they are.
    """

    client: FlaskClient
    mine: str
    other: str
    ids: dict[str, str]
    dag_id: str
    callers: dict[str, dict[str, str]]


@pytest.fixture
def two(both_doors: Flask, world: World, people: People, monkeypatch: pytest.MonkeyPatch) -> Two:
    monkeypatch.setattr(airflow_users, "everyone_is_admin", lambda: False)
    monkeypatch.setattr(airflow_users, "public_host", lambda: "localhost")
    monkeypatch.setattr(airflow_users, "user_from_token", named_by_token)
    monkeypatch.setenv("AIRFLOW__DAGCTL__DEFAULT_ROLE", "")
    mine = system_actor(world.organization_id, "cli:root")
    members.add_member(mine, Person("id-ada", "ada"), "owner")
    world.project("alpha")
    bravo = World(organizations.ensure_organization("bravo inc"))
    root = system_actor(bravo.organization_id, "cli:root")
    bruno = members.add_member(root, Person("id-bruno", "Bruno", "bruno@bravo.example"), "owner")
    project = bravo.project("bravo shop", description="bravo secret")
    step = bravo.explained(project)
    note = {"commit_message": "bravo change", "commit_author": "Bruno"}
    transactions.run(lambda session: plan_rows.note_step(session, step.id, **note))
    job = jobs.create_job(bravo.actor(), project.id, {"name": "bravo job", "command": "run", "schedule": None})
    ids = {
        "jobId": job.job.id,
        "id": project.id,
        "planId": step.id,
        "runId": recorded(project, ("bravo.orders", 0, 5, "success"), command="bravo run", job_id=job.job.id).id,
        "planGroupId": step.group_id,
        "userId": bruno.user.id,
        "invitationId": invitations.invite(bravo.actor(name="Bruno"), "eve@bravo.example", "reader").invitation.id,
        "tokenId": tokens.create(root, "bravo token", "reader").token.id,
        "variableName": variables.create_variable(bravo.actor(), {"name": "BRAVO_TOKEN", "value": "bravo secret"}).variable.name,
        "protectionId": protections.create_protection(bravo.actor(), {"environment_name": "prod"}).protection.id,
    }
    # Of the other organization, and yet not to see its first project.
    delta = bravo.project("delta")
    limited = tokens.create(root, "limited", "owner", project_ids=[delta.id]).secret
    callers = {
        "a member of another organization": {"Authorization": "Bearer ada.b.c"},
        "a member who names the organization": {"Authorization": "Bearer ada.b.c", "X-Organization-ID": bravo.organization_id},
        "a member with its cookie": {"Cookie": f"_token=ada.b.c; dagctl_organization={bravo.organization_id}"},
        "a token of another organization": {
            "Authorization": f"Bearer {tokens.create(mine, 'own', 'owner').secret}",
            "X-Organization-ID": world.organization_id,
        },
        "a token that names the organization": {
            "Authorization": f"Bearer {tokens.create(mine, 'own', 'owner').secret}",
            "X-Organization-ID": bravo.organization_id,
        },
        "somebody without membership": {"Authorization": "Bearer nina.b.c"},
        "somebody without membership who names it": {
            "Authorization": "Bearer nina.b.c",
            "X-Organization-ID": bravo.organization_id,
        },
        "a token of it that is limited to another project": {
            "Authorization": f"Bearer {limited}",
            "X-Organization-ID": bravo.organization_id,
        },
    }
    return Two(
        both_doors.test_client(use_cookies=False), world.organization_id, bravo.organization_id, ids, project.dag_id, callers
    )


def everything_of(organization_id: str) -> list[str]:
    """All rows of an organization but for when its tokens were used."""

    def work(session: Any) -> list[str]:
        found = []
        projects = select(tables.project.c.id).where(tables.project.c.organization_id == organization_id)
        for table in tables.metadata.sorted_tables:
            if "organization_id" in table.c:
                theirs = table.c.organization_id == organization_id
            elif "project_id" in table.c:
                theirs = table.c.project_id.in_(projects)
            else:
                continue
            columns = [column for column in table.c if column.name != "last_used_at"]
            rows = session.execute(select(*columns).where(theirs))
            found += [f"{table.name} {tuple(row)}" for row in rows]
        return sorted(found)

    return transactions.run(work)


def leaks(two: Two, who: str, asked: str, answer: Any, *, with_ids: bool) -> Iterator[str]:
    """What an answer tells that it must not."""
    text = answer.get_data(as_text=True)
    limited = who.startswith("a token of it")
    # The limited token knows whose it is, and its own project is a project of that organization.
    known = [word for word in WORDS if word in text.replace("bravo inc", "") or (word in text and not limited)]
    if answer.status_code == 302 and "/auth/login?" in answer.headers["Location"]:
        # The way to sign in and back to the address that was asked for.
        return
    if known:
        yield f"{who}: {asked}: {known}"
    if with_ids and answer.status_code not in (401, 403, 404):
        yield f"{who}: {asked}: {answer.status_code}"
    if not with_ids:
        # An error names the id that was sent; what was not sent is not named.
        yield from (f"{who}: {asked}: {name}" for name, identifier in two.ids.items() if identifier in text)
    if answer.status_code >= 500:
        yield f"{who}: {asked}: {answer.status_code}"


def walk(two: Two, requests: list[tuple[str, str, dict[str, Any], bool]], send: Callable[..., Any]) -> list[str]:
    """All requests by all callers: what leaks, and whether something of the other organization is another than before."""
    found = []
    for who, headers in two.callers.items():
        before = everything_of(two.other)
        for method, path, sent, with_ids in requests:
            if who.startswith("a token of it") and not with_ids and method != "GET":
                # What it may make is its own.
                continue
            answer = send(path, method=method, headers={**headers, "Sec-Fetch-Site": "same-origin"}, **sent)
            found += leaks(two, who, f"{method} {path}", answer, with_ids=with_ids)
        if everything_of(two.other) != before:
            found.append(f"{who} changed something")
    return found


def test_no_operation_tells_or_changes_anything(two: Two) -> None:
    requests: list[tuple[str, str, dict[str, Any], bool]] = []
    for operation in OPERATIONS:
        path = "/api/v1" + re.sub(r"{(\w+)}", lambda place: two.ids[place[1]], operation.path)
        body = next(iter(operation.body_examples.values()), {})
        sent = {"json": body} if operation.method in ("POST", "PUT") else {}
        requests.append((operation.method, path, sent, "{" in operation.path))
    assert walk(two, requests, two.client.open) == []


def test_the_walk_would_notice(two: Two) -> None:
    two.callers = {"a member of it": {"Authorization": "Bearer bruno.b.c", "X-Organization-ID": two.other}}
    requests = [(one.method, one.path, "{" in one.path) for one in OPERATIONS if one.method == "GET" and one.permission]
    filled = [
        (method, "/api/v1" + re.sub(r"{(\w+)}", lambda place: two.ids[place[1]], path), {}, with_ids)
        for method, path, with_ids in requests
    ]
    noticed = "\n".join(walk(two, filled, two.client.open))
    assert all(path in noticed for _, path, _, _ in filled if not re.search("runs|pending|check", path)), noticed


def test_no_page_tells_or_changes_anything(two: Two, both_doors: Flask) -> None:
    requests: list[tuple[str, str, dict[str, Any], bool]] = []
    for request in page_requests(both_doors):
        method, path = request.split(" ")
        if path.startswith(("/static/", "/invitations/")):
            continue
        words = path.split("/")
        for number, word in enumerate(words):
            if word == "{id}":
                words[number] = two.ids[ID_OF[words[number - 1]]]
        address = "/dagctl" + "/".join(words).replace("{dag}", two.dag_id).replace("{run}", two.ids["planGroupId"])
        form = {"step": two.ids["planId"], "role": "reader", "organization_id": two.other, "typed_name": "bravo shop"}
        sent = {"data": form} if method == "POST" else {}
        # The page of a run says only that it is no plan.
        requests.append((method, address, sent, "{" in path and "{dag}" not in path))
    requests += [
        ("GET", "/dagctl/projects?search=bravo%20shop", {}, False),
        ("GET", "/dagctl/plans?search=change", {}, False),
        ("GET", f"/dagctl/plans/{two.ids['planId']}/diff?model=shop.orders", {}, True),
        ("GET", f"/dagctl/projects/{two.ids['id']}/model?name=bravo.orders", {}, True),
    ]
    assert [row for row in walk(two, requests, two.client.open) if "search=bravo" not in row] == []


def test_no_stream_tells_of_it(two: Two) -> None:
    before = live.take_picture()
    mine = before.version(two.mine)
    transactions.run(lambda session: plan_rows.note_step(session, two.ids["planId"], status="running"))
    after = live.take_picture(before)
    assert live.changes(before, after, two.other)
    assert not live.changes(before, after, two.mine)
    assert after.version(two.mine) == mine


def test_no_stream_tells_of_its_runs(two: Two) -> None:
    before = live.take_picture()
    mine = before.version(two.mine)
    transactions.run(lambda session: execution_rows.change_execution(session, two.ids["runId"], status="running"))
    after = live.take_picture(before)
    assert live.changes(before, after, two.other).projects == {two.ids["id"]}
    assert not live.changes(before, after, two.mine)
    assert after.version(two.mine) == mine


@pytest.mark.usefixtures("two")
def test_streams_are_for_members(people: People) -> None:
    from dagctl_provider.domain.errors import DagctlError
    from dagctl_provider.ui import live as streams

    both = [row[0] for row in organizations.list_organizations()]
    assert len(both) >= 2
    ada = streams._actor("ada.b.c", None)
    for preferred in (*both, "org-nothing"):
        assert streams._actor("ada.b.c", preferred).organization_id == ada.organization_id
    with pytest.raises(DagctlError) as refused:
        streams._actor("nina.b.c", both[0])
    assert refused.value.code == "forbidden"
