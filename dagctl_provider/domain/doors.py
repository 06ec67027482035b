"""The doors through which somebody decides on a plan, as one table, and the rules for what is said with a decision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from dagctl_provider.domain.errors import DagctlError

Door = Literal["rest", "page", "required_actions", "system"]

MAX_COMMENT = 2000
"""Characters that may be said with a decision."""


@dataclass(frozen=True)
class DoorRules:
    """One row of the table.

    :param reason_to_reject: Whether a rejection has to say why. The Plans API document asks for no body, and the form in Required
        Actions cannot ask for one with one of its buttons only; a page can.
    """

    reason_to_reject: bool = False


DOORS: Mapping[Door, DoorRules] = {
    "rest": DoorRules(),
    "page": DoorRules(reason_to_reject=True),
    "required_actions": DoorRules(),
    "system": DoorRules(),
}


def require_reason(door: Door, comment: str | None) -> None:
    """Refuse a rejection that does not say why, where the door asks for it.

    :raises DagctlError: ``invalid_request``.
    """
    if DOORS[door].reason_to_reject and not comment:
        raise DagctlError("invalid_request", "Say why: the author of the commit reads it here.")


def require_short(comment: str) -> None:
    """Refuse words that are more than is kept with a decision.

    :raises DagctlError: ``invalid_request``.
    """
    if len(comment) > MAX_COMMENT:
        raise DagctlError("invalid_request", f"The comment is longer than {MAX_COMMENT:,} characters.")
