"""What the benchmarks' figures are made with; the benchmarks themselves are run by hand."""

from __future__ import annotations

import pytest

from benchmarks.approval import ACTIONS, REST, draw
from benchmarks.common import Verdict, median, percentile, spread, table
from benchmarks.overhead import changed_model, models, parent, sources
from benchmarks.plans_list import count_statements, shape


@pytest.mark.parametrize(
    ("share", "expected"), [(0.0, 1), (0.5, 50), (0.99, 99), (0.991, 100), (1.0, 100)], ids=lambda value: str(value)
)
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: float) -> None:
    assert percentile(range(100, 0, -1), share) == expected


def test_the_middle_of_few() -> None:
    assert (median([3.0]), median([4.0, 2.0]), median([9.0, 1.0, 5.0])) == (3.0, 2.0, 5.0)
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_delays_are_even_and_reach_both_ends() -> None:
    assert spread(5, 10.0) == [0.0, 2.5, 5.0, 7.5, 10.0]
    assert spread(1, 10.0) == [0.0]


def test_numbers_stand_to_the_right_and_nothing_breaks_the_table() -> None:
    lines = table(["what", "ms"], [["a|b", 1.234], ["longer", 1234.5], ["none", None]]).splitlines()
    assert lines == [
        "| what   |   ms |",
        "| ------ | ---: |",
        "| a/b    | 1.23 |",
        "| longer | 1234 |",
        "| none   |    - |",
    ]


def test_a_broken_condition_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    verdict = Verdict()
    verdict.require(True, "fine")
    assert verdict.tell() == 0
    verdict.require(False, "1 approval was lost")
    assert verdict.tell() == 1
    assert "FAILED: 1 approval was lost" in capsys.readouterr().out


def test_statements_are_counted_without_those_of_the_background() -> None:
    background = {shape("SELECT 1 FROM a WHERE b = 'x'")}
    logged = [
        (7, "BEGIN"),
        (7, "SELECT c FROM d WHERE e = 'f''g'"),
        (8, "BEGIN"),
        (8, "SELECT 2 FROM a WHERE b = 'y'"),
        (8, "COMMIT"),
        (7, "UPDATE d SET e = 1"),
        (7, "COMMIT"),
        (7, "SHOW standard_conforming_strings"),
        (7, "BEGIN"),
        (7, "SELECT c FROM d"),
    ]
    assert count_statements(logged, background, requests=2) == (1.5, 1.0)


def test_both_doors_get_the_same_delays() -> None:
    plans, bare = draw(60, seed=1)
    assert sorted(a.delay for a in bare) == sorted(a.delay for a in plans) == spread(60, 10.0)
    doors = [[a.delay for a in plans if a.door == door] for door in (REST, ACTIONS)]
    assert [len(delays) for delays in doors] == [30, 30]
    assert all(min(delays) < 0.2 and max(delays) > 9.8 for delays in doors)


@pytest.mark.parametrize("number", [10, 20, 200])
def test_a_generated_project_has_no_cycle_and_its_changes_are_changes(number: int) -> None:
    files = models(number)
    assert len(files) == number + 1
    assert all(parent(index, number) < index for index in range(sources(number), number))
    for round_number in range(5):
        changed = models(number, {changed_model(round_number, number): round_number + 1})
        assert sum(changed[name] != text for name, text in files.items()) == 1
