"""What the API server accepts as address, branch and path, the runner accepts, and the other way round.

A project that is saved by one rule and planned by another would fail for ever. The tests at the end ask both about texts made at
random, many of them one slip away from a good one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from random import Random
from typing import TypeVar

import pytest

from dagctl_provider.domain.repository import InvalidRepository, check_branch, check_git_path, parse_repository_url
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.requests import Request, parse_request
from tests.domain.hostile_repositories import HOSTILE_BRANCHES, HOSTILE_PATHS, HOSTILE_URLS

REQUEST = {
    "repository_url": "https://git.example.com/team/shop.git",
    "commit_sha": "0123456789abcdef0123456789abcdef01234567",
    "project_id": "proj_1",
    "step_id": "plan_1",
}


def runner_reads(reach: Reach = Reach(), **changes: object) -> Request:  # noqa: B008 - it is frozen
    return parse_request(json.dumps({**REQUEST, **changes}), "explain", reach)[0]


def runner_takes(reach: Reach = Reach(), **changes: object) -> str | None:  # noqa: B008
    """The address that the runner asks git for; ``None`` when it refuses the request."""
    try:
        return runner_reads(reach, **changes).repository_url
    except RunnerError as error:
        if error.code not in ("invalid_request", "local_not_allowed", "private_host"):
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
    for reach in (Reach(), Reach(private=True)):
        wrong = [url for url in HOSTILE_URLS if api_takes(url, False, reach.private) is None]
        assert len(wrong) > 120
        assert [url for url in wrong if runner_takes(reach, repository_url=url)] == []
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


_NOISE = tuple(":@/[]-~%.+?#\\{}* \t'\"$&;é\u200b\u0661")
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


_BRANCHES = ("main", "feature", "/", "/", "-", ".", "@", "v1.2", ".lock", "{", "HEAD", "refs/heads/", "größe", "_", "a" * 100)
_PATHS = ("models", "/", "/", "/", ".", "..", ".git", "git~1", "-", "~", "Data Team", " ", "表", "(old)", "x" * 120)

T = TypeVar("T")


def _mostly_good(dice: Random, choices: Sequence[T]) -> T:
    return dice.choice(choices[: len(choices) // 2] if dice.random() < 0.7 else choices)


def _address(dice: Random) -> str:
    path = "/".join(_mostly_good(dice, _WORDS) for _ in range(dice.choice((0, 1, 1, 2, 2, 3, 4))))
    if dice.random() < 0.25:
        return _with_slips(dice, dice.choice(("/", "file:///", "FILE:///", "file://", "//", "~/")) + path)
    before, after = _mostly_good(dice, _FRAMES)
    return _with_slips(dice, before + _mostly_good(dice, _HOSTS) + after + path)


def _with_slips(dice: Random, text: str) -> str:
    """The text with up to two characters put in or taken away; unchanged in half of the cases."""
    for _ in range(dice.choice((0, 0, 0, 1, 1, 2))):
        at = dice.randint(0, len(text))
        text = text[:at] + _noise(dice) + text[at:] if dice.random() < 0.5 else text[:at] + text[at + 1 :]
    return text


def _noise(dice: Random) -> str:
    """A character that means something in addresses, or any other of Unicode; no half of a pair, which JSON cannot carry."""
    if dice.random() < 0.7:
        return dice.choice(_NOISE)
    return chr(dice.choice((dice.randrange(0x80), dice.randrange(0xD800), dice.randrange(0xE000, 0x110000))))


def _pieces(dice: Random, pieces: Sequence[str]) -> str:
    return _with_slips(dice, "".join(dice.choice(pieces) for _ in range(dice.randrange(8))))


def _same_for_address(dice: Random) -> bool:
    url, reach = _address(dice), Reach(local=dice.random() < 0.5, private=dice.random() < 0.7)
    asked = api_takes(url, reach.local, reach.private)
    assert runner_takes(reach, repository_url=url) == asked, url
    assert api_takes(url, reach.local, False) in (asked, None), url
    if asked is not None:
        assert api_takes(asked, reach.local, reach.private) == asked, url
        assert runner_takes(reach, repository_url=asked) == asked, url
    return asked is not None


def _same_for_branch(dice: Random) -> bool:
    name = _pieces(dice, _BRANCHES)
    taken = accepts(check_branch, name)
    assert (runner_takes(branch=name) is not None) == taken, name
    return taken


def _same_for_path(dice: Random) -> bool:
    path = _pieces(dice, _PATHS)
    taken = accepts(check_git_path, path)
    assert (runner_takes(git_path=path) is not None) == taken, path
    return taken


KINDS: dict[str, Callable[[Random], bool]] = {
    "addresses": _same_for_address,
    "branches": _same_for_branch,
    "paths": _same_for_path,
}


def _try(kind: str, texts: int, seed: int) -> None:
    """Ask both about so many texts; some of each sort, or it would show nothing."""
    dice = Random(seed)
    taken = sum(KINDS[kind](dice) for _ in range(texts))
    assert 0.05 * texts < taken < 0.95 * texts


@pytest.mark.parametrize("kind", KINDS)
def test_both_agree_on_texts_made_at_random(kind: str) -> None:
    _try(kind, 2000, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_both_agree_on_a_hundred_thousand(kind: str) -> None:
    _try(kind, 100_000, seed=2)
