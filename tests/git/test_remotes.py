"""Where a branch stands: answers, every kind of failure, and what a hostile surrounding cannot change."""

from __future__ import annotations

import socket
import threading

import pytest

from dagctl_provider.domain.repository import InvalidRepository, RepositoryAddress, parse_repository_url
from dagctl_provider.git import access, remotes
from dagctl_provider.git import environment as git_environments
from dagctl_provider.git.environment import GitCredentials
from dagctl_provider.git.errors import (
    AuthenticationFailed,
    BranchNotFound,
    CertificateRefused,
    GitError,
    GitTimeout,
    HostKeyRejected,
    HostNotAllowed,
    RepositoryEmpty,
    RepositoryMoved,
    RepositoryNotAllowed,
    RepositoryUnreachable,
)
from dagctl_provider.git.remotes import HeadRequest, RemoteGit
from dagctl_provider.runner import addresses
from tests.git.conftest import Origin
from tests.gitserver import TOKEN


@pytest.fixture
def processes(monkeypatch):
    """The arguments of every git process, in order."""
    started: list[list[str]] = []
    run_git = remotes.run_git

    def noting(arguments, *args, **options):
        started.append(list(arguments))
        return run_git(arguments, *args, **options)

    monkeypatch.setattr(remotes, "run_git", noting)
    return started


def test_head_is_the_branchs_newest_commit(origin, remote_git, processes):
    first = origin.commit("one")
    assert remote_git.head(origin.address, "main") == first

    second = origin.commit("two")
    assert remote_git.head(origin.address, "main") == second
    assert len(processes) == 2


def test_branches_are_told_apart_by_their_full_name(origin, remote_git):
    main = origin.commit("main")
    origin.git("checkout", "-q", "-b", "feature/main")
    feature = origin.commit("feature")
    origin.git("update-ref", "refs/heads/refs/heads/main", feature)
    origin.git("tag", "main", feature)
    origin.git("update-ref", "refs/remotes/origin/HEAD", feature)

    assert remote_git.head(origin.address, "main") == main
    assert remote_git.head(origin.address, "feature/main") == feature


def test_sha256_repositories_have_heads_too(tmp_path, remote_git):
    origin = Origin(tmp_path / "sha256", "--object-format=sha256")
    sha = origin.commit()

    assert len(sha) == 64
    assert remote_git.head(origin.address, "main") == sha


def test_missing_branches_and_empty_repositories_are_told_apart(origin, remote_git, processes):
    with pytest.raises(RepositoryEmpty):
        remote_git.head(origin.address, "main")

    origin.commit()
    with pytest.raises(BranchNotFound):
        remote_git.head(origin.address, "Main")
    origin.git("symbolic-ref", "HEAD", "refs/heads/gone")
    with pytest.raises(BranchNotFound):
        remote_git.head(origin.address, "other")
    assert len(processes) == 2 + 1 + 2


def test_repositories_that_are_not_there_are_unreachable(tmp_path, remote_git):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(RepositoryUnreachable) as raised:
            remote_git.head(parse_repository_url(str(path), allow_local=True), "main")
        assert str(tmp_path) not in str(raised.value)


def test_branch_names_are_judged_once_more(origin, remote_git, processes):
    with pytest.raises(InvalidRepository):
        remote_git.head(origin.address, "--upload-pack=id")
    assert processes == []


def test_stored_addresses_do_not_outlive_the_rules_that_allowed_them(tmp_path, origin, processes):
    origin.commit()
    strict = RemoteGit(tmp_path / "cache")
    private = [
        RepositoryAddress("https", "/a", "127.0.0.1", 1),
        RepositoryAddress("ssh", "/a", "gitea", user="git"),
        RepositoryAddress("https", "/a", "-oProxyCommand=id"),
    ]

    with pytest.raises(RepositoryNotAllowed):
        strict.head(origin.address, "main")
    for address in private:
        with pytest.raises(HostNotAllowed):
            strict.head(address, "main")
    assert processes == []


def test_names_that_lead_to_private_addresses_are_not_contacted(tmp_path, monkeypatch, processes):
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **options: answer)

    with pytest.raises(HostNotAllowed):
        RemoteGit(tmp_path).head(parse_repository_url("https://git.example.com/a"), "main")
    assert processes == []


def test_git_contacts_the_judged_address_whatever_the_name_server_says_next(tmp_path, origin, git_server, monkeypatch):
    sha = origin.commit()
    answer = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 0))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *args, **options: answer)
    # Stands in for a public address, which a test cannot have; git itself would find no git.example.com at all.
    monkeypatch.setattr(addresses, "is_public_address", lambda address: address == "127.0.0.1")
    address = git_server.address("open/origin", "git.example.com")

    assert RemoteGit(tmp_path).head(address, "main") == sha


def test_https_repositories_are_asked(origin, git_server, remote_git):
    sha = origin.commit()

    assert remote_git.head(git_server.address("open/origin"), "main") == sha
    assert all(authorization is None for _, authorization in git_server.seen)


def test_tokens_open_private_repositories(origin, git_server, remote_git):
    sha = origin.commit()
    address = git_server.address("private/origin")

    assert remote_git.head(address, "main", GitCredentials(token=TOKEN)) == sha
    for credentials in (None, GitCredentials(token="wrong-token")):
        with pytest.raises(AuthenticationFailed) as raised:
            remote_git.head(address, "main", credentials)
        assert "wrong-token" not in raised.value.detail


def test_redirects_are_not_followed(origin, git_server, remote_git):
    origin.commit()

    with pytest.raises(RepositoryMoved):
        remote_git.head(git_server.address("moved/origin"), "main", GitCredentials(token=TOKEN))
    assert [path.split("/")[1] for path, _ in git_server.seen] == ["moved"]


@pytest.mark.parametrize(
    ("status", "kind"), [(403, AuthenticationFailed), (404, RepositoryUnreachable), (503, RepositoryUnreachable)]
)
def test_http_errors_are_told_apart(git_server, remote_git, status, kind):
    with pytest.raises(kind):
        remote_git.head(git_server.address(f"{status}/origin"), "main")


def test_certificates_are_checked(origin, git_server, remote_git, monkeypatch):
    origin.commit()
    monkeypatch.delenv("GIT_SSL_CAINFO")

    with pytest.raises(CertificateRefused):
        remote_git.head(git_server.address("open/origin"), "main")


def test_a_port_nobody_listens_on_is_unreachable(remote_git):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    with pytest.raises(RepositoryUnreachable):
        remote_git.head(parse_repository_url(f"https://127.0.0.1:{port}/a", allow_private=True), "main")


def test_a_host_that_never_answers_costs_the_time_limit_and_no_process(tmp_path, silent_host):
    patient = RemoteGit(tmp_path, allow_private=True, timeout_seconds=60)

    with pytest.raises(GitTimeout):
        patient.head(silent_host.address, "main")

    assert silent_host.hung_up()


def test_a_silent_ssh_host_costs_the_time_limit_too(tmp_path, silent_host):
    patient = RemoteGit(tmp_path, allow_private=True, timeout_seconds=60)
    address = parse_repository_url(f"ssh://git@127.0.0.1:{silent_host.port}/a", allow_private=True)

    with pytest.raises(GitTimeout):
        patient.head(address, "main", GitCredentials(known_hosts="127.0.0.1 ssh-ed25519 AAAA"))

    assert silent_host.hung_up()


def test_ssh_gets_key_and_known_hosts_as_private_files(origin, remote_git, fake_ssh):
    sha = origin.commit()
    address = parse_repository_url(f"ssh://git@localhost:2222{origin.path}", allow_private=True)
    credentials = GitCredentials(ssh_private_key="the key", known_hosts="the hosts")

    assert remote_git.head(address, "main", credentials) == sha

    assert (fake_ssh / "identity").read_text() == "the key\n"
    assert (fake_ssh / "known_hosts").read_text() == "the hosts\n"
    modes = dict(reversed(line.split(" ", 1)) for line in (fake_ssh / "modes").read_text().splitlines())
    assert {mode for path, mode in modes.items() if path.endswith(("identity", "known_hosts", "config"))} == {"600"}
    assert modes[min(modes, key=len)] == "700"
    arguments = (fake_ssh / "arguments").read_text().splitlines()
    assert arguments[0] == "-F"
    assert "git@localhost" in arguments
    assert "2222" in arguments
    for note in ("arguments", "environment"):
        assert "the key" not in (fake_ssh / note).read_text()


@pytest.mark.parametrize("credentials", [None, GitCredentials(ssh_private_key="x"), GitCredentials(known_hosts=" \n")])
def test_ssh_without_known_hosts_contacts_nothing(remote_git, fake_ssh, credentials, processes):
    with pytest.raises(HostKeyRejected):
        remote_git.head(parse_repository_url("git@github.com:acme/a.git"), "main", credentials)
    assert processes == []


def test_neither_hooks_nor_settings_nor_variables_run_anything(origin, remote_git, tmp_path, monkeypatch):
    sha = origin.commit(files={".gitattributes": "* filter=x\n"})
    owned = tmp_path / "owned"
    for name in ("core.sshCommand", "core.fsmonitor", "uploadpack.packObjectsHook", "filter.x.smudge", "core.askPass"):
        origin.git("config", name, f"touch {owned}")
    for hook in ("post-checkout", "reference-transaction", "pre-auto-gc"):
        script = origin.path / ".git" / "hooks" / hook
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\ntouch {owned}\n")
        script.chmod(0o755)
    for name in ("GIT_SSH_COMMAND", "GIT_ASKPASS", "GIT_EXTERNAL_DIFF", "GIT_PAGER", "GIT_PROXY_COMMAND"):
        monkeypatch.setenv(name, f"touch {owned}")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", f"touch {owned}")
    monkeypatch.chdir(origin.path)

    assert remote_git.head(origin.address, "main") == sha
    assert remote_git.facts(origin.address, "main", sha).sha == sha
    assert remote_git.read_files(origin.address, "main", sha, [".gitattributes"])
    assert not owned.exists()


def test_local_repositories_of_another_owner_can_be_read(origin, remote_git, monkeypatch):
    sha = origin.commit()
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setattr(git_environments, "PASSED_THROUGH", (*git_environments.PASSED_THROUGH, "GIT_TEST_ASSUME_DIFFERENT_OWNER"))

    assert remote_git.head(origin.address, "main") == sha
    assert remote_git.facts(origin.address, "main", sha).sha == sha


def test_each_distinct_branch_is_asked_for_once(origin, remote_git, processes):
    main = origin.commit()
    origin.git("branch", "other")
    wanted = {
        "proj_a": HeadRequest(origin.address, "main"),
        "proj_b": HeadRequest(origin.address, "main"),
        "proj_c": HeadRequest(origin.address, "other"),
        "proj_d": HeadRequest(origin.address, "main", GitCredentials(token="t")),
    }

    assert dict(remote_git.heads(wanted)) == dict.fromkeys(wanted, main)
    # Somebody else's credentials are somebody else's question.
    assert len(processes) == 3
    assert not list(remote_git.heads({}))


def test_failures_stay_with_their_own_key(origin, remote_git, tmp_path, monkeypatch):
    sha = origin.commit()
    nowhere = parse_repository_url(str(tmp_path / "nowhere"), allow_local=True)
    wanted = {
        1: HeadRequest(origin.address, "main"),
        2: HeadRequest(origin.address, "missing"),
        3: HeadRequest(nowhere, "main"),
        4: HeadRequest(origin.address, "-not-a-branch"),
        5: HeadRequest(origin.address, "main", GitCredentials(token="disk full")),
    }
    open_access = access.open_access

    def failing(address, credentials, *args, **options):
        if credentials is not None:
            raise OSError("No space left on device")
        return open_access(address, credentials, *args, **options)

    monkeypatch.setattr(remotes, "open_access", failing)

    answers = dict(remote_git.heads(wanted))

    assert answers[1] == sha
    assert [type(answers[key]) for key in (2, 3, 4, 5)] == [BranchNotFound, RepositoryUnreachable, GitError, GitError]


def test_hosts_that_hang_are_waited_for_side_by_side(origin, tmp_path, silent_host):
    sha = origin.commit()
    silent_host.is_up = lambda: False
    patient = RemoteGit(tmp_path / "cache", allow_local=True, allow_private=True, timeout_seconds=60)
    wanted = {n: HeadRequest(silent_host.address, f"branch-{n}") for n in range(4)}

    answers = patient.heads({**wanted, "good": HeadRequest(origin.address, "main")}, max_workers=5)

    assert next(answers) == ("good", sha), "while the others are still waited for"
    silent_host.is_up = lambda: len(silent_host.connections) == 4
    assert {key: type(answer) for key, answer in answers} == dict.fromkeys(wanted, GitTimeout)


def test_one_remote_git_serves_many_threads(origin, remote_git):
    sha = origin.commit()
    answers: list[str] = []

    def ask() -> None:
        answers.append(remote_git.head(origin.address, "main"))
        answers.append(remote_git.facts(origin.address, "main", sha).sha)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers == [sha] * 12
