"""Clients that misbehave, on real sockets against the web server that Airflow uses; the long siege is ``benchmarks/siege.py``."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.routing import Mount

from dagctl_provider.api.gate import Gate
from dagctl_provider.api.registry import CONTRACTS
from tests.waiting import wait_for

from .test_gate import flask

pytestmark = pytest.mark.slow

Connect = Callable[[], socket.socket]


async def _as_airflow_does(request: Any, call_next: Any) -> Any:
    return await call_next(request)


@pytest.fixture(scope="module")
def connect() -> Iterator[Connect]:
    """Opens connections to a server with the gate, behind a middleware of the kind of Airflow's."""
    patch = pytest.MonkeyPatch()
    patch.setenv("AIRFLOW__DAGCTL__BODY_TIMEOUT", "1")
    airflow = FastAPI()
    airflow.router.routes.append(Mount("/pluginsv2", type("Bridge", (), {"app": staticmethod(flask)})()))
    airflow.get("/health")(lambda: {"healthy": True})
    airflow.add_middleware(Gate, contracts=CONTRACTS, others=("/dagctl",))
    airflow.add_middleware(BaseHTTPMiddleware, dispatch=_as_airflow_does)
    server = uvicorn.Server(uvicorn.Config(airflow, port=0, log_level="error", lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    wait_for("the server", lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield lambda: socket.create_connection(("127.0.0.1", port), timeout=30)
    server.should_exit = server.force_exit = True
    thread.join(30)
    patch.undo()


def head(method: str, path: str, *lines: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: x", *lines, "", ""]).encode()


def everything(connection: socket.socket) -> bytes:
    """What comes until the end of the connection."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def read(connection: socket.socket) -> tuple[int, dict[str, str], Any]:
    """Status, headers and decoded body of an answer."""
    first, _, rest = everything(connection).partition(b"\r\n")
    lines, _, body = rest.partition(b"\r\n\r\n")
    headers = dict(line.decode().lower().split(": ", 1) for line in lines.split(b"\r\n"))
    return int(first.split()[1]), headers, json.loads(body)


@pytest.mark.parametrize("path", ["/api/v1/projects", "/pluginsv2/nothing", "/dagctl/events"])
@pytest.mark.parametrize("chunked", [True, False])
def test_who_goes_on_sending_is_answered_and_cut_off(connect: Connect, path: str, chunked: bool) -> None:
    piece = b"x" * 65536
    sent = 0
    with closing(connect()) as connection:
        announced = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {10**10}"
        connection.sendall(head("POST", path, announced))
        with suppress(OSError):
            while sent < 2**30:
                connection.sendall(b"10000\r\n" + piece + b"\r\n" if chunked else piece)
                sent += len(piece)
        assert sent < 64 * 2**20


def test_who_waits_for_the_word_to_send_hears_no_before(connect: Connect) -> None:
    with closing(connect()) as connection:
        connection.sendall(head("POST", "/api/v1/projects", "Expect: 100-continue", "Content-Length: 9000000"))
        status, headers, problem = read(connection)
    assert (status, problem["code"], headers["connection"]) == (413, "payload_too_large", "close")


def test_who_sends_a_little_at_a_time_is_told_and_cut_off(connect: Connect) -> None:
    with closing(connect()) as connection:
        connection.sendall(head("POST", "/api/v1/projects", "Content-Length: 1000") + b"{")
        status, headers, problem = read(connection)
    assert (status, problem["code"], headers["connection"]) == (408, "request_timeout", "close")


def test_others_are_served_while_many_send_nothing(connect: Connect) -> None:
    slow = [connect() for _ in range(200)]
    try:
        for number, connection in enumerate(slow):
            connection.sendall(head("POST", "/api/v1/projects", "Content-Length: 1000")[: -2 if number % 2 else None])
        for path in ("/health", "/api/v1/projects", "/pluginsv2/dagctl/projects"):
            with closing(connect()) as connection:
                connection.sendall(head("GET", path, "Connection: close"))
                assert everything(connection).startswith(b"HTTP/1.1 200 OK")
    finally:
        for connection in slow:
            connection.close()


def test_one_connection_serves_one_request_after_the_other(connect: Connect) -> None:
    body = b'{"a": 1}'
    request = head("POST", "/api/v1/projects", f"Content-Length: {len(body)}") + body
    with closing(connect()) as connection:
        connection.sendall(request * 2 + head("GET", "/api/v1/projects", "Connection: close"))
        data = everything(connection)
    assert data.count(b"HTTP/1.1 200 OK") == 3
    assert data.count(b'"body": 8') == 2
