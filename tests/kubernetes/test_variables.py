"""A secret in a variable and in a file, used by explain, execute and run in pods of a whole Airflow: it is found nowhere."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from tests.airflow.conftest import make_site
from tests.airflow.site import Site
from tests.airflow.test_runs_real import ended, pressed
from tests.kubernetes.places import Place
from tests.planting import PATH, caches, found_in, left_on_disk, make_variables, planted, said, write_careless
from tests.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(bool(os.environ.get("TEST_HOST_ADDRESS")), reason="Airflow and pods read the same folder here"),
]


@dataclass
class Seen:
    """What the cluster says of pods while they are there.

    :param texts: Each pod and its events, by name.
    """

    place: Place
    texts: dict[str, bytes] = field(default_factory=dict)

    def look(self) -> None:
        """Look once."""
        namespace = self.place.namespace
        for kind, ask in (("pods", self.place.core.list_namespaced_pod), ("events", self.place.core.list_namespaced_event)):
            text = ask(namespace, _preload_content=False).data
            self.texts[f"{kind} {len(self.texts)}"] = text

    def until(self, site: Site, plan_id: str, status: str) -> None:
        """Look again and again until a step has a status."""

        def looked() -> bool:
            self.look()
            return site.plan(plan_id)["status"] == status

        wait_for(f"{plan_id} to be {status}", looked)


@pytest.fixture(scope="module")
def site(place: Place) -> Iterator[Site]:
    """A running Airflow that starts pods."""
    made = make_site(place.environment)
    try:
        yield made
    finally:
        made.stack.stop()


def test_a_planted_secret_is_used_in_pods_and_found_nowhere(site: Site, place: Place) -> None:
    values = planted(secrets.token_hex(8))
    make_variables(site, values)
    shop, seen = place.shop("planted"), Seen(place)
    write_careless(shop)
    project = site.project("planted", shop)
    told = f"token *** {len(values['PLANTED_TOKEN'])} {len(values['PLANTED_KEY'])}"
    explain = site.create_plan(project)
    seen.until(site, explain, "pending")
    log = site.log(explain)
    assert told in log
    assert f"file {PATH} 0o400 " in log, "the path and the mode that were asked for"
    execute = site.approve(site.plan(explain))
    seen.until(site, execute, "completed")
    assert told in site.log(execute)
    site.ask("PUT", f"/projects/{project['id']}", {"suspended": False})
    run_id = pressed(site, project)
    assert ended(site, project, run_id)["status"] == "success"
    logs = [path for path in (site.stack.home / "logs" / "tasks").rglob("*.log") if f"run_id={run_id}" in str(path)]
    assert any(told in path.read_text() for path in logs)
    seen.look()

    site.ask("PUT", f"/projects/{project['id']}", {"suspended": True})
    write_careless(shop, "Fails with the secret in its message", fails=True)
    failing = site.approve(site.explained(project))
    seen.until(site, failing, "failed")
    assert "cannot log in with ***" in str(site.plan(failing)["error"])

    assert b"dagctl-runner" in b"".join(seen.texts.values())
    assert found_in(values, seen.texts.items()) == set()
    assert found_in(values, said(site, [explain, execute, failing], project).items()) == set()
    assert found_in(values, left_on_disk(site.stack.home, *caches(site), place.data)) == set()
