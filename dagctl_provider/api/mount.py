"""A contract's own path on Airflow's API server, ``/api/v1`` as the documents have it.

Airflow mounts Flask AppBuilder views at ``/pluginsv2``. The :mod:`gate <dagctl_provider.api.gate>` serves both that address and
the contract's own with the very same Flask app. The app below holds the contract's path in Airflow's list; its lifespan, which
Airflow enters with the server's, is where the controller lives.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from dagctl_provider.services.outside import airflow_users


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


def make_app(controls: bool) -> FastAPI:
    """An app for the path of a contract.

    :param controls: Whether the controller lives in its lifespan, which is so for one app only.
    """
    return FastAPI(title="dagctl", lifespan=lifespan if controls else None, openapi_url=None, docs_url=None, redoc_url=None)
