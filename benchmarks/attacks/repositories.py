"""The repositories of the play: those whose commits dagctl knows, and the attacker's, whose code leaves marks.

The attacker's code says by itself that it ran: it writes what it can see of its step (environment, request, secrets) into a file
that is named by the commit's label, and each attack has a commit of its own. Genuine commits only leave rows in the warehouse:
dagctl notices what a commit's code reads while it is loaded, and such a plan would drift.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from benchmarks.common_projects import Repository

# Runs whenever SQLMesh loads the project.
_SPY = '''
import json, os, pathlib, time, uuid

def _folders():
    """The folders that the step's processes were started with, and those above the checkout."""
    found, pid = set(), os.getpid()
    for _ in range(8):
        try:
            words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split(chr(0))
            pid = int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            break
        found |= {pathlib.Path(word).parent for word in words if "dagctl-step-" in word}
    here = pathlib.Path(__file__ if "__file__" in globals() else os.getcwd()).absolute()
    found |= {folder for folder in here.parents if "dagctl-step-" in folder.name}
    return found

def _texts(folder):
    for file in folder.rglob("*"):
        try:
            if file.is_file() and file.stat().st_size < 200_000 and ".git" not in file.parts:
                yield str(file), file.read_text(errors="replace")
        except OSError:
            pass

seen = {"environment": dict(os.environ)}
for folder in _folders():
    seen.update(_texts(folder))
label = "@LABEL@"
mark = pathlib.Path("@MARKS@") / f"{label}-{uuid.uuid4().hex}"
mark.with_suffix(".part").write_text(json.dumps(seen))
mark.with_suffix(".part").rename(mark.with_suffix(".json"))
'''

_CONFIG = """
from sqlmesh.core.config import Config, DuckDBConnectionConfig, GatewayConfig, ModelDefaultsConfig

config = Config(
    gateways={"warehouse": GatewayConfig(connection=DuckDBConnectionConfig(database="@WAREHOUSE@"))},
    default_gateway="warehouse",
    model_defaults=ModelDefaultsConfig(dialect="duckdb", start="2026-01-01"),
    before_all=["CREATE TABLE IF NOT EXISTS main.applied (label TEXT)"],
    after_all=["INSERT INTO main.applied VALUES ('@LABEL@')"],
)
"""
_MODEL = "MODEL (name shop.{name}, kind FULL);\nSELECT '{label}' AS label\n"

MART = "mart"
_PROJECT = """name: mart
version: "1.0.0"
config-version: 2
profile: mart
on-run-start: "create table if not exists main.built (model varchar)"
models:
  +materialized: table
  +post-hook: "insert into main.built values ('{{ this.name }}')"
"""
_PROFILE = """mart:
  target: dev
  outputs:
    dev: {type: duckdb, path: "%s", threads: 1}
"""
_NEEDY = """import os


def model(dbt, session):
    dbt.ref("one")
    if not os.path.exists("%s"):
        raise ValueError("the export is missing")
    return session.sql("select 2 as n")
"""
_CONTENT = "def model(dbt, session):\n    return session.sql('select 1 as n')\n"


def mart_files(folder: Path, number: int, needy: bool = True) -> Mapping[str, str]:
    """A commit of the dbt project: ``needy`` is a model that fails without a file."""
    files = {"dbt_project.yml": _PROJECT, "profiles.yml": _PROFILE % (folder / f"{MART}.duckdb")}
    files["models/one.sql"] = f"select {number} as n\n"
    files["models/two.py"] = _NEEDY % (folder / f"export-{number}") if needy else _CONTENT
    return files


class Spied:
    """A repository of a small SQLMesh project whose plans leave a row each time.

    :param folder: Of all repositories.
    :param warehouse: Its DuckDB file.
    :param marks: Folder of the marks, if its code is to leave some.
    """

    def __init__(self, folder: Path, name: str, warehouse: Path, marks: Path | None = None) -> None:
        self.repository = Repository(folder / name)
        self.warehouse, self._marks, self._lock = warehouse, marks, threading.Lock()

    def commit(self, label: str, model: str | None = None, broken: bool = False) -> str:
        """A commit of its own label.

        :param model: Name of the model, by default a new one.
        :param broken: One that cannot be explained.
        :return: Full id of the commit.
        """
        code = ((_SPY if self._marks else "") + _CONFIG).replace("@LABEL@", label).replace("@MARKS@", str(self._marks))
        code = code.replace("@WAREHOUSE@", str(self.warehouse))
        name = model or "orders"
        text = "MODEL (name shop.orders, kind FULL);\nSELEC 1 AS\n" if broken else _MODEL.format(name=name, label=label)
        with self._lock:
            return self.repository.commit({"config.py": code, f"models/{name}.sql": text}, label)
