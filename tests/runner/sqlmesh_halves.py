"""A SQLMesh project of twelve models whose plans fail or die where a test says, and states of its databases to go back to."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

from tests.runner.conftest import PATIENCE, SLEEPING, Driver, Outcome, PostgreSQL, approved, state_connection
from tests.runner.shop import config
from tests.waiting import wait_for

CONNECTION = (
    "type: postgres\n      host: {host}\n      port: 5432\n      user: postgres\n"
    "      password: unused-password\n      database: {database}"
)
KNOB = """
CREATE SCHEMA control;
CREATE TABLE control.knob (how TEXT, node TEXT, moment TEXT);
CREATE FUNCTION control.fate(n TEXT, m TEXT) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE wanted TEXT;
BEGIN
  SELECT how INTO wanted FROM control.knob WHERE node = n AND moment = m;
  IF wanted = 'fail' THEN RAISE EXCEPTION 'the fate of %', n; END IF;
  IF wanted IN ('kill', 'cancel') THEN PERFORM pg_sleep(600); END IF;
  RETURN wanted;
END $$;
"""
# A macro, since SQLMesh takes a SELECT in a model's file for its query. Tables are made and filled as one, but those by time.
MACRO = """from sqlmesh import macro

@macro()
def fate(evaluator, node, moment):
    if evaluator.runtime_stage == "evaluating" or evaluator.runtime_stage == "creating" and node.name not in ("inc", "fresh"):
        return f"SELECT control.fate('{node.name}', '{moment.name}')"
    return None
"""
_BY_DAY = "INCREMENTAL_BY_TIME_RANGE (time_column day{}), start '2024-01-01', end '2024-01-03'"
_FORWARD = _BY_DAY.format(", batch_size 1, forward_only true")


def _model(name: str, kind: str, query: str) -> str:
    statements = [statement for statement in (f"@fate('{name}', 'before')", query, f"@fate('{name}', 'after')") if statement]
    return f"MODEL (name shop.{name}, kind {kind});\n" + ";\n".join(statements) + ";\n"


def commit(factor: int, column: str | None = None) -> dict[str, str | None]:
    """The models of a commit, each of them changed by the factor or downstream of what is.

    :param factor: Of amounts. Another one than 1 has a model more, and one less.
    :param column: That a model whose versions share a table has more.
    """
    day = "CAST(@start_ds AS DATE) AS day"
    seed = "(path '../seeds/raw.csv'), columns (id INT, customer TEXT, amount INT, day DATE)"
    models = {
        "raw": _model("raw", f"SEED {seed}", ""),
        "stg": _model("stg", "VIEW", f"SELECT id, customer, amount * {factor} AS amount, day FROM shop.raw"),
        "names": _model("names", "FULL", f"SELECT DISTINCT customer, {factor} AS factor FROM shop.raw"),
        "inc": _model(
            "inc",
            _BY_DAY.format(""),
            "SELECT day, CAST(SUM(amount) AS INT) AS amount FROM shop.stg "
            "WHERE day BETWEEN @start_date AND @end_date GROUP BY day",
        ),
        "fwd": _model("fwd", _FORWARD, f"SELECT 1 AS id, {f'{factor} AS {column}, ' if column else ''}{day}"),
        "fct": _model(
            "fct",
            "FULL",
            "SELECT s.customer, CAST(SUM(s.amount) AS INT) AS amount FROM shop.stg AS s "
            "JOIN shop.names AS n ON s.customer = n.customer GROUP BY s.customer",
        ),
        "v_fct": _model("v_fct", "VIEW", "SELECT customer, amount FROM shop.fct"),
        "rep_inc": _model("rep_inc", "FULL", "SELECT CAST(SUM(amount) AS INT) AS total FROM shop.inc"),
        "rep_fwd": _model("rep_fwd", "FULL", f"SELECT COUNT(*) AS n, {factor} AS factor FROM shop.fwd"),
        "rep_all": _model(
            "rep_all", "FULL", "SELECT total FROM shop.rep_inc UNION ALL SELECT CAST(n AS INT) AS total FROM shop.rep_fwd"
        ),
        "own": _model("own", "FULL", f"SELECT {factor} AS value") if factor != 1 else None,
        "fresh": _model("fresh", _FORWARD, f"SELECT {factor} AS value, {day}") if factor != 1 else None,
        "gone": _model("gone", "FULL", "SELECT 1 AS id") if factor == 1 else None,
    }
    rows = "".join(f"{n},{who},{n * 10 * factor},2024-01-0{n}\n" for n, who in enumerate(("ann", "bob", "ann"), 1))
    return {
        "macros/__init__.py": "",
        "macros/fates.py": MACRO,
        "seeds/raw.csv": "id,customer,amount,day\n" + rows,
        **{f"models/{name}.sql": text for name, text in models.items()},
    }


def packed(rows: list[dict[str, Any]]) -> str:
    """What was left, as the API server hands it out."""
    return base64.b64encode(gzip.compress(json.dumps({"rows": rows}).encode())).decode()


ONE, TWO, THREE = commit(1), commit(2, "source"), commit(3, "channel")
NODES = ("raw", "stg", "names", "inc", "fwd", "fct", "v_fct", "rep_inc", "rep_fwd", "rep_all", "own", "fresh")


class Halves:
    """One project with its warehouse and its state, and copies of both.

    :param folder: Private.
    """

    def __init__(self, folder: Path, environments: Path, postgres: PostgreSQL) -> None:
        folder.mkdir()
        self.driver, self.postgres = Driver(folder, environments), postgres
        self.databases = postgres.new_database(), postgres.new_database()
        connection = state_connection(postgres, self.databases[1])
        (self.driver.secrets / "state_connection.json").write_text(json.dumps(connection))
        postgres.query(self.databases[0], KNOB)
        place = CONNECTION.format(host=postgres.host, database=self.databases[0])
        self._files = config(connection=place, dialect="postgres")
        self.left: list[dict[str, Any]] = []

    def commit(self, files: dict[str, str | None]) -> str:
        """Commit the files of a way; those that are ``None`` go."""
        here = self.driver.repository.folder
        return self.driver.repository.commit(
            {**self._files, **{name: text for name, text in files.items() if text is not None or (here / name).exists()}}
        )

    def deploy(self, files: dict[str, str | None]) -> None:
        """Explain and execute, successfully, whatever is left from before."""
        sha = self.commit(files)
        executed = self.driver.execute(self.explain(sha), commit_sha=sha, **self.inputs())
        assert executed.status == 0, executed.output
        self.left = []

    def explain(self, sha: str) -> Outcome:
        """Explain a commit."""
        explained = self.driver.step("explain", commit_sha=sha, **self.inputs())
        assert explained.status == 0, explained.output
        return explained

    def inputs(self) -> dict[str, Any]:
        """What the API server hands out."""
        return {"inputs": {"leftovers": packed(self.left)}} if self.left else {}

    def break_off(self, explained: Outcome, sha: str, fate: str) -> str | None:
        """Execute, and let it end as the fate says: ``fail``, ``kill`` or ``cancel``, a model, ``before`` or ``after``.

        :return: The outcome; ``None`` of a killed one.
        """
        how, node, moment = fate.split()
        self.postgres.query(self.databases[0], f"INSERT INTO control.knob VALUES ('{how}', '{node}', '{moment}')")
        running = self.driver.start("execute", **approved(explained), commit_sha=sha)
        outcome = None
        if how != "fail":
            wait_for("the statement, or the end", lambda: self._sleeps() or running.process.poll() is not None, seconds=PATIENCE)
        if how == "kill" and running.process.poll() is None:
            running.vanish()
            self.left = explained.result["plan_output"]["leaves"]
        else:
            if how == "cancel" and running.process.poll() is None:
                running.process.terminate()
            ended = running.wait()
            outcome, self.left = ended.result["outcome"], ended.result.get("left") or []
        self.left = [{**row, "plan_id": explained.result["tool_plan_id"], "commit": "b" * 40} for row in self.left]
        self.postgres.query(self.databases[0], "DELETE FROM control.knob")
        return outcome

    def _sleeps(self) -> bool:
        return bool(self.postgres.query(self.databases[0], f"SELECT 1 {SLEEPING}"))

    def keep(self, name: str) -> None:
        """Remember the databases as they are."""
        for database in self.databases:
            self._copy(database, f"{database}_{name}")

    def back(self, name: str) -> None:
        """Go back to a state."""
        for database in self.databases:
            self._copy(f"{database}_{name}", database)

    def _copy(self, source: str, copy: str) -> None:
        # What a killed tool had open is closed by the server a moment later.
        self.postgres.query("postgres", f"DROP DATABASE IF EXISTS {copy} WITH (FORCE)")
        close = f"SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = '{source}'"
        self.postgres.query("postgres", close)
        self.postgres.query("postgres", f"CREATE DATABASE {copy} TEMPLATE {source}")

    def contents(self) -> dict[str, list[Any]]:
        """All rows and columns that readers see."""
        views = self.postgres.query(self.databases[0], "SELECT viewname FROM pg_views WHERE schemaname = 'shop' ORDER BY 1")
        query = "SELECT to_jsonb(v) AS row FROM shop.{} v ORDER BY 1"
        return {name: self.postgres.query(self.databases[0], query.format(name)) for (name,) in views}
