"""A deployed state that is broken, of a dbt that nobody knows, or of another project is said to be that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.runner.test_dbt_inner import importable, make_step, manifest

__all__ = ["importable"]

GOOD = json.dumps(manifest(a={}))


def read(folder: Path, content: str | bytes) -> Any:
    from dagctl_dbt.artifacts import read_deployed

    path = folder / "deployed.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_deployed(make_step(folder, inputs={"deployed": str(path)}))


def with_env(**texts: str) -> str:
    found = json.loads(GOOD)
    found["metadata"]["env"] = texts
    return json.dumps(found)


def test_a_good_one_with_and_without_what_stands_beside_it(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).note == {}
    assert read(tmp_path, with_env(DAGCTL_PLAN='{"plan_id": "p"}')).note == {"plan_id": "p"}
    newer = read(tmp_path, with_env(DAGCTL_FACTS='{"target": "prod", "something_new": 1}'))
    assert newer.facts.target == "prod"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "it is empty"),
        (GOOD[:100], "it is no JSON"),
        (b"\xff\xfe", "it is no JSON"),
        ("[]", "it is no manifest"),
        ('{"nodes": {}}', "it is no manifest"),
        (GOOD.replace('"macros"', '"micros"'), "it has no 'macros'"),
        (GOOD.replace('"nodes": {', '"nodes": 1, "nodez": {'), "it has no 'nodes'"),
        (GOOD.replace('"resource_type"', '"resource"'), "something in its 'nodes' is none of dbt's"),
        (GOOD.replace("manifest/v12.json", "catalog/v1.json"), "it does not say which version"),
        (with_env(DAGCTL_PLAN="{"), "what stands beside the manifest (DAGCTL_PLAN) is no JSON"),
        (with_env(DAGCTL_FACTS="[]"), "what stands beside the manifest (DAGCTL_FACTS) is not what was written there"),
    ],
)
def test_a_broken_one(tmp_path: Path, content: str | bytes, why: str) -> None:
    from dagctl_common.channel import StepFailed

    with pytest.raises(StepFailed) as failed:
        read(tmp_path, content)
    assert failed.value.code == "state_damaged"
    assert failed.value.message.startswith(f"The deployed state is broken: {why}")


@pytest.mark.parametrize("version", [8, 13])
def test_one_of_a_dbt_that_nobody_knows(tmp_path: Path, version: int) -> None:
    from dagctl_common.channel import StepFailed

    with pytest.raises(StepFailed) as failed:
        read(tmp_path, GOOD.replace("v12", f"v{version}"))
    assert failed.value.code == "state_unknown_version"
    assert failed.value.message == (f"The deployed state is a manifest v{version} (dbt 1.12.6); v9 to v12 are known here.")


def test_one_of_another_project_unless_that_has_only_got_another_name() -> None:
    from dagctl_common.channel import StepFailed
    from dagctl_dbt.states import refuse_foreign

    def side(project: str, *names: str) -> Any:
        found = manifest(**{name: {"name": name} for name in names})
        found["metadata"]["project_name"] = project
        return found

    with pytest.raises(StepFailed) as failed:
        refuse_foreign(side("other", "x"), side("shop", "a", "b"))
    assert failed.value.code == "state_foreign"
    assert failed.value.message == (
        "The deployed state is of the project 'other', and nothing in it has the name of something in 'shop'."
    )
    for before, after in (
        (None, side("shop", "a")),
        (side("other", "a", "x"), side("shop", "a", "b")),
        (side("shop", "x"), side("shop", "a")),
        (side("other"), side("shop", "a")),
    ):
        refuse_foreign(before, after)


def test_every_code_has_a_row() -> None:
    from dagctl_provider.runner.errors import STEP_ERRORS

    assert {"state_damaged", "state_unknown_version", "state_foreign"} <= set(STEP_ERRORS)
