"""Who may come in: tokens, people signed in to Airflow, and browsers that were sent by a foreign page."""

from __future__ import annotations

import asyncio
import threading

import pytest
from jwt import InvalidTokenError

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import Person
from dagctl_provider.services.outside import airflow_users

from .conftest import HEADERS, JWT, ORGANIZATION

APPROVE = "/api/v1/plans/plan_abc123/approve"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "unauthenticated"),
        ({"Authorization": "Bearer dctl_owner"}, "organization_required"),
        ({"Authorization": "Bearer dctl_owner", "X-Organization-ID": " "}, "organization_required"),
        ({"X-Organization-ID": ORGANIZATION}, "unauthenticated"),
        ({**HEADERS, "Authorization": "Bearer dctl_unknown"}, "unauthenticated"),
        ({**HEADERS, "Authorization": "Bearer dctl_own\u00e9r"}, "unauthenticated"),
        ({**HEADERS, "Authorization": "Bearer dctl_" + "x" * 9000}, "unauthenticated"),
        ({**HEADERS, "X-Organization-ID": "org-other"}, "unauthenticated"),
        ({**HEADERS, "X-Organization-ID": "org/../x"}, "unauthenticated"),
        ({**HEADERS, "Authorization": "Basic b3duZXI6eA=="}, "unauthenticated"),
        ({**HEADERS, "Authorization": "Bearer"}, "unauthenticated"),
        ({**HEADERS, "Authorization": "Bearer "}, "unauthenticated"),
        ({"Authorization": "Bearer nonsense"}, "unauthenticated"),
        ({"Authorization": "Bearer " + "x" * 9000}, "unauthenticated"),
        ({"Cookie": "_token=forged"}, "unauthenticated"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_refused(headers, code, client, person):
    response = client.get("/api/v1/projects", headers=headers)
    assert (response.status_code, response.json["code"]) == (401, code)
    assert response.headers["WWW-Authenticate"] == 'Bearer realm="dagctl"'
    assert "dctl_" not in response.json["detail"]


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_token_is_enough_for_writes_from_anywhere(scheme, client, services):
    headers = {**HEADERS, "Authorization": f"{scheme} dctl_owner", "Origin": "https://elsewhere.example"}
    assert client.post(APPROVE, headers=headers).status_code == 200
    assert services.plans.calls[0][1][0].kind == "token"


@pytest.mark.parametrize(("role", "status"), [("owner", 200), ("admin", 200), ("developer", 200), ("reader", 403)])
def test_roles_of_tokens(role, status, client, services):
    response = client.post(APPROVE, headers={**HEADERS, "Authorization": f"Bearer dctl_{role}"})
    assert response.status_code == status
    assert bool(services.plans.calls) == (status == 200)
    if status == 403:
        assert (response.json["code"], response.json["permission"]) == ("forbidden", "approve_plan")


def test_rights_are_judged_before_the_body(client):
    headers = {**HEADERS, "Authorization": "Bearer dctl_reader"}
    assert client.post("/api/v1/projects", headers=headers, data=b"{").status_code == 403


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {JWT}"}, {"Cookie": f"_token={JWT}"}])
def test_people_read(headers, client, services, person):
    assert client.get("/api/v1/projects", headers=headers).status_code == 200
    assert services.projects.calls[0][1][0].organization_id == ORGANIZATION
    assert client.get("/api/v1/projects", headers={**headers, "X-Organization-ID": ORGANIZATION}).status_code == 200
    for other in ("org-other", "not an id"):
        assert client.get("/api/v1/projects", headers={**headers, "X-Organization-ID": other}).status_code == 404


def test_the_first_credential_counts(client, services, person):
    """SimpleAuthManager without sign-in adds a credential of its own to every request."""
    client.get("/api/v1/projects", headers={**HEADERS, "Authorization": f"Bearer dctl_owner,Bearer {JWT}"})
    assert services.projects.calls[0][1][0].kind == "token"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "https://airflow.example.evil"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "none"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Origin": "http://localhost"}, 200),
        ({"Origin": "https://airflow.example"}, 200),
        ({"X-Requested-With": "XMLHttpRequest"}, 200),
        ({"X-Dagctl-Request": "1"}, 200),
    ],
    ids=str,
)
def test_writes_with_a_cookie_come_from_own_pages(headers, status, client, person):
    response = client.post(APPROVE, headers={"Cookie": f"_token={JWT}", **headers})
    assert response.status_code == status
    if status == 403:
        assert response.json["code"] == "cross_site_request"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://localhost"}, 200),
    ],
    ids=str,
)
def test_when_airflow_lets_everybody_in_foreign_pages_stay_out(headers, status, client, person):
    person["everyone"] = True
    assert client.post(APPROVE, headers={"Authorization": f"Bearer {JWT}", **headers}).status_code == status
    assert client.get("/api/v1/projects", headers={"Authorization": f"Bearer {JWT}", **headers}).status_code == 200


class AuthManager:
    """An auth manager as far as it is asked; notes the thread that judges."""

    def __init__(self) -> None:
        self.judged_in: list[int] = []
        self.asked: list[tuple[str, str]] = []
        self.refused: set[tuple[str, str]] = set()

    async def get_user_from_token(self, token: str) -> str:
        self.judged_in.append(threading.get_ident())
        if token != JWT:
            raise InvalidTokenError
        return "ann"

    def _answer(self, what: str, method: str) -> bool:
        self.asked.append((what, method))
        return (what, method) not in self.refused

    def is_authorized_dag(self, *, method: str, user: object) -> bool:
        return self._answer("dag", method)

    def is_authorized_connection(self, *, method: str, user: object) -> bool:
        return self._answer("connection", method)

    def is_authorized_variable(self, *, method: str, user: object) -> bool:
        return self._answer("variable", method)

    def is_authorized_pool(self, *, method: str, user: object) -> bool:
        return self._answer("pool", method)

    def is_authorized_configuration(self, *, method: str, user: object) -> bool:
        return self._answer("configuration", method)

    def is_authorized_custom_view(self, *, method: str, resource_name: str, user: object) -> bool:
        return self._answer(resource_name, method)


class Ann:
    email: object = None

    def get_id(self) -> object:
        return 7

    def get_name(self) -> str:
        return "Ann"


@pytest.fixture
def auth_manager(monkeypatch):
    import airflow.api_fastapi.app

    manager = AuthManager()
    monkeypatch.setattr(airflow.api_fastapi.app, "get_auth_manager", lambda: manager)
    return manager


@pytest.mark.parametrize("token", ["dot", "a.b", "a.b.c.d", "\u00e4.b.c", "x.y.z"])
def test_tokens_airflow_does_not_know(token, auth_manager):
    with pytest.raises(DagctlError) as caught:
        airflow_users.user_from_token(token)
    assert caught.value.code == "unauthenticated"


def test_credentials_are_judged_on_the_servers_loop(auth_manager):
    async def serve() -> None:
        airflow_users.answer_on(asyncio.get_running_loop())
        assert await asyncio.to_thread(airflow_users.user_from_token, JWT) == "ann"
        airflow_users.answer_on(None)

    asyncio.run(serve())
    assert auth_manager.judged_in == [threading.get_ident()]
    assert airflow_users.user_from_token(JWT) == "ann"


def test_who_may_come_in_is_two_questions_of_the_auth_manager(auth_manager):
    assert airflow_users.person_of(Ann()) == Person("7", "Ann")
    assert auth_manager.asked == [("dag", "GET"), ("dagctl", "can_read")]
    for refused in list(auth_manager.asked):
        auth_manager.refused = {refused}
        with pytest.raises(DagctlError) as caught:
            airflow_users.person_of(Ann())
        assert caught.value.code == "forbidden"


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ("Ann@Example.org", "Ann@Example.org"),
        ("ann@email.notfound", None),
        ("", None),
        ("ann", None),
        # An odd address is an address still: no invitation is for it.
        ("a@b.org,c@d.org", "a@b.org,c@d.org"),
        (None, None),
        (7, None),
    ],
)
def test_the_address_is_known_where_the_auth_manager_has_one(auth_manager, told, known):
    user = Ann()
    user.email = told
    assert airflow_users.person_of(user).email == known


@pytest.mark.parametrize("identifier", ["", "x" * 256, "a\0b"])
def test_ids_that_cannot_be_kept_are_refused(auth_manager, identifier):
    class Odd(Ann):
        def get_id(self) -> object:
            return identifier

    with pytest.raises(DagctlError, match="printable characters"):
        airflow_users.person_of(Odd())


def test_of_other_auth_managers_an_admin_holds_what_only_admins_do(auth_manager):
    assert airflow_users.is_admin(Ann())
    asked = set(auth_manager.asked)
    assert {("connection", "DELETE"), ("configuration", "PUT"), ("dagctl", "can_manage_team")} <= asked
    for refused in asked:
        auth_manager.refused = {refused}
        assert not airflow_users.is_admin(Ann()), refused


def test_an_auth_manager_that_cannot_look_up_users(auth_manager):
    assert airflow_users.user_by_id("7") is None
