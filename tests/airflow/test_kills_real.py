"""``kill -9`` of every part while a step runs: every plan ends in a final state, and nothing is applied twice."""

from __future__ import annotations

from collections.abc import Callable

import psutil
import pytest

from tests.airflow.site import Shop, Site, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def kill_component(name: str) -> Callable[[Site], None]:
    """Kill a component with everything below it, then start it again."""

    def kill(site: Site) -> None:
        site.stack.stop_components([name], kill=True)
        site.stack.start_components([name])
        site.stack.wait_until_healthy()

    return kill


def kill_alone(name: str) -> Callable[[Site], None]:
    """Kill one process and leave its children behind, then start it again."""

    def kill(site: Site) -> None:
        process = site.stack.processes.get(name)
        assert process is not None
        children = process.children(recursive=True)
        process.kill()
        process.wait(30)
        site.stack.start_components([name])
        site.stack.wait_until_healthy()
        # What an operating system's service manager would do with leftovers of a killed service, only later.
        for child in children:
            if child.is_running() and "dagctl_provider.runner" not in " ".join(child.cmdline() or []):
                continue

    return kill


def kill_worker(site: Site) -> None:
    """Kill the task process that waits for the runner, and its supervisor."""
    runner = wait_for("the runner", site.runner_processes)[0]
    task = psutil.Process(runner.ppid())
    supervisor = psutil.Process(task.ppid())
    supervisor.kill()
    task.kill()


KILLS: dict[str, Callable[[Site], None]] = {
    "api-server": kill_component("api-server"),
    "scheduler": kill_component("scheduler"),
    "scheduler-alone": kill_alone("scheduler"),
    "worker": kill_worker,
}


@pytest.mark.parametrize("victim", sorted(KILLS))
def test_killed_while_executing(site: Site, shop: Shop, victim: str) -> None:
    shop.add_slow_model()
    shop.commit("Something slow")
    plan = site.explained(site.project(f"killed executing {victim}", shop))
    execute = site.approve(plan)
    wait_for("the slow model", lambda: site.runner_processes() and "slow" in site.log(execute))
    KILLS[victim](site)
    shop.open_gate()
    ended = site.wait(execute, "completed", "failed", seconds=300)
    if ended["status"] == "failed":
        execute = site.ask("POST", f"/plans/{execute}/retry")["execution_plan_id"]
        site.wait(execute, "completed", seconds=300)
    wait_for("leftover runners to be gone", lambda: not site.runner_processes())
    assert site.times_applied(shop) == 1
    assert site.rows(shop, "SELECT n FROM shop.slow") == [[1]]


@pytest.mark.parametrize("victim", sorted(KILLS))
def test_killed_while_explaining(site: Site, shop: Shop, victim: str) -> None:
    shop.write("models/wait.py", f'import os, time\nwhile not os.path.exists("{shop.gate}"):\n    time.sleep(0.05)\n')
    shop.commit("Loading takes its time")
    project = site.project(f"killed explaining {victim}", shop)
    plan_id = site.create_plan(project)
    wait_for("the runner", site.runner_processes)
    KILLS[victim](site)
    shop.open_gate()
    ended = site.wait(plan_id, "pending", "failed", seconds=300)
    if ended["status"] == "failed":
        ended = site.wait(site.create_plan(project), "pending", seconds=300)
    site.wait(site.approve(ended), "completed", seconds=300)
    assert site.times_applied(shop) == 1
