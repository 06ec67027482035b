"""One embedded PostgreSQL with Airflow's and our tables for every test that asks for it; none is started for the others.

The address is fixed before Airflow is imported, because Airflow reads its settings at import; the server comes up with the first
test that uses :func:`database`.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import PostgreSQL

HOME = Path(tempfile.mkdtemp(prefix="dagctl-test-"))
PGDATA = HOME / "pg"
HOME.chmod(0o755)
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

for _name in [name for name in os.environ if name.startswith("AIRFLOW")]:
    del os.environ[_name]
os.environ.update(
    {
        "AIRFLOW_HOME": str(HOME),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://postgres@/airflow?host={PGDATA}",
        # Airflow finds it in the provider information from 3.2 on; naming it as well does no harm.
        "AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS": "dagctl_provider.store.manager.DagctlDBManager",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[1] / "dags"),
        "AIRFLOW__CORE__FERNET_KEY": "WzJ5bGJjb2RlLXRlc3Qta2V5LTMyLWJ5dGVzISEhISE=",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__DAGCTL__LAUNCHER": "process",
        "AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES": "True",
    }
)


@pytest.fixture(autouse=True)
def _server_that_goes_on() -> Iterator[None]:
    """A server that a test has stopped was the last one of its process; the next test has another."""
    yield
    git = sys.modules.get("dagctl_provider.git.processes")
    if git is not None:
        git.ending.clear()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, so that at the end no worker waits for another."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: (item.path.parent.name != "airflow", item.path not in slow))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker whole files, all tests that need the one real Airflow to the same worker, and long ones singly.

    The cases of one theme of ``tests/truth`` go together, for most of them begin alike.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::", 1)[0]
            if file.startswith("tests/airflow/"):
                return "tests/airflow"
            if file.startswith("tests/truth/"):
                return nodeid.split(": ", 1)[0]
            return nodeid if file.startswith("tests/runner/") and file.endswith("_real.py") else file

    return ByFile(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgreSQL]:
    """A running PostgreSQL."""
    server = PostgreSQL(PGDATA)
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def _migrated(postgres: PostgreSQL) -> None:
    from airflow.utils import db

    postgres.new_database("airflow")
    db.initdb()


@pytest.fixture
def database(_migrated: None) -> Iterator[None]:
    """Airflow's database with our tables, both empty of what earlier tests left."""
    from tests.database import empty

    yield
    empty()
