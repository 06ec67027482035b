"""Drivers are found without running the project's code."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagctl_provider.runner.configs import find_config, find_extras
from dagctl_provider.runner.errors import RunnerError

HOSTILE = "# {{ cycler.__init__.__globals__.os.system('touch PWNED') }}\n"


@pytest.mark.parametrize(
    ("name", "text", "extras"),
    [
        ("config.yaml", "gateways:\n  a:\n    connection:\n      type: snowflake\n", ["snowflake"]),
        ("config.yaml", "gateways: {a: {connection: {type: 'bigquery'}, state_connection: {type: postgres}}}", ["bigquery"]),
        ("config.yml", HOSTILE + "gateways:\n  a:\n    connection:\n      type: duckdb\n", []),
        ("sqlmesh.yaml", "type: {{ env_var('KIND') }}\n", ["databricks"]),
        ("sqlmesh.yml", "type: {{ env_var('ABSENT', 'trino') }}\n", ["trino"]),
        ("config.yaml", "type: {{ something_else() }}\n", []),
        ("config.py", "import os\nos.system('touch PWNED')\nc = SnowflakeConnectionConfig(account='x')", ["snowflake"]),
        ("config.py", "import m\nc = m.GCPPostgresConnectionConfig()\nd = {'type': 'redshift'}", ["gcppostgres", "redshift"]),
        ("config.py", "c = MSSQLConnectionConfig()\nb = BigQueryConnectionConfig()", ["bigquery", "mssql"]),
        ("config.py", "this is not python", []),
    ],
)
def test_connection_types_become_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, extras: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    assert find_extras(tmp_path, tmp_path, {"KIND": "databricks"}) == extras
    assert not (tmp_path / "PWNED").exists()


def test_a_folder_without_config_is_told(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    with pytest.raises(RunnerError, match="in 'sub'") as caught:
        find_config(tmp_path / "sub", tmp_path)
    assert caught.value.code == "no_sqlmesh_project"


def test_a_config_that_is_a_link_to_the_outside_is_not_read(tmp_path: Path) -> None:
    root = tmp_path / "checkout"
    root.mkdir()
    (tmp_path / "elsewhere.yaml").write_text("type: snowflake")
    (root / "config.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(RunnerError, match="leaves the repository"):
        find_config(root, root)


def test_a_huge_config_is_left_to_the_tool(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("type: snowflake\n" + "#" * 2_000_000)
    assert find_extras(tmp_path, tmp_path, {}) == []
