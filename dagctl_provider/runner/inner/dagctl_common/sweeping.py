"""Ends statements that a killed step left running in a PostgreSQL warehouse.

A database goes on with a statement after its client was killed. Each step's sessions carry a name made from project and
environment, so whoever holds the writer's lock can tell the leftovers of dead writers from everything else.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dagctl_common.frames import Step
from dagctl_common.jobs import Job

GONE_SECONDS = 10.0
"""How long statements that were told to end are waited for: the server undoes their work first."""
POLL_SECONDS = 0.2
_END, _COUNT = "pg_cancel_backend(pid)", "*"
# Whatever role a profile takes on, its statements belong to who logged in.
_QUERY = (
    "RESET ROLE; SELECT count({what}) FROM pg_stat_activity"
    " WHERE pid <> pg_backend_pid() AND usename = session_user AND state = 'active'"
    " AND application_name <> '{own}' AND ({leftovers})"
)


def end_leftovers(step: Step, ask: Callable[[str], int]) -> None:
    """End them, wait until they are gone, and say so.

    A warehouse that cannot be asked does not end the step: it shows soon enough, with a better message.

    :param step: Names the sessions.
    :param ask: Gets the answer of a query that has one row and one column.
    """
    try:
        told = ask(_query(step.job, _END))
        left = _wait(step, ask) if told else 0
    except Exception as error:
        step.channel.line(f"could not look for statements of killed steps: {step.shorten(str(error))[:300]}")
        return
    if told > left:
        step.channel.line(f"ended {told - left} statement(s) that a killed step had left running")
    if left:
        step.channel.line(f"{left} statement(s) of a killed step were told to end and still run")


def _wait(step: Step, ask: Callable[[str], int]) -> int:
    """How many leftovers there still are when all are gone or the time is over."""
    deadline = time.monotonic() + GONE_SECONDS
    while (left := ask(_query(step.job, _COUNT))) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return left


def _query(job: Job, what: str) -> str:
    """SQL that looks for the leftovers.

    :param what: Is counted.
    """
    # An explain writes nothing and holds no lock: it may be running right now, and is none.
    prefix = _literal(job["application_prefix"])
    leftovers = " OR ".join(f"application_name LIKE '{prefix}{command}:%'" for command in ("execute", "run"))
    # The outer program's sweep comes after the kill of a process that had the job's own name.
    own = _literal(job["application_name"]) if job["command"] != "sweep" else ""
    return _QUERY.format(what=what, own=own, leftovers=leftovers)


def _literal(text: str) -> str:
    return text.replace("'", "''")
