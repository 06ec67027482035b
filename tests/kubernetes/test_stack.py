"""A whole Airflow that runs its steps as pods: what people see over REST, and that no secret gets anywhere it must not."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator

import httpx
import pytest

from tests.airflow.conftest import make_site
from tests.airflow.site import Site
from tests.kubernetes.places import Place, PodShop
from tests.waiting import equals, holds, wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.long,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(os.environ.get("TEST_HOST_ADDRESS")), reason="Airflow and pods read the same folder here"),
]

PLANTED = {name: f"planted-{name}-{secrets.token_hex(8)}" for name in ("connection", "token", "warehouse", "git-key", "pull")}


@pytest.fixture(scope="module")
def site(place: Place) -> Iterator[Site]:
    """A running Airflow that starts pods, with no more rights in the cluster than ``docs/kubernetes/rbac.yaml`` gives."""
    settings = {
        **place.environment,
        "AIRFLOW__DAGCTL__KUBERNETES_ENV_SECRET": "warehouse",
        "AIRFLOW__DAGCTL__KUBERNETES_IMAGE_PULL_SECRETS": "registry-login",
        # So that a killed worker is noticed soon, but none that is only slow: it tells of itself every five seconds.
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    }
    if place.cluster is None:
        # No pod of another machine reaches this Airflow's own database; SQLMesh keeps its state in the warehouse then.
        settings["AIRFLOW__DAGCTL__STATE_DATABASE_CONN_ID"] = ""
    _plant(place)
    made = make_site(settings)
    try:
        yield made
    finally:
        made.stack.stop()


def _plant(place: Place) -> None:
    """Secrets in the cluster, as ``docs/kubernetes.md`` has them made."""
    auths = {"auths": {"registry.example.org": {"username": "robot", "password": PLANTED["pull"]}}}
    for name, data in (
        ("warehouse", {"WAREHOUSE_PASSWORD": PLANTED["warehouse"]}),
        ("deploy-key", {"ssh-privatekey": PLANTED["git-key"], "known_hosts": "git.example.org ssh-ed25519 AAAA"}),
        ("registry-login", {".dockerconfigjson": json.dumps(auths)}),
    ):
        place.core.create_namespaced_secret(place.namespace, {"metadata": {"name": name}, "stringData": data})


def _plant_connections(site: Site, *projects: str) -> None:
    """Connections of projects, whose variables reach their steps through the worker, and the API server's own deploy key."""
    env = {"env": {"PLANTED_PASSWORD": PLANTED["connection"]}}
    extras = {f"dagctl_{name}": env for name in projects}
    extras["deploy-key"] = {"private_key": PLANTED["git-key"], "known_hosts": "git.example.org ssh-ed25519 AAAA"}
    url, login = f"{site.stack.base_url}/api/v2/connections", site.stack.airflow_login()
    for name, extra in extras.items():
        body = {"connection_id": name, "conn_type": "dagctl", "password": PLANTED["token"], "extra": json.dumps(extra)}
        httpx.post(url, json=body, headers=login, timeout=60).raise_for_status()


def _tell_secrets(shop: PodShop) -> None:
    """A model that does with the secrets what careless people do: it prints them, and fails with one in its message."""
    shop.write(
        "models/careless.py",
        """
        import os
        import pandas as pd
        from sqlmesh import model


        @model("shop.careless", columns={"n": "int"}, kind="FULL")
        def execute(context, start, end, execution_time, **kwargs):
            print("found", os.environ["WAREHOUSE_PASSWORD"], os.environ["PLANTED_PASSWORD"], flush=True)
            raise ValueError(f"cannot log in with {os.environ['WAREHOUSE_PASSWORD']} or {os.environ['PLANTED_PASSWORD']}")
        """,
    )
    shop.commit("Careless")


def _everything_said(site: Site, place: Place, plans: list[str]) -> dict[str, str]:
    """All places where people, tools and other systems read about plans."""
    pods = place.core.list_namespaced_pod(place.namespace, _preload_content=False).data.decode()
    texts = {
        "pod specs and states": pods,
        "events": place.core.list_namespaced_event(place.namespace, _preload_content=False).data.decode(),
        "conf": str(site.sql("SELECT conf FROM dag_run")),
        "XComs": str(site.sql("SELECT key, value FROM xcom")),
        "tables of dagctl": str(site.sql("SELECT * FROM dagctl_plan_step")) + str(site.sql("SELECT * FROM dagctl_project")),
        "rendered templates": str(site.sql("SELECT rendered_fields, k8s_pod_yaml FROM rendered_task_instance_fields")),
    }
    for path in ("projects", *(f"plans/{plan}" for plan in plans), *(f"plans/{plan}/logs" for plan in plans)):
        texts[f"API: {path}"] = site.http.get(f"/{path}").text
    variables = httpx.get(f"{site.stack.base_url}/api/v2/variables", headers=site.stack.airflow_login(), timeout=60)
    texts["Variables"] = variables.text
    for file in (site.stack.home / "logs").rglob("*.log"):
        texts[f"log {file.relative_to(site.stack.home)}"] = file.read_text(errors="replace")
    return texts


def test_plans_in_pods(site: Site, place: Place) -> None:
    shop = place.shop("stack")
    shop.add_slow_model()
    shop.commit("Something slow")
    project = site.project("stack", shop)
    plan = site.explained(project)
    assert plan["plan_output"]["modelsAdded"] == 3
    execute = site.approve(plan)

    # Live.
    pod = place.running_pod("slow", step=execute)
    shown = wait_for("the live log", lambda: (a := site.ask("GET", f"/plans/{execute}/logs")) and "slow" in a["logs"] and a)
    assert shown["podName"] == pod.metadata.name

    # A worker that dies is followed by one that attaches.
    site.kill_workers(plan["plan_id"])
    wait_for("the next try to attach", lambda: site.log(execute), holds("Attaching to pod"))
    shop.open_gate()
    done = site.wait(execute, "completed")
    assert site.times_applied(shop) == 1
    stored = site.ask("GET", f"/plans/{execute}/logs")
    assert "slow" in stored["logs"]
    wait_for("the pod to be removed", lambda: place.is_gone(pod))
    assert done["status"] == "completed"


def test_a_cancelled_plan_ends_with_its_pod_and_secrets_are_found_nowhere(site: Site, place: Place) -> None:
    careless, blocked = place.shop("careless"), place.shop("cancelled")
    _tell_secrets(careless)
    blocked.block_loading()
    blocked.commit("Loading waits")
    _plant_connections(site, "careless", "cancelled")
    project = site.project("careless", careless, git_auth_method="ssh", git_secret_ref="deploy-key")
    waiting = site.create_plan(site.project("cancelled", blocked))
    plan = site.explained(project)
    execute = site.approve(plan)
    pod = place.running_pod(step=waiting)
    site.ask("POST", f"/plans/{waiting}/cancel")
    wait_for("the plan to be cancelled", lambda: site.plan(waiting)["status"], equals("cancelled"))
    wait_for("the pod to go", lambda: place.is_gone(pod))

    failed = wait_for("the execution to fail", lambda: (p := site.plan(execute))["status"] == "failed" and p)
    assert "careless" in str(failed["error"])
    wait_for("the log", lambda: site.log(execute), holds("cannot log in with"))
    texts = _everything_said(site, place, [plan["id"], execute, waiting])
    found = {(name, where) for name, secret in PLANTED.items() for where, text in texts.items() if secret in text}
    assert found == set()
    assert any("***" in text for text in texts.values()), "the careless model did print them"


def test_a_newer_run_replaces_the_older_one_and_its_pod(site: Site, place: Place) -> None:
    shop = place.shop("replaced")
    shop.block_loading()
    shop.open_gate()
    shop.commit("Loading can be made to wait")
    project = site.project("replaced", shop, concurrency_policy="Replace")
    site.deployed(project)
    address = f"/projects/{project['id']}"
    site.ask("PUT", address, {"suspended": False})
    shop.gate.unlink()

    site.ask("POST", f"{address}/run")
    older = place.running_pod(project="replaced", kind="run")
    site.ask("POST", f"{address}/run")
    wait_for("the older run's pod to go", lambda: place.is_gone(older))
    newer = place.running_pod(project="replaced", kind="run")
    assert newer.metadata.uid != older.metadata.uid
    shop.open_gate()

    def statuses() -> list[str]:
        return sorted(run["status"] for run in site.ask("GET", f"{address}/runs?job_type=run")["runs"])

    wait_for("both runs to end", statuses, equals(["error", "success"]))
