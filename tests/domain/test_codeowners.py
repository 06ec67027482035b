"""CODEOWNERS files: the last line wins, and nothing falls away in silence."""

from __future__ import annotations

import pytest

from dagctl_provider.domain.codeowners import MOST_LINES, read

TEXT = r"""
# Whoever it is
*                 @ada
/models/          @grace grace@example.com   # they know
/models/open/
my\ file.sql      tim@example.com
"""


@pytest.mark.parametrize(
    ("path", "owners"),
    [
        ("a.sql", ("@ada",)),
        ("models/a.sql", ("@grace", "grace@example.com")),
        ("models/open/a.sql", None),
        ("x/my file.sql", ("tim@example.com",)),
    ],
)
def test_the_last_line_that_fits_decides(path: str, owners: tuple[str, ...] | None) -> None:
    found = read("CODEOWNERS", TEXT)
    assert [line.owners for line in found.lines_for([path])] == ([owners] if owners else [])


def test_of_a_file_whose_place_is_not_known_all_owners_are_asked() -> None:
    assert len(read("CODEOWNERS", TEXT).lines_for([None])) == 3


@pytest.mark.parametrize("text", ["!x @ada", "[Section] @ada", "* ada", "* @ada\n" * (MOST_LINES + 1)])
def test_what_cannot_be_read_is_said(text: str) -> None:
    found = read("CODEOWNERS", text)
    assert found.unread
    assert found.lines == ()
