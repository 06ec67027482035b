"""The entrance to all paths of this package: how much is read, how long, and what becomes of those who send more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.routing import Mount

from dagctl_provider.api import bridge, gate
from dagctl_provider.api.gate import Gate
from dagctl_provider.api.registry import CONTRACTS

MIB = 2**20
OURS = ("/api/v1/projects", "/pluginsv2/api/v1/projects", "/pluginsv2/dagctl/projects", "/pluginsv2/other", "/dagctl/events")

AIRFLOWS = ("/api/v2/dags", "/api/v1x", "/ui/x", "/execution/x", "/auth/token", "/", "/dagctlx", "/pluginsv2x")


def flask(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Stands in for the Flask app: says what it got."""
    body = environ["wsgi.input"].read()
    told = {"root": environ["SCRIPT_NAME"], "path": environ["PATH_INFO"], "query": environ["QUERY_STRING"], "body": len(body)}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(told).encode()]


class Airflow:
    """What stands behind the gate: notes what comes through, and reads it as Airflow's bridge does."""

    def __init__(self, root: str = "") -> None:
        self.seen: list[tuple[str, int]] = []
        self.app = FastAPI(root_path=root)
        self.app.router.routes.append(Mount("/pluginsv2", type("Bridge", (), {"app": staticmethod(flask)})()))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        length, more = 0, True
        while more:
            message = await receive()
            length, more = length + len(message.get("body", b"")), message.get("more_body", False)
        self.seen.append((scope["path"], length))
        await send({"type": "http.response.start", "status": 299, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})


class Asked:
    """One request.

    :param body: Pieces of the body; ``None`` is a client that sends no more and stays.
    """

    def __init__(self, airflow: Airflow, body: Iterable[bytes | None] = (), root: str = "") -> None:
        self.gate = Gate(airflow, CONTRACTS, ("/dagctl",))
        self.airflow, self.root = airflow, root
        self.left = list(body)
        self.read = 0
        self.sent: list[Any] = []

    async def receive(self) -> Any:
        if self.left:
            piece = self.left.pop(0)
            if piece is None:
                await asyncio.Event().wait()
            self.read += len(piece or b"")
            return {"type": "http.request", "body": piece, "more_body": bool(self.left)}
        if not self.sent:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)

    def ask(self, path: str, method: str = "POST", query: bytes = b"", **headers: str) -> Any:
        """The status, the headers and the decoded body of the answer."""
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": self.root + path,
            "root_path": self.root,
            "query_string": query,
        }
        asyncio.run(
            self.gate({**scope, "headers": pairs, "http_version": "1.1", "app": self.airflow.app}, self.receive, self.send)
        )
        start, *parts = self.sent
        body = b"".join(part["body"] for part in parts)
        assert not parts[-1].get("more_body", False), "the answer ends"
        return start["status"], {name.decode(): value.decode() for name, value in start["headers"]}, json.loads(body)


@pytest.fixture
def airflow() -> Airflow:
    return Airflow()


@pytest.mark.parametrize("path", OURS)
def test_an_announced_body_that_is_too_large_is_not_read(airflow: Airflow, path: str) -> None:
    asked = Asked(airflow, [b"x" * MIB] * 300)
    status, headers, problem = asked.ask(path, content_length=str(300 * MIB))
    assert (status, problem["code"], headers["connection"]) == (413, "payload_too_large", "close")
    assert headers["content-type"] == "application/problem+json"
    assert problem["instance"] == path
    assert asked.read <= gate.LINGER_BYTES + MIB
    assert airflow.seen == []


@pytest.mark.parametrize("path", OURS)
def test_a_body_in_chunks_is_read_up_to_the_limit(airflow: Airflow, path: str) -> None:
    asked = Asked(airflow, [b"x" * 65536] * 1000)
    status, headers, problem = asked.ask(path, transfer_encoding="chunked")
    assert (status, problem["code"], headers["connection"]) == (413, "payload_too_large", "close")
    assert asked.read <= MIB + gate.LINGER_BYTES + 2 * 65536
    assert asked.gate._held == gate.Held(), "nothing of it is kept"


@pytest.mark.parametrize("path", OURS)
def test_a_body_that_does_not_come_is_not_waited_for(airflow: Airflow, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__BODY_TIMEOUT", "0.05")
    status, headers, problem = Asked(airflow, [b"{", None]).ask(path, content_length="1000")
    assert (status, problem["code"], headers["connection"]) == (408, "request_timeout", "close")
    assert airflow.seen == []


@pytest.mark.parametrize(
    "path", ["/api/v2/dags", "/api/v1x", "/ui/x", "/execution/x", "/auth/token", "/", "/dagctlx", "/pluginsv2x"]
)
def test_airflows_own_paths_pass_untouched(airflow: Airflow, path: str) -> None:
    status, _, _ = Asked(airflow, [b"x" * MIB] * 3).ask(path, content_length=str(3 * MIB))
    assert (status, airflow.seen) == (299, [(path, 3 * MIB)])


@pytest.mark.parametrize("headers", [{"content_length": "200000"}, {"transfer_encoding": "chunked"}])
def test_what_belongs_to_others_goes_on_to_airflow_as_a_whole(airflow: Airflow, headers: dict[str, str]) -> None:
    status, _, _ = Asked(airflow, [b"x" * 100_000] * 2).ask("/pluginsv2/other", **headers)
    assert (status, airflow.seen) == (299, [("/pluginsv2/other", 200_000)])


@pytest.mark.parametrize("root", ["", "/airflow"])
@pytest.mark.parametrize(
    ("path", "flask_root"),
    [("/api/v1/projects", ""), ("/pluginsv2/api/v1/projects", "/pluginsv2"), ("/pluginsv2/dagctl/projects", "/pluginsv2")],
)
def test_what_is_ours_is_served_here(root: str, path: str, flask_root: str) -> None:
    asked = Asked(Airflow(root), [b"ab", b"c"], root)
    status, _, told = asked.ask(path, transfer_encoding="chunked")
    assert (status, told["root"], told["body"]) == (200, root + flask_root, 3)
    assert told["path"] == path.removeprefix(flask_root)
    assert asked.airflow.seen == []


@pytest.mark.parametrize("path", ["/api/v1/a\nb", "/api/v1/\n", "/pluginsv2/api/v1/\r\n", "/pluginsv2/dagctl/a\nb"])
def test_a_line_break_in_a_path_is_no_way_around(airflow: Airflow, path: str) -> None:
    assert Asked(airflow).ask(path, "GET")[0] == 200
    assert airflow.seen == []


@pytest.mark.parametrize("query", [b"a=\xff\xfe", b"a=%ff", "a=ü".encode(), b"a=1&b[]=2"])
def test_any_bytes_may_stand_in_a_query(airflow: Airflow, query: bytes) -> None:
    status, _, told = Asked(airflow).ask("/api/v1/projects", "GET", query)
    assert status == 200
    assert told["query"].isascii()
    assert told["query"] == query.decode("latin1") or not query.isascii()


def test_who_adopts_may_send_a_manifest(airflow: Airflow) -> None:
    for path in (
        "/api/v1/projects/proj_1/adopt",
        "/pluginsv2/api/v1/projects/proj_1/adopt",
        "/pluginsv2/dagctl/projects/p/adopt",
    ):
        status, _, told = Asked(airflow, [b"x" * MIB] * 30).ask(path, content_length=str(30 * MIB))
        assert (status, told["body"]) == (200, 30 * MIB)
    status, _, problem = Asked(airflow).ask("/api/v1/projects/proj_1/adopt", content_length=str(40 * MIB))
    assert (status, problem["detail"]) == (413, "The request body is larger than 32 MiB.")


def test_all_bodies_together_are_limited(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(airflow, [b"x" * 100_000])
    asked.gate._held.memory = gate.MEMORY
    status, headers, problem = asked.ask("/api/v1/projects", content_length="100000")
    assert (status, problem["code"], headers["retry-after"]) == (503, "server_busy", str(gate.RETRY_SECONDS))
    assert asked.gate._held.memory == gate.MEMORY
    small = Asked(airflow, [b"x" * 1000])
    small.gate._held.memory = gate.MEMORY
    assert small.ask("/api/v1/projects", content_length="1000")[0] == 200, "who sends little is never turned away"


def test_more_than_can_wait_for_a_thread_are_told_to_come_back(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "QUEUE", -1000)
    status, headers, problem = Asked(airflow).ask("/api/v1/projects", "GET")
    assert (status, problem["code"], headers["retry-after"]) == (503, "server_busy", str(bridge.RETRY_SECONDS))


def test_a_client_that_does_not_read_its_answer_holds_no_thread(airflow: Airflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridge, "SEND_SECONDS", 0.05)
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    answer = bridge.Answer(200, [], b"x" * 200_000)
    wait: Callable[[Awaitable[Any]], Any] = asyncio.run
    wait(bridge.send_answer(send, answer))
    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
