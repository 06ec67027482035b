"""How far git may reach from where the step runs: the worker's configuration says it, by two variables of the runner's process.

A request cannot say it. Whoever may start a Dag in Airflow writes what they like into a request, and would reach the disk of the
worker and the hosts beside it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

ALLOW_LOCAL = "DAGCTL_ALLOW_LOCAL_REPOSITORIES"
ALLOW_PRIVATE = "DAGCTL_ALLOW_PRIVATE_HOSTS"


@dataclass(frozen=True)
class Reach:
    """Which repositories a step may fetch from.

    :param local: folders of this machine.
    :param private: hosts that are not on the public internet.
    """

    local: bool = False
    private: bool = False


def reach_here() -> Reach:
    """What the launcher said; nothing but ``1`` allows anything."""
    return Reach(local=os.environ.get(ALLOW_LOCAL) == "1", private=os.environ.get(ALLOW_PRIVATE) == "1")


def reach_variables(*, local: bool, private: bool) -> dict[str, str]:
    """The variables by which a launcher tells it; both are always there, so that no template or image has the last word."""
    return {ALLOW_LOCAL: "1" if local else "0", ALLOW_PRIVATE: "1" if private else "0"}
