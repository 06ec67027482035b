"""The OpenAPI document, fuzzed against the real services: no 5xx, no undocumented status, whatever is sent."""

from __future__ import annotations

import itertools

import pytest
from flask import Flask

from tests.api.fuzz import run_fuzz
from tests.services.world import World

pytestmark = pytest.mark.slow


def test_every_operation_answers_as_documented(world: World, app: Flask, headers: dict[str, str]) -> None:
    numbers = itertools.count()

    def pending_plan(operation: str) -> dict[str, str]:
        step = world.explained(world.project(f"real {next(numbers)}"))
        if operation == "create_plan":
            world.head = "a newer commit"
        return {"id": step.project_id, "planId": step.id, "planGroupId": step.group_id}

    answered = run_fuzz(app, headers, max_examples=5, known_ids=pending_plan)
    assert not [status for status in answered if status.startswith("5")]
    assert {"200", "201", "404", "409", "422"} <= set(answered)
