"""SQLMesh projects for the benchmarks: generated files, a git repository, a project over REST with a warehouse of its own."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from demo.client import Client
from demo.options import DemoError
from demo.stack import Stack
from demo.warehouse import Warehouse

CONFIG = """gateways:
  warehouse:
    connection:
      type: duckdb
      database: "{{ env_var('WAREHOUSE_PATH') }}"
default_gateway: warehouse
model_defaults:
  dialect: duckdb
  start: "2026-01-01"
"""


class Repository:
    """A local git repository, made with its first commit.

    :param path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self._git("init", "--quiet", "--template=", "--initial-branch=main")

    @property
    def url(self) -> str:
        """Address for git."""
        return self.path.as_uri()

    def commit(self, files: Mapping[str, str], message: str) -> str:
        """Write files and commit.

        :return: Full id of the commit.
        """
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self.path), "GIT_CONFIG_NOSYSTEM": "1"}
        environment["GIT_CONFIG_GLOBAL"] = os.devnull
        for who in ("AUTHOR", "COMMITTER"):
            environment.update({f"GIT_{who}_NAME": "Ada Example", f"GIT_{who}_EMAIL": "ada@example.org"})
        command = ["git", *arguments]
        return subprocess.run(command, cwd=self.path, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def client_of(stack: Stack) -> Client:
    """A REST client with the stack's token."""
    access = json.loads(stack.access_file.read_text())
    return Client(stack.base_url, access["token"], access["organization_id"])


@dataclass(frozen=True)
class Project:
    """A project known to the product.

    :param warehouse: Its DuckDB file.
    """

    id: str
    name: str
    repository: Repository
    warehouse: Path


def make_project(stack: Stack, client: Client, repository: Repository, **fields: Any) -> Project:
    """Make a project over REST, with the connection that tells its steps where the warehouse is.

    :param repository: With at least one commit; its folder's name becomes the project's.
    """
    name = repository.path.name
    warehouse = stack.home / f"{name}.duckdb"
    connection = {
        "connection_id": f"dagctl_{name}",
        "conn_type": "dagctl",
        "extra": json.dumps({"env": {"WAREHOUSE_PATH": str(warehouse)}}),
    }
    answer = httpx.post(f"{stack.base_url}/api/v2/connections", json=connection, headers=stack.airflow_login(), timeout=60)
    if answer.is_error:
        raise DemoError(f"Airflow refused the connection: {answer.text[:300]}", "See the API server's log.")
    made = client.request("POST", "/projects", {"name": name, "repository_url": repository.url, **fields})
    return Project(str(made["id"]), name, repository, warehouse)


def rows_if_there(warehouse: Path, python: Path, table: str, columns: str) -> list[list[Any]]:
    """Rows of a table in the schema ``main`` of a DuckDB file; none while there is no such table, or no file.

    :param python: An interpreter that has DuckDB.
    :raises DemoError: when the file cannot be read, for somebody writes in it at this moment, for example.
    """
    if not warehouse.exists():
        return []
    known = "SELECT 1 FROM duckdb_tables() WHERE schema_name = 'main' AND table_name = '{}'"
    asked = Warehouse(warehouse, python)
    return asked.query(f"SELECT {columns} FROM main.{table}").rows if asked.query(known.format(table)).rows else []
