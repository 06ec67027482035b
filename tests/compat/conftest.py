"""Runs only in a folder that :mod:`tests.compat.install` made; see ``make test-airflow``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.airflow.conftest import pytest_runtest_makereport, shop

__all__ = ["pytest_runtest_makereport", "shop"]

CHECKOUT = Path(__file__).parents[2]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In the development environment these tests would prove nothing about the wheel."""
    if (CHECKOUT / "dagctl_provider").exists():
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="run by: make test-airflow AIRFLOW=3.1"))
