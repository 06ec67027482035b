"""What the four processes tell each other: API server, Dag processor, worker and runner.

Each letter is a frozen record: who makes a letter writes it from a record, and who acts on one reads it into a record. Who only
hands one on (a worker, between API server and runner) hands on all of it, since the other two may both be newer. The keys under
which letters lie stand in :mod:`dagctl_provider.domain.names`; the runner's own side of a request is ``runner/requests.py``.

Letters lie where anybody with rights in Airflow can write, and may be of an older or a newer version: a record says what is in a
letter, not that it is true.

Its modules can be reached through the package (``wire.requests.StepRequest``) and are loaded when they are first used. To make
all these classes takes as long as all else that Dag parsing loads of ours, and parsing needs only one of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagctl_provider.domain.wire import decisions, grants, records, reports, requests, specs, variables

__all__ = ["decisions", "grants", "records", "reports", "requests", "specs", "variables"]


def __getattr__(name: str) -> Any:
    """Load a module when it is first asked for."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return import_module(f"{__name__}.{name}")
