"""The doors through which people decide: every one has its rules and its words, and none is taken by default."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest

from dagctl_provider.domain.doors import DOORS, MAX_COMMENT, Door, require_reason, require_short
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.services import plans
from dagctl_provider.ui import plan_pages


def test_every_door_has_rules_and_words() -> None:
    assert set(get_args(Door)) == set(DOORS) == set(plan_pages.DOORS)


@pytest.mark.parametrize("decide", [plans.approve, plans.reject, plans.cancel, plans.retry, plans.delete])
def test_a_door_names_itself(decide: object) -> None:
    assert inspect.signature(decide).parameters["door"].default is inspect.Parameter.empty  # type: ignore[arg-type]


def test_only_a_page_asks_why() -> None:
    for door in ("rest", "required_actions", "system"):
        require_reason(door, None)  # type: ignore[arg-type]
    require_reason("page", "The discount must not go below zero.")
    for nothing in (None, ""):
        with pytest.raises(DagctlError, match="Say why"):
            require_reason("page", nothing)


def test_what_is_said_has_a_length() -> None:
    require_short("x" * MAX_COMMENT)
    with pytest.raises(DagctlError, match="longer than 2,000 characters"):
        require_short("x" * (MAX_COMMENT + 1))
