"""One real stack for all tests in this folder."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from demo.options import free_port
from demo.stack import Stack
from demo.terminal import Terminal
from tests.airflow.site import Shop, Site

ROOT = Path(__file__).parents[2]


def make_site(settings: dict[str, str]) -> Site:
    """Start a stack. Its tool environments are kept between runs, next to the development environment."""
    home = Path(tempfile.mkdtemp(prefix="dagctl-site-"))
    cache = ROOT / ".tools" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (home / "cache").symlink_to(cache)
    (home / ".dagctl-demo").touch()
    stack = Stack(home, free_port(), Terminal(), settings)
    try:
        stack.start()
    except BaseException:
        stack.stop()
        raise
    access = json.loads(stack.access_file.read_text())
    return Site(stack, access["organization_id"], access["token"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failed test shows what Airflow looked like."""
    report = yield
    site = getattr(item, "funcargs", {}).get("site")
    if report.when == "call" and report.failed and isinstance(site, Site):
        try:
            report.sections.append(("Airflow", site.picture()))
        except Exception as error:
            report.sections.append(("Airflow", f"no picture: {error}"))
    return report


@pytest.fixture(scope="package")
def site() -> Iterator[Site]:
    """A running Airflow; ended before the tests of other folders, which it would only slow down."""
    made = make_site(
        {
            # So that a killed worker is noticed in a minute rather than five; Site.kill_workers needs no minute either.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__DAGCTL__POLLING_INTERVAL": "2",
        }
    )
    try:
        yield made
    finally:
        made.stack.stop()


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """A fresh project in a fresh repository."""
    return Shop(tmp_path)
