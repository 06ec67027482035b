"""dbt on a real PostgreSQL, with the profile that is made from an Airflow connection: a cancel ends what the server is doing."""

from __future__ import annotations

import json
import os
import signal
from types import SimpleNamespace

import pytest

from dagctl_provider.hooks.profiles import make_profile
from tests.processes import is_alive
from tests.runner.conftest import PATIENCE, PATIENT, SLEEPING, Driver, Outcome, PostgreSQL, Running, approved
from tests.runner.dbt_shop import NEWEST
from tests.waiting import equals, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]

FILES = {
    "dbt_project.yml": "name: shop\nversion: '1.0'\nconfig-version: 2\nprofile: shop\nmodels: {shop: {+materialized: table}}\n",
    "models/stg.sql": "select 1 as id",
    "models/slow.sql": "select id, pg_sleep((select seconds from control.knob))::text as slept from {{ ref('stg') }}",
    "models/after.sql": "select id from {{ ref('slow') }}",
    "models/schema.yml": "version: 2\nmodels: [{name: after, columns: [{name: id, tests: [accepted_values: {values: [1]}]}]}]\n",
}


class SlowProject:
    """A dbt project whose model sleeps in the server as long as a table says.

    :param version: Of dbt.
    :param more: Further files.
    """

    def __init__(self, driver: Driver, postgres: PostgreSQL, version: str = NEWEST, **more: str) -> None:
        self.driver, self.postgres = driver, postgres
        self.database = postgres.new_database()
        postgres.query(self.database, "CREATE SCHEMA control; CREATE TABLE control.knob AS SELECT 600 AS seconds")
        connection = SimpleNamespace(
            conn_id="warehouse", conn_type="postgres", host=postgres.host, port=None, login="postgres",
            password="unused-password", schema=self.database, extra_dejson={},
        )  # fmt: skip
        profile, secrets = make_profile(connection, None, {"schema": "marts"})
        (driver.secrets / "profiles.yml").write_text(profile)
        (driver.secrets / "env.json").write_text(json.dumps(secrets))
        driver.request.update(tool="dbt", tool_version=version, environment=...)
        driver.request["commit_sha"] = driver.repository.commit({**FILES, **more})
        self.explained: Outcome = driver.step("explain")
        assert self.explained.status == 0, self.explained.output

    def sleeping(self) -> bool:
        """Whether the model's statement is running in the warehouse."""
        return bool(self.postgres.query(self.database, f"SELECT 1 {SLEEPING}"))

    def set(self, seconds: int) -> None:
        """How long the model sleeps from now on."""
        self.postgres.query(self.database, f"UPDATE control.knob SET seconds = {seconds}")

    def start(self, *options: str) -> Running:
        """Start an execute and wait until its statement runs."""
        running = self.driver.start("execute", *options, **approved(self.explained))
        wait_for("the statement to run", self.sleeping, seconds=PATIENCE, show=running.output)
        return running

    def execute(self) -> Outcome:
        """Execute to the end."""
        return self.driver.execute(self.explained)


def statuses(outcome: Outcome) -> dict[str, str]:
    """What became of the models."""
    return {row["name"]: row["status"] for row in outcome.result.get("models", [])}


def test_a_cancel_ends_the_running_statement_and_a_retry_finishes(driver: Driver, postgres: PostgreSQL) -> None:
    project = SlowProject(driver, postgres)
    running = project.start(*PATIENT)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (130, "cancelled"), outcome.output
    assert not project.sleeping()
    assert statuses(outcome) == {"stg": "succeeded", "slow": "cancelled"}

    # The machine goes away: nobody is left to end the statement but the next writer.
    running = project.start()
    running.vanish()
    assert project.sleeping(), "a database does not notice that its client was killed"
    project.set(0)
    finished = project.execute()
    assert finished.status == 0, finished.output
    assert "ended 1 statement(s) that a killed step had left running" in finished.output
    assert statuses(finished) == {"slow": "succeeded", "after": "succeeded"}


def test_what_dbt_itself_cannot_interrupt_ends_too(driver: Driver, postgres: PostgreSQL) -> None:
    # Of a hook the main thread waits for the server, and a signal reaches it only afterwards.
    hook = "on-run-start: select pg_sleep((select seconds from control.knob))::text\n"
    project = SlowProject(driver, postgres, **{"dbt_project.yml": FILES["dbt_project.yml"] + hook})
    running = project.start(*PATIENT)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (130, "cancelled"), outcome.output
    assert not project.sleeping()

    # The parent dies, and then the runner itself.
    running = project.start("--watch-stdin", *PATIENT)
    assert running.process.stdin is not None
    running.process.stdin.close()
    assert running.process.wait(PATIENCE) == 130
    running = project.start(*PATIENT)
    inner = running.inner_pid()
    running.process.kill()
    wait_for(
        "the statement and the tool to end",
        lambda: (project.sleeping(), is_alive(inner)),
        equals((False, False)),
        seconds=PATIENCE,
    )

    # A tool that hangs is killed, and a new process ends what it was doing.
    running = project.start("--grace", "1")
    os.kill(running.inner_pid(), signal.SIGSTOP)
    running.process.send_signal(signal.SIGTERM)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (130, "cancelled"), outcome.output
    assert "ended 1 statement(s)" in outcome.output
    assert not project.sleeping()

    # As the kernel does it that has no memory left.
    running = project.start()
    os.kill(running.inner_pid(), signal.SIGKILL)
    outcome = running.wait()
    assert (outcome.status, outcome.code) == (1, "tool_killed"), outcome.output
    assert not project.sleeping()

    project.set(0)
    assert project.execute().status == 0


def test_a_failed_test_is_told_and_a_retry_does_what_is_left(driver: Driver, postgres: PostgreSQL) -> None:
    project = SlowProject(driver, postgres, **{"models/stg.sql": "select id from control.ids"})
    postgres.query(project.database, "CREATE TABLE control.ids AS SELECT 2 AS id")
    project.set(0)
    failed = project.execute()
    assert (failed.status, failed.code) == (1, "dbt_test_failed"), failed.output
    assert failed.result["tests"]["failed"] == 1
    assert {row["name"]: row["rows"] for row in failed.result["models"]} == {"stg": 1, "slow": 1, "after": 1}

    postgres.query(project.database, "UPDATE marts.after SET id = 1")
    retried = project.execute()
    assert retried.status == 0, retried.output
    assert statuses(retried) == {}
    assert retried.result["tests"]["passed"] == 1

    run = project.driver.step("run")
    assert (run.status, run.code) == (1, "dbt_test_failed"), run.output
    postgres.query(project.database, "DROP TABLE control.ids CASCADE")
    run = project.driver.step("run")
    assert (run.status, run.code) == (1, "model_failed"), run.output
    assert 'stg (models/stg.sql): relation "control.ids" does not exist' in run.result["error"]["message"]
    assert statuses(run) == {"stg": "failed", "slow": "skipped", "after": "skipped"}
    expected = [event for event in run.events if event["event"] == "expected"]
    assert [(event["models"], event["tests"]) for event in expected] == [(3, 1)]
