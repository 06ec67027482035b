"""dbt profiles made from Airflow connections: the fields of each type, and where the secrets are."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from airflow.sdk import Connection

from dagctl_provider.hooks.profiles import MAPPINGS, ProfileError, make_profile
from dagctl_provider.hooks.project import project_secrets

SECRET = "s3cret-value"
LOGIN = {"login": "ada", "password": SECRET}
KEY = {"type": "service_account", "project_id": "p", "private_key": SECRET, "client_email": "a@b"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "postgres": (
        {**LOGIN, "conn_type": "postgres", "host": "db", "schema": "shop", "extra": {"sslmode": "require"}},
        {"type": "postgres", "host": "db", "port": 5432, "user": "ada", "dbname": "shop", "schema": "public"},
    ),
    "redshift": (
        {"conn_type": "redshift", "host": "db", "login": "ada", "password": SECRET, "schema": "shop"},
        {"type": "redshift", "port": 5439, "dbname": "shop"},
    ),
    "snowflake": (
        {
            "conn_type": "snowflake",
            "login": "ada",
            "password": SECRET,
            "schema": "marts",
            "extra": {"account": "acme", "database": "shop", "extra__snowflake__warehouse": "wh"},
        },
        {"type": "snowflake", "account": "acme", "database": "shop", "warehouse": "wh", "schema": "marts", "user": "ada"},
    ),
    "bigquery": (
        {"conn_type": "google_cloud_platform", "schema": "marts", "extra": {"project": "p", "keyfile_dict": json.dumps(KEY)}},
        {"type": "bigquery", "method": "service-account-json", "project": "p", "dataset": "marts"},
    ),
    "databricks": (
        {"conn_type": "databricks", "host": "https://x", "password": SECRET, "extra": {"http_path": "/sql/1"}},
        {"type": "databricks", "host": "https://x", "http_path": "/sql/1", "schema": "default"},
    ),
    "duckdb": ({"conn_type": "duckdb", "host": "/shop.duckdb"}, {"type": "duckdb", "path": "/shop.duckdb", "schema": "main"}),
}


def made(connection: dict[str, Any], target: str | None = "prod", **overrides: Any) -> tuple[dict[str, Any], dict[str, str], str]:
    document = {**connection, "extra": json.dumps(connection.get("extra", {}))}
    text, secrets = make_profile(Connection(conn_id="warehouse", **document), target, overrides)
    profile = yaml.safe_load(text)["dagctl"]
    return profile["outputs"][profile["target"]], secrets, text


@pytest.mark.parametrize("kind", CASES)
def test_the_fields_of_a_type(kind: str) -> None:
    connection, wanted = CASES[kind]
    output, secrets, text = made(connection)
    assert {name: output.get(name) for name in wanted} == wanted
    assert SECRET not in text
    assert kind == "duckdb" or SECRET in secrets.values()
    assert all(f"env_var('{name}')" in yaml.safe_load(text).__repr__().replace('"', "'") for name in secrets)
    assert all(name.startswith("DBT_ENV_SECRET_") for name in secrets)


def test_every_type_of_the_table_is_tried() -> None:
    tried = {connection["conn_type"] for connection, _ in CASES.values()}
    assert tried | {"gcpbigquery"} == set(MAPPINGS)


def test_the_project_may_say_otherwise_and_more() -> None:
    output, _, text = made(CASES["postgres"][0], None, schema="marts", threads=16, search_path="x", port=6432)
    assert (output["schema"], output["threads"], output["search_path"], output["port"]) == ("marts", 16, "x", 6432)
    assert yaml.safe_load(text)["dagctl"]["target"] == "dagctl"


def test_the_runner_finds_the_adapter_in_what_was_made() -> None:
    from dagctl_provider.runner.profiles import block_values

    for connection, wanted in CASES.values():
        known = dict(block_values(made(connection)[2]))
        assert known["dagctl", "outputs", "prod", "type"] == wanted["type"]


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ({"conn_type": "mssql"}, "'mssql'"),
        ({**CASES["postgres"][0], "host": None}, "'host'"),
        ({"conn_type": "snowflake"}, "account"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line_without_secrets(connection: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        made(connection)
    assert words in str(caught.value)
    assert "warehouse" in str(caught.value)
    assert SECRET not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_dbt_step_gets_the_profile_that_its_connection_names(monkeypatch: pytest.MonkeyPatch) -> None:
    extra = {"env": {"REGION": "eu"}, "profile": {"connection": "warehouse", "schema": "marts"}}
    monkeypatch.setenv("AIRFLOW_CONN_DAGCTL_SHOP", json.dumps({"conn_type": "dagctl", "extra": extra}))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(CASES["postgres"][0]))
    request = {"project_name": "Shop", "git_auth_method": "none", "tool": "dbt", "environment": "prod"}
    files = project_secrets(request).files
    assert yaml.safe_load(files["profiles.yml"])["dagctl"]["outputs"]["prod"]["schema"] == "marts"
    assert json.loads(files["env.json"]) == {"REGION": "eu", "DBT_ENV_SECRET_DAGCTL_PASSWORD": SECRET}
    assert "profiles.yml" not in project_secrets({**request, "tool": "sqlmesh"}).files
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    with pytest.raises(ProfileError, match="'warehouse'"):
        project_secrets(request)
