"""Patterns of CODEOWNERS files, by the examples that the git hosts give, and that no pattern takes long."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.globs import matches


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*", "a/b/c.sql", True),
        ("*.sql", "models/marts/a.sql", True),
        ("*.sql", "models/a.py", False),
        ("/build/logs/", "build/logs/x/y.txt", True),
        ("/build/logs/", "app/build/logs/x", False),
        ("docs/*", "docs/a.md", True),
        ("docs/*", "docs/deep/a.md", False),
        ("apps/", "deep/apps/x/y", True),
        ("apps/", "deep/apps", False),
        ("/docs/", "docs/a", True),
        ("/apps/github", "apps/github/a/b", True),
        ("/apps/github", "apps/githubs", False),
        ("**/logs", "build/logs/a", True),
        ("**/logs", "logs/a", True),
        ("models/**/finance_*", "models/finance_a.sql", True),
        ("models/**/finance_*", "models/x/y/finance_a.sql", True),
        ("models/**", "models/a/b", True),
        ("models/**", "models", False),
        ("models", "models/a.sql", True),
        ("models/a?.sql", "models/ab.sql", True),
        ("models/a?.sql", "models/a/.sql", False),
        ("a.sql", "x/a.sql", True),
        ("x/a.sql", "y/x/a.sql", False),
        ("", "a", False),
        ("/", "a", False),
    ],
)
def test_examples(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path) is fits


@given(st.text("ab*?/", max_size=60), st.text("ab/", min_size=1, max_size=60))
def test_any_pattern_and_any_path_have_an_answer(pattern: str, path: str) -> None:
    assert matches(pattern, path) in (True, False)


def test_stars_upon_stars_take_no_time() -> None:
    began = time.monotonic()
    assert not matches("**/" * 40 + "*a" * 100 + "b", "a/" * 60 + "a" * 255)
    assert time.monotonic() - began < 2
