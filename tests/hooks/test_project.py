"""The secrets of a project's steps: where they come from, and that only the runner can read them."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowNotFoundException

from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.hooks.project import DagctlProjectHook, ProjectSecrets, project_secrets

REQUEST = {"project_name": "Shop EU", "state_connection_id": None, "git_auth_method": "none", "git_secret_ref": None}


def secrets_for(request: dict[str, Any]) -> ProjectSecrets:
    """What a step that is asked for this may know."""
    return project_secrets(StepRequest.from_json(request))


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


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    ProjectSecrets({"git_token": "x"}).write_to(tmp_path / "secrets")
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "secrets" / "git_token").stat().st_mode & 0o777 == 0o600
