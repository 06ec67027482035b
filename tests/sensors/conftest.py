"""Tasks here believe the API server that :mod:`tests.granting` stands in for."""

from __future__ import annotations

import pytest

from tests.granting import believe


@pytest.fixture(autouse=True)
def believed(monkeypatch: pytest.MonkeyPatch) -> None:
    believe(monkeypatch)
