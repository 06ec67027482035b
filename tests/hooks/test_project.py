"""The secrets of a project's steps: where they come from, and that only the runner can read them."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.domain.wire.variables import GivenVariable, unpacked
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.hooks.project import DagctlProjectHook, ProjectSecrets, project_secrets
from dagctl_provider.runner.inputs import variable_hashes

REQUEST = {"project_name": "Shop EU", "state_connection_id": None, "git_auth_method": "none", "git_secret_ref": None}


def secrets_for(request: dict[str, Any], kind: str = "explain") -> ProjectSecrets:
    """What a step that is asked for this may know."""
    return project_secrets(StepRequest.from_json(request), kind)


def approved(files: dict[str, str]) -> dict[str, str]:
    """Hashes of what the execute of an explain will have."""
    found: dict[str, str] = json.loads(files["approved.json"])
    return found


def hashes(env: dict[str, str]) -> dict[str, str]:
    """The same of these values, where a request names no project and there is no key."""
    return variable_hashes(env, None, "")


def connection(monkeypatch: pytest.MonkeyPatch, name: str, **document: Any) -> None:
    """One more connection."""
    monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(document))


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections from environment variables, as a deployment may keep them."""
    documents = {
        "DAGCTL_SHOP_EU": {"conn_type": "dagctl", "extra": {"env": {"WAREHOUSE_PASSWORD": "s3cret-value"}}},
        "STATE": {
            "conn_type": "postgres",
            "host": "db",
            "port": 5432,
            "login": "role",
            "password": "pw-state",
            "schema": "state",
        },
        "DEPLOY_KEY": {"conn_type": "dagctl", "extra": {"private_key": "KEY", "known_hosts": "HOSTS"}},
        "APP": {"conn_type": "dagctl", "password": "ghs_token"},
        "DAGCTL_BROKEN": {"conn_type": "dagctl", "extra": {"env": {"NUMBER": 1}}},
    }
    for name, document in documents.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{name}", json.dumps(document))


def test_everything_a_project_needs_is_collected(connections: None) -> None:
    secrets = secrets_for({**REQUEST, "state_connection_id": "state", "git_auth_method": "ssh", "git_secret_ref": "deploy_key"})
    assert json.loads(secrets.files["env.json"]) == {"WAREHOUSE_PASSWORD": "s3cret-value"}
    assert json.loads(secrets.files["state_connection.json"])["database"] == "state"
    assert (secrets.files["git_ssh_key"], secrets.files["git_known_hosts"]) == ("KEY", "HOSTS")
    assert "s3cret" not in repr(secrets)


def test_a_token_serves_https(connections: None) -> None:
    secrets = secrets_for({**REQUEST, "git_auth_method": "github_app", "git_secret_ref": "app"})
    assert secrets.files["git_token"] == "ghs_token"


def test_a_project_without_a_connection_is_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        assert secrets_for({**REQUEST, "project_name": "other"}).files == {}
    assert "dagctl_other" in caplog.text


def test_a_missing_state_connection_ends_the_step() -> None:
    with pytest.raises(AirflowNotFoundException):
        secrets_for({**REQUEST, "state_connection_id": "dagctl_state_gone"})


def test_variables_must_be_texts(connections: None) -> None:
    with pytest.raises(ValueError, match="dagctl_broken"):
        DagctlProjectHook("dagctl_broken").environment()


def test_the_key_of_plans_is_one_for_each_project(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "plan_key" not in secrets_for({**REQUEST, "project_id": "proj_1"}).files, "an older server has made none"
    connection(monkeypatch, "DAGCTL__PLAN_KEY", conn_type="dagctl", password="the-key-of-all")
    one, two = (secrets_for({**REQUEST, "project_id": name}).files["plan_key"] for name in ("proj_1", "proj_2"))
    assert one == hmac.new(b"the-key-of-all", b"proj_1", hashlib.sha256).hexdigest()
    assert one != two
    assert secrets_for({**REQUEST, "project_id": "proj_1"}, "execute").files["plan_key"] == one


def test_an_explain_has_the_connection_that_is_its_own(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "approved.json" not in secrets_for(REQUEST).files
    connection(monkeypatch, "DAGCTL_SHOP_EU_EXPLAIN", conn_type="dagctl", extra={"env": {"WAREHOUSE_PASSWORD": "reader-value"}})
    connection(monkeypatch, "DAGCTL__PLAN_KEY", conn_type="dagctl", password="the-key-of-all")
    files = secrets_for({**REQUEST, "project_id": "proj_1"}).files
    assert json.loads(files["env.json"]) == {"WAREHOUSE_PASSWORD": "reader-value"}
    assert approved(files) == variable_hashes({"WAREHOUSE_PASSWORD": "s3cret-value"}, files["plan_key"], "proj_1")
    assert "s3cret" not in "".join(files.values())
    for kind in ("execute", "run"):
        files = secrets_for(REQUEST, kind).files
        assert json.loads(files["env.json"]) == {"WAREHOUSE_PASSWORD": "s3cret-value"}
        assert "approved.json" not in files


def test_without_a_key_the_hashes_are_those_of_the_project(connections: None, monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "DAGCTL_SHOP_EU_EXPLAIN", conn_type="dagctl", extra={"env": {}})
    hashes = approved(secrets_for({**REQUEST, "project_id": "proj_1"}).files)
    assert hashes == variable_hashes({"WAREHOUSE_PASSWORD": "s3cret-value"}, None, "proj_1")
    monkeypatch.setenv("DAGCTL_VOLATILE_ENV", "WAREHOUSE_PASSWORD")
    assert approved(secrets_for({**REQUEST, "project_id": "proj_1"}).files) == {}


def test_an_explain_may_have_a_connection_where_its_execute_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    connection(monkeypatch, "DAGCTL_OTHER_EXPLAIN", conn_type="dagctl", extra={"env": {"A": "1"}})
    files = secrets_for({**REQUEST, "project_name": "other"}).files
    assert (json.loads(files["env.json"]), approved(files)) == ({"A": "1"}, {})


@pytest.fixture
def warehouse(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A dbt project whose profile is made from a connection. The request of its steps."""
    connection(
        monkeypatch,
        "DAGCTL_SHOP_EU",
        conn_type="dagctl",
        extra={"env": {"A": "1"}, "profile": {"connection": "wh", "schema": "s"}},
    )
    connection(monkeypatch, "WH", conn_type="postgres", host="db", login="writer", password="writer-pw", schema="shop")
    return {**REQUEST, "tool": "dbt", "warehouse_connection_id": "wh"}


def test_the_profile_of_an_explain_is_made_from_the_warehouse_connection_that_is_its_own(
    warehouse: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = secrets_for(warehouse).files
    assert "approved.json" not in usual
    connection(monkeypatch, "WH_EXPLAIN", conn_type="postgres", host="db", login="reader", password="reader-pw", schema="shop")
    files = secrets_for(warehouse).files
    assert files["profiles.yml"] == usual["profiles.yml"].replace("writer", "reader"), "its other fields stay"
    assert json.loads(files["env.json"]) == {"A": "1", "DBT_ENV_SECRET_DAGCTL_PASSWORD": "reader-pw"}
    assert approved(files) == hashes(json.loads(usual["env.json"]))
    assert "writer" not in "".join(files.values())
    assert secrets_for(warehouse, "execute").files == usual


@pytest.mark.parametrize("extra", [{"env": {"A": "2"}}, {"env": {"A": "2"}, "profile": {"connection": "wh", "schema": "s"}}])
def test_both_connections_of_an_explain_go_together(
    warehouse: dict[str, Any], monkeypatch: pytest.MonkeyPatch, extra: dict[str, Any]
) -> None:
    connection(monkeypatch, "DAGCTL_SHOP_EU_EXPLAIN", conn_type="dagctl", extra=extra)
    connection(monkeypatch, "WH_EXPLAIN", conn_type="postgres", host="db", login="reader", password="reader-pw", schema="shop")
    files = secrets_for(warehouse).files
    assert "reader" in files["profiles.yml"]
    assert json.loads(files["env.json"]) == {"A": "2", "DBT_ENV_SECRET_DAGCTL_PASSWORD": "reader-pw"}
    assert approved(files) == hashes({"A": "1", "DBT_ENV_SECRET_DAGCTL_PASSWORD": "writer-pw"})


def test_a_profile_of_a_connection_that_the_project_is_not_bound_to_is_refused(
    warehouse: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever may edit connections in Airflow must not choose whose password the project's code gets."""
    connection(monkeypatch, "PAYROLL", conn_type="postgres", host="db", login="hr", password="payroll-pw", schema="hr")
    for name in ("DAGCTL_SHOP_EU", "DAGCTL_SHOP_EU_EXPLAIN"):
        with monkeypatch.context() as within:
            connection(within, name, conn_type="dagctl", extra={"profile": {"connection": "payroll", "schema": "s"}})
            with pytest.raises(ProfileError, match="bound to 'wh'"):
                secrets_for(warehouse)
    with pytest.raises(ProfileError, match="bound to None"):
        secrets_for({**warehouse, "warehouse_connection_id": None})


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    ProjectSecrets({"git_token": "x"}).write_to(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "git_token").stat().st_mode & 0o777 == 0o600


def test_variables_of_the_organization_come_along_as_they_were_given() -> None:
    given = {
        "TOKEN": GivenVariable(value="planted é"),
        "KEY": GivenVariable(value="x", file_mount_path="/secrets/k", file_permissions=256),
    }
    request = StepRequest.from_json({"project_id": "proj_1", "project_name": "analytics", "tool": "sqlmesh"})
    found = project_secrets(replace(request, variables=given), "explain")
    assert unpacked(found.files["variables.json"]) == given
    assert "variables.json" not in project_secrets(request, "explain").files
    assert "planted" not in repr(found)
