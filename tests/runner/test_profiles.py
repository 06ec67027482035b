"""Profile, target and adapters of a dbt project are found without running anything of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.profiles import block_values, choose_profile

PROJECT = "name: shop\nprofile: 'shop'  # ours\n"
OWN = """# profiles
config:
  send_anonymous_usage_stats: false
other:
  outputs:
    prod: {type: redshift}
shop:
  target: "{{ env_var('TARGET', 'dev') }}"
  outputs:
    dev:
      type: duckdb
      path: ":memory:"
    prod:
      type: "{{ env_var('KIND') }}"
      host: db
"""
GIVEN = "dagctl:\n  target: main\n  outputs:\n    main:\n      type: postgres\n      password: x\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text(PROJECT)
    return folder


def choose(
    folder: Path, target: str | None = None, given: str | None = None, **env: str
) -> tuple[str, str | None, str | None, list[str]]:
    """What was chosen: file, profile, target, adapters."""
    path = folder.parent / "secrets.yml"
    if given is not None:
        path.write_text(given)
    chosen = choose_profile(folder, folder, target, env, path)
    return chosen.path.name, chosen.profile, chosen.target, chosen.adapters


@pytest.mark.parametrize(
    ("target", "env", "adapters"),
    [
        (None, {}, ["duckdb"]),
        ("dev", {}, ["duckdb"]),
        ("prod", {"KIND": "Snowflake"}, ["snowflake"]),
        (None, {"TARGET": "prod", "KIND": "bigquery"}, ["bigquery"]),
        ("staging", {"KIND": "trino"}, ["duckdb", "redshift", "trino"]),
        ("prod", {"KIND": "dbt-evil; rm"}, ["dbt-evil; rm"]),
    ],
)
def test_the_targets_adapter_is_found(project: Path, target: str | None, env: dict[str, str], adapters: list[str]) -> None:
    (project / "profiles.yml").write_text(OWN)
    assert choose(project, target, **env) == ("profiles.yml", None, target, adapters)


def test_a_connection_serves_where_the_project_has_no_profile_for_the_target(project: Path) -> None:
    assert choose(project, given=GIVEN) == ("secrets.yml", "dagctl", None, ["postgres"])
    assert choose(project, "prod", given=GIVEN) == ("secrets.yml", "dagctl", None, ["postgres"])
    assert choose(project, "main", given=GIVEN) == ("secrets.yml", "dagctl", "main", ["postgres"])
    (project / "profiles.yml").write_text(OWN)
    assert choose(project, "dev", given=GIVEN)[0] == "profiles.yml"
    assert choose(project, "elsewhere", given=GIVEN)[:2] == ("secrets.yml", "dagctl")


def test_a_profile_in_another_style_counts_with_all_its_types(project: Path) -> None:
    (project / "profiles.yml").write_text(
        "{shop: {target: prod, outputs: {prod: {type: 'duckdb', path: x}, b: {type: postgres}}}}"
    )
    assert choose(project) == ("profiles.yml", None, None, ["duckdb", "postgres"])


@pytest.mark.parametrize(
    ("files", "given", "code"),
    [
        ({"dbt_project.yml": None}, None, "no_dbt_project"),
        ({}, None, "profile_invalid"),
        ({}, "nothing: here\n", "profile_invalid"),
        ({"profiles.yml": "shop:\n  outputs:\n    prod:\n      path: x\n"}, None, "profile_invalid"),
    ],
)
def test_what_is_missing_is_told(project: Path, files: dict[str, str | None], given: str | None, code: str) -> None:
    for name, text in files.items():
        (project / name).unlink(missing_ok=True) if text is None else (project / name).write_text(text)
    with pytest.raises(RunnerError) as caught:
        choose(project, given=given)
    assert caught.value.code == code


@pytest.mark.parametrize(("name", "code"), [("profiles.yml", "profile_invalid"), ("dbt_project.yml", "no_dbt_project")])
def test_a_link_out_of_the_repository_is_not_read(project: Path, name: str, code: str) -> None:
    outside = project.parent / "outside.yml"
    outside.write_text(OWN)
    (project / name).unlink(missing_ok=True)
    (project / name).symlink_to(outside)
    with pytest.raises(RunnerError, match="leaves the repository") as caught:
        choose(project)
    assert caught.value.code == code


def test_keys_are_read_from_the_indentation() -> None:
    text = "a:\n  b: 1 # c\n  # d: 2\n  e:\n    f: 'g'\nh: i:j\n- k: l\n"
    assert dict(block_values(text)) == {("a",): "", ("a", "b"): "1", ("a", "e"): "", ("a", "e", "f"): "g", ("h",): "i:j"}
