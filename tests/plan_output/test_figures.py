"""The numbers of a plan: each model in one list, and the numbers that lists of plans read are put right with them."""

from __future__ import annotations

from typing import Any

from dagctl_provider.plan_output.figures import Figures, figures_of
from dagctl_provider.plan_output.reading import explained
from dagctl_provider.plan_output.stored import explained as stored

LOAD = [{"start": "2026-01-01", "end": "2026-01-02"}]
ROWS: list[dict[str, Any]] = [
    {"name": "a", "change": "added", "backfill": LOAD},
    {"name": "b", "change": "directly_modified"},
    {"name": "c", "change": "directly_modified", "backfill": LOAD},
    {"name": "d", "change": "indirectly_modified", "backfill": LOAD},
    {"name": "e", "change": "indirectly_modified", "backfill": []},
    {"name": "f", "change": "indirectly_modified", "category": "indirect_non_breaking"},
    {"name": "g", "change": "metadata"},
    {"name": "h", "change": "metadata"},
    {"name": "i", "change": None, "backfill": LOAD},
    {"name": "j", "change": None},
    {"name": "k", "change": "removed"},
]
OUTPUT = {"models": ROWS, "metadata_followers": ["h"]}


def test_each_model_stands_in_one_list() -> None:
    found = figures_of(explained(OUTPUT))
    assert found == Figures(
        added=1, changed=2, removed=1, downstream=1, readers=2, metadata=1, followers=1, unchanged=1, backfill=4, tests=0
    )
    assert found.modified == 5
    assert found.to_json()["readers"] == 2
    assert figures_of(explained({})) == Figures(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def test_what_dbt_builds_is_what_it_selects() -> None:
    selection = {"models": ["b", "e"], "nodes": ["model.p.b", "model.p.e", "test.p.t"], "tests": ["t"]}
    rows = [{**row, "unique_id": f"model.p.{row['name']}"} for row in ROWS]
    found = figures_of(explained({"models": rows, "selection": selection}))
    assert (found.downstream, found.readers, found.backfill, found.tests) == (1, 2, 2, 1)
    without_ids = figures_of(explained({"models": ROWS, "selection": selection}))
    assert (without_ids.downstream, without_ids.readers) == (1, 2)


def test_without_a_list_the_reported_numbers_count() -> None:
    reported = {"modelsAdded": 1, "modelsModified": 2, "modelsRemoved": 3, "modelsNeedingBackfill": 4}
    assert figures_of(explained(reported)) == Figures(added=1, changed=2, removed=3, backfill=4)
    found = figures_of(explained({**reported, "selection": {"models": ["a"], "tests": ["b", "c"]}}))
    assert (found.backfill, found.tests) == (1, 2)


def test_what_is_stored_has_the_numbers_that_are_told() -> None:
    wrong = {"modelsAdded": 9, "modelsModified": 9, "modelsRemoved": 9, "modelsNeedingBackfill": 9, "kept": True}
    assert stored({**OUTPUT, **wrong}) == {
        **OUTPUT,
        "modelsAdded": 1,
        "modelsModified": 5,
        "modelsRemoved": 1,
        "modelsNeedingBackfill": 4,
        "kept": True,
    }
