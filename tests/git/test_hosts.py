"""A name is judged by where it leads, at the moment before it is contacted."""

from __future__ import annotations

import socket
import threading
import time
from types import SimpleNamespace

import pytest

from dagctl_provider.domain.repository import parse_repository_url
from dagctl_provider.git.errors import GitTimeout, HostNotAllowed, RepositoryUnreachable
from dagctl_provider.git.hosts import resolve_and_check_host
from dagctl_provider.runner import addresses

HTTPS = parse_repository_url("https://git.example.com/acme/analytics.git")
SSH = parse_repository_url("git@git.example.com:acme/analytics.git")


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def names(monkeypatch):
    """A name server that answers with what the test puts into the list, and counts."""
    answers: list[str] = []
    asked: list[str] = []

    def getaddrinfo(host, port, **options):
        asked.append(host)
        if not answers:
            raise socket.gaierror("Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 0)) for address in answers]

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    return SimpleNamespace(answers=answers, asked=asked)


def _check(address, *, allow_private=False, timeout=60.0):
    return resolve_and_check_host(address, allow_private=allow_private, timeout=timeout)


@pytest.mark.parametrize("address", [HTTPS, SSH], ids=["https", "ssh"])
def test_public_names_yield_the_addresses_to_contact(names, address):
    names.answers += ["140.82.121.4", "140.82.121.4", "2606:50c0:8000::153"]

    assert _check(address) == ("140.82.121.4", "2606:50c0:8000::153")
    assert names.asked == ["git.example.com"]


@pytest.mark.parametrize(
    "private", ["127.0.0.1", "10.0.0.7", "169.254.169.254", "100.64.0.1", "::1", "fd00:ec2::254", "::ffff:127.0.0.1"]
)
def test_one_private_address_is_enough_to_refuse(names, private):
    names.answers += ["140.82.121.4", private]

    with pytest.raises(HostNotAllowed) as refused:
        _check(HTTPS)

    assert refused.value.code == "private_host"
    assert private not in str(refused.value)
    assert private in refused.value.detail


def test_names_that_lead_nowhere_are_unreachable(names):
    with pytest.raises(RepositoryUnreachable):
        _check(HTTPS)


def test_names_the_resolver_cannot_spell_are_unreachable(monkeypatch):
    def getaddrinfo(*args, **kwargs):
        raise UnicodeError("label too long")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(RepositoryUnreachable):
        _check(HTTPS)


def test_a_name_server_that_does_not_answer_costs_no_more_than_the_time_limit(monkeypatch):
    release = threading.Event()

    def getaddrinfo(*args, **kwargs):
        release.wait(120)
        return []

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    started = time.monotonic()

    with pytest.raises(GitTimeout):
        _check(HTTPS, timeout=0.1)

    assert time.monotonic() - started < 60
    release.set()


def test_nothing_is_resolved_when_private_hosts_are_allowed(names):
    assert _check(HTTPS, allow_private=True) == ()
    assert names.asked == []


def test_literal_public_addresses_need_no_name_server(names):
    assert _check(parse_repository_url("https://140.82.121.4/a")) == ()
    assert _check(parse_repository_url("https://[2606:50c0:8000::153]/a")) == ()
    assert names.asked == []


def test_local_repositories_have_no_host(names):
    assert _check(parse_repository_url("/srv/git", allow_local=True)) == ()
    assert names.asked == []


def test_behind_a_proxy_names_need_not_resolve_here(names, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")

    assert _check(HTTPS) == ()
    with pytest.raises(RepositoryUnreachable):
        _check(SSH)


def test_behind_a_proxy_names_known_to_be_private_are_refused_all_the_same(names, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    names.answers.append("140.82.121.4")
    assert _check(HTTPS) == ("140.82.121.4",), "of no use to the proxy, and no harm"

    names.answers.append("10.0.0.7")
    with pytest.raises(HostNotAllowed):
        _check(HTTPS)


def test_hosts_excepted_from_the_proxy_are_contacted_directly(names, monkeypatch):
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")
    monkeypatch.setenv("no_proxy", "example.com")
    names.answers.append("140.82.121.4")

    assert _check(HTTPS) == ("140.82.121.4",)
