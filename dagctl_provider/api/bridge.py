"""From the event loop into the Flask app and back, so that no client can hold a thread.

A thread gets a request once all of it is there, and gives the answer as a whole; what is slow about a client is waited for on the
event loop. The threads are the package's own: Airflow's, which its health check needs, stay free.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import BinaryIO, NamedTuple, cast
from urllib.parse import quote

from a2wsgi.wsgi import Body, build_environ
from a2wsgi.wsgi_typing import Environ, StartResponse, WSGIApp
from starlette.types import Scope, Send

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.services.outside import waiting

THREADS = 32
"""Requests served at once by an API server process, besides those that wait for something outside."""

QUEUE = 512
"""Requests that may wait for a thread. They are quick: whoever stands behind so many is better told to come back."""

SEND_SECONDS = 30.0
"""How long a client may take to read a piece of an answer."""

RETRY_SECONDS = 2
_PIECE = 64 * 1024


class Answer(NamedTuple):
    """A whole answer of the Flask app."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class Bridge:
    """The way into a Flask app.

    :param app: The Flask app.
    """

    def __init__(self, app: WSGIApp) -> None:
        self._app = app
        self._most = THREADS + waiting.most_waiting()
        self._executor = ThreadPoolExecutor(self._most, thread_name_prefix="dagctl")
        self._asked = 0

    async def answer(self, scope: Scope, body: BinaryIO, length: int) -> Answer:
        """Have a request answered.

        :param scope: Its ``root_path`` is what the Flask app stands at.
        :param body: The whole body.
        :param length: Bytes of it.
        :raises DagctlError: ``server_busy``.
        """
        if self._asked >= self._most + QUEUE:
            raise DagctlError("server_busy", "Too many requests wait to be served.", retry_after=RETRY_SECONDS)
        environ = _environ(scope, body, length)
        self._asked += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, copy_context().run, self._ask, environ)
        finally:
            self._asked -= 1

    def _ask(self, environ: Environ) -> Answer:
        """Runs in a thread."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
            started.append((status, headers))

        with waiting.at_a_door():
            parts: Iterable[bytes] = self._app(environ, cast("StartResponse", start_response))
            try:
                body = b"".join(parts)
            finally:
                getattr(parts, "close", lambda: None)()
        status, headers = started[-1]
        encoded = [(name.strip().lower().encode("latin1"), value.strip().encode("latin1")) for name, value in headers]
        return Answer(int(status.partition(" ")[0]), encoded, body)


def _environ(scope: Scope, body: BinaryIO, length: int) -> Environ:
    # Servers hand on whatever bytes a client sent; the environment knows only ASCII.
    query = quote(scope["query_string"], safe="/?:@!$&'()*+,;=%-._~[]{}|\\^`\"<># ")
    environ = build_environ({**scope, "query_string": query.encode()}, cast("Body", body))  # type: ignore[typeddict-item]
    # However it was announced, all of it is there.
    known = {name: value for name, value in environ.items() if name != "HTTP_TRANSFER_ENCODING"}
    return cast("Environ", {**known, "CONTENT_LENGTH": str(length), "wsgi.input_terminated": True})


async def send_answer(send: Send, answer: Answer) -> None:
    """Send an answer piece by piece. A client that does not read it is left; the server then closes the connection."""
    length = len(answer.body)
    try:
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        for start in range(0, max(length, 1), _PIECE):
            piece = answer.body[start : start + _PIECE]
            message = {"type": "http.response.body", "body": piece, "more_body": start + _PIECE < length}
            await asyncio.wait_for(send(message), SEND_SECONDS)
    except asyncio.TimeoutError:
        return
