"""One cluster for the tests of a worker, and the place of the scenarios in it or in a real one."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Generator, Iterator

import pytest

from tests.kubernetes.places import Place, cluster_arguments, real_place, test_place
from tests.kubernetes.running import RunningCluster, can_run_pods, running_cluster
from tests.kubernetes.worker import Workers, workers

REAL = "DAGCTL_TEST_KUBECONFIG" in os.environ
_ROWS: list[tuple[str, str, float, str]] = []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """A cluster that runs pods as processes, with images like those of ``images/runner``."""
    reason = can_run_pods()
    if reason:
        pytest.skip(reason)
    with running_cluster(tmp_path_factory.mktemp("cluster"), *cluster_arguments()) as running:
        yield running


@pytest.fixture
def namespace(cluster: RunningCluster) -> str:
    """A new namespace; its pods end with the cluster."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.core.create_namespace({"metadata": {"name": name}})
    return name


@pytest.fixture(scope="session")
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Where the scenarios run."""
    if REAL:
        with real_place() as made:
            yield made
    else:
        with test_place(request.getfixturevalue("cluster"), tmp_path_factory.mktemp("place") / "data") as made:
            yield made


@pytest.fixture(scope="session")
def crew(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workers]:
    """Workers with the settings of the place."""
    with workers(tmp_path_factory.mktemp("crew"), place.environment) as made:
        yield made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Collect the rows of the summary; a failed scenario shows the logs of its workers."""
    report = yield
    crew = getattr(item, "funcargs", {}).get("crew")
    if isinstance(crew, Workers) and report.when == "call":
        if report.failed:
            begun = time.time() - report.duration
            for work in crew.started:
                if os.path.exists(work.job["log"]) and os.path.getmtime(work.job["log"]) >= begun:
                    report.sections.append((f"worker {work.job['kind']} of {work.job['run_id']}", work.log[-4000:]))
        note = str(dict(item.user_properties).get("note", ""))
        _ROWS.append((item.name, report.outcome, report.duration, note))
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What `make test-kubernetes` is read for."""
    if not REAL or not _ROWS:
        return
    terminalreporter.section("scenarios on this cluster")
    width = max(len(name) for name, *_ in _ROWS)
    for name, outcome, seconds, note in _ROWS:
        terminalreporter.write_line(f"{name.ljust(width)}  {outcome:7}  {seconds:6.1f} s  {note}")
