"""Fixtures for the runner: repositories on disk, a PostgreSQL server, and a driver that starts the runner as launchers do."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.plan_output.conformance import check_result
from tests.postgres import PostgreSQL
from tests.processes import is_alive
from tests.runner.shop import Repository
from tests.waiting import nothing, wait_for

ROOT = Path(__file__).parents[2]
NEWEST = "0.236.4"
PATIENCE = 300.0
"""Seconds for one step; the first one of a version makes its environment, and others may be making theirs."""
SLEEPING = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
"""Asleep, rather than a statement that speaks of sleeping: days of a backfill that do not sleep have the same text."""
PATIENT = ("--grace", str(2 * PATIENCE))
"""So patient that what ends within a wait was interrupted, and not killed."""


_DEPLOY = """
import json, sys
from sqlmesh import Context
from sqlmesh.core.config import Config
from sqlmesh.core.config.connection import PostgresConnectionConfig
from sqlmesh.core.config.loader import load_configs
state = json.loads(sys.argv[2])
state.pop("type")
configs = load_configs(None, Config, [sys.argv[1]])
for config in configs.values():
    gateway = config.get_gateway(None)
    gateway.state_schema = state.pop("schema")
    gateway.state_connection = PostgresConnectionConfig(**state)
Context(config=configs, paths=[sys.argv[1]]).plan("prod", auto_apply=True, no_prompts=True, skip_tests=True)
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test with several steps may wait for several environments."""
    for item in items:
        if item.path.parent == Path(__file__).parent and item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(4 * PATIENCE))


@pytest.fixture(scope="session")
def tool_environments() -> Path:
    """Tool environments shared by all slow tests, and by the next run."""
    folder = ROOT / ".tools" / "environments"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Outcome:
    """What a runner process left behind."""

    status: int
    output: str
    result: dict[str, Any]
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def code(self) -> str | None:
        """The error's code."""
        return self.result.get("error", {}).get("code")


class Driver:
    """Starts runner processes for one project.

    :param folder: Private folder.
    :param environments: Folder of tool environments.
    """

    server: PostgreSQL
    state_database: str

    def __init__(self, folder: Path, environments: Path) -> None:
        self.folder = folder
        self.repository = Repository(folder / "repository")
        self.secrets = folder / "secrets"
        self.secrets.mkdir(mode=0o700)
        self.variables = {
            "DAGCTL_ENVIRONMENTS_DIR": str(environments),
            "DAGCTL_CACHE_DIR": str(folder / "cache"),
            "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1",
        }
        self.request: dict[str, Any] = {
            "tool": "sqlmesh",
            "tool_version": NEWEST,
            "repository_url": self.repository.url,
            "branch": "main",
            "project_id": f"proj_{uuid.uuid4().hex[:12]}",
            "project_name": "analytics",
            "plan_group_id": "plangroup_1",
            "step_id": "plan_1",
            "attempt": 1,
            "environment": "prod",
        }
        self._count = 0

    def environment(self) -> dict[str, str]:
        """The runner's variables."""
        return {**os.environ, **self.variables}

    def start(self, command: str, *options: str, **request: Any) -> Running:
        """Start a step and return at once."""
        self._count += 1
        place = self.folder / f"step{self._count}"
        place.mkdir()
        body = {**self.request, **request}
        (place / "request.json").write_text(json.dumps({key: value for key, value in body.items() if value is not ...}))
        arguments = ["--request", str(place / "request.json"), "--result", str(place / "result.json")]
        arguments += [
            "--events",
            str(place / "events.jsonl"),
            "--secrets",
            str(self.secrets),
            *options,
        ]
        with open(place / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "dagctl_provider.runner", command, *arguments],
                cwd=ROOT,
                env=self.environment(),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return Running(process, place)

    def step(self, command: str, *options: str, **request: Any) -> Outcome:
        """Do a step to its end."""
        return self.start(command, *options, **request).wait()

    def deploy(self, commit: str, version: str = NEWEST) -> None:
        """Apply a commit with SQLMesh itself, as a team did that comes to dagctl later; quicker than two steps."""
        command = [sys.executable, "-m", "dagctl_provider.runner", "install", "--version", version]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, **self.variables}, check=True, capture_output=True, text=True)
        self.repository.git("checkout", "--quiet", commit)
        state = json.loads((self.secrets / "state_connection.json").read_text())
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "PYTHONWARNINGS": "ignore"}
        subprocess.run(
            [done.stdout.split()[-1], "-c", _DEPLOY, str(self.repository.folder), json.dumps(state)],
            env=environment, check=True, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(self.repository.folder / ".cache", ignore_errors=True)
        shutil.rmtree(self.repository.folder / "logs", ignore_errors=True)
        self.repository.git("checkout", "--quiet", "main")

    def execute(self, explained: Outcome, *options: str, **request: Any) -> Outcome:
        """Execute what an explain found."""
        return self.step("execute", *options, **{**approved(explained), **request})


def approved(explained: Outcome) -> dict[str, Any]:
    """What an approval adds to the execute's request."""
    result = explained.result
    return {
        "expected_digest": result["digest"],
        "explained_plan_id": result["tool_plan_id"],
        "expected_digest_parts": result["plan_output"]["digest_parts"],
    }


@dataclass
class Running:
    """A runner process under way."""

    process: subprocess.Popen[bytes]
    place: Path

    def events(self) -> list[dict[str, Any]]:
        """Events so far."""
        path = self.place / "events.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def output(self) -> str:
        """Log so far."""
        return (self.place / "log").read_text()

    def inner_pid(self) -> int:
        """The tool's process."""
        runner = self.process.pid
        return int(Path(f"/proc/{runner}/task/{runner}/children").read_text().split()[0])

    def vanish(self) -> None:
        """Go with the tool, as with a machine that goes away: neither of the two sees the other's end."""
        inner = self.inner_pid()
        self.process.send_signal(signal.SIGSTOP)
        os.killpg(inner, signal.SIGKILL)
        self.process.kill()
        self.process.wait()
        # What it held, such as the file of a database, is free only then.
        wait_for("the killed tool to be gone", lambda: is_alive(inner), nothing, seconds=PATIENCE)

    def wait(self, timeout: float = PATIENCE) -> Outcome:
        """Wait for the end."""
        status = self.process.wait(timeout)
        assert self.process.stdin is not None
        self.process.stdin.close()
        path = self.place / "result.json"
        result = json.loads(path.read_text()) if path.exists() else {}
        check_result(result)
        return Outcome(status, self.output(), result, self.events())


@pytest.fixture
def driver(tmp_path: Path, tool_environments: Path) -> Driver:
    """A driver with an empty repository."""
    return Driver(tmp_path, tool_environments)


def state_connection(server: PostgreSQL, database: str, password: str = "unused-password") -> dict[str, Any]:
    """What the launcher writes into the secrets folder."""
    return {
        "type": "postgres", "host": server.host, "port": 5432, "user": "postgres", "password": password,
        "database": database, "schema": "state_of_shop",
    }  # fmt: skip


@pytest.fixture
def stateful(driver: Driver, postgres: PostgreSQL) -> Driver:
    """A driver whose state is in PostgreSQL, as with the managed state database."""
    driver.server, driver.state_database = postgres, postgres.new_database()
    (driver.secrets / "state_connection.json").write_text(json.dumps(state_connection(postgres, driver.state_database)))
    return driver
