"""A real Airflow with four people in it, under either auth manager, and what each of them can say to its REST."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from benchmarks.common import fresh_stack
from demo.stack import FAB_AUTH_MANAGER, USERNAME, Stack

ROLES = ("Viewer", "User", "Op", "Admin")
MANAGERS = ("simple", "fab")
_PASSWORD = "walk-in-4711"
_SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "6",
    # Variables that somebody wrote become Dags soon, so that nobody has to wait long to see whether they do.
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "10",
    # Every commit is planned by a request here.
    "AIRFLOW__DAGCTL__POLLING_INTERVAL": "3600",
    # The folders of steps are where the judge can look into them, and no other Airflow's are among them.
    "TMPDIR": "{home}/steps",
    # Airflow has this off by default; who may reach it where it is on belongs to the question.
    "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
}
_MANAGER_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "simple": {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": f"{USERNAME}:admin,viewer:viewer,user:user,op:op"},
    "fab": {"AIRFLOW__CORE__AUTH_MANAGER": FAB_AUTH_MANAGER},
}


@dataclass
class Person:
    """Somebody signed in to Airflow.

    :param role: One of :data:`ROLES`.
    :param headers: With the person's own token.
    """

    role: str
    base_url: str
    headers: dict[str, str]
    _http: httpx.Client = field(init=False, repr=False)

    def __post_init__(self) -> None:
        limits = httpx.Limits(max_connections=40)
        self._http = httpx.Client(base_url=self.base_url, headers=self.headers, timeout=120, limits=limits)

    def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        """One request below Airflow's address. A connection that broke is made once more."""
        try:
            return self._http.request(method, path, json=body, **more)
        except httpx.RemoteProtocolError:
            return self._http.request(method, path, json=body, **more)


@contextmanager
def running(manager: str) -> Iterator[tuple[Stack, dict[str, Person]]]:
    """An Airflow with an empty database, and its people by role.

    :param manager: One of :data:`MANAGERS`.
    """
    with fresh_stack("attacks", {**_SETTINGS, **_MANAGER_SETTINGS[manager]}, _make_steps_folder) as stack:
        if manager == "fab":
            _create_users(stack)
        passwords = _passwords(stack, manager)
        yield stack, {role: _sign_in(stack, role, passwords[role]) for role in ROLES}


def _make_steps_folder(home: Path) -> None:
    (home / "steps").mkdir()
    # Whoever a step runs as.
    (home / "steps").chmod(0o1777)


def _name(role: str) -> str:
    return USERNAME if role == "Admin" else role.lower()


def _passwords(stack: Stack, manager: str) -> dict[str, str]:
    """Passwords by role. SimpleAuthManager makes those of the people that it finds without one."""
    if manager == "fab":
        return {role: stack.secrets()["admin_password"] if role == "Admin" else _PASSWORD for role in ROLES}
    known = json.loads((stack.home / "airflow" / "passwords.json").read_text())
    return {role: known[_name(role)] for role in ROLES}


def _sign_in(stack: Stack, role: str, password: str) -> Person:
    answer = httpx.post(f"{stack.base_url}/auth/token", json={"username": _name(role), "password": password}, timeout=60)
    answer.raise_for_status()
    return Person(role, stack.base_url, {"Authorization": f"Bearer {answer.json()['access_token']}"})


def _create_users(stack: Stack) -> None:
    command = [sys.executable, "-m", "benchmarks.attacks.airflows", _PASSWORD]
    subprocess.run(command, env=stack.environment(), check=True, capture_output=True)


def _create_in_this_process(password: str) -> None:
    """``airflow users create`` for all but the admin, in one process: importing Airflow takes longer than the rest."""
    from airflow.__main__ import main as airflow

    for role in ROLES[:-1]:
        name = _name(role)
        who = ["--username", name, "--firstname", name, "--lastname", name, "--email", f"{name}@example.org"]
        sys.argv = ["airflow", "users", "create", *who, "--role", role, "--password", password]
        airflow()


if __name__ == "__main__":
    _create_in_this_process(sys.argv[1])
