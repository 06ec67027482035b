"""dbt projects through the services: their fields, what makes a plan, and the state that the product keeps for dbt."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from typing import Any

import pytest
from packaging.version import Version

from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.releases import MAX_RELEASE_FILE_BYTES, InvalidRelease, read_release
from dagctl_provider.orchestration import dags
from dagctl_provider.runner.versions import default_version
from dagctl_provider.services import plans, projects
from dagctl_provider.services.lifecycle import steps
from dagctl_provider.services.outside import repositories, versions
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.services.turns import dispatching, reconcile
from dagctl_provider.store import transactions
from tests.services.test_detection import Remotes, remotes
from tests.services.test_plans import refused
from tests.services.world import World, sha

__all__ = ["remotes"]


def dbt(world: World, name: str = "warehouse", **values: Any) -> Project:
    """A dbt project, parsed by Airflow."""
    return world.project(name, project_type="dbt", **values)


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def executed(world: World, project: Project, left: bytes | None = b"manifest") -> Any:
    """HEAD explained, approved and applied; the execute step, whose runner left ``left`` as the deployed state."""
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    return world.finish_execute(approved.execute, xcoms=leaving(approved.execute.id, left) if left is not None else None)


def leaving(step_id: str, content: bytes) -> dict[str, Any]:
    return {"artifacts": {"step_id": step_id, "artifacts": {"deployed": text(content)}}}


def stored() -> dict[str, bytes]:
    """The artifacts in the table."""
    from sqlalchemy import select

    from dagctl_provider.store import tables

    c = tables.artifact.c
    rows = transactions.run(lambda session: list(session.execute(select(c.sha256, c.content, c.size))))
    assert all(row.size == len(row.content) for row in rows)
    return {row.sha256: bytes(row.content) for row in rows}


def start(world: World, project: Project) -> Any:
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    return step


# Fields


def test_a_dbt_project_gets_the_newest_version_and_the_request_says_what_dbt_needs(world: World) -> None:
    project = dbt(world, dbt_target="prod", python_version="3.11", run_tests=False)
    assert project.settings["dbt_version"] == default_version("dbt")
    assert "sqlmesh_environment" not in project.settings
    assert "use_managed_state_database" not in project.settings
    request = start(world, project).settings
    wanted = {
        "tool": "dbt",
        "tool_version": default_version("dbt"),
        "python_version": "3.11",
        "environment": "prod",
        "run_tests": False,
        "state_connection_id": None,
    }
    assert {name: request[name] for name in wanted} == wanted
    projects.update_project(world.actor(), project.id, {"dbt_target": None})
    world.head = "second"
    assert start(world, project).settings["environment"] is None, "the profile decides"


@pytest.mark.parametrize("version", ["1.4.0", "9.9.9", "2.0"])
def test_an_unsupported_version_is_refused_with_those_near_it(version: str) -> None:
    with refused("unsupported_version"):
        versions.checked("dbt", version)


@pytest.mark.slow
def test_dbt_may_go_back_to_an_older_version(world: World) -> None:
    project = dbt(world)
    executed(world, project)
    changed = projects.update_project(world.actor(), project.id, {"dbt_version": "1.8.0"})
    assert changed.settings["dbt_version"] == "1.8.0"
    with refused("unsupported_version"):
        projects.update_project(world.actor(), project.id, {"dbt_version": "1.6.0", "python_version": "3.12"})
    assert plans.create_plan(world.actor(), project.id).outcome == "created", "another version may change what is built"


@pytest.mark.slow
def test_another_target_or_environment_makes_the_deployed_commit_worth_a_plan(world: World, remotes: Remotes) -> None:
    one, two = dbt(world, dbt_target="dev", version_strategy="continuous"), world.project("sqlmesh", branch="develop")
    for project in (one, two):
        executed(world, project)
        assert plans.create_plan(world.actor(), project.id).outcome == "already_deployed"
    assert remotes.poll() == 0
    projects.update_project(world.actor(), one.id, {"dbt_target": "prod"})
    projects.update_project(world.actor(), two.id, {"sqlmesh_environment": "staging"})
    assert remotes.poll() == 2
    assert remotes.poll() == 0
    (step,) = [step for step in plans.list_plans(world.actor(), one.id).items if step.status == "running"]
    assert plans.get_plan(world.actor(), step.id).settings["environment"] == "prod"


# The deployed state


def test_the_first_explain_starts_from_nothing_and_the_next_from_what_was_deployed(world: World) -> None:
    project = dbt(world)
    step = start(world, project)
    assert world.decision(step, "inputs", "execute") is None
    world.finish_explain(step)
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    done = world.finish_execute(approved.execute, xcoms=leaving(approved.execute.id, b"manifest"))
    assert done.status == "completed"
    assert stored() == {hashlib.sha256(b"manifest").hexdigest(): b"manifest"}
    assert world.decision(step, "artifacts", "execute") is None, "what is in the table need not be in Airflow's as well"

    world.head = "second"
    second = start(world, project)
    assert world.decision(second, "inputs", "execute") == {"deployed": text(b"manifest")}
    world.finish_explain(second)
    assert world.decision(second, "inputs", "execute") is None, "nobody needs them any more"
    approved = plans.approve(world.actor(), second.id, door="rest")
    assert isinstance(approved, PlanApproved)
    assert world.decision(second, "inputs", "explain") == {"deployed": text(b"manifest")}
    world.finish_execute(approved.execute, xcoms=leaving(approved.execute.id, b"newer"))
    assert list(stored().values()) == [b"newer"], "what no project names any more is gone"
    assert world.decision(second, "inputs", "explain") is None


@pytest.mark.slow
def test_an_explain_that_waited_for_its_dag_gets_its_inputs_when_it_starts(world: World) -> None:
    project = dbt(world)
    executed(world, project)
    transactions.run(lambda session: dags.set_paused(session, [project.dag_id], True))
    world.head = "second"
    step = start(world, project)
    assert dispatching.dispatch_waiting_plans() == 1
    assert world.decision(step, "inputs", "execute") is None
    transactions.run(lambda session: dags.set_paused(session, [project.dag_id], False))
    assert dispatching.dispatch_waiting_plans() == 0
    assert world.decision(step, "inputs", "execute") == {"deployed": text(b"manifest")}


@pytest.mark.slow
def test_a_plan_that_cannot_be_started_keeps_no_other_waiting(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    waiting = []
    for name in ("one", "two"):
        project = dbt(world, name)
        transactions.run(lambda session, it=project: dags.set_paused(session, [it.dag_id], True))
        waiting.append(start(world, project))
        transactions.run(lambda session, it=project: dags.set_paused(session, [it.dag_id], False))
    trigger = steps.runs.trigger_run

    def fail_for_the_first(session: Any, dag_id: str, *rest: Any) -> None:
        if dag_id == waiting[0].dag_id:
            raise RuntimeError("its Dag cannot be read")
        trigger(session, dag_id, *rest)

    monkeypatch.setattr(steps.runs, "trigger_run", fail_for_the_first)
    assert dispatching.dispatch_waiting_plans() == 1
    assert [plans.get_plan(world.actor(), step.id).dispatched_at is not None for step in waiting] == [False, True]


@pytest.mark.slow
def test_equal_states_are_stored_once_and_kept_while_one_project_names_them(world: World) -> None:
    one, two = dbt(world, "one"), dbt(world, "two", git_path="two")
    executed(world, one)
    executed(world, two)
    assert list(stored().values()) == [b"manifest"]
    projects.delete_project(world.actor(), one.id)
    assert list(stored().values()) == [b"manifest"]
    projects.delete_project(world.actor(), two.id)
    assert stored() == {}


@pytest.mark.slow
def test_what_is_not_of_this_step_or_makes_no_sense_is_not_kept(world: World) -> None:
    project = dbt(world)
    executed(world, project)
    for number, (step_id, artifacts) in enumerate(
        [
            ("plan_other", {"deployed": text(b"other")}),
            (None, {"deployed": text(b"other")}),
            ("own", "nonsense"),
            ("own", {"deployed": "%%%"}),
            ("own", {"deployed": 7}),
            ("own", {"something else": text(b"x")}),
        ]
    ):
        world.head = f"commit {number}"
        approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
        assert isinstance(approved, PlanApproved)
        left = {"artifacts": {"step_id": approved.execute.id if step_id == "own" else step_id, "artifacts": artifacts}}
        assert world.finish_execute(approved.execute, xcoms=left).status == "completed"
        assert list(stored().values()) == [b"manifest"]


@pytest.mark.slow
def test_a_failure_leaves_the_deployed_state_where_it_was(world: World) -> None:
    project = dbt(world)
    executed(world, project)
    world.head = "second"
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute, "failed", xcoms=leaving(approved.execute.id, b"half"))
    assert list(stored().values()) == [b"manifest"]
    assert projects.get_project(world.actor(), project.id).current_commit_sha == sha("first")


# Retry


def progress(world: World, step: Any) -> dict[str, Any]:
    """What an execution is told of those before it."""
    inputs = world.decision(step, "inputs", "explain")
    assert inputs is not None
    return dict(json.loads(gzip.decompress(base64.b64decode(inputs["progress"]))))


def test_a_retry_is_told_what_all_executions_before_it_finished(world: World) -> None:
    project = dbt(world)
    executed(world, project)
    world.head = "second"
    step = world.explained(project, digest="sha256:2")
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)

    # The worker of the first is lost: no result, but what it reported while it ran.
    first = approved.execute
    world.end_task(first, "execute", "failed", xcoms={"progress": {"step_id": first.id, "succeeded": ["model.shop.a"]}})
    failed = reconcile.settle(first)
    assert failed.status == "failed"
    assert (failed.plan_output or {})["already_succeeded"] == ["model.shop.a"]
    second = plans.retry(world.actor(), first.id, door="rest")
    assert progress(world, second) == {"digest": "sha256:2", "succeeded": ["model.shop.a"], "touched": []}
    inputs = world.decision(second, "inputs", "explain")
    assert inputs is not None
    assert inputs["deployed"] == text(b"manifest")

    # The second fails with a result; Airflow has cleared what the first reported.
    models = [
        {"name": "b", "unique_id": "model.shop.b", "status": "succeeded"},
        {"name": "c", "unique_id": "model.shop.c", "status": "failed"},
        {"name": "d", "unique_id": "model.shop.d", "status": "skipped"},
    ]
    world.end_task(second, "execute", "failed", xcoms={"progress": {"step_id": first.id, "succeeded": ["model.shop.stale"]}})
    world.finish_execute(second, "failed", models=models, error={"code": "model_failed", "message": "c"})
    third = plans.retry(world.actor(), second.id, door="rest")
    assert progress(world, third)["succeeded"] == ["model.shop.a", "model.shop.b"]
    done = world.finish_execute(third)
    assert done.status == "completed"


@pytest.mark.slow
def test_a_cancelled_execution_counts_what_its_worker_reported_until_it_was_gone(world: World) -> None:
    project = dbt(world)
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.end_task(approved.execute, "execute", "running")
    plans.cancel(world.actor(), approved.execute.id, door="rest")
    left = {"progress": {"step_id": approved.execute.id, "succeeded": ["seed.shop.raw"]}}
    world.end_task(approved.execute, "execute", "failed", xcoms=left)
    assert progress(world, plans.retry(world.actor(), approved.execute.id, door="rest"))["succeeded"] == ["seed.shop.raw"]


# What makes a plan


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Content of ``.dagctl/config.yaml`` by commit."""
    contents: dict[str, str] = {}

    def release_of(project: Project, commit: str) -> Version | None:
        return read_release(contents[commit]) if commit in contents else None

    monkeypatch.setattr(repositories, "release_of", release_of)
    return contents


def deploy(world: World, remotes: Remotes, project: Project) -> None:
    assert remotes.poll() == 1
    (step,) = [step for step in plans.list_plans(world.actor(), project.id).items if step.status == "running"]
    world.finish_explain(plans.get_plan(world.actor(), step.id))
    approved = plans.approve(world.actor(), step.id, door="rest")
    assert isinstance(approved, PlanApproved)
    world.finish_execute(approved.execute)


def test_semantic_plans_when_the_version_rises(world: World, remotes: Remotes, releases: dict[str, str]) -> None:
    project = dbt(world, version_strategy="semantic")
    releases[sha("first")] = "version: 1.9.0"
    deploy(world, remotes, project)
    for wanted, planned in {"1.9.0": 0, "1.8.9": 0, "1.9.0-rc.1": 0, "1.9.1": 1, "1.10.0": 1, "2.0": 1}.items():
        world.head = wanted
        releases[sha(wanted)] = f"version: {wanted}"
        assert remotes.poll() == planned, wanted
        assert remotes.poll() == 0
    world.head = "1.8.9"
    assert plans.create_plan(world.actor(), project.id).outcome == "created", "by hand it is planned all the same"
    del releases[sha("first")]
    world.head = "1.8.9 again"
    releases[sha(world.head)] = "version: 0.0.1"
    assert remotes.poll() == 1, "any version is higher than none"


@pytest.mark.slow
def test_a_commit_whose_version_has_not_risen_is_read_once(
    world: World, remotes: Remotes, releases: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.update({sha("first"): "version: '1.0'", sha("second"): "version: '1.0'"})
    deploy(world, remotes, dbt(world))
    world.head = "second"
    assert remotes.poll() == 0
    monkeypatch.setattr(repositories, "release_of", lambda *_: pytest.fail("read again"))
    assert remotes.poll() == 0
    world.head = "first"
    assert remotes.poll() == 0


@pytest.mark.slow
def test_semantic_without_a_version_says_what_is_missing(world: World, remotes: Remotes, releases: dict[str, str]) -> None:
    project = dbt(world, version_strategy="semantic")
    assert remotes.poll() == 0
    assert "no .dagctl/config.yaml" in str(projects.get_project(world.actor(), project.id).sync_error)
    releases[sha("first")] = "name: shop"
    assert remotes.poll() == 0
    assert "no 'version'" in str(projects.get_project(world.actor(), project.id).sync_error)
    releases[sha("first")] = "version: 1.0.0"
    assert remotes.poll() == 1
    assert projects.get_project(world.actor(), project.id).sync_error is None


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["continuous", None])
def test_continuous_plans_each_commit_and_so_does_a_repository_without_versions(
    world: World, remotes: Remotes, releases: dict[str, str], strategy: str | None
) -> None:
    project = dbt(world, **({"version_strategy": strategy} if strategy else {}))
    for head in ("first", "second"):
        world.head = head
        assert remotes.poll() == 1
    if strategy == "continuous":
        world.head = "third"
        releases.update({sha("second"): "version: 1.0.0", sha("third"): "version: 1.0.0"})
        assert remotes.poll() == 1
    assert projects.get_project(world.actor(), project.id).sync_error is None


@pytest.mark.slow
def test_each_project_is_looked_up_as_often_as_it_says_and_a_branch_asked_once_for_all(world: World, remotes: Remotes) -> None:
    dbt(world, "often", polling_interval="10s")
    dbt(world, "seldom", polling_interval="1h", branch="develop")
    world.project("usual", branch="release")
    remotes.poll()
    assert remotes.asked == 3
    for _ in range(6):
        remotes.poll(after=10)
    assert remotes.asked == 3 + 6 + 1
    dbt(world, "more often", polling_interval="20s", branch="release")
    remotes.poll(after=60)
    remotes.asked = 0
    for _ in range(6):
        remotes.poll(after=10)
    assert remotes.asked == 6 + 3, "two projects of one branch are one question, at the shorter interval"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "version:",
        "version: [1, 2]",
        "- 1.0.0",
        "version: one.two",
        "version: 1.0.0\n  bad: [",
        "a: &a [x, x]\nb: *a\nversion: 1.0.0",
        "version: !!python/object/apply:os.system ['true']",
        "[" * MAX_RELEASE_FILE_BYTES,
        "- " * (MAX_RELEASE_FILE_BYTES // 2),
        "version: " + "1." * 8_000 + "0",
    ],
    ids=["empty", "no value", "list", "no object", "words", "broken", "aliases", "object", "deep", "deep block", "long"],
)
def test_a_hostile_version_file_is_refused_with_one_line(content: str) -> None:
    with pytest.raises(InvalidRelease) as caught:
        read_release(content)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_a_version_is_read_as_text() -> None:
    assert read_release("version: 1.10") > read_release("version: 1.9")
