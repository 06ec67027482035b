"""Both addresses on a real Airflow API server, under both auth managers, with and without a path of Airflow's own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .airflow_server import ROOTS

pytestmark = pytest.mark.slow

PROGRAM = Path(__file__).with_name("airflow_server.py")
KINDS = ("simple", "fab")
DOORS = ("/api/v1", "/pluginsv2/api/v1")


@pytest.fixture(scope="module")
def reports() -> dict[str, Any]:
    """What the servers answered; both are asked at the same time."""
    running = {
        kind: subprocess.Popen(
            [sys.executable, "-W", "ignore", str(PROGRAM), kind], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for kind in KINDS
    }
    found = {}
    for kind, process in running.items():
        output, errors = process.communicate(timeout=240)
        lines = [line for line in output.splitlines() if line.startswith("REPORT")]
        assert lines, errors[-4000:]
        found[kind] = json.loads(lines[0].removeprefix("REPORT"))
    return found


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("kind", KINDS)
class TestDoors:
    @pytest.fixture
    def answers(self, kind: str, door: str, reports: dict[str, Any]) -> dict[str, Any]:
        return reports[kind][door]

    @pytest.mark.parametrize(
        ("name", "status", "code"),
        [
            ("unknown", 404, "not_found"),
            ("root", 404, "not_found"),
            ("slash", 404, "not_found"),
            ("wrong method", 405, "method_not_allowed"),
            ("odd method", 405, "method_not_allowed"),
            ("anonymous", 401, "unauthenticated"),
            ("token", 200, None),
            ("token writes", 200, None),
            ("chunked", 200, None),
            ("chunked wrong", 422, "invalid_request"),
            ("chunked large", 413, "payload_too_large"),
            ("large", 413, "payload_too_large"),
            ("line break", 404, "not_found"),
            ("any bytes", 422, "invalid_request"),
            ("admin reads", 200, None),
            ("admin approves", 200, None),
            ("admin manages", 200, None),
            ("reader reads", 200, None),
            ("reader approves", 403, "forbidden"),
            ("reader manages", 403, "forbidden"),
            ("session reads", 200, None),
            ("session writes", 403, "cross_site_request"),
            ("session writes from own page", 200, None),
            ("session writes from foreign page", 403, "cross_site_request"),
            ("session writes by script", 200, None),
            ("forged", 401, "unauthenticated"),
            ("expired", 401, "unauthenticated"),
            ("expired session", 401, "unauthenticated"),
            ("foreign organization", 404, "not_found"),
        ],
    )
    def test_answer(self, answers, name, status, code):
        answer = answers[name]
        assert (answer["status"], answer["code"]) == (status, code)
        assert answer["type"] == ("application/json" if status < 300 else "application/problem+json")

    def test_addresses_are_told_as_the_client_sees_them(self, answers, kind, door):
        assert answers["document"]["servers"] == [{"url": (ROOTS[kind] + door.removesuffix("/api/v1")) or "/"}]
        assert answers["unknown"]["instance"] == f"{ROOTS[kind]}{door}/nothing/here"

    def test_possible_methods(self, answers):
        assert answers["wrong method"]["allow"] == "GET, HEAD, OPTIONS, POST"


@pytest.mark.parametrize("kind", KINDS)
def test_whoever_is_no_admin_of_airflow_reads_whatever_they_may_there(kind, reports):
    answers = reports[kind]["/api/v1"]
    assert [answers[f"member {what}"]["status"] for what in ("reads", "approves", "manages")] == [200, 403, 403]


def test_who_may_not_read_the_view_does_not_come_in(reports):
    answers = reports["fab"]["/api/v1"]
    assert [answers[f"stranger {what}"]["status"] for what in ("reads", "approves", "manages")] == [403, 403, 403]


@pytest.mark.parametrize("key", ["looked up", "looked up without server loop"])
def test_people_by_id(key, reports):
    # SimpleAuthManager knows no addresses.
    assert {name: reports["simple"][key][name] for name in ("admin", "member", "reader")} == {
        "admin": ["owner", None],
        "member": ["reader", None],
        "reader": ["reader", None],
    }
    assert {name: reports["fab"][key][name] for name in ("admin", "member", "reader")} == {
        "admin": ["owner", "admin@example.org"],
        "member": ["reader", "member@example.org"],
        "reader": ["reader", "reader@example.org"],
    }
    for kind in KINDS:
        assert reports[kind][key]["nobody"] is reports[kind][key]["nonsense"] is None


def test_people_by_name_at_the_command_line(reports):
    nobody = {"4711": None, "x" * 300: None}
    assert reports["simple"]["found"] == {"admin": ["admin", None], "reader": ["reader", None], **nobody}
    assert reports["fab"]["found"] == {
        "admin": ["admin", "admin@example.org"],
        "reader": ["reader", "reader@example.org"],
        **nobody,
    }


def test_the_controller_lives_as_long_as_the_server(reports):
    assert reports["simple"]["controller"] == reports["fab"]["controller"] == ["started", "stopped"]


def test_fab_offers_the_right_to_come_in(reports):
    assert reports["fab"]["permissions"] == ["can_read"], "the role here decides the rest"


@pytest.mark.parametrize("kind", KINDS)
class TestPages:
    """The pages and the stream of events, on the same servers."""

    def test_without_a_session_one_signs_in_and_comes_back(self, reports, kind):
        answers, root = reports[kind]["pages"], ROOTS[kind]
        back = f"{root}/pluginsv2/dagctl/plans?status=pending".replace("/", "%2F").replace("?", "%3F").replace("=", "%3D")
        assert answers["anonymous"] == [302, f"{root}/auth/login?next={back}"]
        assert answers["login"][0] == 200
        assert answers["login"][1].endswith(f"next={back}"), "the auth manager's own page knows where to go afterwards"
        assert answers["framed"] == [401, True]
        assert answers["anonymous events"] == 401

    def test_who_sees_what(self, reports, kind):
        answers = reports[kind]["pages"]
        for name, manages in (("admin", True), ("reader", False)):
            assert [answers[f"{name} {page}"] for page in ("projects", "plans", "nothing", "runs/some_dag/some_run")] == [
                *(200, 200, 404, 200)
            ]
            assert answers[f"{name} projects/new"] == (200 if manages else 403)
            assert answers[f"{name} form"] == [200 if manages else 403, 403]
            assert answers[f"{name} frame"] == [True, manages]
            assert answers[f"{name} policy"]
            assert answers[f"{name} events"] == [200, "text/event-stream; charset=utf-8", "retry: 500"]

    def test_bodies_are_limited_wherever_something_is_there_because_of_us(self, reports, kind):
        answers = reports[kind]["pages"]
        assert answers["large"] == {
            **dict.fromkeys(("/pluginsv2/nothing", "/pluginsv2/dagctl/projects/new", "/dagctl/events", "/dagctl/x"), 413),
            # Airflow's own, which is none of our business.
            "/api/v2/nothing": 405,
        }

    def test_what_no_database_holds_is_not_there(self, reports, kind):
        assert reports[kind]["pages"]["nul"] == [404, True]

    def test_airflow_knows_their_places(self, reports, kind):
        answers = reports[kind]["pages"]
        assert answers["places"] == [
            ["dag_run", "pluginsv2/dagctl/runs/{DAG_ID}/{RUN_ID}"],
            ["nav", "pluginsv2/dagctl/projects"],
        ]
        assert answers["file"] == [200, "text/css; charset=utf-8"]
