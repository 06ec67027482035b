"""What a person can tell the demo: four variables, checked before anything starts."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY_ROOT = Path(__file__).resolve().parents[1]
_YES = ("1", "true", "yes")
_NO = ("", "0", "false", "no")
_PORTS = range(10_000, 30_000)
_KINDS = ("sqlmesh", "dbt")


class DemoError(Exception):
    """Something a person can put right: one line that says what, and a hint."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True)
class Options:
    """The demo's variables.

    :param home: Folder of all state.
    :param port: Port of Airflow's API server.
    :param once: Approve by itself and leave nothing running.
    :param kind: Which sample project: ``sqlmesh`` or ``dbt``.
    """

    home: Path
    port: int
    once: bool
    kind: str = "sqlmesh"


def read_options(environment: Mapping[str, str]) -> Options:
    """Read ``DAGCTL_HOME``, ``PORT``, ``ONCE`` and ``KIND``.

    :raises DemoError: when one of them makes no sense.
    """
    home = Path(os.path.expanduser(environment.get("DAGCTL_HOME") or str(REPOSITORY_ROOT / "var")))
    home = home if home.is_absolute() else REPOSITORY_ROOT / home
    if any(character in str(home) for character in "\n\r\0%"):
        raise DemoError(f"DAGCTL_HOME={str(home)!r} holds characters that Airflow's settings cannot.", "Choose a plainer folder.")
    port = environment.get("PORT") or "8080"
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise DemoError(f"PORT={port} is no port number.", "Give one from 1024 to 65535: make demo PORT=8081")
    once = (environment.get("ONCE") or "").strip().lower()
    if once not in _YES + _NO:
        raise DemoError(f"ONCE={once} says neither yes nor no.", "Give ONCE=1, or leave it out.")
    kind = (environment.get("KIND") or "sqlmesh").strip().lower()
    if kind not in _KINDS:
        raise DemoError(f"KIND={kind} is no sample project.", f"Choose one of {', '.join(_KINDS)}: make demo KIND=dbt")
    return Options(home, int(port), once in _YES, kind)


def require_free_port(port: int) -> None:
    """Refuse a port that somebody listens on.

    :raises DemoError: naming the port.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise DemoError(f"PORT={port} needs rights that you do not have.", "Choose a higher one: PORT=8081") from None
        except OSError:
            raise DemoError(
                f"PORT={port} is taken by another program.", f"Choose another one: PORT={port + 1 if port < 65535 else 8081}"
            ) from None


def free_port() -> int:
    """A port that nobody listens on right now.

    From below those that the system itself hands out, to connections for example: it is used only seconds later.
    """
    while True:
        port = secrets.choice(_PORTS)
        with contextlib.suppress(DemoError):
            require_free_port(port)
            return port
