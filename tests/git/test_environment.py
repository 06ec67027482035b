"""A git process sees what it is given and nothing else, and no secret outlives it."""

from __future__ import annotations

import os
import stat
import subprocess

import pytest

from dagctl_provider.domain.repository import parse_repository_url
from dagctl_provider.git.environment import PASSED_THROUGH, GitCredentials, git_environment, sweep

HTTPS = parse_repository_url("https://git.example.com:8443/acme/analytics.git")
SSH = parse_repository_url("ssh://git@git.example.com:2222/acme/analytics.git")
CREDENTIALS = GitCredentials(
    ssh_private_key="-----BEGIN KEY-----\r\nabc\r\n-----END KEY-----",
    known_hosts="git.example.com ssh-ed25519 AAAA",
    token="t0ken/with:odd@signs",
)


def _settings(environment) -> list[str]:
    assert set(environment.options[::2]) == {"-c"}
    return list(environment.options[1::2])


def _ssh_settings(environment) -> dict[str, str]:
    """What the real ssh makes of the configuration; it contacts nothing."""
    command = [*environment.variables["GIT_SSH_COMMAND"].split(), "-G", "git.example.com"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return dict(line.split(" ", 1) for line in shown.splitlines() if " " in line)


def test_credentials_hide_their_values():
    assert repr(CREDENTIALS) == "GitCredentials()"
    assert str(CREDENTIALS) == "GitCredentials()"
    for secret in CREDENTIALS.secrets:
        assert secret not in CREDENTIALS.fingerprint


def test_different_credentials_have_different_fingerprints():
    several = [GitCredentials(), GitCredentials(token="a"), GitCredentials(username="a"), GitCredentials("a")]

    assert len({credentials.fingerprint for credentials in several}) == 4


@pytest.mark.parametrize("address", [HTTPS, SSH], ids=["https", "ssh"])
def test_secrets_are_in_private_files_only_and_gone_afterwards(address):
    with git_environment(address, CREDENTIALS) as environment:
        home = environment.home
        seen = " ".join([*environment.options, *environment.variables.values(), repr(environment)])
        assert not any(secret in seen for secret in CREDENTIALS.secrets)
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        assert {stat.S_IMODE(file.stat().st_mode) for file in home.iterdir()} == {0o600}
        assert list(home.iterdir())
    assert not home.exists()


def test_secrets_are_gone_after_a_failure_too():
    homes = []

    def fail() -> None:
        with git_environment(HTTPS, CREDENTIALS) as environment:
            homes.append(environment.home)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert not homes[0].exists()


def test_the_environment_is_complete_and_inherits_only_what_is_named(monkeypatch):
    monkeypatch.setenv("GIT_SSH_COMMAND", "touch owned")
    monkeypatch.setenv("GIT_DIR", "/somewhere")
    monkeypatch.setenv("AIRFLOW__CORE__FERNET_KEY", "secret")
    monkeypatch.setenv("https_proxy", "http://proxy.example.com:3128")

    with git_environment(HTTPS) as environment:
        variables = environment.variables

    assert variables["https_proxy"] == "http://proxy.example.com:3128"
    assert variables["GIT_ALLOW_PROTOCOL"] == "https"
    assert variables["GIT_TERMINAL_PROMPT"] == "0"
    assert variables["GIT_CONFIG_NOSYSTEM"] == "1"
    assert "GIT_DIR" not in variables
    assert "GIT_SSH_COMMAND" not in variables
    inherited = {name for name, value in variables.items() if os.environ.get(name) == value}
    assert inherited <= {*PASSED_THROUGH, "LC_ALL", "LANGUAGE"}


@pytest.mark.parametrize(
    ("url", "protocol"),
    [("https://github.com/a", "https"), ("git@github.com:a", "ssh"), ("file:///srv/a", "file")],
)
def test_only_the_addresses_own_protocol_is_allowed(url, protocol):
    with git_environment(parse_repository_url(url, allow_local=True)) as environment:
        allowed = [setting for setting in _settings(environment) if setting.endswith(".allow=always")]
        assert allowed == [f"protocol.{protocol}.allow=always"]
        assert "protocol.allow=never" in _settings(environment)
        assert environment.variables["GIT_ALLOW_PROTOCOL"] == protocol
        assert environment.offline().variables["GIT_ALLOW_PROTOCOL"] == "none"
        assert environment.variables["GIT_NO_LAZY_FETCH"] == "1"


def test_the_settings_that_keep_git_from_running_things():
    with git_environment(HTTPS) as environment:
        assert {
            "core.hooksPath=/dev/null",
            "core.fsmonitor=false",
            "credential.helper=",
            "http.followRedirects=false",
            "http.sslVerify=true",
            "submodule.recurse=false",
        } <= set(_settings(environment))


def test_git_knows_every_setting():
    known = {name.lower() for name in subprocess.check_output(["git", "help", "--config"], text=True).split()}
    # Git lists some as patterns, two not at all, and some only since the version that has them.
    known |= {"protocol.https.allow", "credential.interactive", "transfer.bundleuri", "transfer.credentialsinurl"}
    known |= {"fetch.uriprotocols"}
    with git_environment(HTTPS, CREDENTIALS, addresses=("140.82.121.4",)) as environment:
        names = {setting.partition("=")[0].lower() for setting in _settings(environment)}
    assert names - known == set()


def test_the_token_is_given_to_its_own_host_only():
    with git_environment(HTTPS, CREDENTIALS) as environment:

        def fill(host: str) -> str:
            done = subprocess.run(
                ["git", *environment.options, "credential", "fill"],
                env=environment.variables,
                cwd=environment.home,
                input=f"protocol=https\nhost={host}\n\n",
                capture_output=True,
                text=True,
                check=False,
            )
            return done.stdout

        assert "username=x-access-token\npassword=t0ken/with:odd@signs\n" in fill("git.example.com:8443")
        for other in ("git.example.com", "git.example.com:443", "evil.example.com:8443", "example.com:8443"):
            assert "password" not in fill(other)


@pytest.mark.parametrize(
    ("url", "credentials", "line"),
    [
        ("https://bitbucket.org/a", GitCredentials(token="t"), "https://x-token-auth:t@bitbucket.org"),
        ("https://gitlab.com/a", GitCredentials(token="t", username="dep loy"), "https://dep%20loy:t@gitlab.com"),
        ("https://[2606:50c0::1]/a", GitCredentials(token="t"), "https://x-access-token:t@[2606:50c0::1]"),
    ],
)
def test_the_name_that_goes_with_a_token(url, credentials, line):
    with git_environment(parse_repository_url(url), credentials) as environment:
        assert (environment.home / "credentials").read_text() == line + "\n"


def test_https_is_pinned_to_the_judged_addresses():
    with git_environment(HTTPS, addresses=("140.82.121.4", "2606:50c0::1")) as environment:
        assert "http.curloptResolve=git.example.com:8443:140.82.121.4,2606:50c0::1" in _settings(environment)


def test_ssh_is_strict_and_uses_nothing_but_the_given_key():
    with git_environment(SSH, CREDENTIALS) as environment:
        settings = _ssh_settings(environment)
        home = str(environment.home)
        assert (environment.home / "identity").read_text() == "-----BEGIN KEY-----\nabc\n-----END KEY-----\n"
    expected = {
        "batchmode": "yes",
        "stricthostkeychecking": "true",
        "identitiesonly": "yes",
        "identityagent": "none",
        "identityfile": f"{home}/identity",
        "userknownhostsfile": f"{home}/known_hosts",
        "globalknownhostsfile": "/dev/null",
        "updatehostkeys": "false",
        "permitlocalcommand": "no",
        "forwardagent": "no",
        "hostname": "git.example.com",
    }
    assert {name: settings.get(name) for name in expected} == expected
    assert settings.get("proxycommand") in {None, "none"}


@pytest.mark.parametrize(
    ("url", "alias"),
    [("git@git.example.com:a", "git.example.com"), ("ssh://git@git.example.com:2222/a", "[git.example.com]:2222")],
)
def test_ssh_is_pinned_to_a_judged_address_and_still_checks_the_names_host_key(url, alias):
    address = parse_repository_url(url)
    with git_environment(address, CREDENTIALS, addresses=("140.82.121.4", "140.82.121.5")) as environment:
        settings = _ssh_settings(environment)
    assert settings["hostname"] == "140.82.121.4"
    assert settings["hostkeyalias"] == alias


def test_ssh_without_a_key_offers_none():
    with git_environment(SSH, GitCredentials(known_hosts="x")) as environment:
        assert _ssh_settings(environment)["identityfile"] == "none"


def test_what_a_killed_server_left_is_removed_and_what_others_use_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with git_environment(HTTPS, GitCredentials(token="secret")) as left:
        # The host's name may have the digits of the process id in it as well.
        machine, own, _ = left.home.name.rsplit("-", 2)
        assert own == str(os.getpid())
        gone, others = (tmp_path / f"{machine}-{pid}-x" for pid in (4194305, os.getppid()))
        elsewhere = tmp_path / "dagctl-git-another-machine-4194305-x"
        for home in (gone, others, elsewhere):
            home.mkdir()

        assert sweep() == 2, "that of a process which is gone, and that of an earlier one with the number of this one"

        assert set(tmp_path.iterdir()) == {others, elsewhere}
