"""What every part of a step needs at hand: the job, the channel to the outer program, the journal and the canceller."""

from __future__ import annotations

from dagctl_common import frames
from dagctl_common.jobs import Job

from dagctl_sqlmesh.cancelling import Canceller
from dagctl_sqlmesh.consoles import Journal
from dagctl_sqlmesh.guards import Guard


class Step(frames.Step):
    """One step.

    :param job: The job file: the request plus what the outer program prepared.
    """

    journal: Journal

    def __init__(self, job: Job) -> None:
        super().__init__(job, Canceller)
        self.journal = Journal(self.channel, self.canceller)
        # Nobody else knows that an execute which ended before it began to apply has left nothing.
        self.journal.may_leave = job.get("command") == "execute"
        self.guard = Guard(self.watch)
        self.state: dict[str, str] = {}
        self.assumed: list[str] = []
