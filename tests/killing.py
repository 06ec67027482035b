"""Kills workers of a real Airflow as a machine does that goes away: nobody is told, and nothing is tidied up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from tests.airflow.site import Site

# Airflow gives workers a minute: on a busy machine, one that lives may wait long for an answer. The killed are dead for sure.
_MISSED = """
    UPDATE task_instance SET last_heartbeat_at = now() - interval '1 hour' WHERE state = 'running' AND pid = ANY(%s)
    RETURNING task_id
"""


def kill_workers(site: Site, tasks: Iterable[psutil.Process]) -> None:
    """Kill task processes and their supervisors; Airflow misses them at once.

    :param tasks: All of this Airflow, and running.
    """
    scheduler, killed = site.stack.processes.get("scheduler"), []
    for task in tasks:
        try:
            supervisor = task.parents()[0]
        except psutil.NoSuchProcess:
            # Its step was over just now.
            continue
        assert scheduler in supervisor.parents(), "its worker is gone already, and others must not be killed in its place"
        supervisor.kill()
        # Without its supervisor a task may end by itself.
        with contextlib.suppress(psutil.NoSuchProcess):
            task.kill()
        killed.append(task.pid)
    assert killed, "every task was over already"
    assert len(site.sql(_MISSED, killed)) == len(killed)
