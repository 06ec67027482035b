"""dbt projects over REST, with real repositories: fields, what is refused, and versions that rise in git."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner.versions import default_version
from dagctl_provider.services.turns.detection import Poller
from tests.rest.test_repositories import git

Ask = Callable[..., Any]

pytestmark = pytest.mark.slow


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with a dbt project in a folder of it."""
    folder = tmp_path / "repository"
    (folder / "shop").mkdir(parents=True)
    git(folder, "init", "--quiet", "--initial-branch=main")
    (folder / "shop" / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    commit(folder, "First")
    return folder


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", message)


def release(folder: Path, text: str) -> None:
    """Write the file with the version and commit it."""
    (folder / ".dagctl").mkdir(exist_ok=True)
    (folder / ".dagctl" / "config.yaml").write_text(text)
    commit(folder, text[:40])


def create(ask: Ask, repository: Path, **values: Any) -> Any:
    body = {"name": "shop", "project_type": "dbt", "repository_url": repository.as_uri(), "git_path": "shop", **values}
    return ask("POST", "/projects", json=body)


def test_a_dbt_project_has_its_own_fields_and_no_others(ask: Ask, repository: Path) -> None:
    values: dict[str, Any] = {
        "dbt_target": "prod",
        "python_version": "3.11",
        "version_strategy": "semantic",
        "polling_interval": "10s",
    }
    values["python_requirements"] = ["faker>=30", "six"]
    answer = create(ask, repository, **values)
    assert answer.status_code == 201, answer.text
    project = answer.get_json()
    assert {name: project[name] for name in values} == values
    assert project["dbt_version"] == default_version("dbt")
    assert not {"sqlmesh_environment", "sqlmesh_version", "use_managed_state_database"} & set(project)
    changed = ask(
        "PUT",
        f"/projects/{project['id']}",
        json={"dbt_target": None, "python_requirements": None, "version_strategy": "continuous"},
    ).get_json()
    assert not {"dbt_target", "python_requirements"} & set(changed)
    assert changed["version_strategy"] == "continuous"
    assert ask("POST", f"/projects/{project['id']}/plans").status_code == 201


@pytest.mark.parametrize(
    ("values", "code", "field"),
    [
        ({"dbt_version": "1.4.9"}, "unsupported_version", "dbt_version"),
        ({"dbt_version": "2.0.0"}, "unsupported_version", "dbt_version"),
        ({"python_version": "3.7"}, "invalid_request", "python_version"),
        ({"dbt_target": "--profiles-dir=/tmp"}, "invalid_request", "dbt_target"),
        ({"dbt_target": "a b"}, "invalid_request", "dbt_target"),
        ({"python_requirements": ["six", "six @ https://example.com/six.whl"]}, "invalid_request", "python_requirements"),
        ({"python_requirements": "six"}, "invalid_request", "python_requirements"),
        ({"python_requirements": ["six"] * 101}, "invalid_request", "python_requirements"),
        ({"polling_interval": "9s"}, "invalid_request", "polling_interval"),
        ({"version_strategy": "sometimes"}, "invalid_request", "version_strategy"),
        ({"sqlmesh_environment": "prod"}, "invalid_request", "sqlmesh_environment"),
        ({"git_path": None}, "project_not_found_in_repository", None),
    ],
    ids=str,
)
def test_what_is_wrong_is_named(ask: Ask, repository: Path, values: dict[str, Any], code: str, field: str | None) -> None:
    body = {key: value for key, value in values.items() if value is not None}
    answer = create(ask, repository, **{**({"git_path": ""} if "git_path" in values else {}), **body})
    assert (answer.status_code, answer.get_json()["code"]) == (422, code), answer.text
    if field:
        assert field in [error["field"] for error in answer.get_json()["errors"]]


def test_versions_are_read_from_git_and_hostile_files_are_not_followed(ask: Ask, repository: Path, tmp_path: Path) -> None:
    release(repository, "version: 1.0.0")
    project = create(ask, repository, version_strategy="semantic", polling_interval="10s").get_json()
    moment = [0.0]
    poller = Poller(clock=lambda: moment[0])

    def poll() -> int:
        moment[0] += 11
        return poller.poll()

    assert poll() == 1, "the file at the top of the repository counts for a project in a folder"
    (plan,) = ask("GET", f"/projects/{project['id']}/plans").get_json()["plans"]
    ask("POST", f"/plans/{plan['id']}/cancel")

    secret = tmp_path / "secret"
    secret.write_text("version: 9.9.9")
    (repository / ".dagctl" / "config.yaml").unlink()
    (repository / ".dagctl" / "config.yaml").symlink_to(secret)
    commit(repository, "A link out of the repository")
    assert poll() == 0
    (repository / ".dagctl" / "config.yaml").unlink()
    release(repository, "#" * 20_000 + "\nversion: 9.9.9")
    assert poll() == 0
    assert ask("GET", f"/projects/{project['id']}").get_json()["sync_error"]
    release(repository, "version: 1.0.1")
    assert poll() == 1
    assert "sync_error" not in ask("GET", f"/projects/{project['id']}").get_json()
