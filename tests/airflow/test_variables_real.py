"""A secret in a variable and in a file, used by explain, execute and run as processes of a real Airflow: it is found nowhere."""

from __future__ import annotations

import secrets

import pytest

from tests.airflow.site import Shop, Site
from tests.airflow.test_runs_real import ended, pressed
from tests.planting import caches, found_in, left_on_disk, make_variables, planted, said, write_careless

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def test_a_planted_secret_is_used_and_found_nowhere(site: Site, shop: Shop) -> None:
    values = planted(secrets.token_hex(8))
    make_variables(site, values)
    write_careless(shop)
    project = site.project("careless variables", shop)
    plan = site.explained(project)
    assert sorted(plan["variables"]) == ["PLANTED_KEY", "PLANTED_TOKEN"]
    lengths = [len(values["PLANTED_TOKEN"]), len(values["PLANTED_KEY"])]
    told = f"token *** {lengths[0]} {lengths[1]}"
    assert told in site.log(plan["id"])
    assert "/files/secrets/warehouse/key.pem 0o400 " in site.log(plan["id"])

    execute = site.approve(plan)
    site.wait(execute, "completed")
    assert told in site.log(execute)
    assert site.rows(shop, "SELECT token, key FROM shop.careless") == [lengths]

    site.ask("PUT", f"/projects/{project['id']}", {"suspended": False})
    run_id = pressed(site, project)
    assert ended(site, project, run_id)["status"] == "success"
    logs = [path for path in (site.stack.home / "logs" / "tasks").rglob("*.log") if f"run_id={run_id}" in str(path)]
    assert any(told in path.read_text() for path in logs)

    # What changes meanwhile stops an approval, and says so without a value.
    write_careless(shop, "Fails with the secret in its message", fails=True)
    site.ask("PUT", f"/projects/{project['id']}", {"suspended": True})
    later = site.explained(project)
    site.ask("PUT", "/environment-variables/PLANTED_TOKEN", {"value": f"{values['PLANTED_TOKEN']} 2"})
    refusal = site.ask("POST", f"/plans/{later['id']}/approve", status=409)
    assert (refusal["code"], refusal["variables"]) == ("variables_changed", ["PLANTED_TOKEN"])
    site.ask("PUT", "/environment-variables/PLANTED_TOKEN", {"value": values["PLANTED_TOKEN"]})
    failing = site.approve(later)
    failed = site.wait(failing, "failed")
    assert "cannot log in with ***" in str(failed["error"])

    texts = said(site, [plan["id"], execute, later["id"], failing], project)
    assert found_in(values, texts.items()) == set()
    assert found_in(values, left_on_disk(site.stack.home, *caches(site), shop.path.parent)) == set()
    for name in values:
        site.ask("DELETE", f"/environment-variables/{name}")
