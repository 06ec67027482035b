"""dbt: an execute that ends half-way, and what then becomes of the warehouse. Real dbt, DuckDB."""

from __future__ import annotations

from typing import Any

import pytest

from tests.runner.dbt_halves import ONE, Halves, changed
from tests.runner.widths import some

pytestmark = [pytest.mark.slow]

NODES = (
    "raw_names", "stg_orders", "inc_orders", "fct_cities",
    "raw_orders", "stg_names", "fct_customers", "v_cities", "rep_total", "rep_inc", "rep_all",
)  # fmt: skip
WAYS = ("fail {} before", "fail {} after", "kill {} before", "kill {} after", "cancel {} before")
CASES = [way.format(node) for node in NODES for way in WAYS]
SOME = ["fail fct_cities before", "kill inc_orders after", "cancel fct_cities before"]
# Their rows and columns change, which dbt does in full refreshes only.
ANEW = {"full_refresh": ["raw_names", "inc_orders"]}
UNTOUCHED = ("raw_orders",)


@pytest.fixture(scope="module")
def halves(tmp_path_factory: pytest.TempPathFactory) -> Halves:
    found = Halves(tmp_path_factory.mktemp("halves"))
    found.deploy(ONE)
    found.keep("one")
    return found


@pytest.fixture(scope="module")
def clean(halves: Halves) -> dict[str, Any]:
    return {"one": halves.clean({}), "two": halves.clean(changed(100)), "three": halves.clean(changed(7))}


@pytest.mark.long
@pytest.mark.parametrize("fate", some(SOME, (case for case in CASES if case not in SOME)))
def test_retry_revert_and_fix_forward_end_where_a_clean_build_does(halves: Halves, clean: dict[str, Any], fate: str) -> None:
    halves.left = []
    halves.back("one")
    halves.project.write({**ONE, **changed(100)})
    explained = halves.project.explain(**halves.inputs(), **ANEW)
    ended = halves.break_off(explained, fate, **ANEW)
    if fate.split()[1] in UNTOUCHED:
        assert ended["outcome"] == "succeeded"
        return
    # A killed one leaves no answer.
    assert ended.get("outcome") == {"fail": "failed", "cancel": "cancelled", "kill": None}[fate.split()[0]], ended["log"]
    left = halves.left
    halves.keep("half")

    halves.left = []
    retried = halves.project.execute(explained, **halves.inputs(), **ANEW)
    assert retried["outcome"] == "succeeded", retried["log"]
    assert halves.tables() == clean["two"], "retry"

    halves.back("half")
    halves.left = left
    halves.deploy(ONE)
    assert halves.tables() == clean["one"], "revert"

    halves.back("half")
    halves.left = left
    halves.deploy({**ONE, **changed(7)}, **ANEW)
    assert halves.tables() == clean["three"], "fix forward"
