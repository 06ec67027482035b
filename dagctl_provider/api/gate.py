"""The one entrance to every path that is there because this package is installed, before anything of Airflow's.

Airflow reads whole bodies on its event loop for what stands below ``/pluginsv2``, and a request that waits for its body must hold
no thread. So bodies are read here: as much as the path takes, as long as is waited for it, before anybody is asked who sends it.
What is ours is then served by the :mod:`bridge <dagctl_provider.api.bridge>`; other plugins' paths below ``/pluginsv2`` go on to
Airflow with a body that is there. Airflow's own paths pass untouched.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from urllib.parse import quote

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dagctl_provider.api import problems
from dagctl_provider.api.bridge import Answer, Bridge, send_answer
from dagctl_provider.api.contracts import Contract
from dagctl_provider.api.requests import too_large
from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import FLASK_PREFIX, PAGES

IN_MEMORY = 128 * 1024
"""Bytes of one body that are kept in memory; the rest goes to a temporary file."""

MEMORY = 24 * 2**20
DISK = 256 * 2**20
"""Bytes of all bodies together, in memory and in files, that are kept at a time."""

ALWAYS = 4096
"""Bytes of a body that are taken in any case, so that those who send much keep nobody from sending little."""

LINGER_SECONDS = 2.0
LINGER_BYTES = 4 * 2**20
"""How long and how much is still read, and thrown away, from a client that was refused: who is cut off while sending may never
see the answer."""

RETRY_SECONDS = 5
_UPLOADS = re.compile(re.escape(PAGES) + r"/projects/[^/]+/adopt")
_UPLOAD_BYTES = 33 * 2**20


@dataclass
class Held:
    """How much of all bodies together is kept at this moment."""

    memory: int = 0
    disk: int = 0


@dataclass
class Kept:
    """A body as far as it has come.

    :param held: Where it is counted.
    :param taken: Whether the server was asked for it, which it is only once.
    """

    held: Held
    file: SpooledTemporaryFile[bytes] = field(default_factory=partial(SpooledTemporaryFile, max_size=IN_MEMORY))
    length: int = 0
    taken: bool = False

    def add(self, chunk: bytes) -> None:
        """Keep some more.

        :raises DagctlError: ``server_busy`` when too much is kept already.
        """
        before, self.length = self.length, self.length + len(chunk)
        self.held.memory += min(self.length, IN_MEMORY) - min(before, IN_MEMORY)
        self.held.disk += max(self.length - IN_MEMORY, 0) - max(before - IN_MEMORY, 0)
        if self.length > ALWAYS and (self.held.memory > MEMORY or self.held.disk > DISK):
            raise DagctlError("server_busy", "Too many bodies are being received.", retry_after=RETRY_SECONDS)
        self.file.write(chunk)

    def forget(self) -> None:
        """Keep nothing any more."""
        self.held.memory -= min(self.length, IN_MEMORY)
        self.held.disk -= max(self.length - IN_MEMORY, 0)
        self.file.close()


class Gate:
    """The middleware.

    :param app: What comes behind it: Airflow.
    :param contracts: The REST contracts that are served.
    :param others: Paths of further apps of this package, which answer themselves.
    """

    def __init__(self, app: ASGIApp, contracts: Sequence[Contract], others: Sequence[str] = ()) -> None:
        self._app = app
        self._contracts = contracts
        self._prefixes = (FLASK_PREFIX, *(contract.prefix for contract in contracts), *others)
        self._large = [
            (operation.method, re.compile(_pattern(contract.prefix + operation.path)), operation.body_limit)
            for contract in contracts
            for operation in contract.operations
        ]
        # Airflow looks for a setting in many places, and reads its configuration once per process anyhow.
        self._usual, self._seconds = int(setting("body_limit")), float(setting("body_timeout"))
        self._held = Held()
        self._bridges: dict[int, Bridge] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = _path(scope) if scope["type"] == "http" else None
        if path is None or not any(_is_below(path, prefix) for prefix in self._prefixes):
            await self._app(scope, receive, send)
            return
        kept = Kept(self._held)
        try:
            await self._let_in(path, kept, scope, receive, send)
        finally:
            kept.forget()

    async def _let_in(self, path: str, kept: Kept, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._read(path, kept, scope, receive)
        except DagctlError as error:
            await self._refuse(error, path, scope, receive, send)
            return
        kept.file.seek(0)
        root = self._root_of_flask(path, scope)
        if root is None:
            await self._app(scope, _replaying(kept.file, receive) if kept.taken else receive, send)
            return
        try:
            bridge = self._bridge(scope["app"])
            answer = await bridge.answer({**scope, "root_path": root}, cast("BinaryIO", kept.file), kept.length)
        except DagctlError as error:
            answer = self._refusal(error, path, scope)
        await send_answer(send, answer)

    async def _read(self, path: str, kept: Kept, scope: Scope, receive: Receive) -> None:
        """Read the body, if there is one.

        :raises DagctlError: ``payload_too_large``, ``request_timeout``, ``server_busy``.
        """
        headers = _headers(scope)
        announced = headers.get(b"content-length", b"")
        if scope["http_version"] in ("1.0", "1.1") and announced in (b"", b"0") and b"transfer-encoding" not in headers:
            return
        limit = self._limit(scope["method"], path)
        if announced.isdigit() and int(announced[:20]) > limit:
            raise too_large(limit)
        kept.taken = True
        try:
            await asyncio.wait_for(_collect(kept, limit, receive), self._seconds)
        except asyncio.TimeoutError:
            raise DagctlError("request_timeout", f"The body was not there after {self._seconds:g} seconds.") from None

    def _limit(self, method: str, path: str) -> int:
        """Most bytes of a body."""
        if _UPLOADS.fullmatch(path):
            return max(self._usual, _UPLOAD_BYTES)
        below = path.removeprefix(FLASK_PREFIX)
        own = next((most for verb, pattern, most in self._large if verb == method and pattern.fullmatch(below)), 0)
        return own if own > 2**20 else self._usual

    def _root_of_flask(self, path: str, scope: Scope) -> str | None:
        """What the Flask app stands at, for paths that are served here."""
        root: str = scope.get("root_path", "")
        if _is_below(path, PAGES):
            return root + FLASK_PREFIX
        for contract in self._contracts:
            if _is_below(path, FLASK_PREFIX + contract.prefix):
                return root + FLASK_PREFIX
            if _is_below(path, contract.prefix):
                return root
        return None

    def _bridge(self, airflow: Starlette) -> Bridge:
        """The way into Flask, made once: Airflow mounts Flask after it has made its middlewares."""
        if id(airflow) not in self._bridges:
            mount = next(route for route in airflow.routes if isinstance(route, Mount) and route.path == FLASK_PREFIX)
            # What Airflow mounted there is its own bridge, and that has the Flask app.
            self._bridges[id(airflow)] = Bridge(mount.app.app)  # type: ignore[attr-defined]
        return self._bridges[id(airflow)]

    async def _refuse(self, error: DagctlError, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer before the body was read, and close the connection: what else comes over it is no request."""
        answer = self._refusal(error, path, scope)
        headers = [*answer.headers, (b"connection", b"close")]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        if error.code != "request_timeout":
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(_discard(receive), LINGER_SECONDS)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _refusal(self, error: DagctlError, path: str, scope: Scope) -> Answer:
        """The answer for an error that nobody else has heard of, in the words of the contract whose path it is."""
        below = path.removeprefix(FLASK_PREFIX)
        found = (contract.refusals for contract in self._contracts if _is_below(below, contract.prefix))
        refusals = next(found, problems.PROBLEMS)
        document = refusals.document(error, quote(scope["path"]))
        body = json.dumps(document, default=str).encode()
        headers = {
            "content-type": refusals.media_type,
            "content-length": str(len(body)),
            "cache-control": "no-store",
            **problems.headers_of(error),
        }
        return Answer(error.kind.status, [(name.lower().encode(), value.encode()) for name, value in headers.items()], body)


def _path(scope: Scope) -> str:
    """The path below the root that Airflow is served at."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and _is_below(path, root) else path


def _is_below(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def _pattern(path: str) -> str:
    """``/plans/{planId}`` as a regular expression."""
    return re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))


def _headers(scope: Scope) -> Mapping[bytes, bytes]:
    return dict(scope["headers"])


async def _collect(kept: Kept, limit: int, receive: Receive) -> None:
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise DagctlError("request_timeout", "The connection ended before the body did.")
        kept.add(message.get("body", b""))
        if kept.length > limit:
            raise too_large(limit)
        if not message.get("more_body", False):
            return


async def _discard(receive: Receive) -> None:
    left = LINGER_BYTES
    while left > 0:
        message = await receive()
        left -= len(message.get("body", b""))
        if message["type"] == "http.disconnect" or not message.get("more_body", False):
            return


def _replaying(file: SpooledTemporaryFile[bytes], receive: Receive) -> Receive:
    """Gives the body that was read already, then what else the server has to say."""
    ended = False

    async def replay() -> Message:
        nonlocal ended
        if ended:
            return await receive()
        piece = file.read(IN_MEMORY)
        ended = len(piece) < IN_MEMORY
        return {"type": "http.request", "body": piece, "more_body": not ended}

    return replay
