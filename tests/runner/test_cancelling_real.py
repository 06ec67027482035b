"""A step can die in many ways; its statements and processes must not outlive it, and a retry must finish the work."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from tests.processes import is_alive
from tests.runner.conftest import PATIENCE, PATIENT, SLEEPING, Driver, Outcome, PostgreSQL, Running, approved
from tests.runner.shop import config
from tests.waiting import equals, holds, wait_for

pytestmark = pytest.mark.slow

CONNECTION = (
    "type: postgres\n      host: {host}\n      port: 5432\n      user: postgres\n"
    "      password: \"{{{{ env_var('WH_PASSWORD') }}}}\"\n      database: {database}"
)
SLOW = "MODEL (name shop.slow, kind FULL);\nSELECT 1 AS id, CAST(pg_sleep(seconds) AS TEXT) AS slept FROM control.knob"
AFTER = "MODEL (name shop.after, kind FULL);\nSELECT id FROM shop.slow"


class SlowProject:
    """A project on a PostgreSQL warehouse whose model sleeps as long as a table says."""

    def __init__(self, driver: Driver, postgres: PostgreSQL, slow: str = SLOW) -> None:
        self.driver, self.postgres = driver, postgres
        self.database = postgres.new_database()
        postgres.query(self.database, "CREATE SCHEMA control; CREATE TABLE control.knob AS SELECT 600 AS seconds")
        (driver.secrets / "env.json").write_text(json.dumps({"WH_PASSWORD": "unused-password"}))
        connection = CONNECTION.format(host=postgres.host, database=self.database)
        files = {**config(connection=connection, dialect="postgres"), "models/slow.sql": slow, "models/after.sql": AFTER}
        driver.request["commit_sha"] = driver.repository.commit(files)
        self.explained: Outcome = driver.step("explain")
        assert self.explained.status == 0, self.explained.output

    def sleeping(self) -> bool:
        """Whether the model's statement is running in the warehouse."""
        return bool(self.postgres.query(self.database, f"SELECT 1 {SLEEPING}"))

    def start(self, *options: str) -> Running:
        """Start an execute and wait until its statement runs."""
        running = self.driver.start("execute", *options, **approved(self.explained))
        wait_for("the statement to run", self.sleeping, seconds=PATIENCE, show=running.output)
        return running

    def wake(self) -> None:
        """Let the model finish at once from now on."""
        self.postgres.query(self.database, "UPDATE control.knob SET seconds = 0")

    def finish(self) -> Outcome:
        """Execute to the end."""
        self.wake()
        return self.driver.execute(self.explained)


@pytest.fixture
def project(stateful: Driver, postgres: PostgreSQL) -> SlowProject:
    return SlowProject(stateful, postgres)


def test_a_cancel_ends_the_running_statement_and_a_retry_finishes(project: SlowProject) -> None:
    running = project.start(*PATIENT)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.result["outcome"], outcome.code) == (130, "cancelled", "cancelled"), outcome.output
    assert not project.sleeping()
    assert {row["name"]: row["status"] for row in outcome.result["models"]} == {"shop.slow": "cancelled", "shop.after": "skipped"}
    assert project.postgres.query(project.database, "SELECT 1 FROM pg_namespace WHERE nspname = 'shop'") == []

    running = project.start("--watch-stdin", *PATIENT)
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(PATIENCE) == 130
    assert not project.sleeping()

    finished = project.finish()
    assert finished.status == 0, finished.output
    assert project.postgres.query(project.database, "SELECT id FROM shop.after") == [(1,)]


def test_a_run_is_cancelled_fails_and_succeeds_like_an_execute(project: SlowProject) -> None:
    assert project.driver.step("run").code == "environment_not_found"
    assert project.finish().status == 0
    # All intervals are due again.
    project.postgres.query(project.driver.state_database, "DELETE FROM state_of_shop._intervals")
    project.postgres.query(project.database, "UPDATE control.knob SET seconds = 600")
    running = project.driver.start("run", *PATIENT)
    wait_for("the statement to run", project.sleeping, seconds=PATIENCE, show=running.output)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (130, "cancelled"), outcome.output
    assert not project.sleeping()

    project.postgres.query(project.database, "ALTER TABLE control.knob RENAME TO lost")
    outcome = project.driver.step("run")
    assert (outcome.status, outcome.code) == (1, "model_failed"), outcome.output
    assert outcome.result["error"]["message"].startswith('shop.slow: UndefinedTable: relation "control.knob" does not exist')

    project.postgres.query(project.database, "ALTER TABLE control.lost RENAME TO knob; UPDATE control.knob SET seconds = 0")
    outcome = project.driver.step("run")
    assert outcome.status == 0, outcome.output
    assert {row["name"]: row["status"] for row in outcome.result["models"]} == {
        "shop.slow": "succeeded",
        "shop.after": "succeeded",
    }
    assert all(row["rows"] == 1 for row in outcome.result["models"])


def test_nothing_outlives_a_killed_runner(project: SlowProject) -> None:
    running = project.start(*PATIENT)
    inner = running.inner_pid()
    running.process.kill()
    wait_for(
        "the statement and the tool to end",
        lambda: (project.sleeping(), is_alive(inner)),
        equals((False, False)),
        seconds=PATIENCE,
    )

    running = project.start("--grace", "1")
    # A tool that hangs is killed, and cannot interrupt its statement any more.
    os.kill(running.inner_pid(), signal.SIGSTOP)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (130, "cancelled"), outcome.output
    assert not project.sleeping()

    running = project.start()
    running.vanish()
    time.sleep(0.5)
    assert project.sleeping(), "a database does not notice that its client was killed"
    finished = project.finish()
    assert finished.status == 0, finished.output
    assert "ended 1 statement(s) that a killed step had left running" in finished.output
    assert finished.result["already_applied"] is False


def test_two_executes_wait_for_each_other(project: SlowProject) -> None:
    first = project.start()
    second = project.driver.start("execute", **approved(project.explained))
    wait_for("the second to wait", second.output, holds("waiting for another step"), seconds=PATIENCE)
    # The first sleeps in the statement it has read already; ending that one makes it fail, and the second goes on.
    project.wake()
    killed = project.postgres.query(project.database, f"SELECT pg_terminate_backend(pid) {SLEEPING}")
    assert killed
    failed = first.wait()
    assert (failed.status, failed.code) == (1, "model_failed"), failed.output
    assert failed.result["error"]["message"].startswith("shop.slow: ")
    assert second.wait().status == 0


BACKFILL = """MODEL (name shop.slow, kind INCREMENTAL_BY_TIME_RANGE (time_column day, batch_size 1, batch_concurrency 1),
  start '2024-01-01', end '2024-01-10');
SELECT 1 AS id, CAST(@start_ds AS DATE) AS day,
  CAST(pg_sleep(CASE WHEN @start_ds < '2024-01-05' THEN 0 ELSE seconds END) AS TEXT) AS slept FROM control.knob"""


@pytest.mark.long
def test_a_cancelled_backfill_goes_on_where_it_was(stateful: Driver, postgres: PostgreSQL) -> None:
    project = SlowProject(stateful, postgres, BACKFILL)
    running = project.start(*PATIENT)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (130, "cancelled"), outcome.output
    assert not project.sleeping()
    rows = {row["name"]: (row["status"], row["batches"]) for row in outcome.result["models"]}
    assert rows == {"shop.slow": ("cancelled", 4), "shop.after": ("skipped", 0)}

    finished = project.finish()
    assert finished.status == 0, finished.output
    expected = [event for event in finished.events if event["event"] == "expected"]
    assert (expected[-1]["models"], expected[-1]["batches"]) == (2, 7), "the six days that were left, and the model after"
    ended = {event["model"]: event["status"] for event in finished.events if event["event"] == "model_finished"}
    assert ended == {"shop.slow": "succeeded", "shop.after": "succeeded"}
    days = project.postgres.query(project.database, "SELECT count(*), count(DISTINCT day) FROM shop.slow")
    assert days == [(10, 10)]
