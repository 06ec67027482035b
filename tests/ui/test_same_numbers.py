"""Every door tells the same numbers of a plan: forty plans of both tools, recounted here from their raw lists of models.

The recount knows nothing of the package: what it counts is what a person would count who reads the runner's report.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from html import unescape
from pathlib import Path
from random import Random
from typing import Any, cast

import pytest
from flask.testing import FlaskClient

from dagctl_provider.api import models as answers
from dagctl_provider.api.v1.plans import schemas
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output import numbers, stored
from dagctl_provider.plan_output.markdown import describe
from dagctl_provider.plan_output.telling import tell
from dagctl_provider.services.lifecycle import telling
from demo.show import summary_lines
from tests.plan_output import samples
from tests.ui.test_plan_pages import PAGE, Scene, client, look, scene

__all__ = ["client", "scene"]

SQLMESH = PROJECT = samples.PROJECT
DBT = replace(PROJECT, project_type="dbt", settings={})
NAMES = ("added", "changed", "removed", "downstream", "readers", "metadata", "followers", "unchanged", "backfill", "tests")


def recount(raw: dict[str, Any]) -> dict[str, int]:
    """The numbers of a report by hand: what an execute computes is what has a span (SQLMesh) or is in the selection (dbt)."""
    selection, found = raw.get("selection"), dict.fromkeys(NAMES, 0)
    for row in raw["models"]:
        loads = row["unique_id"] in selection["nodes"] if selection else bool(row.get("backfill"))
        change = row.get("change")
        if change == "indirectly_modified":
            found["downstream" if loads else "readers"] += 1
        elif change == "metadata":
            found["followers" if row["name"] in raw.get("metadata_followers", ()) else "metadata"] += 1
        elif change is None:
            found["unchanged"] += loads
        else:
            found[{"directly_modified": "changed", "added": "added", "removed": "removed"}[change]] += 1
        found["backfill"] += loads and not selection
    if selection:
        found["backfill"], found["tests"] = len(selection["models"]), len(selection["tests"])
    return found


def _rows(dice: Random, wanted: dict[str, int], dbt: bool) -> list[dict[str, Any]]:
    changes = {"downstream": "indirectly_modified", "readers": "indirectly_modified", "changed": "directly_modified"}
    changes |= {"followers": "metadata"}
    rows: list[dict[str, Any]] = []
    for what, number in wanted.items():
        for at in range(number):
            row: dict[str, Any] = {"name": f"{what}.m{at}", "change": changes.get(what, what if what != "unchanged" else None)}
            loads = what in ("downstream", "unchanged") or (what in ("changed", "added") and dice.random() < 0.7)
            row["loads"] = loads
            row["category"] = dice.choice(["breaking", "non_breaking", "forward_only", None])
            if dbt:
                row |= {"unique_id": f"model.shop.{row['name']}", "kind": dice.choice(["table", "view", "incremental"])}
            else:
                row |= {"kind": dice.choice(["FULL", "VIEW", "INCREMENTAL_BY_TIME_RANGE"])}
                row["backfill"] = samples.span(dice.randint(1, 400)) if loads else []
            rows.append(row)
    dice.shuffle(rows)
    return rows


def generated(seed: int, dbt: bool) -> dict[str, Any]:
    """A plan with each kind of model present or absent. The counts it reports are wrong on purpose: nobody may tell them."""
    dice = Random(seed)
    kinds = ("changed", "added", "removed", "downstream", "readers", "metadata", *(() if dbt else ("followers", "unchanged")))
    wanted = {kind: dice.choice([0, 1, 2, dice.randint(3, 40)]) for kind in kinds}
    rows = _rows(dice, wanted, dbt)
    raw: dict[str, Any] = {"environment": "prod", "explain_completed": True, "has_changes": True, "models": rows}
    raw |= {"modelsAdded": 991, "modelsModified": 992, "modelsRemoved": 993, "modelsNeedingBackfill": 994}
    if dbt:
        built = [row["name"] for row in rows if row["loads"]]
        tests = [f"check_{at}" for at in range(dice.choice([0, 1, 7]))]
        nodes = [*(f"model.shop.{name}" for name in built), *(f"test.shop.{name}" for name in tests)]
        raw["selection"] = {"mode": dice.choice(["selected", "full"]), "models": built, "tests": tests, "nodes": nodes}
    else:
        raw["metadata_followers"] = [row["name"] for row in rows if row["name"].startswith("followers")]
    for row in rows:
        del row["loads"]
    return raw


def _large() -> dict[str, Any]:
    return samples.large_output(400, 900)


def _real(tool: str) -> dict[str, Any]:
    """What an explain really reported, without its diffs."""
    found: dict[str, Any] = json.loads((Path(samples.__file__).parent / f"real_{tool}.json").read_text())
    return found


PLANS: dict[str, tuple[dict[str, Any], Project]] = {
    "small": (samples.small_output(), SQLMESH),
    "large": (_large(), SQLMESH),
    "dbt": (samples.dbt_output(), DBT),
    "real sqlmesh": (_real("sqlmesh"), SQLMESH),
    "real dbt": (_real("dbt"), DBT),
    "nothing": ({"explain_completed": True, "environment": "prod", "models": []}, SQLMESH),
    **{f"sqlmesh {seed}": (generated(seed, False), SQLMESH) for seed in range(17)},
    **{f"dbt {seed}": (generated(seed, True), DBT) for seed in range(17)},
}

_NUMBER = r"([\d,]+)"
_SAID = {
    "added": rf"{_NUMBER}(?: models?)? (?:is|are) added",
    "changed": rf"{_NUMBER}(?: models?)? changes?\b(?! only)",
    "removed": rf"{_NUMBER}(?: models?)? (?:is|are) removed",
    "downstream": rf"{_NUMBER} models? downstream (?:is|are) (?:backfilled|built) too",
    "readers": rf"{_NUMBER} models? only reads? (?:it|them) and (?:is|are) not (?:backfilled|built)",
    "metadata": rf"{_NUMBER} models? changes? only in metadata(?!, because)",
    "followers": rf"{_NUMBER} (?:more|models? changes? only in metadata,) because of what",
    "unchanged": rf"{_NUMBER} unchanged models? (?:is|are) (?:backfilled|built)",
    "backfill": rf"{_NUMBER} models? (?:is|are) (?:backfilled|built)(?! too)",
    "tests": rf"{_NUMBER} tests? runs?",
}
_LABELS = {
    "Added": "added",
    "Changed": "changed",
    "Removed": "removed",
    "Only metadata": "metadata",
    "Metadata of what they read": "followers",
    "Downstream, backfilled too": "downstream",
    "Downstream, built too": "downstream",
    "Only read what changes, not backfilled": "readers",
    "Only read what changes, not built": "readers",
    "Not changed, backfilled": "unchanged",
    "Not changed, built": "unchanged",
    "To backfill": "backfill",
    "To build": "backfill",
    "Tests to run": "tests",
}


def in_words(text: str) -> dict[str, int]:
    """The numbers of a sentence. What is computed is not said twice where only unchanged models are."""
    found = {name: re.findall(pattern, text) for name, pattern in _SAID.items()}
    assert all(len(each) <= 1 for each in found.values()), text
    said = {name: int(each[0].replace(",", "")) if each else 0 for name, each in found.items()}
    if not said["backfill"] and said["unchanged"]:
        said["backfill"] = said["unchanged"]
    return said


def labelled(pairs: list[tuple[str, str]]) -> dict[str, int]:
    return {**dict.fromkeys(NAMES, 0), **{_LABELS[label.strip()]: int(number.replace(",", "")) for number, label in pairs}}


def listed(html: str) -> dict[str, int]:
    """Numbers in the headings of the lists of models."""
    heads = re.findall(r'<h3><span class="mk \w+"></span>(.*?) <span class="muted">([\d,]+)</span></h3>', html)
    return {_LABELS[unescape(title)]: int(number.replace(",", "")) for title, number in heads if title != "Unchanged"}


def tell_notification(steps: Any, project: Project) -> dict[str, Any]:
    return telling.describe("pending", "evt_1", project, steps[0], tell(steps, project, samples.DEPLOYED))


def test_there_are_forty_of_them_and_all_kinds() -> None:
    counts = [recount(raw) for raw, _ in PLANS.values()]
    assert len(PLANS) == 40
    for name in NAMES:
        found = {min(count[name], 2) for count in counts}
        assert found == {0, 1, 2}, f"no plan with none, one and several: {name}"


@pytest.mark.parametrize("name", PLANS)
def test_every_door_tells_the_numbers_of_the_list(name: str, scene: Scene, client: FlaskClient) -> None:
    raw, scene.project = PLANS[name]
    counted = recount(raw)
    step = samples.explained(stored.explained(raw))
    scene.steps = (step,)
    html, page = client.get(PAGE).text, look(client)

    chips = re.findall(r"<b>([\d,]+)</b> (.*?)</li>", html.partition('class="plan-counts"')[2].partition("</ul>")[0])
    assert labelled([(number, unescape(label)) for number, label in chips]) == counted
    of_models = {key: number for key, number in counted.items() if number and key not in ("backfill", "tests")}
    assert listed(html) == of_models
    sentence = unescape(re.findall(r'id="summary">(.*?)</p>', html)[0])
    assert in_words(sentence) == counted
    dialog = unescape(html.partition('<dialog id="do-approve"')[2].partition("</dialog>")[0])
    assert sentence in dialog
    assert page.all("dialog", id="do-approve")

    subject, body = describe({"tool": scene.project.project_type}, raw)
    plain = body.replace("\\", "")
    assert sentence in plain
    assert labelled([(number, label) for label, number in _bold(plain)]) == counted
    word = "build" if scene.project is DBT else "backfill"
    in_short = f"{counted['added']} added, {counted['changed']} changed, {counted['removed']} removed"
    assert subject.endswith(f"{in_short}, {counted['backfill']} to {word}")

    news = tell_notification(scene.steps, scene.project)
    assert (news["summary"], news["counts"]) == (sentence, counted)

    told = tell(scene.steps, scene.project, samples.DEPLOYED)
    answer = answers.to_json(schemas.plan(replace(step, summary=told.summary, counts=told.figures.to_json())))
    assert (answer["summary"], answer["counts"]) == (sentence, counted)
    assert summary_lines({**answer, "plan_output": {"environment": "prod", **raw}})[0] == f"environment prod: {sentence}"

    in_lists = numbers.counts_of(cast("Any", {key: (step.plan_output or {}).get(at) for key, at in _IN_LISTS.items()}))
    assert in_lists is not None
    follow = counted["changed"] + counted["downstream"] + counted["readers"]
    assert (in_lists.added, in_lists.modified, in_lists.removed) == (counted["added"], follow, counted["removed"])
    assert in_lists.backfill == counted["backfill"]


_IN_LISTS = {**numbers.COUNT_KEYS, **numbers.FLAG_KEYS}


def _bold(body: str) -> list[tuple[str, str]]:
    lines = [line for line in body.splitlines() if re.search(r": \*\*[\d,]+\*\*", line)]
    return re.findall(r"([A-Z][\w, ]*?): \*\*([\d,]+)\*\*", lines[0]) if lines else []
