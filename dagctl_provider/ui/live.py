"""Tells open pages that something changed, while it changes: server-sent events.

A stream is open for long, and the pages' Flask app has one thread for each request, so streams live in an app of their own on
Airflow's event loop. However many listen, each process looks at the database at one pace, and only while somebody listens.
An event names what changed; the page then asks for itself again, with all checks. Where no stream comes through, pages ask for
the version instead.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.concurrency import run_in_threadpool

from dagctl_provider.api.authentication import chosen_before
from dagctl_provider.api.limits import AtOnce, identity, release_session
from dagctl_provider.api.problems import headers_of
from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import members
from dagctl_provider.services.members import Visit
from dagctl_provider.services.outside import airflow_users
from dagctl_provider.services.showing import live
from dagctl_provider.services.showing.live import Changes, Picture

log = logging.getLogger(__name__)

PREFIX = "/dagctl"
LOOK_SECONDS = 0.6
HEARTBEAT_SECONDS = 10.0
MAX_STREAM_SECONDS = 60.0
"""A stream ends by itself and browsers connect again: that is when somebody whose session is over stops to hear."""
MAX_STREAMS = 1000
RETRY_SECONDS = 30
"""After which time a page may try again to open a stream; meanwhile it asks for the version."""
_RETRY_MILLISECONDS = 500
_SESSION_COOKIE = "_token"
_TOLD = ("projects", "groups", "progress")


@dataclass(eq=False)
class Listener:
    """One open stream: what it has not told yet.

    :param organization_id: Whose changes it tells.
    """

    organization_id: str
    projects: set[str] = field(default_factory=set)
    groups: set[str] = field(default_factory=set)
    progress: set[str] = field(default_factory=set)
    version: str = ""
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, changed: Changes, version: str) -> None:
        """Remember changes until they are told."""
        self.projects |= changed.projects
        self.groups |= changed.groups
        self.progress |= changed.progress
        self.version = version
        self.woken.set()

    def take(self) -> str:
        """What is to be told, as an event; from now on it counts as told."""
        told = {name: sorted(getattr(self, name)) for name in _TOLD}
        for name in _TOLD:
            getattr(self, name).clear()
        self.woken.clear()
        return event({"version": self.version, **told}, self.version)


class Watcher:
    """Looks while somebody listens, and tells each listener what changed in its organization.

    :param look: Takes a picture, given the one before.
    :param seconds: Between two looks.
    """

    def __init__(self, look: Callable[[Picture | None], Picture] = live.take_picture, seconds: float = LOOK_SECONDS) -> None:
        self._look = look
        self._seconds = seconds
        self._listeners: set[Listener] = set()
        self._task: asyncio.Task[None] | None = None
        self._picture: Picture | None = None

    def __len__(self) -> int:
        return len(self._listeners)

    async def join(self, organization_id: str) -> Listener:
        """Begin to listen. The listener knows the version of what there is now."""
        listener = Listener(organization_id)
        if self._picture is None:
            taken = await run_in_threadpool(self._look, None)
            # Somebody may have joined meanwhile, and waits to be told what differs from an earlier picture.
            if self._picture is None:
                self._picture = taken
        listener.version = self._picture.version(organization_id)
        self._listeners.add(listener)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch())
        return listener

    def leave(self, listener: Listener) -> None:
        """Listen no more."""
        self._listeners.discard(listener)

    async def _watch(self) -> None:
        while self._listeners:
            await asyncio.sleep(self._seconds)
            try:
                self._tell(await run_in_threadpool(self._look, self._picture))
            except Exception:
                log.warning("The state could not be read; the next look is in %s s", self._seconds, exc_info=True)
        # Nobody keeps it up to date from here on.
        self._picture = None

    def _tell(self, picture: Picture) -> None:
        before, self._picture = self._picture, picture
        if before is None or (before == picture and not picture.fresh):
            return
        told: dict[str, tuple[Changes, str]] = {}
        for listener in self._listeners:
            own = listener.organization_id
            if own not in told:
                told[own] = live.changes(before, picture, own), picture.version(own)
            if told[own][0]:
                listener.note(*told[own])


def event(data: dict[str, object], identifier: str) -> str:
    """A server-sent event; browsers send ``identifier`` back when they connect again."""
    return f"id: {identifier}\ndata: {json.dumps(data)}\n\n"


def server_is_stopping() -> bool:
    """Whether the web server waits for open connections to end. Uvicorn tells nobody, but its signal handler knows."""
    server = getattr(signal.getsignal(signal.SIGTERM), "__self__", None)
    return bool(getattr(server, "should_exit", False))


async def stream(watcher: Watcher, organization_id: str, known: str) -> AsyncIterator[str]:
    """The events of one connection.

    :param known: The version that the page shows; when it is not the present one, the page is told at once.
    """
    ends_at = time.monotonic() + MAX_STREAM_SECONDS
    listener = await watcher.join(organization_id)
    try:
        yield f"retry: {_RETRY_MILLISECONDS}\n\n"
        if known != listener.version:
            yield event({"version": listener.version, "all": True}, listener.version)
        silent_since = time.monotonic()
        while time.monotonic() < ends_at and not server_is_stopping():
            try:
                await asyncio.wait_for(listener.woken.wait(), LOOK_SECONDS)
            except asyncio.TimeoutError:
                if time.monotonic() - silent_since < HEARTBEAT_SECONDS:
                    continue
                yield ": still here\n\n"
            else:
                yield listener.take()
            silent_since = time.monotonic()
    finally:
        watcher.leave(listener)


def _actor(credential: str, preferred: str | None) -> Actor:
    """The signed-in person behind a credential; runs in a thread, as all of the services do.

    :param preferred: The organization that the browser remembers.
    """
    try:
        user = airflow_users.user_from_token(credential)
        actor = members.actor_for(user, preferred=preferred, visit=Visit("page"))
    finally:
        release_session()
    actor.require("read")
    return actor


def _credential(request: Request) -> str:
    """The session's cookie, or the header that Airflow itself adds where everybody is admin."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" and token else request.cookies.get(_SESSION_COOKIE, "")


def _refusal(error: DagctlError) -> Response:
    headers = {"Cache-Control": "no-store", **headers_of(error)}
    return JSONResponse({"code": error.code}, error.kind.status, headers)


def make_app() -> FastAPI:
    """The app with the stream of events, to be mounted at :data:`PREFIX`."""
    app = FastAPI(title="dagctl events", openapi_url=None, docs_url=None, redoc_url=None)
    watcher = Watcher()
    open_streams = AtOnce()

    async def told(actor: Actor, known: str) -> AsyncIterator[str]:
        # Counted from here on, since a stream that never begins never ends.
        counted = open_streams.take(identity(actor), MAX_STREAMS)
        try:
            async for text in stream(watcher, actor.organization_id, known):
                yield text
        finally:
            if counted:
                open_streams.give(identity(actor))

    @app.get("/events")
    async def events(request: Request, since: str = "") -> Response:
        """Changes as they happen, from the version ``since`` on."""
        try:
            actor = await run_in_threadpool(_actor, _credential(request), chosen_before(request.cookies))
        except DagctlError as error:
            return _refusal(error)
        if len(open_streams) >= MAX_STREAMS:
            return _refusal(DagctlError("server_busy", "Too many event streams are open.", retry_after=RETRY_SECONDS))
        if open_streams.of(identity(actor)) >= max(1, int(setting("streams_per_actor"))):
            return _refusal(DagctlError("too_many_streams", "Too many event streams of yours.", retry_after=RETRY_SECONDS))
        known = request.headers.get("last-event-id") or since
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(told(actor, known), media_type="text/event-stream", headers=headers)

    return app
