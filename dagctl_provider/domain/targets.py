"""Where a plan leads: which of the repository, and into which environment.

Today a project has one target, its branch and its environment. The record stands on its own so that a plan can have another one
(docs/decisions/job-and-target.md).
"""

from __future__ import annotations

from dataclasses import dataclass

UNNAMED = ""
"""The environment of projects that name none, because their own files say which one it is."""


@dataclass(frozen=True)
class PlanTarget:
    """What a plan is made from, and what it changes.

    :param ref: A branch, tag or commit of the repository.
    :param environment: As the tool names it, or :data:`UNNAMED`.
    """

    ref: str
    environment: str
