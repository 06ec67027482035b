"""Each case of the corpus: the plan says what is true, and the warehouse becomes what the tool itself makes of it."""

from __future__ import annotations

import copy
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.truth.cases import Case, Commit, changed, load
from tests.truth.conftest import Verdict
from tests.truth.expectations import differences, plain_name, says
from tests.truth.projects import GIVEN, Project
from tests.truth.tools import Warm
from tests.truth.twins import Twin, unequal

RUNNABLE = ("model.", "seed.", "snapshot.", "test.", "unit_test.")


class Trial:
    """A case under way: the product's project and the twin, always at the same commit.

    :param case: The case.
    :param warm: Its tool.
    :param folder: Private folder.
    :param whole: Whether its steps are processes of their own, as a launcher starts them.
    """

    verdict: Verdict

    def __init__(self, case: Case, warm: Warm, folder: Path, whole: bool = False) -> None:
        folder.mkdir()
        self._case = case
        self._files: dict[str, str] = {}
        self._project = Project(warm, folder, f"truth_{case.beginning}{'_whole' * whole}", whole)
        self._warehouse = folder / "warehouse.db"
        # The same name, for it is a catalog's.
        self._twin = Twin(warm, folder / "twin", folder / "twin" / self._warehouse.name)
        self._env: dict[str, str] = {**(case.row.get("env") or {})}

    def begin(self) -> Mapping[str, Any]:
        """Deploy the first commit.

        :return: What its explain said.
        """
        self.verdict = Verdict()
        self._others(self._case.row.get("raw"))
        self._take({**GIVEN[self._case.tool], **self._case.files})
        explained = self._project.explain()
        self._execute(explained, None)
        return explained

    def go_on(self, case: Case, verdict: Verdict) -> None:
        """All other commits.

        :param case: One that begins like this.
        :param verdict: What is found.
        """
        verdict.faults += self.verdict.faults
        self._case, self.verdict = case, verdict
        for number, commit in enumerate(case.commits, 2):
            self._commit(number, commit)

    def _commit(self, number: int, commit: Commit) -> None:
        self._env.update(commit.new_env)
        self._others(commit.between)
        self._take(changed(self._files, commit.change))
        explained, again = self._project.explain(), self._project.explain()
        self.verdict.says.append(_said(self._case, explained))
        self._note(f"explain of commit {number}", differences(self._case.tool, commit.expect, explained))
        if explained.get("digest") != again.get("digest"):
            self._note(f"second explain of commit {number}", [_moved(explained, again)])
        refused = "error" in explained
        if not refused:
            self._execute(explained, commit)
        elif not commit.expect.get("error"):
            raise AssertionError("nothing to execute")
        else:
            self._compare(number)

    def _execute(self, explained: Mapping[str, Any], commit: Commit | None) -> None:
        number = self._project_number()
        assert "digest" in explained, explained.get("error")
        executed = self._project.execute(explained)
        fails, code = commit.fails if commit else None, (executed.get("error") or {}).get("code")
        if code != fails:
            self._note(f"execute of commit {number}", [f"{executed['outcome']}: expected {fails}, got {executed.get('error')}"])
        if commit is not None:
            said = json.dumps({key: value for key, value in executed.items() if key != "artifacts"})
            self._note(f"execute of commit {number}", [f"does not say {text!r}" for text in commit.told if text not in said])
        self._twin.apply(self._files, self._variables(self._twin.warehouse), commit.twin if commit else None, bool(fails))
        if commit is not None and self._case.tool == "dbt" and self._twin.listed is not None:
            self._note(f"dbt's own selection of commit {number}", self._selected(commit, explained))
        self._compare(number)

    def _selected(self, commit: Commit, explained: Mapping[str, Any]) -> list[str]:
        """Where dbt's ``state:modified+`` differs from what runs, and the case does not say so."""
        listed = {json.loads(line)["unique_id"] for line in self._twin.listed or ()}
        # dbt lists ephemeral models, too, and builds none.
        ephemeral = {row["unique_id"] for row in explained["plan_output"]["models"] if row["kind"] == "ephemeral"}
        theirs = {key for key in listed if key.startswith(RUNNABLE)} - ephemeral
        ours = set(explained["plan_output"]["selection"]["nodes"])
        found = []
        for key, differing in (("dbt_more", theirs - ours), ("dbt_less", ours - theirs)):
            names, said = sorted(map(plain_name, differing)), sorted(commit.expect.get(key) or [])
            if names != said:
                found.append(f"{key}: expected {said}, got {names}")
        return found

    def _compare(self, number: int) -> None:
        found = unequal(self._project.tables(self._warehouse), self._project.tables(self._twin.warehouse))
        self.verdict.equal = self.verdict.equal and not found
        self._note(f"warehouse after commit {number}", found)

    def _take(self, files: dict[str, str]) -> None:
        gone: dict[str, str | None] = dict.fromkeys(set(self._files) - set(files))
        self._files = files
        self._project.take({**files, **gone}, self._variables(self._warehouse))

    def _variables(self, warehouse: Path) -> dict[str, str]:
        return {**self._env, "WAREHOUSE": str(warehouse), "STATE": str(warehouse.with_suffix(".state"))}

    def _others(self, sql: str | None) -> None:
        for warehouse in (self._warehouse, self._twin.warehouse) if sql else ():
            self._project.statements(warehouse, str(sql))

    def _project_number(self) -> int:
        return int(self._project.repository.git("rev-list", "--count", "HEAD"))

    def _note(self, where: str, found: list[str]) -> None:
        self.verdict.faults += [f"{where}: {text}" for text in found]


def _said(case: Case, explained: Mapping[str, Any]) -> str:
    error = explained.get("error")
    return f"refused: {error['code']}" if error else says(explained["plan_output"], case.tool)


def _moved(explained: Mapping[str, Any], again: Mapping[str, Any]) -> str:
    sides = [(result.get("plan_output") or {}).get("digest_parts") or {} for result in (explained, again)]
    parts = sorted(key for key in {*sides[0], *sides[1]} if sides[0].get(key) != sides[1].get(key))
    return f"another digest, and nothing was changed: {parts}"


class Beginnings:
    """First commits that are deployed already: a case takes up where its like left, in a copy of all files at the same place.

    :param folder: For all of them.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._begun: dict[str, tuple[Trial, Mapping[str, Any]]] = {}

    def trial(self, case: Case, warm: Warm) -> tuple[Trial, Mapping[str, Any]]:
        """A case with its first commit deployed, and what the explain of that said.

        :param case: The case.
        :param warm: Its tool.
        """
        place, kept = self._folder / case.beginning, self._folder / f"{case.beginning}.kept"
        if case.beginning not in self._begun:
            trial = Trial(case, warm, place)
            self._begun[case.beginning] = trial, trial.begin()
            shutil.copytree(place, kept, symlinks=True)
        shutil.rmtree(place)
        shutil.copytree(kept, place, symlinks=True)
        trial, explained = self._begun[case.beginning]
        return copy.deepcopy(trial, {id(warm): warm}), explained


@pytest.fixture(scope="session")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> Beginnings:
    """First commits that are deployed already."""
    return Beginnings(tmp_path_factory.mktemp("beginnings"))


def parameters(whole: bool = False) -> list[Any]:
    """All cases.

    :param whole: Only those that also go through the whole runner.
    """
    wanted = os.environ.get("CASE", "")
    cases = [case for tool in ("sqlmesh", "dbt") for case in load(tool) if wanted in case.id]
    cases = [case for case in cases if case.row.get("whole") or not whole]
    return [pytest.param(case, id=case.id) for case in cases]


@pytest.mark.parametrize("case", parameters())
def test_a_plan_says_what_is_true(case: Case, warm: dict[str, Warm], beginnings: Beginnings, verdict: Verdict) -> None:
    with verdict.of(case):
        trial, explained = beginnings.trial(case, warm[case.tool])
        first = case.row.get("first")
        if first is not None:
            verdict.faults += [f"first explain: {text}" for text in differences(case.tool, first, explained)]
        trial.go_on(case, verdict)


@pytest.mark.parametrize("case", parameters(whole=True))
def test_the_whole_runner_says_the_same(case: Case, warm: dict[str, Warm], tmp_path: Path, verdict: Verdict) -> None:
    with verdict.of(case):
        verdict.id += " (whole runner)"
        trial = Trial(case, warm[case.tool], tmp_path / "project", whole=True)
        trial.begin()
        trial.go_on(case, verdict)
