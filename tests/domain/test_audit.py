"""The chain of the record: whatever is done to it shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.audit import LONGEST, START, AuditEntry, AuditHead, first_fault, seal_of, told

KEY = "key"
AT = datetime(2026, 4, 28, 10, 0, 0, 123000, tzinfo=timezone.utc)


def chain(texts: list[str]) -> tuple[list[AuditEntry], AuditHead]:
    """A record with an entry for each text."""
    entries, previous = [], START
    for number, text in enumerate(texts, 1):
        entry = AuditEntry("org-1", number, AT + timedelta(seconds=number), "user", "1", "Ada", "rest", "changed", "p", "1", text)
        entries.append(replace(entry, hash=entry.hashed(previous)))
        previous = entries[-1].hash
    return entries, AuditHead("org-1", len(texts), previous, seal_of(KEY, "org-1", len(texts), previous))


@given(st.lists(st.text(max_size=20), max_size=8))
def test_a_record_that_nobody_touched_is_whole(texts: list[str]) -> None:
    entries, head = chain(texts)
    assert first_fault(entries, head if texts else None, KEY, "org-1") is None


@given(st.lists(st.text(max_size=5), min_size=1, max_size=8), st.data())
def test_whatever_is_done_to_a_record_shows(texts: list[str], data: st.DataObject) -> None:
    entries, head = chain(texts)
    place = data.draw(st.integers(0, len(entries) - 1))
    how = data.draw(st.sampled_from(["remove", "change", "re-hash", "repeat", "swap", "cut off", "cut off with head"]))
    if how == "remove":
        del entries[place]
    elif how == "change":
        entries[place] = replace(entries[place], object_name=entries[place].object_name + "x")
    elif how == "re-hash":
        previous = entries[place - 1].hash if place else START
        changed = replace(entries[place], actor_name="Eve")
        entries[place] = replace(changed, hash=changed.hashed(previous))
    elif how == "repeat":
        entries.insert(place, entries[place])
    elif how == "swap":
        entries.append(entries.pop(0))
        if len(entries) == 1:
            return
    else:
        entries = entries[:place]
        if how == "cut off with head":
            last = entries[-1].hash if entries else START
            head = AuditHead("org-1", place, last, seal_of("another key", "org-1", place, last))
    assert first_fault(entries, head, KEY, "org-1") is not None


def test_a_record_without_an_end_shows() -> None:
    entries, _ = chain(["a"])
    assert first_fault(entries, None, KEY, "org-1") == "where the record ends is not known"


def test_the_hash_is_the_same_whatever_detail_the_database_keeps() -> None:
    (entry,), _ = chain(["a"])
    assert replace(entry, at=entry.at.astimezone(timezone(timedelta(hours=2)))).hashed(START) == entry.hash


@pytest.mark.parametrize("size", [LONGEST // 2, LONGEST * 2])
def test_of_what_is_too_long_the_names_are_kept(size: int) -> None:
    text = told({"description": "x" * size, "nothing": None})
    assert text is not None
    assert len(text) <= LONGEST
    assert "description" in text
    assert "nothing" not in text or "too_long" in text
