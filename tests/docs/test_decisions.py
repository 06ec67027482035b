"""The index of decisions has each of them once, as its page calls itself."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "docs" / "decisions"
ROW = re.compile(r"^\| \[(.+)\]\(([\w-]+\.md)\) \| (.+?) \| (.+?) \| (.+) \|$", re.MULTILINE)
PAGES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md") if path.name != "README.md"}


def rows() -> list[tuple[str, ...]]:
    """Title, file, status, date and line of each decision."""
    table = (FOLDER / "README.md").read_text(encoding="utf-8").partition("\n## ")[0]
    found = ROW.findall(table)
    assert len(found) == len(re.findall(r"^\| (?!decision)", table, re.MULTILINE)), "every row has the form of one"
    return found


def test_each_decision_stands_in_it_once() -> None:
    assert sorted(file for _, file, *_ in rows()) == sorted(PAGES)


def test_titles_are_those_of_the_pages() -> None:
    titles = {file: text.partition("\n")[0].removeprefix("# ") for file, text in PAGES.items()}
    assert {file: title for title, file, *_ in rows()} == titles


def test_each_has_a_status_and_a_date() -> None:
    for _, file, status, day, _ in rows():
        replaced = re.fullmatch(r"replaced by \[.+\]\(([\w-]+\.md)\)", status)
        assert status == "accepted" or (replaced and replaced[1] in PAGES and replaced[1] != file), file
        assert date.fromisoformat(day).isoformat() == day, file


def test_the_oldest_come_first() -> None:
    days = [day for *_, day, _ in rows()]
    assert days == sorted(days)
