"""A case's project under the product: its repository, its variables, its steps, its warehouse."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TextIO
from unittest import mock

from dagctl_provider.runner import steps
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.steps import StepOptions, run_step
from dagctl_provider.runner.stopping import Stop
from tests.plan_output.conformance import check_result
from tests.runner.shop import Repository
from tests.truth.tools import VERSIONS, Warm, approval, plain_environment

ROOT = Path(__file__).parents[2]
CONFIG = """gateways:
  main:
    connection: {type: duckdb, database: "{{ env_var('WAREHOUSE') }}"}
    state_connection: {type: duckdb, database: "{{ env_var('STATE') }}"}
default_gateway: main
model_defaults: {dialect: duckdb, start: 2024-01-01}
"""
PROFILE = """shop:
  target: prod
  outputs:
    prod: {type: duckdb, path: "{{ env_var('WAREHOUSE') }}", threads: 2}
"""
PROJECT = "name: shop\nprofile: shop\nmodels: {+materialized: table}\n"
GIVEN: Mapping[str, Mapping[str, str]] = {
    "sqlmesh": {"config.yaml": CONFIG},
    "dbt": {"dbt_project.yml": PROJECT, "profiles.yml": PROFILE},
}
"""Files that every project has unless it brings its own."""


class Project:
    """A repository and what the runner makes of it.

    :param warm: The tool.
    :param folder: Private folder.
    :param name: Of the project; its steps happen at a place of that name.
    :param whole: Whether its steps are processes of their own, as a launcher starts them.
    """

    def __init__(self, warm: Warm, folder: Path, name: str, whole: bool = False) -> None:
        self._warm = warm
        self._whole = whole
        self._folder = folder
        self._name = name
        self.repository = Repository(folder / "repository")
        self._secrets = folder / "secrets"
        self._secrets.mkdir(mode=0o700)
        (self._secrets / "plan_key").write_text("k" * 32)
        self._deployed: str | None = None
        self._count = 0
        self.variables: dict[str, str] = {}
        self.commit = ""

    def take(self, files: Mapping[str, str | None], variables: Mapping[str, str]) -> None:
        """Commit files.

        :param files: What differs from the commit before.
        :param variables: The project's own from now on.
        """
        self.variables = dict(variables)
        (self._secrets / "env.json").write_text(json.dumps(self.variables))
        self.commit = self.repository.commit(files)

    def explain(self) -> dict[str, Any]:
        """Explain the newest commit."""
        return self._step("explain", {})

    def execute(self, explained: Mapping[str, Any]) -> dict[str, Any]:
        """Execute what was explained.

        :param explained: Result of the explain.
        """
        result = self._step("execute", approval(explained))
        self._deployed = (result.get("artifacts") or {}).get("deployed") or self._deployed
        return result

    def _step(self, command: str, approved: Mapping[str, Any]) -> dict[str, Any]:
        self._count += 1
        request: dict[str, Any] = {
            "tool": self._warm.tool, "tool_version": VERSIONS[self._warm.tool], "repository_url": self.repository.url,
            "commit_sha": self.commit, "project_id": self._name, "step_id": f"step_{self._count}", "project_name": "shop",
            **approved,
        }  # fmt: skip
        if self._deployed and self._warm.tool == "dbt":
            request["inputs"] = {"deployed": self._deployed}
        path = self._folder / f"{self._count}-{command}.json"
        options = StepOptions(command, path, secrets=self._secrets)
        variables = {"DAGCTL_CACHE_DIR": str(self._folder / "cache"), "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1"}
        with open(path.with_suffix(".log"), "w") as log, mock.patch.dict(os.environ, variables):
            (self._in_a_process if self._whole else self._in_this_process)(options, json.dumps(request), log)
        result: dict[str, Any] = json.loads(path.read_text())
        check_result(result)
        return result

    def _in_this_process(self, options: StepOptions, request: str, log: TextIO) -> None:
        with mock.patch.object(steps, "run_child", self._warm.run_child):
            run_step(options, request, Progress(log), Stop())

    def _in_a_process(self, options: StepOptions, request: str, log: TextIO) -> None:
        files = ["--result", str(options.result), "--events", str(options.result.with_suffix(".events"))]
        files += ["--secrets", str(options.secrets), "--request", "-"]
        subprocess.run(
            [sys.executable, "-m", "dagctl_provider.runner", options.command, *files],
            input=request, stdout=log, stderr=log, check=False, text=True, cwd=ROOT,
        )  # fmt: skip

    def statements(self, warehouse: Path, sql: str) -> None:
        """Do what other programs do in a warehouse.

        :param warehouse: Its file.
        :param sql: Statements.
        """
        self._other("statements", [str(warehouse), sql])

    def tables(self, warehouse: Path) -> dict[str, Any]:
        """What consumers see of a warehouse.

        :param warehouse: Its file.
        """
        path = self._folder / "tables.json"
        self._other("tables", [str(warehouse), str(path)])
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def _other(self, program: str, arguments: list[str]) -> None:
        output = self._folder / "output"
        status = self._warm.run(program, arguments, plain_environment(self._warm.tool, self._folder, {}), self._folder, output)
        assert status == 0, output.read_text()
