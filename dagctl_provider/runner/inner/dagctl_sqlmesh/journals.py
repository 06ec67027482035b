"""What every part of a step needs at hand: the job, the channel to the outer program, the journal and the canceller."""

from __future__ import annotations

from typing import Any

from dagctl_common.channel import Channel

from dagctl_sqlmesh.cancelling import Canceller
from dagctl_sqlmesh.consoles import Journal


class Step:
    """One step.

    :param job: The job file: the request plus what the outer program prepared.
    """

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.channel = Channel(job.get("events_fd"))
        self.canceller = Canceller(job.get("alive_fd"), float(job.get("grace") or 20.0))
        self.journal = Journal(self.channel, self.canceller)
