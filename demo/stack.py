"""A whole Airflow on one machine: PostgreSQL, API server, scheduler with local workers, Dag processor.

Everything is kept under one state folder and runs as processes of the user who started it. Also used by tests and benchmarks,
which kill and restart single components.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from packaging.version import Version
from psycopg2 import sql

from demo.options import REPOSITORY_ROOT, DemoError, free_port, require_free_port
from demo.postgres import NAME as POSTGRES
from demo.postgres import EmbeddedPostgres, borrowed_folder
from demo.processes import ProcessTable, write_private
from demo.samples import SQLMESH, Sample
from demo.terminal import Terminal

AIRFLOW = Version(version("apache-airflow-core")).release
COMPONENTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    # Logs of running tasks are read from the shared folder, so nobody needs to serve them.
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    # Before Airflow 3.3 a trigger looks for a person's answer.
    **({"triggerer": ("triggerer", "--skip-serve-logs")} if AIRFLOW < (3, 3) else {}),
}
FAB_AUTH_MANAGER = "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager"
USERNAME = "admin"
_TOOL_INSTALL = [sys.executable, "-m", "dagctl_provider.runner", "install"]
_MARKER = ".dagctl-demo"
_KEPT_ON_RESET = ("cache", _MARKER)
_START_SECONDS = 180.0
_MIGRATE_SECONDS = 300.0
_MIGRATIONS = REPOSITORY_ROOT / "dagctl_provider" / "store" / "migrations" / "versions"
# What changes when the database has to be migrated.
_TABLES = f"Airflow {version('apache-airflow-core')}, {max(path.stem for path in _MIGRATIONS.glob('0*.py'))}"


class Stack:
    """The stack of one state folder, running or not.

    :param home: State folder, absolute.
    :param port: Port of the API server.
    :param terminal: Where progress is shown.
    :param settings: More Airflow environment variables, for tests and benchmarks; another auth manager, for example.
    :param sample: The project whose tool is installed along with Airflow.
    """

    def __init__(
        self,
        home: Path,
        port: int,
        terminal: Terminal,
        settings: Mapping[str, str] | None = None,
        sample: Sample = SQLMESH,
    ) -> None:
        self.home = home
        self.port = port
        self.terminal = terminal
        self.processes = ProcessTable(home, home / "logs")
        self.sample = sample
        self._settings = dict(settings or {})

    @property
    def base_url(self) -> str:
        """Address of Airflow."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def information_file(self) -> Path:
        """``demo.json``: all that a client needs to know."""
        return self.home / "demo.json"

    @property
    def access_file(self) -> Path:
        """Organization and API token, written when the database is complete."""
        return self.home / "access.json"

    @property
    def cache(self) -> Path:
        """Tool environments and git caches; kept when the state is reset."""
        return self.home / "cache"

    # State folder

    def claim(self) -> None:
        """Make the state folder, or recognise it.

        :raises DemoError: when it holds something that is not the demo's.
        """
        if self.home.exists() and any(self.home.iterdir()) and not (self.home / _MARKER).exists():
            raise DemoError(f"{self.home} is not empty and was not made by this demo.", "Give DAGCTL_HOME a new folder.")
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            # PostgreSQL of a demo that runs as root runs as somebody else, who must get through here.
            self.home.chmod(0o711 if os.geteuid() == 0 else 0o700)
            (self.home / _MARKER).touch()
        except OSError as error:
            raise DemoError(f"{self.home} cannot be used: {error.strerror}.", "Give DAGCTL_HOME another folder.") from None

    def reset(self) -> None:
        """Remove all state of a stopped stack but the cache."""
        shutil.rmtree(borrowed_folder(self.home), ignore_errors=True)
        for path in self.home.iterdir():
            if path.name not in _KEPT_ON_RESET:
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()

    def remove(self) -> None:
        """Remove the state folder of a stopped stack."""
        if (self.home / _MARKER).exists():
            shutil.rmtree(borrowed_folder(self.home), ignore_errors=True)
            shutil.rmtree(self.home)

    def secrets(self) -> dict[str, Any]:
        """Passwords and keys of this stack, made at first use."""
        file = self.home / "secrets.json"
        if not file.exists():
            made = {
                "postgres_port": free_port(),
                "postgres_password": secrets.token_urlsafe(24),
                "airflow_password": secrets.token_urlsafe(24),
                "state_admin_password": secrets.token_urlsafe(24),
                "admin_password": secrets.token_urlsafe(9),
                "fernet_key": base64.urlsafe_b64encode(os.urandom(32)).decode(),
                "jwt_secret": secrets.token_urlsafe(48),
                "secret_key": secrets.token_urlsafe(48),
            }
            write_private(file, json.dumps(made, indent=1))
        return dict(json.loads(file.read_text()))

    def information(self) -> dict[str, Any] | None:
        """What ``demo.json`` says, if it is there."""
        try:
            return dict(json.loads(self.information_file.read_text()))
        except (OSError, ValueError):
            return None

    # Settings

    def environment(self, component: str = "") -> dict[str, str]:
        """Environment of an Airflow process.

        :param component: Its name; the API server alone learns the credential that may create databases.
        """
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW", "PYTHONDONTWRITE", "DAGCTL_"))}
        own = self.secrets()
        airflow_home = self.home / "airflow"
        database = f"airflow:{quote(own['airflow_password'], safe='')}@127.0.0.1:{own['postgres_port']}/airflow"
        settings = {
            "AIRFLOW_HOME": str(airflow_home),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY_ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(airflow_home / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "8",
            "AIRFLOW__CORE__FERNET_KEY": own["fernet_key"],
            "AIRFLOW__CORE__AUTH_MANAGER": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self._passwords_file),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.base_url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": self.base_url,
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": own["secret_key"],
            "AIRFLOW__API_AUTH__JWT_SECRET": own["jwt_secret"],
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs" / "tasks"),
            "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(self.home / "logs" / "dag-processor"),
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "AIRFLOW__DAGCTL__LAUNCHER": "process",
            "AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES": "True",
            "AIRFLOW__DAGCTL__POLLING_INTERVAL": "5",
            "AIRFLOW__DAGCTL__CACHE_FOLDER": str(self.cache),
            "AIRFLOW__DAGCTL__STATE_DATABASE_CONN_ID": "dagctl_state_admin",
            # Projects as the tools make them have a DuckDB file beside their code, which would go with each step.
            "AIRFLOW__DAGCTL__DATA_FOLDER": str(self.home / "warehouses"),
        }
        if AIRFLOW < (3, 2):
            settings["AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS"] = "dagctl_provider.store.manager.DagctlDBManager"
        settings.update(self._settings)
        if component == "api-server":
            password = quote(own["state_admin_password"], safe="")
            settings["AIRFLOW_CONN_DAGCTL_STATE_ADMIN"] = (
                f"postgres://dagctl_state_admin:{password}@127.0.0.1:{own['postgres_port']}/postgres"
            )
        path = f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', os.defpath)}"
        return {**kept, **settings, "PATH": path, "PYTHONUNBUFFERED": "1"}

    @property
    def _passwords_file(self) -> Path:
        return self.home / "airflow" / "passwords.json"

    def _prepare_files(self) -> None:
        (self.home / "airflow" / "plugins").mkdir(parents=True, exist_ok=True)
        for folder in ("airflow", "logs", "cache", "warehouses"):
            (self.home / folder).mkdir(exist_ok=True)
            (self.home / folder).chmod(0o700)
        write_private(self._passwords_file, json.dumps({USERNAME: self.secrets()["admin_password"]}))

    # Life

    def is_up(self) -> bool:
        """Whether all processes of this stack run."""
        return all(self.processes.get(name) is not None for name in (POSTGRES, *COMPONENTS))

    def start(self) -> None:
        """Bring everything up and wait until it is healthy.

        :raises DemoError: with the end of the log of what failed. What was started is left for :meth:`stop`.
        """
        require_free_port(self.port)
        self.claim()
        self._prepare_files()
        self._start_postgres()
        self._start_tool_install()
        if self._tables_of_database() != _TABLES:
            self._bootstrap()
        self.start_components(COMPONENTS)
        self.wait_until_healthy()
        self._finish_tool_install()

    def _start_postgres(self) -> None:
        own = self.secrets()
        postgres = EmbeddedPostgres(self.home, self.processes, own["postgres_port"], own["postgres_password"])
        with self.terminal.waiting("PostgreSQL") as waiting:
            try:
                require_free_port(own["postgres_port"])
            except DemoError:
                raise DemoError(
                    f"Port {own['postgres_port']}, which this demo's PostgreSQL uses, is taken by now.",
                    "Run 'make clean' to start afresh with another one.",
                ) from None
            postgres.initialise()
            postgres.start()
            postgres.wait(time.monotonic() + _START_SECONDS, waiting.tick)
            _make_databases(postgres, own)

    def _tables_of_database(self) -> str | None:
        """The tables that the database was brought to last; ``None`` when it is not complete, or when that was not noted."""
        try:
            return str(json.loads(self.access_file.read_text())["tables"])
        except (OSError, ValueError, KeyError):
            return None

    def _bootstrap(self) -> None:
        what = "airflow db migrate" if self.access_file.exists() else "airflow db migrate, and an API token"
        with self.terminal.waiting(what) as waiting:
            # Started in the background like a component, so that a broken-off start leaves nothing behind either.
            self.processes.start(
                "db-migrate",
                [sys.executable, "-m", "demo.bootstrap", str(self.access_file), str(self._passwords_file), _TABLES],
                self.environment(),
                cwd=REPOSITORY_ROOT,
            )
            self._require_success("db-migrate", _MIGRATE_SECONDS, waiting.tick)

    def _start_tool_install(self) -> None:
        """The tool goes where the steps will look for it, meanwhile; they would install it themselves otherwise."""
        self.processes.start("tool-install", [*_TOOL_INSTALL, *self.sample.install], self._tool_environment())

    def _finish_tool_install(self) -> None:
        with self.terminal.waiting(f"{self.sample.label} in an environment of its own") as waiting:
            self._require_success("tool-install", _MIGRATE_SECONDS, waiting.tick)

    def _tool_environment(self) -> dict[str, str]:
        return {**self.environment(), "DAGCTL_ENVIRONMENTS_DIR": str(self.cache / "environments")}

    def tool_python(self) -> Path:
        """The interpreter that has the tool and DuckDB."""
        command = [*_TOOL_INSTALL, *self.sample.install]
        done = subprocess.run(command, env=self._tool_environment(), capture_output=True, text=True, check=False)  # noqa: S603 - no shell, words of the demo
        if done.returncode != 0:
            raise DemoError(
                f"{self.sample.label} could not be installed:\n{done.stdout.strip()[-1500:]}", "Is the package index reachable?"
            )
        return Path(done.stdout.splitlines()[-1])

    def _require_success(self, name: str, seconds: float, tick: Callable[[], None]) -> None:
        code = self._wait_for_exit(name, time.monotonic() + seconds, tick)
        if code != 0:
            raise DemoError(f"'{name}' failed:\n{self.processes.tail(name)}", f"Its whole log: {self.processes.log_of(name)}")

    def _wait_for_exit(self, name: str, deadline: float, tick: Callable[[], None]) -> int:
        while (code := self.processes.exit_code(name)) is None:
            if time.monotonic() > deadline:
                raise DemoError(
                    f"'{name}' does not come to an end:\n{self.processes.tail(name)}", "Is the machine very busy? Try again."
                )
            tick()
            time.sleep(0.1)
        return code

    def start_components(self, names: Iterable[str]) -> None:
        """Start Airflow components without waiting for them."""
        for name in names:
            self.processes.start(name, [sys.executable, "-m", "airflow", *COMPONENTS[name]], self.environment(name))

    def stop_components(self, names: Iterable[str], kill: bool = False) -> None:
        """Stop Airflow components with everything below them.

        :param kill: As ``kill -9`` does.
        """
        self.processes.stop(names, kill=kill)

    def wait_until_healthy(self, seconds: float = _START_SECONDS) -> None:
        """Wait for the API server and for the heartbeats of scheduler and Dag processor.

        :raises DemoError: with the end of the log of what is not there.
        """
        deadline = time.monotonic() + seconds
        missing = list(COMPONENTS)
        with self.terminal.waiting("API server, scheduler, Dag processor") as waiting, httpx.Client(timeout=20) as client:
            while missing:
                for name in COMPONENTS:
                    if self.processes.get(name) is None:
                        raise self._failed(name, "ended")
                missing = self._unhealthy(client)
                if missing and time.monotonic() > deadline:
                    raise self._failed(missing[0], f"is not healthy after {seconds:.0f} s")
                if missing:
                    waiting.tick(f"waiting for {', '.join(missing)}")
                    time.sleep(0.2)

    def _unhealthy(self, client: httpx.Client) -> list[str]:
        try:
            health = client.get(f"{self.base_url}/api/v2/monitor/health").json()
            plugin = client.get(f"{self.base_url}/api/v1/openapi.json").status_code
        except (httpx.HTTPError, ValueError):
            return ["API server"]
        if plugin >= 500:
            return ["API server"]
        # Airflow goes on without a plugin that cannot be imported.
        if plugin != 200:
            raise DemoError("Airflow runs, but without the dagctl plugin.", f"See {self.processes.log_of('api-server')}")
        beating = (name for name in COMPONENTS if name != "api-server")
        return [name for name in beating if (health.get(name.replace("-", "_")) or {}).get("status") != "healthy"]

    def _failed(self, name: str, what: str) -> DemoError:
        name = name.replace("API server", "api-server")
        return DemoError(
            f"The {name} {what}. The end of its log:\n{self.processes.tail(name)}",
            f"The whole log: {self.processes.log_of(name)}",
        )

    def stop(self) -> bool:
        """End everything, in the right order.

        :return: Whether anything ran.
        """
        running = self.processes.running()
        self.processes.stop([name for name in running if name != POSTGRES], grace=6.0)
        self.processes.stop([POSTGRES] if POSTGRES in running else [])
        self.processes.forget()
        return bool(running)

    @contextmanager
    def stopped_afterwards(self) -> Iterator[None]:
        """Ends the stack however the block ends."""
        try:
            yield
        finally:
            self.stop()

    # Use

    def airflow_login(self) -> dict[str, str]:
        """Headers that let the demo's admin user in at Airflow's own API."""
        body = {"username": USERNAME, "password": self.secrets()["admin_password"]}
        answer = httpx.post(f"{self.base_url}/auth/token", json=body, timeout=60)
        answer.raise_for_status()
        return {"Authorization": f"Bearer {answer.json()['access_token']}"}


def _make_databases(postgres: EmbeddedPostgres, own: Mapping[str, Any]) -> None:
    """The database of Airflow, and the role that makes the projects' state databases: neither is a superuser."""
    connection = postgres.connect()
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_roles WHERE rolname = 'airflow'")
            if cursor.fetchone() is None:
                for role, rights, key in (
                    ("airflow", "", "airflow_password"),
                    ("dagctl_state_admin", "CREATEDB CREATEROLE", "state_admin_password"),
                ):
                    statement = sql.SQL("CREATE ROLE {} LOGIN {} PASSWORD {}")
                    cursor.execute(statement.format(sql.Identifier(role), sql.SQL(rights), sql.Literal(own[key])))
                # Local workers are forks that hold the scheduler's database connection open: were it killed alone in a
                # transaction, its locks would stay for as long as they live, and no other scheduler could queue anything.
                cursor.execute("ALTER ROLE airflow SET idle_in_transaction_session_timeout = '30s'")
                cursor.execute("CREATE DATABASE airflow OWNER airflow")
                cursor.execute("REVOKE ALL ON DATABASE airflow FROM PUBLIC")
    finally:
        connection.close()
