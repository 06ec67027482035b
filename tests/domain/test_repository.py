"""What a member may type as repository address, branch and path, and what is refused before anything happens."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagctl_provider.domain.hosts import HostRefused, check_host, is_public_address
from dagctl_provider.domain.repository import (
    InvalidRepository,
    RepositoryAddress,
    check_branch,
    check_git_path,
    parse_repository_url,
)
from tests.domain.hostile_repositories import HOSTILE_BRANCHES, HOSTILE_PATHS, HOSTILE_URLS

PUBLIC_URLS = {
    "https://github.com/acme/analytics": RepositoryAddress("https", "/acme/analytics", "github.com"),
    "https://github.com/acme/analytics.git": RepositoryAddress("https", "/acme/analytics.git", "github.com"),
    "https://gitlab.com/acme/data/team/analytics.git": RepositoryAddress("https", "/acme/data/team/analytics.git", "gitlab.com"),
    "https://bitbucket.org/acme/analytics.git": RepositoryAddress("https", "/acme/analytics.git", "bitbucket.org"),
    "https://dev.azure.com/org/proj/_git/repo": RepositoryAddress("https", "/org/proj/_git/repo", "dev.azure.com"),
    "https://dev.azure.com/org/My%20Project/_git/repo": RepositoryAddress(
        "https", "/org/My%20Project/_git/repo", "dev.azure.com"
    ),
    "https://git-codecommit.us-east-1.amazonaws.com/v1/repos/analytics": RepositoryAddress(
        "https", "/v1/repos/analytics", "git-codecommit.us-east-1.amazonaws.com"
    ),
    "https://git.sr.ht/~acme/analytics": RepositoryAddress("https", "/~acme/analytics", "git.sr.ht"),
    "https://git.acme.example:8443/data/dbt.core.git": RepositoryAddress("https", "/data/dbt.core.git", "git.acme.example", 8443),
    "https://xn--bcher-kva.example/acme/c++.git": RepositoryAddress("https", "/acme/c++.git", "xn--bcher-kva.example"),
    "https://140.82.121.4/acme/analytics.git": RepositoryAddress("https", "/acme/analytics.git", "140.82.121.4"),
    "https://[2606:50c0:8000::153]/acme/analytics.git": RepositoryAddress(
        "https", "/acme/analytics.git", "[2606:50c0:8000::153]"
    ),
    "https://[64:ff9b::140.82.121.4]/acme/x": RepositoryAddress("https", "/acme/x", "[64:ff9b::8c52:7904]"),
    "git@github.com:acme/analytics.git": RepositoryAddress("ssh", "acme/analytics.git", "github.com", user="git", scp_like=True),
    "git@ssh.dev.azure.com:v3/org/proj/repo": RepositoryAddress(
        "ssh", "v3/org/proj/repo", "ssh.dev.azure.com", user="git", scp_like=True
    ),
    "org-1234@github.com:acme/analytics.git": RepositoryAddress(
        "ssh", "acme/analytics.git", "github.com", user="org-1234", scp_like=True
    ),
    "git@git.acme.example:/srv/git/analytics.git": RepositoryAddress(
        "ssh", "/srv/git/analytics.git", "git.acme.example", user="git", scp_like=True
    ),
    "git@git.acme.example:~data/analytics.git": RepositoryAddress(
        "ssh", "~data/analytics.git", "git.acme.example", user="git", scp_like=True
    ),
    "git@[2606:50c0:8000::153]:acme/analytics.git": RepositoryAddress(
        "ssh", "acme/analytics.git", "[2606:50c0:8000::153]", user="git", scp_like=True
    ),
    "ssh://git@git.acme.example:2222/x.git": RepositoryAddress("ssh", "/x.git", "git.acme.example", 2222, "git"),
    "ssh://git.acme.example/x.git": RepositoryAddress("ssh", "/x.git", "git.acme.example"),
    "ssh://git@git.acme.example/données/x%20y.git": RepositoryAddress(
        "ssh", "/données/x%20y.git", "git.acme.example", user="git"
    ),
}


@pytest.fixture
def nothing_happens(monkeypatch):
    """Fail the test when anything starts a process, resolves a name, opens a socket or opens a file."""

    def refuse(*args, **kwargs):
        raise AssertionError("something was started, read or contacted")

    with monkeypatch.context() as patch:
        patch.setattr(subprocess, "Popen", refuse)
        patch.setattr(socket, "socket", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(builtins, "open", refuse)
        patch.setattr(os, "open", refuse)
        patch.setattr(os, "stat", refuse)
        yield


def _refusal(check, value):
    try:
        check(value)
    except InvalidRepository as refused:
        return refused
    return None


@pytest.mark.parametrize(
    ("check", "field", "corpus", "at_least"),
    [
        (parse_repository_url, "repository_url", HOSTILE_URLS, 120),
        (check_branch, "branch", HOSTILE_BRANCHES, 50),
        (check_git_path, "git_path", HOSTILE_PATHS, 40),
    ],
    ids=["urls", "branches", "paths"],
)
def test_hostile_input_is_refused_before_anything_happens(nothing_happens, check, field, corpus, at_least):
    refusals = {value: _refusal(check, value) for value in corpus}

    assert [value for value, refused in refusals.items() if refused is None] == []
    assert {refused.field for refused in refusals.values()} == {field}
    assert len(set(corpus)) == len(corpus) >= at_least


def test_the_corpus_holds_at_least_200_cases():
    assert len(HOSTILE_URLS) + len(HOSTILE_BRANCHES) + len(HOSTILE_PATHS) >= 200


def test_refusals_are_one_sentence_that_repeats_nothing():
    for check, corpus in (
        (parse_repository_url, HOSTILE_URLS),
        (check_branch, HOSTILE_BRANCHES),
        (check_git_path, HOSTILE_PATHS),
    ):
        for value in corpus:
            refused = _refusal(check, value)
            assert str(refused) == refused.message
            assert refused.message.endswith(".")
            assert "\n" not in refused.message
            assert refused.code.isidentifier()
            assert refused.code == refused.code.lower()
            assert "secret" not in refused.message
            assert "ghp_" not in refused.message
            assert len(value) <= 10 or value not in refused.message


@pytest.mark.parametrize(("url", "expected"), PUBLIC_URLS.items())
def test_ordinary_addresses_are_accepted(nothing_happens, url, expected):
    assert parse_repository_url(url) == expected


@pytest.mark.parametrize("url", PUBLIC_URLS)
def test_the_canonical_address_is_stable(url):
    address = parse_repository_url(url)

    assert parse_repository_url(address.url) == address
    assert str(address) == address.url
    assert not address.is_local


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("HTTPS://GitHub.com:443/acme/Analytics.git/", "https://github.com/acme/Analytics.git"),
        ("ssh://git@GitHub.com:22/acme/x.git", "ssh://git@github.com/acme/x.git"),
        ("git@GITHUB.com:acme/x.git/", "git@github.com:acme/x.git"),
        ("https://git.acme.example/données/x.git", "https://git.acme.example/donn%C3%A9es/x.git"),
        ("https://[2606:50C0:8000:0:0:0:0:153]/x", "https://[2606:50c0:8000::153]/x"),
    ],
)
def test_equal_addresses_get_one_spelling(written, canonical):
    assert parse_repository_url(written).url == canonical


@pytest.mark.parametrize(
    ("url", "port"),
    [("https://github.com/a", 443), ("git@github.com:a", 22), ("ssh://github.com:2222/a", 2222)],
)
def test_the_port_that_will_be_contacted_is_known(url, port):
    assert parse_repository_url(url).effective_port == port


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("/srv/git/analytics.git", "file:///srv/git/analytics.git"),
        ("/srv/git/analytics/", "file:///srv/git/analytics"),
        ("file:///srv/git/analytics.git", "file:///srv/git/analytics.git"),
        ("/srv/données/x", "file:///srv/donn%C3%A9es/x"),
        ("file:///srv/donn%C3%A9es/x", "file:///srv/donn%C3%A9es/x"),
    ],
)
def test_local_repositories_need_permission(nothing_happens, url, canonical):
    assert _refusal(parse_repository_url, url).code == "local_not_allowed"

    address = parse_repository_url(url, allow_local=True)

    assert address.url == canonical
    assert address.is_local
    assert address.effective_port is None


@pytest.mark.parametrize(
    "url",
    [
        "/",
        "file:///",
        "//server/share",
        "/srv/../etc",
        "/srv/./git",
        "/srv//git",
        "/-x",
        "/srv/a;b",
        "file://server/share",
        "file:///srv/%2e%2e/etc",
        "file:///srv/a%0ab",
        "file:///srv/a%20b",
        "file:///srv/%zz",
        "file:///srv/%ff",
        "file:///%2d-upload-pack=x",
        "/srv/a b",
        "/srv/$(id)",
        "srv/git",
        "-srv",
    ],
)
def test_hostile_local_addresses_are_refused_even_with_permission(nothing_happens, url):
    assert _refusal(lambda value: parse_repository_url(value, allow_local=True), url) is not None


@pytest.mark.parametrize(
    ("url", "canonical"),
    [
        ("https://localhost:8443/x", "https://localhost:8443/x"),
        ("https://gitea/acme/x", "https://gitea/acme/x"),
        ("https://10.0.0.7/x", "https://10.0.0.7/x"),
        ("https://[::1]/x", "https://[::1]/x"),
        ("git@git.acme.internal:x", "git@git.acme.internal:x"),
        ("ssh://git@192.168.1.1:2222/x", "ssh://git@192.168.1.1:2222/x"),
    ],
)
def test_private_hosts_need_permission(url, canonical):
    assert _refusal(parse_repository_url, url).code == "private_host"
    assert parse_repository_url(url, allow_private=True).url == canonical


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "1.2.3.4.5", "[::1%eth0]", "a_b.com", "[x"])
def test_permission_for_private_hosts_does_not_allow_odd_spellings(host):
    with pytest.raises(HostRefused) as refused:
        check_host(host, allow_private=True)

    assert refused.value.code == "invalid_host"


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "missing_url"),
        ("https://u:p@github.com/a", "credentials_in_url"),
        ("ssh://u:p@github.com/a", "credentials_in_url"),
        ("u:p@github.com:a", "credentials_in_url"),
        ("ext::sh", "scheme_not_allowed"),
        ("http://github.com/a", "scheme_not_allowed"),
        ("https://github.com/a?b", "query_or_fragment"),
        ("https://github.com:0/a", "invalid_port"),
        ("https://github.com/a b", "invalid_character"),
        ("https://github.com", "missing_path"),
        ("https://git hub.com", "invalid_character"),
        ("https://g\u0131thub.com/a", "invalid_host"),
        ("https://127.0.0.1/a", "private_host"),
        ("git@-x:a", "leading_dash"),
        ("https://github.com/" + "a" * 2000, "url_too_long"),
    ],
)
def test_refusals_name_their_reason(url, code):
    assert _refusal(parse_repository_url, url).code == code


@pytest.mark.parametrize(
    "name",
    [
        "main",
        "feature/new-model",
        "release-1.2",
        "dependabot/pip/sqlmesh-0.236.4",
        "user@host",
        "a.b_c",
        "größe",
        "机器",
        "v1@x",
        "0123456789abcdef0123456789abcdef01234567",
        "#42",
        "it's",
        "ref/heads",
    ],
)
def test_ordinary_branches_are_accepted(nothing_happens, name):
    assert check_branch(name) == name


def _git_accepts(name: str) -> bool:
    answer = subprocess.run(["git", "check-ref-format", "--branch", name], capture_output=True, cwd="/", check=False)
    return answer.returncode == 0 and answer.stdout == name.encode() + b"\n"


_BRANCH_TEXT = st.text(
    st.sampled_from("abzA0.-_/@{}~^:?*[\\ \t#$%&'\"+,;<=>!|é") | st.characters(exclude_characters="\x00"), max_size=12
)


@settings(max_examples=150, deadline=None)
@given(_BRANCH_TEXT | st.lists(st.sampled_from(["a", ".", "..", "/", "@", "{", ".lock", "-", "main"])).map("".join))
def test_branches_agree_with_git(name):
    stricter_here = (
        name.startswith("refs/")
        or name == "@"
        or set(name) & set("{}")
        or any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zs", "Zl", "Zp"} for character in name)
    )
    if _refusal(check_branch, name) is None:
        assert _git_accepts(name)
    elif not stricter_here:
        assert not _git_accepts(name)


@pytest.mark.parametrize(
    ("written", "normalised"),
    [
        ("", ""),
        (".", ""),
        ("./", ""),
        ("models", "models"),
        ("models/", "models"),
        ("./a//b/./c/", "a/b/c"),
        ("team-a/dbt_core.v2", "team-a/dbt_core.v2"),
        ("données/表", "données/表"),
        ("Data Team/x (old)", "Data Team/x (old)"),
        (".github", ".github"),
        (".gitlab/x", ".gitlab/x"),
        ("a..b", "a..b"),
    ],
)
def test_paths_are_normalised(nothing_happens, written, normalised):
    assert check_git_path(written) == normalised


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("a.-/~git GIT\\\x00é") | st.characters(), max_size=20))
def test_accepted_paths_stay_inside_the_repository(path):
    try:
        accepted = check_git_path(path)
    except InvalidRepository:
        return
    assert check_git_path(accepted) == accepted
    assert not accepted.startswith(("/", "-", "~"))
    parts = accepted.split("/") if accepted else []
    assert not {"", ".", ".."} & set(parts)
    assert ".git" not in [part.lower() for part in parts]
    assert os.path.normpath("/base/" + accepted).startswith("/base")


_URL_TEXT = st.lists(
    st.sampled_from(
        ["https://", "ssh://", "git@", "github.com", "127.0.0.1", ":", "/", "acme", "..", "%0a", "%2e", "-", "@", "[::1]"]
    )
    | st.text(max_size=5)
).map("".join)


@settings(max_examples=500, deadline=None)
@given(_URL_TEXT)
def test_accepted_addresses_are_plain(url):
    try:
        address = parse_repository_url(url)
    except InvalidRepository:
        return
    assert parse_repository_url(address.url) == address
    assert address.url.isprintable()
    assert " " not in address.url
    assert not address.url.startswith("-")
    assert not address.host.startswith("-")
    assert not address.path.lstrip("/").startswith("-")
    assert address.scheme in {"https", "ssh"}
    assert ".." not in address.path.split("/")


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=4), st.sampled_from(["{}", "[::ffff:{}]", "[64:ff9b::{}]"]))
def test_a_private_ipv4_address_stays_private_when_an_ipv6_address_carries_it(address, spelling):
    host = spelling.format(address)
    if is_public_address(str(address)):
        assert check_host(host)
        assert address.is_global
    else:
        with pytest.raises(HostRefused, match="not a public IP address"):
            check_host(host)


@settings(max_examples=300, deadline=None)
@given(st.ip_addresses(v=4), st.integers(1, 4), st.lists(st.sampled_from([hex, oct, str]), min_size=4, max_size=4))
def test_private_addresses_are_refused_in_every_spelling(address, count, spellings):
    number = int(address)
    parts = [number >> 8 * (3 - position) & 0xFF for position in range(count - 1)]
    parts.append(number & (1 << 8 * (5 - count)) - 1)
    host = ".".join(spell(part).replace("0o", "0") for spell, part in zip(spellings, parts, strict=False))

    if socket.inet_ntoa(socket.inet_aton(host)) == host and is_public_address(host):
        assert check_host(host) == host
    else:
        with pytest.raises(HostRefused):
            check_host(host)


@pytest.mark.parametrize("text", ["", "github.com", "fe80::1%eth0", "2606:4700::1%eth0", "1.2.3", "[::1]"])
def test_what_is_no_address_is_not_public(text):
    assert not is_public_address(text)


@pytest.mark.parametrize("text", ["8.8.8.8", "140.82.121.4", "2606:4700::1111", "64:ff9b::8c52:7904", "2002:808:808::"])
def test_public_addresses_are_public(text):
    assert is_public_address(text)
