"""Airflow and the wheel, nothing else: what somebody sees who installs the package and has SQLite."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.store.manager import DagctlDBManager
from dagctl_provider.version_compat import AIRFLOW_V_3_2_PLUS
from tests.compat.conftest import CHECKOUT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

BIN = CHECKOUT.parent / "bare" / "bin"
MANAGER = f"{DagctlDBManager.__module__}.{DagctlDBManager.__name__}"
TABLES = set(DagctlDBManager.metadata.tables)


@dataclass
class Bare:
    """A fresh Airflow home of the bare environment."""

    home: Path

    def run(self, program: str, *words: str, **settings: str) -> str:
        """What a command prints."""
        own = {"AIRFLOW_HOME": str(self.home), "AIRFLOW__CORE__LOAD_EXAMPLES": "False"}
        if not AIRFLOW_V_3_2_PLUS:
            own["AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS"] = MANAGER
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))}
        command = [str(BIN / program), *words]
        done = subprocess.run(
            command, cwd=self.home, env={**kept, **own, **settings}, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def rows(self, *words: str) -> list[dict[str, Any]]:
        """What a command says as JSON, after whatever Airflow logs before."""
        out = self.run(*words, "--output", "json")
        return list(json.loads(out[out.index("[{") if "[{" in out else out.rindex("[]") :].splitlines()[0]))

    def tables(self) -> set[str]:
        """The tables of this package that are there."""
        connection = sqlite3.connect(self.home / "airflow.db")
        names = {str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        connection.close()
        return names & TABLES


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Bare:
    """With the one Dag file that users copy, and a migrated SQLite."""
    made = Bare(tmp_path_factory.mktemp("bare"))
    (made.home / "dags").mkdir()
    shutil.copy(CHECKOUT / "dags" / "dagctl_dags.py", made.home / "dags")
    made.run("airflow", "db", "migrate")
    assert made.tables() == TABLES
    return made


def test_it_is_the_wheel_and_its_files_are_in_it(bare: Bare) -> None:
    code = "import dagctl_provider, pathlib; p = pathlib.Path(dagctl_provider.__file__).parent; print(p)\n"
    code += "print(*(f.relative_to(p).as_posix() for f in p.rglob('*') if f.is_file()))"
    folder, names = bare.run("python", "-c", code).splitlines()
    assert Path(folder).parent.name == "site-packages"
    assert BIN.parent in Path(folder).parents
    kinds = {Path(name).suffix for name in names.split()}
    assert {".py", ".html", ".css", ".js", ".svg", ".ini", ".txt"} <= kinds


def test_airflow_knows_it(bare: Bare) -> None:
    (provider,) = (row for row in bare.rows("airflow", "providers", "list") if row["package_name"] == "airflow-provider-dagctl")
    assert provider["version"] == "0.1.0"
    (plugin,) = (row for row in bare.rows("airflow", "plugins") if row["name"] == "dagctl")
    assert "airflow-provider-dagctl" in str(plugin["source"])
    assert "launcher = " in bare.run("airflow", "config", "list", "--section", "dagctl")
    assert bare.run("airflow", "config", "get-value", "dagctl", "launcher").splitlines()[-1] == "kubernetes"


def test_the_dag_file_has_no_errors(bare: Bare) -> None:
    bare.run("airflow", "dags", "reserialize")
    assert bare.rows("airflow", "dags", "list-import-errors") == []


def test_a_token_is_made(bare: Bare) -> None:
    program = ("airflow", "dagctl") if AIRFLOW_V_3_2_PLUS else ("python", "-m", "dagctl_provider.cli")
    (made,) = bare.rows(*program, "tokens", "create", "--name", "laptop")
    assert made["token"].startswith("dctl_")


def test_the_tables_stay_when_airflow_goes_back_and_go_when_asked(bare: Bare) -> None:
    bare.run("airflow", "db", "downgrade", "--to-version", "3.1.0" if AIRFLOW_V_3_2_PLUS else "3.0.0", "--yes")
    assert bare.tables() == TABLES
    bare.run("airflow", "db", "migrate")
    named = {"AIRFLOW__DATABASE__EXTERNAL_DB_MANAGERS": MANAGER}
    bare.run("airflow", "db-manager", "downgrade", MANAGER, "--to-revision", "base", "--yes", **named)
    assert bare.tables() == set()
    bare.run("airflow", "db", "migrate")
    assert bare.tables() == TABLES
