"""40 commits on a realistic dbt project: what each means was written down first, and is what is shown and what then runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagctl_provider.plan_output.shape import ExplainOutput
from dagctl_provider.runner.steps import INNER
from tests.plan_output.conformance import complaints
from tests.runner.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]

CORPUS = Path(__file__).parent / "dbt_corpus"
EXPECTED: dict[str, Any] = yaml.safe_load((CORPUS / "commits.yaml").read_text())
COMMITS: list[dict[str, Any]] = EXPECTED["commits"]
NEWEST = "1.12.6"
TEXTS = {"warns", "broken", "details", "resources", "columns"}


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, tool_environments: Path) -> dict[str, dict[str, Any]]:
    """What one process made of all commits, by name."""
    work = tmp_path_factory.mktemp("corpus")
    command = ["-m", "dagctl_provider.runner", "install", "--tool", "dbt", "--version", NEWEST, "--extra", "duckdb"]
    variables = {**os.environ, "DAGCTL_ENVIRONMENTS_DIR": str(tool_environments)}
    installed = subprocess.check_output([sys.executable, *command], cwd=ROOT, env=variables, text=True)
    environment = {"PATH": os.environ["PATH"], "HOME": str(work)}
    arguments = [str(CORPUS / "drive.py"), str(INNER), str(CORPUS), str(work), str(work / "answers.jsonl")]
    with open(work / "log", "wb") as log:
        driven = subprocess.run([installed.split()[-1], *arguments], env=environment, stdout=log, stderr=log, check=False)
    assert driven.returncode == 0, (work / "log").read_text()[-3000:]
    return {answer["name"]: answer for answer in map(json.loads, (work / "answers.jsonl").read_text().splitlines())}


def test_the_corpus_has_40_commits_of_different_names() -> None:
    assert len({commit["name"] for commit in COMMITS}) == len(COMMITS) == 40


@pytest.mark.parametrize("commit", COMMITS, ids=lambda commit: commit["name"])
def test_shown_as_written_down_beforehand(commit: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    output = answers[commit["name"]]["output"]

    assert complaints(ExplainOutput, output) == []
    assert shown(output) == {
        "direct": {name: sorted(reasons) for name, reasons in (commit.get("direct") or {}).items()},
        **{key: sorted(commit.get(key) or []) for key in ("indirect", "added", "removed", "metadata")},
        "models": sorted(models(commit)),
        "tests": sorted(commit.get("tests") or []),
        "mode": "full" if commit.get("full") else "selected" if models(commit) or commit.keys() & {"tests", "hooks"} else "none",
    }


@pytest.mark.parametrize("commit", [row for row in COMMITS if TEXTS & row.keys()], ids=lambda commit: commit["name"])
def test_texts(commit: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    output = answers[commit["name"]]["output"]
    shown_texts = {
        "warns": "\n".join(output["warnings"]),
        "broken": "\n".join(f"{row['model']}: {row['problem']}" for row in output["contracts_broken"]),
        "details": "\n".join(text for row in output["models"] for text in row.get("details", ())),
        "columns": "\n".join(text for row in output["models"] for text in columns(row)),
        "resources": "\n".join(f"{row['change']} {row['type']} {row['name']}" for row in output["resources"]),
    }

    missing = [text for key, whole in shown_texts.items() for text in commit.get(key) or () if text not in whole]

    assert not missing, shown_texts


@pytest.mark.parametrize("commit", COMMITS, ids=lambda commit: commit["name"])
def test_the_nodes_that_ran_are_those_shown(commit: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    answer = answers[commit["name"]]

    assert sorted(key for key in answer["ran"] if not key.startswith("operation.")) == sorted(
        answer["output"]["selection"]["nodes"]
    )
    if commit.get("hooks"):
        assert answer["ran"] == ["operation.retail.retail-on-run-end-0"]


@pytest.mark.parametrize("commit", COMMITS, ids=lambda commit: commit["name"])
def test_what_a_person_would_type_selects_the_same(commit: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    answer = answers[commit["name"]]

    if answer["typed"] is not None:
        assert runnable(answer["typed"]) == sorted(answer["output"]["selection"]["nodes"])


@pytest.mark.parametrize("commit", COMMITS, ids=lambda commit: commit["name"])
def test_beside_state_modified(commit: Mapping[str, Any], answers: Mapping[str, Any]) -> None:
    """Where it differs from dbt's own selection is written down as well, and why in docs/dbt-differences.md."""
    answer = answers[commit["name"]]
    if commit.get("full"):
        pytest.skip("dbt has no opinion on everything moving")
    ours, theirs = set(answer["output"]["selection"]["nodes"]), set(runnable(answer["dbt"]))
    differs = commit.get("dbt") or {}

    assert sorted(map(plain_name, theirs - ours)) == sorted(differs.get("more") or [])
    assert sorted(map(plain_name, ours - theirs)) == sorted(differs.get("less") or [])


def columns(row: Mapping[str, Any]) -> list[str]:
    """What is said about a model's columns, in the corpus's form."""
    moved = [*(f"+{name}" for name in row.get("columns_added", ())), *(f"-{name}" for name in row.get("columns_removed", ()))]
    return [f"{row['name']} {text}" for text in [*moved, row.get("category")]]


def models(commit: Mapping[str, Any]) -> list[str]:
    """Names of models that run."""
    if commit.get("full"):
        changed = [*commit["direct"], *commit["indirect"]]
    else:
        changed = [*(commit.get("direct") or {}), *(commit.get("added") or ()), *(commit.get("indirect") or ())]
    return [name for name in changed if name not in EXPECTED["ephemeral"]]


def shown(output: Mapping[str, Any]) -> dict[str, Any]:
    """What an explain says, in the corpus's form."""
    return {
        "direct": {row["name"]: sorted(row["reasons"]) for row in output["models"] if row["change"] == "directly_modified"},
        "indirect": output["indirectly_modified"],
        "added": output["models_added"],
        "removed": output["models_removed"],
        "metadata": output["metadata_modified"],
        "models": sorted(output["selection"]["models"]),
        "tests": sorted(output["selection"]["tests"]),
        "mode": output["selection"]["mode"],
    }


def runnable(listed: list[str]) -> list[str]:
    """Of what `dbt ls` answers, what a build runs."""
    kinds = ("model.", "seed.", "snapshot.", "test.", "unit_test.")
    ephemeral = {f"model.retail.{name}" for name in EXPECTED["ephemeral"]}
    return sorted(key for key in listed if key.startswith(kinds) and key not in ephemeral)


def plain_name(unique_id: str) -> str:
    """`test.retail.<name>.<hash>` and `model.retail.<name>` -> name as in the corpus."""
    kind, package, *rest = unique_id.split(".")
    name = rest[-1] if kind == "unit_test" else rest[0] if kind == "test" else ".".join(rest)
    return name if package == "retail" else f"{package}.{name}"
