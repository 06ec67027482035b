"""Steps in pods: what is left behind, what a killed worker does, and how long a step takes beside a bare KubernetesPodOperator.

Real operators and the real Kubernetes client against the test cluster of ``tests/kubernetes``, whose pods are processes of this
machine. Workers are processes that are forked with everything imported, so Airflow's own start is in none of the figures.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.common import Verdict, machine, median, run, spread, table
from tests.kubernetes.places import Place, PodShop, cluster_arguments, test_place
from tests.kubernetes.running import running_cluster
from tests.kubernetes.worker import Work, Workers, workers
from tests.waiting import wait_for

RATIO = 1.15
KEPT_FAILED = 1
PROJECTS = 5
AT_ONCE = 3
SECONDS = 600.0


@contextmanager
def bench() -> Iterator[tuple[Place, Workers]]:
    """A cluster, a namespace in it, and workers."""
    with tempfile.TemporaryDirectory(prefix="dagctl-pods-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with (
            running_cluster(folder, *cluster_arguments()) as cluster,
            test_place(cluster, folder / "data") as place,
            workers(folder / "crew", place.environment) as crew,
        ):
            yield place, crew


def project(place: Place, name: str, slow: bool = False) -> PodShop:
    """A project with a warehouse in its pod, so that every plan is its first and any number of steps may run at once."""
    shop = place.shop(name)
    shop.use_warehouse_in_pod()
    if slow:
        shop.block_loading()
        shop.commit("Loading waits")
    return shop


# Left behind


def leave(place: Place, crew: Workers, number: int) -> tuple[list[list[Any]], Verdict]:
    """Plans of which a third is cancelled and a third fails; the pods and Secrets that are left."""
    good, endless = project(place, "good"), project(place, "endless", slow=True)
    broken = place.template(container={"env": [{"name": "PYTHONHOME", "value": "/nonexistent"}]})
    ends: Counter[str] = Counter()

    def plan(index: int) -> None:
        kind = ("succeeded", "cancelled", "failed")[index % 3]
        shop = endless if kind == "cancelled" else good
        name = f"project-{index // 3 % PROJECTS}"
        conf = shop.conf(project_id=f"proj_{name}", project_name=name, step_id=f"plan_{index}")
        settings = {"kubernetes_pod_template": str(broken)} if kind == "failed" else {}
        work = crew.start("explain", conf, f"plan-{index}", **settings)
        if kind == "cancelled":
            place.running_pod(step=f"plan_{index}")
            work.send(signal.SIGTERM)
        code = work.wait(SECONDS)
        ends[{0: "succeeded", 1: "failed", 2: "cancelled"}.get(code or 0, "?")] += 1

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(plan, range(number)))
    settled(place)
    pods = place.pods()
    per_project = Counter(pod.metadata.labels["dagctl/project"] for pod in pods)
    secrets = [secret.metadata.name for secret in place.core.list_namespaced_secret(place.namespace).items]
    beyond = sum(max(0, count - KEPT_FAILED) for count in per_project.values())
    beyond += sum(pod.status.phase != "Failed" for pod in pods)
    verdict = Verdict()
    verdict.require(beyond == 0, f"{beyond} pods are left beyond the history limits")
    verdict.require(not secrets, f"Secrets are left: {secrets}")
    verdict.require(len(ends) == 3, f"not all ends were seen: {dict(ends)}")
    row = [number, *(ends[name] for name in ("succeeded", "failed", "cancelled")), PROJECTS, len(pods), beyond, len(secrets)]
    return [row], verdict


def settled(place: Place) -> None:
    """Wait until no pod is on its way out."""
    wait_for("pods to go", lambda: all(pod.metadata.deletion_timestamp is None for pod in place.pods()), seconds=120)


# Killed workers


def kill(place: Place, crew: Workers, number: int) -> tuple[list[list[Any]], Verdict]:
    """``kill -9`` of the worker of an execute, at moments spread over its life; the next try goes on."""
    shop = project(place, "killed")
    conf = shop.conf()
    first = crew.start("explain", conf, "killed-explain")
    started = time.monotonic()
    if first.wait(SECONDS) != 0:
        raise RuntimeError(first.log)
    longest = (time.monotonic() - started) * 0.7
    explained = first.result
    rows: list[list[Any]] = []
    verdict = Verdict()

    def once(index: int, delay: float) -> None:
        name, step = f"killed-{index}", f"plan_killed_{index}"
        decision = {"decision": "approved", "execution_plan_id": step, "digest": explained["digest"]}
        decision["job_name"] = f"killed-plan-execute-{index}"
        crew.push(name, "explain/decision", decision)
        crew.push(name, "explain/result", explained)
        own = {**conf, "project_id": f"proj_{name}"}
        # The digest does not depend on the project's id; writers of one project wait for each other.
        work = crew.start("execute", own, name)
        time.sleep(delay)
        work.send(signal.SIGKILL)
        was_killed = work.wait(SECONDS) is None
        work, tries = again(crew, own, name, work, was_killed)
        pods = scheduled(place, step)
        how = "attached" if "Attaching to pod" in work.log else "started anew" if was_killed else "ended before"
        rows.append([index, delay, how, work.result.get("outcome", "-"), tries, pods])
        verdict.require(pods == 1, f"{name}: {pods} pods")
        verdict.require(bool(work.result), f"{name}: no result\n{work.log[-1000:]}")
        verdict.require(was_killed, f"{name} ended before it was killed")

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(once, range(number), spread(number, longest)))
    settled(place)
    verdict.require(not [pod for pod in place.pods() if pod.status.phase != "Failed"], "pods are left")
    return sorted(rows), verdict


def again(crew: Workers, conf: dict[str, Any], name: str, work: Work, was_killed: bool) -> tuple[Work, int]:
    """The next try, as Airflow starts one for a worker that is lost."""
    if not was_killed:
        return work, 1
    work = crew.start("execute", conf, name, try_number=2)
    work.wait(SECONDS)
    return work, 2


def scheduled(place: Place, step: str) -> int:
    """How many pods a step ever had."""
    events = place.core.list_namespaced_event(place.namespace, field_selector="reason=Scheduled").items
    names = {event.involved_object.uid for event in events if step_of(place, event) == step}
    return len(names)


def step_of(place: Place, event: Any) -> str:
    """The step of a pod that may be gone: pods of executes are named after their step here."""
    stem = event.involved_object.name.rpartition("-")[0]
    return f"plan_killed_{stem.rpartition('-')[2]}" if stem.startswith("killed-plan-execute-") else ""


# Beside a bare operator


def compare(place: Place, crew: Workers, rounds: int) -> tuple[list[list[Any]], Verdict]:
    """The same explain by our operator and by a bare KubernetesPodOperator, in turns."""
    shop = project(place, "compared")
    seconds: dict[bool, list[float]] = {False: [], True: []}
    for index in range(rounds * 2):
        bare = bool((index + index // 2) % 2)
        conf = shop.conf(step_id=f"plan_compared_{index}")
        started = time.monotonic()
        work = crew.start("explain", conf, f"compared-{index}", bare=bare)
        code = work.wait(SECONDS)
        taken = time.monotonic() - started
        if code != 0 or work.result.get("outcome") != "succeeded":
            raise RuntimeError(work.log[-3000:])
        seconds[bare].append(taken)
    ours, theirs = median(seconds[False]), median(seconds[True])
    ratio = ours / theirs
    verdict = Verdict()
    verdict.require(ratio <= RATIO, f"ratio {ratio:.2f}")
    return [[rounds, ours, theirs, ratio]], verdict


PARTS: dict[str, tuple[Any, list[str]]] = {
    "left": (leave, ["plans", "succeeded", "failed", "cancelled", "projects", "pods left", "beyond limits", "Secrets left"]),
    "killed": (kill, ["kill", "after s", "next try", "outcome", "tries", "pods"]),
    "compared": (compare, ["rounds", "step s (median)", "bare s (median)", "ratio"]),
}


def main(options: argparse.Namespace) -> int:
    """Run the parts, print their tables."""
    about = machine()
    sizes = {"left": options.plans, "killed": options.kills, "compared": options.rounds}
    code = 0
    for name in options.part:
        part, head = PARTS[name]
        with bench() as (place, crew):
            rows, verdict = part(place, crew, sizes[name])
        print(f"\npods, {name}: {about}\n\n{table(head, rows)}\n", flush=True)
        code = max(code, verdict.tell())
    return code


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.pods", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS), help="what to measure (default all)")
    made.add_argument("--plans", type=int, default=50, help="plans of the first part (default 50)")
    made.add_argument("--kills", type=int, default=20, help="killed workers (default 20)")
    made.add_argument("--rounds", type=int, default=9, help="steps by each operator (default 9)")
    return made


if __name__ == "__main__":
    run(main, parser())
