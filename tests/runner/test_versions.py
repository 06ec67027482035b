"""The table of versions."""

from __future__ import annotations

import pytest

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.versions import (
    TOOL_VERSIONS,
    check_python,
    default_version,
    is_downgrade,
    resolve_version,
    supported_versions,
    version_key,
)


def test_versions_are_ordered_from_the_oldest_to_the_newest() -> None:
    versions = supported_versions("sqlmesh")
    assert versions == sorted(versions, key=version_key)
    assert (versions[0], versions[-1]) == ("0.130.0", "0.236.4")
    assert default_version("sqlmesh") == "0.236.4"


def test_a_version_is_resolved_as_of_the_day_after_its_release() -> None:
    assert resolve_version("sqlmesh", "0.228.5").cutoff == "2026-01-23"
    assert resolve_version("sqlmesh", None).version == "0.236.4"
    days = [row.released for row in TOOL_VERSIONS["sqlmesh"].values()]
    assert max(days) == days[-1]


def test_dbt_versions_are_resolved_as_of_when_their_adapters_were_there() -> None:
    versions = supported_versions("dbt")
    assert versions == sorted(versions, key=version_key)
    assert (versions[0], default_version("dbt")) == ("1.5.0", "1.12.6")
    assert {version.rpartition(".")[0] for version in versions} == {f"1.{minor}" for minor in range(5, 13)}
    assert resolve_version("dbt", "1.5.0").cutoff == "2023-08-26"
    assert resolve_version("dbt", "1.5.11").cutoff == "2024-03-29"
    assert resolve_version("dbt", "1.8.0").cutoff == "2024-05-10"
    assert "1.11.0" not in versions, "it was withdrawn"


@pytest.mark.parametrize(
    ("version", "near"),
    [
        ("0.236.99", "0.236.4"),
        ("0.1.0", "0.130.0"),
        ("latest", "0.130.0, 0.236.4"),
        ("0.200.99; rm -rf /", "0."),
        ("9" * 5000 + ".1.1", "0."),
    ],
)
def test_an_unknown_version_is_refused_naming_near_ones(version: str, near: str) -> None:
    with pytest.raises(RunnerError, match="not supported") as caught:
        resolve_version("sqlmesh", version)
    assert caught.value.code == "tool_version_unsupported"
    assert near in caught.value.message


@pytest.mark.parametrize(
    ("version", "python", "fits"),
    [
        ("1.5.12", "3.9", True),
        ("1.6.19", "3.11.7", True),
        ("1.6.19", "3.12", False),
        ("1.7.20", "3.13", True),
        ("1.10.23", "3.9", True),
        ("1.11.16", "3.9", False),
        ("1.12.6", "3.13", True),
        ("1.12.6", "3.14", False),
    ],
)
def test_a_python_that_a_version_does_not_run_on_is_refused(version: str, python: str, fits: bool) -> None:
    check_python("sqlmesh", "0.236.4", python)
    if fits:
        check_python("dbt", version, python)
    else:
        with pytest.raises(RunnerError, match=f"not on {python}") as caught:
            check_python("dbt", version, python)
        assert caught.value.code == "tool_version_unsupported"


def test_an_unknown_tool_is_refused() -> None:
    with pytest.raises(RunnerError, match="choose sqlmesh"):
        resolve_version("make", "4.4.1")


@pytest.mark.parametrize(
    ("deployed", "wanted", "answer"),
    [
        ("0.228.5", "0.200.0", True),
        ("0.228.5", "0.228.0", False),
        ("0.228.5", "0.236.4", False),
        (None, "0.200.0", False),
        ("unknown", "0.200.0", False),
    ],
)
def test_only_an_older_minor_version_is_a_downgrade(deployed: str | None, wanted: str, answer: bool) -> None:
    assert is_downgrade(deployed, wanted) is answer
