"""``kill -9`` of every part while a step runs: every plan ends in a final state, and nothing is applied twice."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.airflow.site import Shop, Site
from tests.waiting import holds, nothing, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(1800)]


orphans: list[psutil.Process] = []


@pytest.fixture(autouse=True)
def no_orphans() -> Iterator[None]:
    """End what a component that was killed alone left behind, once it has shown that it does no harm."""
    yield
    for process in orphans:
        with contextlib.suppress(psutil.Error):
            process.kill()
    orphans.clear()


def kill_component(name: str) -> Callable[[Site], None]:
    """Kill a component with everything below it, then start it again."""

    def kill(site: Site) -> None:
        site.stack.stop_components([name], kill=True)
        site.stack.start_components([name])
        site.stack.wait_until_healthy()

    return kill


def freeze_with_locks(site: Site, process: psutil.Process) -> None:
    """Stop a process at the worst moment: while it holds locks in the database."""
    query = """
        SELECT 1 FROM pg_stat_activity AS a JOIN pg_locks AS l ON l.pid = a.pid
        WHERE a.client_port = ANY(%s) AND a.state = 'idle in transaction' AND l.mode IN ('RowShareLock', 'RowExclusiveLock')
    """

    def frozen() -> bool:
        process.suspend()
        ports = [connection.laddr.port for connection in process.net_connections("tcp")]
        if site.sql(query, ports):
            return True
        process.resume()
        return False

    wait_for("a moment with locks", frozen)


def kill_alone(name: str) -> Callable[[Site], None]:
    """Kill one process, in a transaction, and leave its children behind; then start it again."""

    def kill(site: Site) -> None:
        process = site.stack.processes.get(name)
        assert process is not None
        orphans.extend(process.children(recursive=True))
        freeze_with_locks(site, process)
        process.kill()
        process.wait(30)
        site.stack.start_components([name])
        site.stack.wait_until_healthy()

    return kill


KILLS: dict[str, Callable[[Site], None]] = {
    "api-server": kill_component("api-server"),
    "scheduler": kill_component("scheduler"),
    "scheduler-alone": kill_alone("scheduler"),
    "workers": Site.kill_workers,
}


def executing(site: Site, shop: Shop, name: str) -> str:
    """A project whose execution waits at the gate; its execute step."""
    shop.add_slow_model()
    shop.commit("Something slow")
    execute = site.approve(site.explained(site.project(name, shop)))
    wait_for("the slow model", lambda: site.log(execute), holds("shop.slow"))
    return execute


def explaining(site: Site, shop: Shop, name: str) -> tuple[dict[str, Any], str]:
    """A project whose explain waits at the gate; the project and its explain step."""
    shop.write("models/wait.py", f'import os, time\nwhile not os.path.exists("{shop.gate}"):\n    time.sleep(0.05)\n')
    shop.commit("Loading takes its time")
    project = site.project(name, shop)
    plan_id = site.create_plan(project)
    wait_for("the runner", lambda: site.runner_processes(plan_id))
    return project, plan_id


@pytest.mark.parametrize("victim", sorted(KILLS))
def test_killed_while_one_project_executes_and_another_explains(site: Site, tmp_path: Path, victim: str) -> None:
    first, second = Shop(tmp_path / "first"), Shop(tmp_path / "second")
    execute = executing(site, first, f"executing {victim}")
    project, explain = explaining(site, second, f"explaining {victim}")

    KILLS[victim](site)
    first.open_gate()
    second.open_gate()

    if site.wait(execute, "completed", "failed", seconds=300)["status"] == "failed":
        site.wait(site.ask("POST", f"/plans/{execute}/retry")["execution_plan_id"], "completed", seconds=300)
    ended = site.wait(explain, "pending", "failed", seconds=300)
    if ended["status"] == "failed":
        ended = site.wait(site.create_plan(project), "pending", seconds=300)
    site.wait(site.approve(ended), "completed", seconds=300)
    wait_for("leftover runners to be gone", site.runner_processes, nothing)
    assert (site.times_applied(first), site.times_applied(second)) == (1, 1)
    assert site.rows(first, "SELECT n FROM shop.slow") == [[1]]
