"""A real Airflow as `make serve` starts it, and a real browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.airflow import conftest as stacks
from tests.airflow.conftest import pytest_runtest_makereport, shop
from tests.airflow.site import Site
from tests.browser.history import put_on_record
from tests.browser.people import PRESENT, WAIT_MS, Person, at_a_browser
from tests.plan_output.samples import HOSTILE

__all__ = ["pytest_runtest_makereport", "shop"]

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")


class Witness:
    """When a test fails, its report tells what the tabs showed."""

    def __init__(self, pictures: Path) -> None:
        self.pictures = pictures

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.when == "call" and report.failed:
            self.pictures.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "-", item.name).strip("-")
            seen = [person.seen(self.pictures, f"{name}-{number}") for number, person in enumerate(PRESENT)]
            report.sections.append(("Pages", "\n\n".join(seen)))
        elif report.when == "teardown":
            PRESENT.clear()
        return report


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Witness(config.rootpath / ".pytest_cache" / "browser"))


def chromium() -> str:
    """The machine's Chromium; none is downloaded."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.exit("These tests need Chromium: apt install chromium, or CHROMIUM=/path/to/it.", returncode=2)
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for all; each person has a session of their own."""
    expect.set_options(timeout=WAIT_MS)
    arguments = ["--disable-gpu", "--disable-quic", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium(), args=arguments, chromium_sandbox=False)
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """A running Airflow with an admin and somebody who may only look."""
    made = stacks.make_site(
        {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,vera:viewer",
            "AIRFLOW__DAGCTL__POLLING_INTERVAL": "2",
        }
    )
    try:
        yield made
    finally:
        made.stack.stop()


@pytest.fixture
def admin(browser: Browser, site: Site) -> Iterator[Person]:
    """Somebody who may do everything."""
    with at_a_browser(browser, site) as person:
        yield person


@pytest.fixture(scope="session")
def scene(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A project with a plan that waits, for looking at: ids of project, plan, explain step and runs. And a variable."""
    from tests.airflow.site import Shop

    folder: Path = tmp_path_factory.mktemp("scene")
    project = site.project("Scene", Shop(folder))
    variable = {"name": "SHOWN", "value": " ".join(HOSTILE).replace("\x00", ""), "is_sensitive": False, "mount_as_file": True}
    site.ask("POST", "/environment-variables", {**variable, "environments": ["elsewhere"]}, status=201)
    job = {"name": "Nightly", "command": "sqlmesh run", "schedule": None, "description": variable["value"][:1000]}
    job |= {"environment": {"SHOWN": variable["value"]}, "time_zone": "Europe/Berlin"}
    made = site.ask("POST", f"/projects/{project['id']}/jobs", job, status=201)
    plan = site.explained(project)
    return {
        "job": made["id"],
        "project": project["id"],
        "plan": plan["plan_id"],
        "step": plan["id"],
        **put_on_record(site, project["id"]),
    }
