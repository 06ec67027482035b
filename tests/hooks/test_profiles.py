"""dbt profiles made from Airflow connections: the fields of each type, and where the secrets are."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml
from airflow.sdk import Connection

from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.hooks.profiles import ProfileError, make_profile
from dagctl_provider.hooks.project import ProjectSecrets, project_secrets
from dagctl_provider.hooks.warehouses import WAREHOUSES

SECRET = "s3cret-value"
LOGIN = {"login": "ada", "password": SECRET}
KEY = {"type": "service_account", "project_id": "p", "private_key": SECRET, "client_email": "a@b"}

PEM = f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----\n"
POSTGRES = {**LOGIN, "conn_type": "postgres", "host": "db", "schema": "shop"}
REDSHIFT = {"conn_type": "redshift", "host": "db", "login": "ada", "schema": "shop"}
SNOWFLAKE = {"conn_type": "snowflake", "login": "ada", "schema": "marts"}
ACME = {"account": "acme", "database": "shop"}
GOOGLE = {"conn_type": "google_cloud_platform", "schema": "marts"}
DATABRICKS = {"conn_type": "databricks", "host": "https://x.cloud.databricks.com/", "password": SECRET}
HTTP_PATH = {"http_path": "/sql/1"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "postgres": (
        {**POSTGRES, "extra": {"sslmode": "require", "connect_timeout": "5", "keepalives_idle": 60}},
        {
            "type": "postgres",
            "host": "db",
            "port": 5432,
            "user": "ada",
            "dbname": "shop",
            "schema": "public",
            "sslmode": "require",
            "connect_timeout": 5,
            "keepalives_idle": 60,
        },
    ),
    "redshift": (
        {**REDSHIFT, "password": SECRET},
        {"type": "redshift", "port": 5439, "dbname": "shop", "user": "ada", "method": None},
    ),
    "redshift by IAM": (
        {**REDSHIFT, "extra": {"iam": True, "cluster_identifier": "c", "region": "eu-west-1", "profile": "p"}},
        {"type": "redshift", "method": "iam", "cluster_id": "c", "region": "eu-west-1", "iam_profile": "p", "password": None},
    ),
    "snowflake": (
        {**SNOWFLAKE, "password": SECRET, "extra": {**ACME, "region": "eu", "extra__snowflake__warehouse": "wh"}},
        {
            "type": "snowflake",
            "account": "acme.eu",
            "database": "shop",
            "warehouse": "wh",
            "schema": "marts",
            "user": "ada",
            "private_key_passphrase": None,
        },
    ),
    "snowflake by key": (
        {
            **SNOWFLAKE,
            "password": "of-the-key",
            "extra": {**ACME, "private_key_content": base64.b64encode(PEM.encode()).decode()},
        },
        {
            "user": "ada",
            "password": None,
            "private_key": "{{ env_var('DBT_ENV_SECRET_DAGCTL_PRIVATE_KEY') }}",
            "private_key_passphrase": "{{ env_var('DBT_ENV_SECRET_DAGCTL_PRIVATE_KEY_PASSPHRASE') }}",
        },
    ),
    "snowflake by key file": (
        {**SNOWFLAKE, "extra": {**ACME, "private_key_file": "/keys/k.p8"}},
        {"user": "ada", "private_key_path": "/keys/k.p8", "private_key_passphrase": None, "private_key": None},
    ),
    "snowflake by OAuth": (
        {**SNOWFLAKE, "password": SECRET, "extra": {**ACME, "authenticator": "oauth", "refresh_token": "r"}},
        {"authenticator": "oauth", "oauth_client_id": "ada", "user": None, "password": None},
    ),
    "bigquery": (
        {**GOOGLE, "extra": {"keyfile_dict": json.dumps(KEY), "impersonation_chain": "a@p,b@p"}},
        {
            "type": "bigquery",
            "method": "service-account-json",
            "project": "p",
            "dataset": "marts",
            "impersonate_service_account": "b@p",
        },
    ),
    "bigquery by key file": (
        {**GOOGLE, "conn_type": "gcpbigquery", "extra": {"project": "p", "key_path": "/keys/k.json", "location": "EU"}},
        {"method": "service-account", "keyfile": "/keys/k.json", "location": "EU", "keyfile_json": None},
    ),
    "bigquery by the machine": ({**GOOGLE, "extra": {"project": "p"}}, {"method": "oauth", "project": "p"}),
    "databricks": (
        {**DATABRICKS, "extra": HTTP_PATH},
        {"type": "databricks", "host": "x.cloud.databricks.com", "http_path": "/sql/1", "schema": "default", "auth_type": None},
    ),
    "databricks by service principal": (
        {**DATABRICKS, "login": "app", "extra": {**HTTP_PATH, "service_principal_oauth": True, "catalog": "main"}},
        {"auth_type": "oauth", "client_id": "app", "token": None, "catalog": "main"},
    ),
    "databricks on Azure": (
        {**DATABRICKS, "login": "app", "extra": {**HTTP_PATH, "azure_tenant_id": "t"}},
        {"auth_type": "oauth", "azure_client_id": "app", "token": None},
    ),
    "databricks by token": (
        {**DATABRICKS, "password": None, "extra": {**HTTP_PATH, "token": SECRET}},
        {"token": "{{ env_var('DBT_ENV_SECRET_DAGCTL_TOKEN') }}"},
    ),
    "duckdb": ({"conn_type": "duckdb", "host": "/shop.duckdb"}, {"type": "duckdb", "path": "/shop.duckdb", "schema": "main"}),
}
OPEN = {"redshift by IAM", "snowflake by key file", "bigquery by key file", "bigquery by the machine", "duckdb"}
"""Those without a secret."""


def secrets_for(request: dict[str, Any]) -> ProjectSecrets:
    """What a step that is asked for this may know."""
    return project_secrets(StepRequest.from_json(request), "explain")


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
    assert bool(secrets) == (kind not in OPEN)
    assert kind in OPEN or any(SECRET in value for value in secrets.values())
    assert all(f"env_var('{name}')" in yaml.safe_load(text).__repr__().replace('"', "'") for name in secrets)
    assert all(name.startswith("DBT_ENV_SECRET_") for name in secrets)


def test_every_type_of_the_table_is_tried() -> None:
    tried = {connection["conn_type"] for connection, _ in CASES.values()}
    assert tried == set(WAREHOUSES)


def test_the_project_may_say_otherwise_and_more() -> None:
    output, _, text = made(CASES["postgres"][0], None, schema="marts", threads=16, search_path="x", port=6432)
    assert (output["schema"], output["threads"], output["search_path"], output["port"]) == ("marts", 16, "x", 6432)
    assert yaml.safe_load(text)["dagctl"]["target"] == "dagctl"


def test_the_runner_finds_the_adapter_in_what_was_made() -> None:
    from dagctl_provider.runner.profiles import block_values

    for connection, _ in CASES.values():
        known = dict(block_values(made(connection)[2]))
        assert known["dagctl", "outputs", "prod", "type"] == WAREHOUSES[connection["conn_type"]].adapter


def test_what_the_project_says_may_be_a_secret_or_another_way_to_log_in() -> None:
    output, secrets, text = made(CASES["bigquery by the machine"][0], None, keyfile="/k.json", client_secret=SECRET)
    assert (output["method"], output["keyfile"]) == ("service-account", "/k.json")
    assert SECRET in secrets.values()
    assert SECRET not in text


def test_of_a_key_file_only_the_secrets_are_hidden() -> None:
    """A variable under a secret's name is cut out of logs and manifests, and the project stands in every relation's name."""
    output, secrets, _ = made(CASES["bigquery"][0])
    assert secrets == {"DBT_ENV_SECRET_DAGCTL_KEYFILE_JSON_PRIVATE_KEY": SECRET}
    assert output["keyfile_json"]["project_id"] == "p"


def test_a_key_may_stand_in_the_connection_as_it_is() -> None:
    connection = {**SNOWFLAKE, "extra": {**ACME, "private_key_content": PEM}}
    assert made(connection)[1] == {"DBT_ENV_SECRET_DAGCTL_PRIVATE_KEY": PEM}
    assert made(CASES["snowflake by key"][0])[1]["DBT_ENV_SECRET_DAGCTL_PRIVATE_KEY"] == PEM


@pytest.mark.parametrize(
    ("connection", "words"),
    [
        ({"conn_type": "mssql"}, "'mssql'"),
        ({**CASES["postgres"][0], "host": None}, "'host'"),
        ({"conn_type": "snowflake"}, "account"),
        ({**POSTGRES, "extra": {"iam": True}}, "AWS"),
        ({**DATABRICKS, "password": None, "extra": HTTP_PATH}, "'password'"),
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
    request["warehouse_connection_id"] = "warehouse"
    files = secrets_for(request).files
    assert yaml.safe_load(files["profiles.yml"])["dagctl"]["outputs"]["prod"]["schema"] == "marts"
    assert json.loads(files["env.json"]) == {"REGION": "eu", "DBT_ENV_SECRET_DAGCTL_PASSWORD": SECRET}
    assert "profiles.yml" not in secrets_for({**request, "tool": "sqlmesh"}).files
    monkeypatch.delenv("AIRFLOW_CONN_WAREHOUSE")
    with pytest.raises(ProfileError, match="'warehouse'"):
        secrets_for(request)
