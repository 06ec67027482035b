"""The log of a step in parts, so that a page that follows it fetches each line once."""

from __future__ import annotations

from dataclasses import dataclass

from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.orchestration.logs import MAX_LOG_CHARACTERS
from dagctl_provider.services import plans


@dataclass(frozen=True)
class LogPart:
    """What follows a position of a log.

    :param start: Where the text begins; 0 when it is all there is.
    :param length: Of the whole log, in characters.
    """

    step: PlanStep
    text: str
    start: int
    length: int


def get_log(actor: Actor, plan_id: str, start: int = 0) -> LogPart:
    """The log of a step from a position on.

    A log that has reached the most that is read loses lines at its front, and positions in it mean nothing: it comes whole.

    :param start: In characters; a log that is shorter by now (another try) comes whole as well.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    found = plans.get_logs(actor, plan_id)
    length = len(found.logs)
    begin = start if 0 <= start <= length < MAX_LOG_CHARACTERS else 0
    return LogPart(found.step, found.logs[begin:], begin, length)
