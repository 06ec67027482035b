"""Says by which keys dagctl signs what it tells workers. Public by nature, and so without credentials: a key that verifies lets
nobody sign, and a task has no credentials of its own to show.

The answer is the same for everybody, so it is read from the database once in a while, however often it is asked for.
"""

from __future__ import annotations

import threading
import time

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.services import trust

_SECONDS = 2.0


class _Kept:
    """The answer, for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._until = 0.0
        self._texts: list[str] = []

    def texts(self) -> list[str]:
        """The public keys; one request at a time asks for them."""
        with self._lock:
            if time.monotonic() >= self._until:
                self._texts = trust.public_texts()
                self._until = time.monotonic() + _SECONDS
            return self._texts


def make_app() -> FastAPI:
    """The app, to be mounted at :data:`~dagctl_provider.domain.names.TRUST_PREFIX`."""
    app = FastAPI(title="dagctl trust", openapi_url=None, docs_url=None, redoc_url=None)
    kept = _Kept()

    @app.get("/keys")
    async def keys() -> JSONResponse:
        """The public keys, newest first."""
        try:
            return JSONResponse({"keys": await run_in_threadpool(kept.texts)}, headers={"Cache-Control": "no-store"})
        except DagctlError as error:
            return JSONResponse({"code": error.code}, error.kind.status, {"Cache-Control": "no-store"})

    return app
