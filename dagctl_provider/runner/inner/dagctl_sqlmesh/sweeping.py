"""Ends statements that a killed step left running in the warehouse.

A database goes on with a statement after its client was killed. Each step's sessions carry a name made from project and
environment, so whoever holds the writer's lock can tell the leftovers of dead writers from everything else.
"""

from __future__ import annotations

import contextlib
from typing import Any

from dagctl_sqlmesh.journals import Step

_QUERY = (
    "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND usename = current_user AND state = 'active'"
    " AND application_name <> '{own}' AND ({leftovers})"
)


def sweep(step: Step, context: Any) -> None:
    """Cancel leftovers, where the warehouse is PostgreSQL; others are left alone.

    :param step: Names the sessions.
    :param context: Knows the warehouse.
    """
    config = context.config.get_connection(context.gateway)
    if config.type_ != "postgres":
        return
    # An explain writes nothing and holds no lock: it may be running right now, and is not a leftover.
    prefix = _literal(step.job["application_prefix"])
    leftovers = " OR ".join(f"application_name LIKE '{prefix}{command}:%'" for command in ("execute", "run"))
    own = _literal(step.job["application_name"]) if step.job["command"] != "sweep" else ""
    # An unreachable warehouse shows soon enough, with a better message.
    with contextlib.suppress(Exception), contextlib.closing(config.create_engine_adapter()) as adapter:
        ended = adapter.fetchone(_QUERY.format(own=own, leftovers=leftovers))[0]
        if ended:
            step.channel.line(f"ended {ended} statement(s) that a killed step had left running")


def _literal(text: str) -> str:
    return text.replace("'", "''")
