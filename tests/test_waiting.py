"""Who waits in vain is told for what, and what there was instead."""

from __future__ import annotations

import pytest

from tests.waiting import equals, holds, nothing, wait_for


def test_what_was_waited_for_is_returned() -> None:
    states = iter(["queued", "running", "success"])
    assert wait_for("the end", lambda: next(states), equals("success")) == "success"
    assert wait_for("something", iter([None, "", 0, "here"]).__next__) == "here"
    assert wait_for("the line", iter(["", "one\n", "one\ntwo\n"]).__next__, holds("two")) == "one\ntwo\n"
    assert wait_for("their ends", iter([[1, 2], [2], []]).__next__, nothing) == []


def test_what_does_not_come_is_named_with_what_was_last_seen() -> None:
    with pytest.raises(AssertionError, match=r"waited 0 s for the decision; last seen: pending$"):
        wait_for("the decision", lambda: "pending", equals("approved"), seconds=0)
    with pytest.raises(AssertionError, match=r"for the runner; last seen: a log$"):
        wait_for("the runner", lambda: False, seconds=0, show=lambda: "a log")


def test_of_a_long_log_the_end_is_shown() -> None:
    with pytest.raises(AssertionError) as caught:
        wait_for("a line", lambda: "x" * 100_000 + "the last line", holds("another"), seconds=0)
    assert str(caught.value).endswith("xthe last line")
    assert len(str(caught.value)) < 5000


def test_what_is_there_is_seen_however_short_the_wait() -> None:
    assert wait_for("what is there", lambda: 1, seconds=0) == 1
