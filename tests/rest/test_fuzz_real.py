"""The OpenAPI document, fuzzed against the real services: no 5xx, no undocumented status, whatever is sent."""

from __future__ import annotations

import pytest
from flask import Flask

from tests.api.fuzz import run_fuzz
from tests.services.world import World

pytestmark = pytest.mark.slow


def test_every_operation_answers_as_documented(world: World, app: Flask, headers: dict[str, str]) -> None:
    world.explained(world.project())
    answered = run_fuzz(app, headers, max_examples=10)
    assert not [status for status in answered if status.startswith("5")]
    assert {"200", "404", "422"} <= set(answered)
