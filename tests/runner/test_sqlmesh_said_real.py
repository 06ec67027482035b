"""What a plan says of metadata, audits, altered tables, types, linters and previews: with real SQLMesh."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import NEWEST, PATIENCE, Driver, Outcome
from tests.runner.shop import config
from tests.waiting import holds, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long]

AUDIT = "AUDIT (name positive, blocking {blocking});\nSELECT * FROM @this_model WHERE amount < {bound}"
ORDERS = """MODEL (name shop.orders, kind FULL, owner {owner}, description '{description}', audits (positive));
SELECT 1 AS id, 5 AS amount"""
READER = "MODEL (name shop.reader, kind FULL);\nSELECT id FROM shop.orders"
EVENTS = """MODEL (name shop.events, kind INCREMENTAL_BY_TIME_RANGE (time_column day, forward_only true{policy}),
  start '2024-01-01', end '2024-01-03');
SELECT 1 AS id, {columns}CAST(@start_ds AS DATE) AS day"""
TYPED = "MODEL (name shop.typed, kind FULL, columns (id INT, name {kind}));\nSELECT 1 AS id, '{kind}' AS name"
LINT = "linter:\n  enabled: true\n  warn_rules: [nomissingaudits]\n"


def project(driver: Driver, **more: str | None) -> str:
    files = {
        **config(driver.folder / "warehouse.db"),
        "audits/positive.sql": AUDIT.format(blocking="true", bound=0),
        "models/orders.sql": ORDERS.format(owner="ann", description="All orders"),
        "models/reader.sql": READER,
        "models/events.sql": EVENTS.format(policy="", columns="'x' AS source, "),
        "models/typed.sql": TYPED.format(kind="TEXT"),
    }
    return driver.repository.commit({**files, **more})


def deployed(driver: Driver, commit: str) -> Outcome:
    explained = driver.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    executed = driver.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output
    return executed


def planned(driver: Driver, commit: str, **request: Any) -> dict[str, Any]:
    explained = driver.step("explain", commit_sha=commit, **request)
    assert explained.status == 0, explained.output
    output: dict[str, Any] = explained.result["plan_output"]
    return output


def row(output: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = [row for row in output["models"] if row["name"] == name]
    return found


def test_edited_metadata_and_audits_are_told_by_key_and_followers_apart(stateful: Driver) -> None:
    deployed(stateful, project(stateful))
    (stateful.repository.folder / ".env").write_text("A=1\n")
    output = planned(
        stateful,
        stateful.repository.commit(
            {
                "audits/positive.sql": AUDIT.format(blocking="false", bound=10),
                "models/orders.sql": ORDERS.format(owner="bob", description="All orders, of all shops"),
                "models/typed.sql": TYPED.format(kind="VARCHAR"),
            }
        ),
    )
    orders = row(output, "shop.orders")
    assert orders["change"] == "metadata"
    assert orders["details"] == [
        "description: All orders -> All orders, of all shops",
        "owner: ann -> bob",
        "audit positive: blocking -> not blocking",
        "audit positive: body changed",
    ]
    assert "10" in orders["diff"].split("audit positive")[-1]
    assert "shop.orders" in output["metadata_modified"]
    assert output["metadata_followers"] == ["shop.reader"]
    assert "shop.reader" not in [row["name"] for row in output["models"]]
    assert [text for text in output["warnings"] if text.startswith("Audits of shop.orders changed")]
    assert len([text for text in output["warnings"] if ".env" in text]) == 1
    typed = row(output, "shop.typed")
    assert (typed["change"], typed["columns_changed"]) == ("directly_modified", [])


def test_an_audit_that_does_not_stop_the_execute_is_a_warning_of_its_result(stateful: Driver) -> None:
    executed = deployed(stateful, project(stateful, **{"audits/positive.sql": AUDIT.format(blocking="false", bound=10)}))
    (warning,) = executed.result["warnings"]
    assert "shop.orders" in warning.replace('"', "")
    assert "positive" in warning


def test_a_destructive_change_is_planned_named_and_executed(stateful: Driver) -> None:
    deployed(stateful, project(stateful))
    commit = stateful.repository.commit({"models/events.sql": EVENTS.format(policy="", columns="")})
    explained = stateful.step("explain", commit_sha=commit)
    assert explained.status == 0, explained.output
    output = explained.result["plan_output"]
    (altered,) = output["destructive"]
    assert (altered["name"], altered["columns"], altered["kind"], altered["policy"]) == (
        "shop.events", ["source"], "destructive", "error",
    )  # fmt: skip
    assert "DROP COLUMN" in altered["statements"][0]
    assert len(altered["remedies"]) == 3
    assert "destructive:shop.events" in output["digest_parts"]
    executed = stateful.execute(explained, commit_sha=commit)
    assert executed.status == 0, executed.output

    allowed = EVENTS.format(policy=", on_destructive_change allow", columns="'y' AS other, ")
    output = planned(stateful, stateful.repository.commit({"models/events.sql": allowed}))
    assert "destructive" not in output, "columns that come are nothing to approve by name"


def test_previews_assumptions_and_the_linter(stateful: Driver) -> None:
    deployed(stateful, project(stateful))
    changed = {"models/events.sql": EVENTS.format(policy="", columns="'y' AS source, ")}
    output = planned(stateful, stateful.repository.commit(changed), environment="dev")
    assert (output["restatements"], output["previews"]) == ([], ["shop.events"])

    path = stateful.repository.folder / "config.yaml"
    more = "plan: {auto_categorize_changes: {sql: 'off'}}\n" + LINT
    both = {
        "models/events.sql": EVENTS.format(policy="", columns="'x' AS source, "),
        "models/reader.sql": READER + " WHERE id > 0",
        "config.yaml": path.read_text() + more,
    }
    output = planned(stateful, stateful.repository.commit(both))
    assert output["assumed"] == ["shop.reader"]
    assert row(output, "shop.reader")["category"] == "breaking"
    (lint,) = [text for text in output["warnings"] if text.startswith("Linter: ")]
    assert lint.endswith("(shop.reader)")


HOLD = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


def test_a_state_in_a_file_that_another_process_has_open_is_waited_for(driver: Driver) -> None:
    commit = project(driver)
    deployed(driver, commit)
    python = next(Path(driver.variables["DAGCTL_ENVIRONMENTS_DIR"]).glob(f"sqlmesh-{NEWEST}-*/bin/python"))
    command = [str(python), "-c", HOLD, str(driver.folder / "warehouse.db")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        running = driver.start("explain", commit_sha=commit)
        wait_for("the explain to wait", running.output, holds("waiting for another step"), seconds=PATIENCE)
        holder.stdin.close()
        explained = running.wait()
    assert explained.status == 0, explained.output


def test_a_model_has_its_file_and_its_tags(stateful: Driver) -> None:
    """By which groups and code owners are asked for an approval, also of a model that is gone."""
    tagged = ORDERS.replace("owner {owner}", "tags (money, core), owner {owner}")
    commit = project(stateful)
    output = planned(stateful, commit)
    deployed(stateful, commit)
    found = row(output, "shop.orders")
    assert (found["path"], found["tags"]) == ("models/orders.sql", [])
    commit = stateful.repository.commit(
        {"models/orders.sql": tagged.format(owner="ann", description="All"), "models/typed.sql": None}
    )
    output = planned(stateful, commit)
    found, gone = row(output, "shop.orders"), row(output, "shop.typed")
    assert (found["path"], found["tags"]) == ("models/orders.sql", ["core", "money"])
    assert (gone["change"], gone["path"], gone["tags"]) == ("removed", "models/typed.sql", [])
