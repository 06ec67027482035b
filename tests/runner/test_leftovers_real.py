"""After a failed execute: retry, revert and fix forward each end with the warehouse that they would have without it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import PATIENCE, SLEEPING, Driver, Outcome, PostgreSQL, approved, state_connection
from tests.runner.shop import config
from tests.runner.sqlmesh_halves import CONNECTION, packed
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

KIND = "kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1, forward_only true), start '2024-01-01', end '2024-01-06'"
KEPT = f"MODEL (name shop.kept, {KIND});\nSELECT 1 AS id, {{columns}}CAST(@start_ds AS DATE) AS day"
FRESH = f"""MODEL (name shop.fresh, {KIND});
SELECT {{value}} AS value, CAST(@start_ds AS DATE) AS day, 1 / CASE WHEN @start_ds > '2024-01-03' THEN divisor ELSE 1 END AS one,
  CAST(pg_sleep(CASE WHEN @start_ds > '2024-01-03' THEN seconds ELSE 0 END) AS TEXT) AS slept
FROM control.knob"""
PLAIN = "MODEL (name shop.plain, kind FULL);\nSELECT {value} AS value"
GONE = "MODEL (name shop.gone, kind FULL);\nSELECT 1 AS id"

COMMITS: dict[str, dict[str, str | None]] = {
    "revert": {
        "models/kept.sql": KEPT.format(columns=""),
        "models/plain.sql": PLAIN.format(value=1),
        "models/gone.sql": GONE,
        "models/fresh.sql": None,
    },
    "retry": {
        "models/kept.sql": KEPT.format(columns="'b' AS source, "),
        "models/plain.sql": PLAIN.format(value=2),
        "models/gone.sql": None,
        "models/fresh.sql": FRESH.format(value=2),
    },
    "fix": {
        "models/kept.sql": KEPT.format(columns="'c' AS channel, "),
        "models/plain.sql": PLAIN.format(value=3),
        "models/gone.sql": None,
        "models/fresh.sql": FRESH.format(value=3),
    },
}


class Shop:
    """A project with tables that versions share, deployed once."""

    def __init__(self, driver: Driver, postgres: PostgreSQL) -> None:
        self.driver, self.postgres = driver, postgres
        self.database = postgres.new_database()
        postgres.query(self.database, "CREATE SCHEMA control; CREATE TABLE control.knob AS SELECT 1 AS divisor, 0 AS seconds")
        connection = CONNECTION.format(host=postgres.host, database=self.database)
        files = {**config(connection=connection, dialect="postgres"), **_there(COMMITS["revert"])}
        self.first = driver.repository.commit(files)

    def apply(self, commit: str, rows: list[dict[str, Any]] | None = None) -> Outcome:
        """Explain and execute."""
        given = {"inputs": {"leftovers": packed(rows)}} if rows else {}
        explained = self.driver.step("explain", commit_sha=commit, **given)
        assert explained.status == 0, explained.output
        executed = self.driver.execute(explained, commit_sha=commit, **given)
        assert executed.status == 0, executed.output
        return explained

    def turn(self, divisor: int = 1, seconds: int = 0) -> None:
        """Let the new model fail or sleep from its fourth day on, or not."""
        self.postgres.query(self.database, f"UPDATE control.knob SET divisor = {divisor}, seconds = {seconds}")

    def sleeps(self) -> bool:
        """Whether the new model's statement is running."""
        return bool(self.postgres.query(self.database, f"SELECT 1 {SLEEPING}"))

    def contents(self) -> dict[str, list[Any]]:
        """All rows and columns that readers see."""
        views = self.postgres.query(self.database, "SELECT viewname FROM pg_views WHERE schemaname = 'shop' ORDER BY 1")
        query = "SELECT to_jsonb(v) AS row FROM shop.{} v ORDER BY 1"
        return {name: self.postgres.query(self.database, query.format(name)) for (name,) in views}


def _there(files: dict[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in files.items() if text is not None}


def _commit(driver: Driver, way: str) -> str:
    """Commit the files of a way, without removing what is not there."""
    files = {name: text for name, text in COMMITS[way].items() if text or (driver.repository.folder / name).exists()}
    return driver.repository.commit(files)


def _rows(explained: Outcome, left: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As the control plane hands them on."""
    return [{**row, "plan_id": explained.result["tool_plan_id"], "commit": "b" * 40} for row in left]


def _smooth(stateful: Driver, postgres: PostgreSQL, folder: Path) -> Shop:
    """The same project, for which nothing fails."""
    folder.mkdir()
    driver = Driver(folder, Path(stateful.variables["DAGCTL_ENVIRONMENTS_DIR"]))
    connection = state_connection(postgres, postgres.new_database())
    (driver.secrets / "state_connection.json").write_text(json.dumps(connection))
    return Shop(driver, postgres)


def _explained(driver: Driver, commit: str) -> Outcome:
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    return explained


def _failed(shop: Shop, explained: Outcome, commit: str) -> list[dict[str, Any]]:
    """Execute until the new model fails; what that leaves."""
    shop.turn(divisor=0)
    failed = shop.driver.execute(explained, commit_sha=commit)
    assert (failed.status, failed.code) == (1, "model_failed"), failed.output
    assert failed.result["left"] == explained.result["plan_output"]["leaves"]
    shop.turn()
    left: list[dict[str, Any]] = failed.result["left"]
    return left


def _killed(shop: Shop, explained: Outcome, commit: str) -> list[dict[str, Any]]:
    """Execute until the new model sleeps, and kill everything; what the explain said of that."""
    shop.turn(seconds=600)
    running = shop.driver.start("execute", **approved(explained), commit_sha=commit)
    wait_for("the statement to run", shop.sleeps, seconds=PATIENCE, show=running.output)
    running.vanish()
    shop.turn()
    left: list[dict[str, Any]] = explained.result["plan_output"]["leaves"]
    return left


@pytest.mark.long
@pytest.mark.parametrize(("end", "way"), [(_failed, "retry"), (_failed, "revert"), (_killed, "fix")])
def test_what_a_failed_plan_left_is_set_right(
    stateful: Driver, postgres: PostgreSQL, tmp_path: Path, end: Callable[[Shop, Outcome, str], list[dict[str, Any]]], way: str
) -> None:
    expected = _smooth(stateful, postgres, tmp_path / "smooth")
    expected.apply(expected.first)
    expected.apply(_commit(expected.driver, way))

    shop = Shop(stateful, postgres)
    shop.apply(shop.first)
    failing = _commit(stateful, "retry")
    explained = _explained(stateful, failing)
    left = end(shop, explained, failing)
    assert [row["name"] for row in left] == ["shop.fresh", "shop.kept"]
    run = stateful.step("run", commit_sha=failing)
    assert run.code == "environment_unfinished", run.output

    if way == "retry":
        retried = stateful.execute(explained, commit_sha=failing, attempt=2)
        assert retried.status == 0, retried.output
    else:
        plan = shop.apply(_commit(stateful, way), _rows(explained, left)).result["plan_output"]
        told = {row["name"]: row["what"] for row in plan["leftovers"]}
        assert told["shop.fresh"].startswith("its table holds what the failed plan loaded")
        assert told["shop.kept"] == "added columns are dropped: source"
        assert plan["has_changes"] is True
        assert "leftovers" in plan["digest_parts"]
    assert shop.contents() == expected.contents()
    assert stateful.step("run", commit_sha=failing).status == 0


@pytest.mark.long
@pytest.mark.parametrize("way", ["retry", "fix"])
def test_a_first_plan_that_failed_is_finished_or_taken_over(
    stateful: Driver, postgres: PostgreSQL, tmp_path: Path, way: str
) -> None:
    expected = _smooth(stateful, postgres, tmp_path / "smooth")
    expected.apply(_commit(expected.driver, way))

    shop = Shop(stateful, postgres)
    failing = _commit(stateful, "retry")
    explained = _explained(stateful, failing)
    left = _failed(shop, explained, failing)
    assert [row["name"] for row in left] == ["shop.fresh", "shop.kept", "shop.plain"]
    if way == "retry":
        retried = stateful.execute(explained, commit_sha=failing, attempt=2)
        assert retried.status == 0, retried.output
    else:
        shop.apply(_commit(stateful, way), _rows(explained, left))
    assert shop.contents() == expected.contents()
