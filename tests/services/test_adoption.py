"""Projects that begin with what is deployed already."""

from __future__ import annotations

import base64
import gzip
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.manifests import dbt_project_name
from dagctl_provider.domain.projects import Project
from dagctl_provider.services import adoption, plans, projects
from dagctl_provider.services.outside import repositories
from dagctl_provider.services.results import PlanApproved
from tests.services.test_dbt import dbt
from tests.services.test_plans import refused
from tests.services.world import World, sha

pytestmark = [pytest.mark.slow]


def manifest(schema: str = "v12", project: str | None = "shop", **members: Any) -> bytes:
    metadata = {"dbt_schema_version": f"https://schemas.getdbt.com/dbt/manifest/{schema}.json", "dbt_version": "1.8.10"}
    nodes = {"model.shop.a": {"resource_type": "model", "name": "a"}}
    about = {**metadata, "project_name": project} if project else metadata
    return json.dumps({"metadata": about, "nodes": nodes, "sources": {}, "macros": {}, **members}).encode()


@pytest.fixture
def project(world: World, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(repositories, "project_name_of", lambda project, commit: "shop")
    return dbt(world)


def first_inputs(world: World, project: Project) -> dict[str, str]:
    world.head = "second"
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    return world.decision(step, "inputs", "execute") or {}


@pytest.mark.parametrize("packed", [False, True])
def test_the_first_plan_starts_from_the_manifest(world: World, project: Project, packed: bool) -> None:
    sent = gzip.compress(manifest()) if packed else manifest()
    adopted = adoption.adopt(world.actor(), project.id, sha("first"), sent)
    assert (adopted.current_commit_sha, adopted.current_tool_version) == (sha("first"), "1.8.10")
    deployed = first_inputs(world, project)["deployed"]
    assert gzip.decompress(base64.b64decode(deployed)) == manifest()


def test_plans_from_nothing_give_way(world: World, project: Project) -> None:
    pending = world.explained(project)
    adoption.adopt(world.actor(), project.id, sha("zero"), manifest())
    assert plans.get_plan(world.actor(), pending.id).status == "rejected"


@pytest.mark.parametrize(
    ("sent", "why"),
    [
        (b"", "not JSON"),
        (manifest()[:-5], "not JSON"),
        (gzip.compress(manifest())[:-9], "damaged"),
        (b"[]", "no metadata"),
        (b'{"metadata": {}, "nodes": {}}', "which version"),
        (manifest("v8"), "v8; v9 to v12"),
        (manifest("v13"), "v13; v9 to v12"),
        (manifest(macros=[]), "no macros"),
        (manifest(nodes={}), "no model"),
        (manifest(project="other"), "of project 'other'"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_what_is_no_manifest_of_the_project_changes_nothing(world: World, project: Project, sent: bytes, why: str) -> None:
    with pytest.raises(DagctlError, match=why) as refusal:
        adoption.adopt(world.actor(), project.id, sha("first"), sent)
    assert refusal.value.code == "manifest_refused"
    assert projects.get_project(world.actor(), project.id).current_commit_sha is None


def test_a_manifest_is_for_dbt_and_needed_there(world: World, project: Project) -> None:
    with refused("manifest_refused"):
        adoption.adopt(world.actor(), project.id, sha("first"))
    other = world.project("mesh", use_managed_state_database=False)
    with refused("invalid_request"):
        adoption.adopt(world.actor(), other.id, sha("first"), manifest())


def test_a_project_of_sqlmesh_names_its_commit(world: World) -> None:
    project = world.project(use_managed_state_database=False)
    adopted = adoption.adopt(world.actor(), project.id, sha("first"))
    assert adopted.current_commit_sha == sha("first")
    assert plans.create_plan(world.actor(), project.id).outcome == "already_deployed"
    world.head = "second"
    step = plans.create_plan(world.actor(), project.id).step
    assert step is not None
    assert step.settings["adopted"] is True, "its explain refuses a foreign state"


def test_what_is_deployed_is_not_replaced(world: World, project: Project) -> None:
    approved = plans.approve(world.actor(), world.explained(project).id, door="rest")
    assert isinstance(approved, PlanApproved)
    with refused("execution_in_progress"):
        adoption.adopt(world.actor(), project.id, sha("zero"), manifest())
    world.finish_execute(approved.execute)
    with refused("already_adopted"):
        adoption.adopt(world.actor(), project.id, sha("zero"), manifest())


def test_of_two_that_adopt_at_once_one_does(world: World, project: Project) -> None:
    def one(commit: str) -> str:
        try:
            return adoption.adopt(world.actor(), project.id, commit, manifest()).current_commit_sha or ""
        except DagctlError as error:
            return error.code

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(one, [sha("first"), sha("zero")]))
    assert answers.count("already_adopted") == 1
    assert projects.get_project(world.actor(), project.id).current_commit_sha in answers


def test_who_may_not_manage_projects_may_not_adopt(world: World, project: Project) -> None:
    with refused("forbidden"):
        adoption.adopt(world.actor("developer"), project.id, sha("first"), manifest())


@pytest.mark.parametrize(
    ("text", "name"), [("name: shop\n", "shop"), ("name: 'a'", "a"), ("", None), ("- x", None), ("name: [", None), ("x: 1", None)]
)
def test_the_name_of_a_dbt_project(text: str, name: str | None) -> None:
    assert dbt_project_name({"dbt_project.yml": text}) == name
