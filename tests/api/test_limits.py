"""What one actor may have at once, and how the answer says so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dagctl_provider.api import limits
from dagctl_provider.api.limits import AtOnce
from dagctl_provider.domain.errors import DagctlError

from .conftest import TOKEN

ADA, BOB = ("token", "ada"), ("token", "bob")


def test_each_actor_is_counted_alone() -> None:
    at_once = AtOnce()
    assert [at_once.take(ADA, 2) for _ in range(3)] == [True, True, False]
    assert at_once.take(BOB, 2)
    at_once.give(ADA)
    assert (at_once.of(ADA), at_once.of(BOB), len(at_once)) == (1, 1, 2)
    assert at_once.take(ADA, 2)


@pytest.fixture
def under_way(ask: Callable[..., Any], services: Any) -> Iterator[list[tuple[str, str]]]:
    """Who asks with the token of the tests, from within a request of theirs."""
    seen: list[tuple[str, str]] = []
    taken = limits.REQUESTS.take

    def take(who: tuple[str, str], most: int) -> bool:
        seen.append(who)
        return taken(who, most)

    patch = pytest.MonkeyPatch()
    patch.setattr(limits.REQUESTS, "take", take)
    yield seen
    patch.undo()


def test_more_than_an_actor_may_have_is_refused_with_a_time_to_come_back(ask: Any, under_way: list[tuple[str, str]]) -> None:
    assert ask("GET", "/projects").status_code == 200
    who = under_way[-1]
    for _ in range(16):
        limits.REQUESTS.take(who, 16)
    try:
        response = ask("GET", "/projects")
        assert (response.status_code, response.json["code"]) == (429, "too_many_requests")
        assert response.headers["Retry-After"] == str(limits.RETRY_SECONDS)
        assert response.json["retry_after"] == limits.RETRY_SECONDS
        ask("GET", "/projects", headers={"Authorization": f"Bearer {TOKEN.replace('owner', 'reader')}"})
        assert under_way[-1] != who, "others are counted for themselves"
    finally:
        for _ in range(16):
            limits.REQUESTS.give(who)
    assert ask("GET", "/projects").status_code == 200


@pytest.mark.parametrize("error", [None, DagctlError("not_found", "no"), RuntimeError("broken")])
def test_a_request_is_counted_until_its_end_however_it_ends(ask: Any, services: Any, error: Exception | None) -> None:
    if error is not None:
        services.projects.answer(list_projects=error)
    ask("GET", "/projects")
    assert len(limits.REQUESTS) == 0


def test_a_refusal_that_knows_when_says_so(ask: Any, services: Any) -> None:
    services.projects.answer(list_projects=DagctlError("server_busy", "Full.", retry_after=7))
    response = ask("GET", "/projects")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "7")
