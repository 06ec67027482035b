"""SQLMesh: an execute that ends half-way, and what then becomes of the warehouse. Real SQLMesh, PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.runner.conftest import PostgreSQL
from tests.runner.sqlmesh_halves import NODES, ONE, THREE, TWO, Halves
from tests.runner.widths import some

pytestmark = [pytest.mark.slow, pytest.mark.long]

WAYS = ("fail {} before", "kill {} after", "cancel {} before")
SOME = ["kill fct after"]
CASES = [case for node in NODES for way in WAYS if (case := way.format(node)) not in SOME]


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory, tool_environments: Path, postgres: PostgreSQL) -> Halves:
    found = Halves(tmp_path_factory.mktemp("halves") / "own", tool_environments, postgres)
    found.deploy(ONE)
    found.keep("one")
    return found


@pytest.fixture(scope="module")
def smooth(halves: Halves) -> dict[str, Any]:
    """What the warehouse holds when nothing fails."""
    found = {"one": halves.contents()}
    for name, files in (("two", TWO), ("three", THREE)):
        halves.back("one")
        halves.deploy(files)
        found[name] = halves.contents()
    return found


@pytest.mark.parametrize("fate", some(SOME, CASES))
def test_retry_revert_and_fix_forward_end_as_if_nothing_had_failed(halves: Halves, smooth: dict[str, Any], fate: str) -> None:
    halves.left = []
    halves.back("one")
    sha = halves.commit(TWO)
    explained = halves.explain(sha)
    outcome = halves.break_off(explained, sha, fate)
    assert outcome == {"fail": "failed", "cancel": "cancelled", "kill": None}[fate.split()[0]]
    left = halves.left
    halves.keep("half")

    retried = halves.driver.execute(explained, commit_sha=sha, attempt=2)
    assert retried.status == 0, retried.output
    assert halves.contents() == smooth["two"], "retry"

    for name, files in (("one", ONE), ("three", THREE)):
        halves.back("half")
        halves.left = left
        halves.deploy(files)
        assert halves.contents() == smooth[name], name
