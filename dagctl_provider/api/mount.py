"""A contract at its own path on Airflow's API server, ``/api/v1`` as the documents have it.

Airflow mounts Flask AppBuilder views at ``/pluginsv2``. A FastAPI app of a plugin may stand at that path, before Airflow's own
answer for that path. The one below hands every request to the very same Flask app with the root moved, so both addresses are
one implementation. Its lifespan, which Airflow enters with the server's, is where the controller lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, MutableMapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import cast

from a2wsgi import WSGIMiddleware
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp, Receive, Scope, Send

from dagctl_provider.api.contracts import Contract
from dagctl_provider.domain.names import FLASK_PREFIX
from dagctl_provider.services.outside import airflow_users

WORKERS = 32
"""Requests served at once per API server process; approvals wait for git remotes, so there are more than cores."""


Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the controller while the API server runs."""
    from dagctl_provider.controller.runtime import controller_lifespan

    airflow_users.answer_on(asyncio.get_running_loop())
    try:
        async with controller_lifespan(app):
            yield
    finally:
        airflow_users.answer_on(None)


class ContractApp(FastAPI):
    """The Flask app that Airflow mounted, at the contract's own path.

    :param lifespan: What lives as long as the API server does; of one app only.
    """

    def __init__(self, contract: Contract, lifespan: Lifespan | None = None) -> None:
        self._prefix = contract.prefix
        super().__init__(title="dagctl", lifespan=lifespan, openapi_url=None, docs_url=None, redoc_url=None)
        self._bridges: MutableMapping[int, WSGIMiddleware] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request below the mount; ``scope["app"]`` is still Airflow's own app here."""
        root = scope.get("root_path", "").removesuffix(self._prefix)
        # a2wsgi spells out the very messages that Starlette calls mappings.
        bridge = cast("ASGIApp", self._bridge(scope["app"]))
        await bridge({**scope, "root_path": root}, receive, send)

    def _bridge(self, airflow: Starlette) -> WSGIMiddleware:
        """The way into Flask, made once per Airflow app: Flask is mounted after the plugins' FastAPI apps."""
        if id(airflow) not in self._bridges:
            mount = next(route for route in airflow.routes if isinstance(route, Mount) and route.path == FLASK_PREFIX)
            # What Airflow mounted there is its own bridge, and that has the Flask app.
            self._bridges[id(airflow)] = WSGIMiddleware(mount.app.app, workers=WORKERS)  # type: ignore[attr-defined]
        return self._bridges[id(airflow)]
