"""Changing a project's SQLMesh version: the state is migrated by an approved execute, never by an explain or a run."""

from __future__ import annotations

import pytest

from tests.runner.conftest import NEWEST, Driver, PostgreSQL
from tests.runner.shop import FIRST, SECOND, config
from tests.runner.test_versions_real import CATEGORIES, EXPECTED

pytestmark = pytest.mark.slow

OLDER = "0.228.5"


def test_a_newer_version_is_explained_on_a_copy_and_migrates_when_approved(stateful: Driver, postgres: PostgreSQL) -> None:
    database = stateful.state_database

    def state() -> list[object]:
        schemas = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY 1"
        tables = [*postgres.query(database, schemas), *postgres.query(database, "SELECT * FROM state_of_shop._versions")]
        return [*tables, *postgres.query(database, "SELECT name, identifier FROM state_of_shop._snapshots ORDER BY 1, 2")]

    first = stateful.repository.commit({**config(stateful.folder / "warehouse.db"), **FIRST})
    stateful.deploy(first, OLDER)
    before = state()

    second = stateful.repository.commit(SECOND)
    explained = stateful.step("explain", commit_sha=second, deployed_tool_version=OLDER)
    assert explained.status == 0, explained.output
    output = explained.result["plan_output"]
    assert output["state_migration"] == {"from": OLDER, "to": NEWEST}
    assert {key: output[key] for key in EXPECTED} == EXPECTED
    assert {row["name"]: (row["change"], row["category"]) for row in output["models"]} == CATEGORIES
    assert state() == before

    run = stateful.step("run", commit_sha=first)
    assert (run.status, run.code) == (2, "state_behind")
    drifted = stateful.execute(explained, commit_sha=first)
    assert (drifted.status, drifted.code) == (3, "plan_drifted"), drifted.output
    assert state() == before

    executed = stateful.execute(explained, commit_sha=second)
    assert executed.status == 0, executed.output
    assert stateful.execute(explained, commit_sha=second).result["already_applied"] is True
    assert any(NEWEST in row for row in state() if isinstance(row, tuple))

    downgraded = stateful.step("explain", commit_sha=second, tool_version=OLDER)
    assert (downgraded.status, downgraded.code) == (2, "state_migration_downgrade")
