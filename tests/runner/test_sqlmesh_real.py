"""The runner with real SQLMesh, a DuckDB or PostgreSQL warehouse and state in PostgreSQL."""

from __future__ import annotations

import json

import pytest

from dagctl_provider.runner.inputs import variable_hashes
from tests.runner.conftest import Driver
from tests.runner.shop import FIRST, SECOND, SEED, config

pytestmark = pytest.mark.slow


def test_a_plan_is_explained_applied_once_and_then_run(stateful: Driver) -> None:
    first = stateful.repository.commit({**config(stateful.folder / "warehouse.db"), **FIRST})
    explained = stateful.step("explain", commit_sha=first)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["modelsAdded"] == 7
    assert explained.result["plan_output"]["is_new_environment"] is True

    executed = stateful.execute(explained, commit_sha=first)
    assert executed.status == 0, executed.output
    assert {row["status"] for row in executed.result["models"]} == {"succeeded"}
    assert "[1/" in executed.output
    assert [event for event in executed.events if event["event"] == "model_finished" and event["model"] == "shop.fct_orders"]

    again = stateful.execute(explained, commit_sha=first, attempt=2)
    assert again.result["already_applied"] is True
    assert "models" not in again.result

    run = stateful.step("run", commit_sha=first)
    assert run.status == 0, run.output

    second = stateful.repository.commit(SECOND)
    explained = stateful.step("explain", commit_sha=second)
    stateful.server.query(stateful.state_database, "UPDATE state_of_shop._environments SET plan_id = 'of somebody else'")
    drifted = stateful.execute(explained, commit_sha=second)
    assert (drifted.status, drifted.result["outcome"], drifted.code) == (3, "drifted", "plan_drifted"), drifted.output
    assert (
        "another plan was applied to the environment since; now it is: plan for prod: 1 added"
        in drifted.result["error"]["message"]
    )
    assert drifted.result["plan_output"]["modelsModified"] == 4


def test_a_project_may_keep_its_state_in_the_warehouse(driver: Driver) -> None:
    files = {**config(driver.folder / "warehouse.db"), **SEED}
    commit = driver.repository.commit(files)
    explained = driver.step("explain", commit_sha=commit, tool_version="0.228.5")
    assert explained.status == 0, explained.output
    assert driver.execute(explained, commit_sha=commit, tool_version="0.228.5").status == 0

    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["state_migration"]["from"] == "0.228.5"
    executed = driver.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output


@pytest.mark.long
def test_an_explain_that_may_only_read_finds_the_plan_of_its_execute(stateful: Driver) -> None:
    server, warehouse = stateful.server, stateful.server.new_database()
    reader, writer = f"{warehouse}_reader", f"{warehouse}_writer"
    server.query(warehouse, f"CREATE ROLE {reader} LOGIN; CREATE ROLE {writer} LOGIN; GRANT pg_read_all_data TO {reader}")
    server.query(warehouse, f"GRANT ALL ON DATABASE {warehouse} TO {writer}")
    fields = (f"host: {server.host}", "port: 5432", "user: {{ env_var('WH_USER') }}", "password: p", f"database: {warehouse}")
    connection = "\n      ".join(["type: postgres", *fields])
    commit = stateful.repository.commit({**config(connection=connection, dialect="postgres"), **SEED})

    def give(user: str, approved: dict[str, str] | None = None) -> None:
        env, path = {"WH_USER": user, "TENANT": "1"}, stateful.secrets / "approved.json"
        (stateful.secrets / "env.json").write_text(json.dumps(env))
        path.unlink(missing_ok=True)
        if approved is not None:
            path.write_text(json.dumps(variable_hashes(approved, None, stateful.request["project_id"])))

    give(reader, {"WH_USER": writer, "TENANT": "2"})
    explained = stateful.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    assert explained.result["plan_output"]["warehouse"]["database"] == warehouse
    assert not {reader, writer} & set(explained.result["plan_output"]["warehouse"].values())
    give(writer)
    drifted = stateful.execute(explained, commit_sha=commit)
    assert "variable TENANT. Nothing" in drifted.result["error"]["message"], drifted.output

    give(reader, {"WH_USER": writer, "TENANT": "1"})
    explained = stateful.step("explain", commit_sha=commit)
    give(writer)
    executed = stateful.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output


@pytest.mark.long
def test_values_of_secrets_that_an_explain_does_not_have_are_not_compared(stateful: Driver) -> None:
    commit = stateful.repository.commit({**config(stateful.folder / "warehouse.db"), **SEED})
    (stateful.secrets / "env.json").write_text('{"PASSWORD": "of the reader"}')
    stateful.variables["DAGCTL_EXPLAIN_SECRETS"] = "1"
    explained = stateful.step("explain", commit_sha=commit)
    output = explained.result["plan_output"]
    assert output["digest_parts"]["variable:PASSWORD"] == "unstable"
    assert [text for text in output["warnings"] if "Values of variables" in text] == [
        "Values of variables from Secrets are not compared: the explain has Secrets of its own."
    ]
    del stateful.variables["DAGCTL_EXPLAIN_SECRETS"]
    (stateful.secrets / "env.json").write_text('{"PASSWORD": "of the writer"}')
    executed = stateful.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output
