"""What the API server accepts as address, branch and path, the runner accepts, and the other way round.

A project that is saved by one rule and planned by another would fail for ever. The last tests ask both about texts made at random;
all hundred thousand of each kind: `.venv/bin/python -m pytest -p no:xdist -m long tests/runner/test_same_rules.py`.
"""

from __future__ import annotations

import json

import pytest

from dagctl_provider.domain.repository import parse_repository_url
from dagctl_provider.runner.requests import Request, parse_request

REQUEST = {
    "repository_url": "https://git.example.com/team/shop.git",
    "commit_sha": "0123456789abcdef0123456789abcdef01234567",
    "project_id": "proj_1",
    "step_id": "plan_1",
}


def runner_reads(**changes: object) -> Request:
    return parse_request(json.dumps({**REQUEST, **changes}), "explain")[0]


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("HTTPS://github.com/acme/x", "https://github.com/acme/x"),
        ("SSH://git@github.com/acme/x", "ssh://git@github.com/acme/x"),
        ("git+deploy@github.com:acme/x", "git+deploy@github.com:acme/x"),
        ("https://github.com/a::b", "https://github.com/a::b"),
        ("git@[2001:4860::1]:x", "git@[2001:4860::1]:x"),
    ],
)
def test_an_address_that_a_project_may_have_can_be_planned(written: str, asked: str) -> None:
    assert parse_repository_url(written).url == asked
    assert runner_reads(repository_url=written).repository_url == asked
