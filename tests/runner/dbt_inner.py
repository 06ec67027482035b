"""Starts the inner program for dbt by itself, with a job of its own: quicker than a whole step, and without git."""

from __future__ import annotations

import base64
import gzip
import io
import json
import os
import subprocess
import uuid
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner.environments import make_spec, tool_python
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.steps import INNER
from dagctl_provider.runner.stopping import Stop
from tests.runner.dbt_shop import NEWEST, Files

ROOT = Path(__file__).parents[2]


@cache
def python_of(version: str, adapter: str = "duckdb") -> str:
    """Interpreter of the tool environment that the runner makes, too.

    :param version: Of dbt.
    :param adapter: What it must have.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGCTL_ENVIRONMENTS_DIR", str(ROOT / ".tools" / "environments"))
        return str(tool_python(make_spec("dbt", version, [adapter]), Progress(io.StringIO()), Stop()))


@dataclass
class Project:
    """A dbt project in a folder, and the steps that are done with it.

    :param folder: Private folder.
    :param version: Of dbt.
    :param job: Members of every job.
    """

    folder: Path
    version: str = NEWEST
    adapter: str = "duckdb"
    job: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    deployed: Path | None = None
    steps: int = 0

    @property
    def checkout(self) -> Path:
        """The checkout, which the project is the top of."""
        return self.folder / "step" / "checkout"

    def write(self, files: Files) -> None:
        """Write files, or remove those without a text."""
        for name, text in files.items():
            path = self.checkout / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(text)

    def do(self, command: str, **job: Any) -> dict[str, Any]:
        """Do a step; its answer."""
        self.steps += 1
        scratch = self.folder / "step"
        (scratch / "target").mkdir(parents=True, exist_ok=True)
        answer = self.folder / f"answer{self.steps}.json"
        body = {
            "command": command, "tool": "dbt", "tool_version": self.version, "project": str(self.checkout),
            "checkout": str(self.checkout), "scratch": str(scratch), "cache": str(self.folder / "cache"),
            "shared": str(self.folder / "shared"), "locks": str(self.folder / "locks"),
            "profile_file": str(self.checkout / "profiles.yml"), "profile": None, "target": None, "commit_sha": "c" * 40,
            "git_path": "", "run_tests": True, "secrets": [], "step_id": f"plan_{self.steps}", "project_id": "proj_1",
            "inputs": {"deployed": str(self.deployed)} if self.deployed else {}, "expected_digest": None,
            "expected_digest_parts": None, "explained_plan_id": uuid.uuid4().hex, "answer": str(answer), "grace": 5,
            "application_prefix": "dagctl:", "application_name": "dagctl:test", **self.job, **job,
        }  # fmt: skip
        (self.folder / "cache").mkdir(exist_ok=True)
        path = self.folder / "job.json"
        path.write_text(json.dumps(body))
        home = scratch / "home"
        home.mkdir(exist_ok=True)
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(home), "DBT_TARGET_PATH": str(scratch / "target"),
            "DBT_LOG_PATH": str(scratch / "logs"), "DBT_LOG_LEVEL_FILE": "none", "PYTHONWARNINGS": "ignore", **self.variables,
        }  # fmt: skip
        done = subprocess.run(
            [python_of(self.version, self.adapter), str(INNER), str(path)],
            cwd=self.checkout, env=environment, capture_output=True, text=True, check=False, timeout=280,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(answer.read_text()) if answer.exists() else {}
        return {**found, "log": done.stdout + done.stderr}

    def inputs(self, **files: Any) -> dict[str, str]:
        """Input files of a step: the deployed state, and what is given as JSON."""
        found = {"deployed": str(self.deployed)} if self.deployed else {}
        for name, content in files.items():
            if content is not None:
                path = self.folder / f"input-{name}.json"
                path.write_text(json.dumps(content))
                found[name] = str(path)
        return found

    def explain(self, **job: Any) -> dict[str, Any]:
        """Explain, successfully."""
        answer = self.do("explain", **job)
        assert answer.get("outcome") == "succeeded", answer["log"]
        return answer

    def execute(self, explained: dict[str, Any], **job: Any) -> dict[str, Any]:
        """Execute what was explained, and keep what it leaves."""
        approved = {
            "expected_digest": explained["digest"], "expected_digest_parts": explained["plan_output"]["digest_parts"],
            "explained_plan_id": explained["tool_plan_id"],
        }  # fmt: skip
        answer = self.do("execute", **{**approved, **job})
        artifact = answer.get("artifacts", {}).get("deployed")
        if artifact:
            self.deployed = self.folder / "deployed.json"
            self.deployed.write_bytes(gzip.decompress(base64.b64decode(artifact)))
        return answer

    def ask(self, warehouse: Path, query: str, read_only: bool = True) -> list[list[Any]]:
        """Rows of a DuckDB file."""
        code = (
            "import duckdb, json, sys; database = duckdb.connect(sys.argv[1], read_only=sys.argv[3] == 'True'); "
            "print(json.dumps(database.execute(sys.argv[2]).fetchall(), default=str))"
        )
        done = subprocess.run(
            [python_of(self.version), "-c", code, str(warehouse), query, str(read_only)],
            capture_output=True,
            text=True,
            check=True,
        )
        rows: list[list[Any]] = json.loads(done.stdout)
        return rows
