"""What the API server accepts as address, branch and path, the runner accepts, and the other way round.

A project that is saved by one rule and planned by another would fail for ever. The tests at the end ask both about texts made at
random, many of them one slip away from a good one. A hundred thousand of each kind, in minutes:

    .venv/bin/python -m pytest -p no:xdist -m long tests/runner/test_same_rules.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.repository import InvalidRepository, check_branch, check_git_path, parse_repository_url
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.requests import Request, parse_request
from tests.domain.hostile_repositories import HOSTILE_BRANCHES, HOSTILE_PATHS, HOSTILE_URLS

REQUEST = {
    "repository_url": "https://git.example.com/team/shop.git",
    "commit_sha": "0123456789abcdef0123456789abcdef01234567",
    "project_id": "proj_1",
    "step_id": "plan_1",
}


def runner_reads(**changes: object) -> Request:
    return parse_request(json.dumps({**REQUEST, **changes}), "explain")[0]


def runner_takes(**changes: object) -> str | None:
    """The address that the runner asks git for; ``None`` when it refuses the request."""
    try:
        return runner_reads(**changes).repository_url
    except RunnerError as error:
        if error.code != "invalid_request":
            raise
        return None


def api_takes(url: str, allow_local: bool, allow_private: bool) -> str | None:
    """The address that the API server asks git for; ``None`` when it refuses it."""
    try:
        return parse_repository_url(url, allow_local=allow_local, allow_private=allow_private).url
    except InvalidRepository:
        return None


def accepts(check: Callable[[str], object], text: str) -> bool:
    try:
        check(text)
    except InvalidRepository:
        return False
    return True


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


def test_what_is_hostile_to_the_api_server_is_hostile_to_the_runner() -> None:
    # A host that is private only by its name is for the API server to refuse: the runner may live beside it.
    wrong_anywhere = [url for url in HOSTILE_URLS if api_takes(url, False, True) is None]
    assert len(wrong_anywhere) > 120
    assert [url for url in wrong_anywhere if runner_takes(repository_url=url)] == []
    assert [name for name in HOSTILE_BRANCHES if runner_takes(branch=name)] == []
    assert [path for path in HOSTILE_PATHS if runner_takes(git_path=path)] == []


def test_the_refusal_names_the_field_and_not_what_was_typed() -> None:
    with pytest.raises(RunnerError) as refused:
        runner_reads(repository_url="https://user:hunter2@github.com/acme/x")
    assert refused.value.message.startswith("'repository_url' is refused: ")
    assert "hunter2" not in refused.value.message


def test_the_rules_bring_nothing_else_of_the_runner_along() -> None:
    program = "import sys, dagctl_provider.domain.repository; print(*sorted(m for m in sys.modules if 'dagctl_provider' in m))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == [
        "dagctl_provider",
        "dagctl_provider.domain",
        "dagctl_provider.domain.repository",
        "dagctl_provider.runner",
        "dagctl_provider.runner.hosts",
        "dagctl_provider.runner.repositories",
    ]


_NOISE = st.sampled_from(list(":@/[]-~%.+?#\\{}* \t'\"$&;é\u200b\u0661")) | st.characters()
# What stands before and after the host; the second halves hold what no address may have.
_FRAMES = [
    ("https://", "/"),
    ("HTTPS://", ":8443/"),
    ("ssh://git@", "/"),
    ("ssh://", ":22/"),
    ("SSH://a.b_c@", "/"),
    ("git@", ":"),
]
_FRAMES += [("git+deploy@", ":"), ("org-1@", ":/"), ("git@", "::"), ("https://git@", "/"), ("ssh://u:p@", "/"), ("git://", "/")]
_FRAMES += [
    ("", ":"),
    ("-x@", ":"),
    ("@", ":"),
    ("git;id@", ":"),
    ("https://", ":0/"),
    ("https://", ":/"),
    ("https://", ""),
    ("ext::", "/"),
]
_HOSTS = [
    "github.com",
    "GitHub.com",
    "xn--bcher-kva.example",
    "140.82.121.4",
    "[2001:4860::1]",
    "[2606:50C0:8000::153]",
    "localhost",
]
_HOSTS += ["gitea", "git.corp", "127.0.0.1", "[::1]", "[::ffff:8.8.8.8]", "0x7f.1", "[x", "-x", "a_b.com", ""]
_WORDS = ["acme", "x.git", "a::b", "re:po", "~data", "v3", "_git", "My%20Project", "données", "c++", "a,b=c", "b@c"]
_WORDS += ["..", ".", "-x", "%2e%2e", "%0a", "a b", "%zz", "$(id)", ""]


def _mostly_good(choices: list[str] | list[tuple[str, str]]) -> st.SearchStrategy:
    return (
        st.sampled_from(choices[: len(choices) // 2]) | st.sampled_from(choices[: len(choices) // 2]) | st.sampled_from(choices)
    )


@st.composite
def _addresses(draw: st.DrawFn) -> str:
    path = "/".join(draw(st.lists(_mostly_good(_WORDS), min_size=draw(st.sampled_from((0, 1, 1, 1))), max_size=4)))
    if draw(st.sampled_from((False, False, False, True))):
        return _with_slips(draw, draw(st.sampled_from(("/", "file:///", "FILE:///", "file://", "//", "~/"))) + path)
    before, after = draw(_mostly_good(_FRAMES))
    return _with_slips(draw, before + draw(_mostly_good(_HOSTS)) + after + path)


def _with_slips(draw: st.DrawFn, text: str) -> str:
    """The text with up to two characters put in or taken away; unchanged in half of the cases."""
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 1, 2)))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(_NOISE) + text[at:] if draw(st.booleans()) else text[:at] + text[at + 1 :]
    return text


def _pieces(*pieces: str) -> st.SearchStrategy[str]:
    @st.composite
    def text(draw: st.DrawFn) -> str:
        return _with_slips(draw, "".join(draw(st.lists(st.sampled_from(pieces), max_size=7))))

    return text()


_BRANCHES = _pieces(
    "main", "feature", "/", "/", "-", ".", "@", "v1.2", ".lock", "{", "HEAD", "refs/heads/", "größe", "_", "a" * 100
)
_PATHS = _pieces("models", "/", "/", "/", ".", "..", ".git", "git~1", "-", "~", "Data Team", " ", "表", "(old)", "x" * 120)


def _same_for_addresses(url: str, allow_local: bool) -> None:
    asked = api_takes(url, allow_local, True)
    assert runner_takes(repository_url=url, allow_local_repositories=allow_local) == asked
    assert api_takes(url, allow_local, False) in (asked, None)
    if asked is not None:
        assert api_takes(asked, allow_local, True) == asked
        assert runner_takes(repository_url=asked, allow_local_repositories=allow_local) == asked


def _same_for_branches(name: str) -> None:
    assert (runner_takes(branch=name) is not None) == accepts(check_branch, name)


def _same_for_paths(path: str) -> None:
    assert (runner_takes(git_path=path) is not None) == accepts(check_git_path, path)


KINDS: dict[str, tuple[Callable[..., None], tuple[st.SearchStrategy[Any], ...]]] = {
    "addresses": (_same_for_addresses, (_addresses(), st.booleans())),
    "branches": (_same_for_branches, (_BRANCHES,)),
    "paths": (_same_for_paths, (_PATHS,)),
}
_UNHURRIED = {"deadline": None, "suppress_health_check": list(HealthCheck), "database": None}


def _try(kind: str, examples: int) -> None:
    judge, texts = KINDS[kind]
    settings(max_examples=examples, **_UNHURRIED)(given(*texts)(judge))()


@pytest.mark.parametrize("kind", KINDS)
def test_both_agree_on_texts_made_at_random(kind: str) -> None:
    _try(kind, 500)


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("kind", KINDS)
def test_both_agree_on_a_hundred_thousand(kind: str) -> None:
    _try(kind, 100_000)
