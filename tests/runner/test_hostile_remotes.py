"""Servers that try to lead the runner's git elsewhere: what they get is a refusal, and the other host hears nothing."""

from __future__ import annotations

import datetime
import io
import shlex
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from dagctl_provider.runner import addresses, checkout
from dagctl_provider.runner.checkout import fetch_project, git_environment
from dagctl_provider.runner.credentials import Credentials
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.reach import Reach
from dagctl_provider.runner.repositories import parse_repository_url
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.stopping import Stop
from tests.gitserver import TOKEN, GitHandler, GitServer, make_certificate
from tests.runner.shop import Repository

PRIVATE = Reach(private=True)
BUNDLE_URI = b"000fbundle-uri\n"
ENDLESS = b"".join(b"%04x%040x refs/heads/b%06d\n" % (4 + 41 + 18 + 1, number, number) for number in range(1000))


class HostileHandler(GitHandler):
    """What stands first in the path is the trick; ``elsewhere`` is where it leads."""

    elsewhere = ""

    def answer(self) -> None:
        first, _, rest = self.path.removeprefix("/").partition("/")
        trick = getattr(self, f"trick_{first.replace('-', '_')}", None)
        if trick is None or trick(rest):
            super().answer()

    def note(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.seen.append((self.path, self.headers.get("Authorization")))

    def trick_moved(self, rest: str) -> bool:
        self.note()
        self.reply(302, {"Location": f"{self.elsewhere}/open/{rest}"})
        return False

    def trick_chained(self, rest: str) -> bool:
        self.note()
        self.reply(301, {"Location": f"/moved/{rest}"})
        return False

    def trick_moved_later(self, rest: str) -> bool:
        """The advertisement is honest; the request for the pack is sent away, body and all."""
        if self.command == "POST":
            self.note()
            self.reply(307, {"Location": f"{self.elsewhere}/open/{rest}"})
        return self.command != "POST"

    def trick_dumb(self, rest: str) -> bool:
        """A server without git's own protocol, whose objects are said to lie elsewhere."""
        self.note()
        name = rest.partition("?")[0].removeprefix("origin/")
        files = {
            "HEAD": b"ref: refs/heads/main\n",
            "info/refs": f"{self.wanted}\trefs/heads/main\n".encode(),
            "objects/info/http-alternates": f"{self.elsewhere}/open/origin/objects\n".encode(),
            "objects/info/alternates": f"{self.elsewhere}/open/origin/objects\n".encode(),
        }
        self.reply(200 if name in files else 404, {"Content-Type": "text/plain"}, files.get(name, b""))
        return False

    def trick_bundles(self, rest: str) -> bool:
        self.inserted = BUNDLE_URI
        return True

    def trick_endless(self, rest: str) -> bool:
        """A list of branches without end, slow enough not to fill the memory of the test."""
        self.note()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-git-upload-pack-advertisement")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        with suppress(OSError):
            self.wfile.write(b"001e# service=git-upload-pack\n0000")
            self.wfile.write(b"00%x%040x HEAD\0agent=git/2\n" % (4 + 41 + 4 + 1 + 11 + 1, 7))
            while not self.over.wait(0.01):
                self.wfile.write(ENDLESS)
        return False

    wanted = ""
    inserted = b""
    over: threading.Event
    spoken: list[bytes]
    """What was offered and asked for, in git's own protocol."""

    def run_backend(self, body: bytes) -> None:
        self.spoken.append(body)
        super().run_backend(body)

    def reply(self, status: int, headers: dict[str, str], content: bytes = b"") -> None:
        self.spoken.append(content)
        if self.inserted and b"fetch=" in content:
            # After the line of the version, where capabilities stand.
            at = content.index(b"version 2\n") + len(b"version 2\n")
            content = content[:at] + self.inserted + content[at:]
        super().reply(status, headers, content)


class Hosts:
    """A hostile server and another one, which nobody should hear of."""

    def __init__(self, folder: Path, certificate: Path, repository: Repository, commit: str) -> None:
        self.over = threading.Event()
        self.other = GitServer(folder, certificate)
        self.spoken: list[bytes] = []
        told = {"elsewhere": f"https://127.0.0.1:{self.other.port}", "wanted": commit, "over": self.over, "spoken": self.spoken}
        self.hostile = GitServer(folder, certificate, type("Told", (HostileHandler,), told))
        self.repository, self.commit = repository, commit

    def url(self, trick: str) -> str:
        return f"https://localhost:{self.hostile.port}/{trick}/origin"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate") / "both.pem")


@pytest.fixture
def hosts(tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    repository = Repository(tmp_path / "origin")
    found = Hosts(tmp_path, certificate, repository, repository.commit({"a.txt": "1"}))
    yield found
    found.over.set()
    found.hostile.stop()
    found.other.stop()


def fetch(tmp_path: Path, url: str, commit: str, reach: Reach = PRIVATE, **given: Any) -> Path:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    request = Request(repository_url=url, commit_sha=commit, project_id="proj_1", step_id="plan_1")
    return fetch_project(request, Credentials(**given), scratch, Progress(io.StringIO()), Stop(), reach)[1]


def refused(tmp_path: Path, url: str, commit: str, reach: Reach = PRIVATE, **given: Any) -> str:
    """The code of the refusal."""
    with pytest.raises(RunnerError) as caught:
        fetch(tmp_path, url, commit, reach, **given)
    return caught.value.code


def test_an_honest_server_is_asked(hosts: Hosts, tmp_path: Path) -> None:
    assert (fetch(tmp_path, hosts.url("open"), hosts.commit) / "a.txt").read_text() == "1"
    assert {path.split("/")[1] for path, _ in hosts.hostile.seen} == {"open"}


@pytest.mark.parametrize("trick", ["moved", "chained", "moved-later"])
def test_redirects_are_not_followed_and_the_token_goes_nowhere(hosts: Hosts, tmp_path: Path, trick: str) -> None:
    assert refused(tmp_path, hosts.url(trick), hosts.commit, git_token=TOKEN) == "repository_moved"
    assert hosts.other.seen == []
    assert {path.split("/")[1] for path, _ in hosts.hostile.seen} == {trick}, "not even to another path of the same host"


def test_alternates_of_a_dumb_server_are_not_followed(hosts: Hosts, tmp_path: Path) -> None:
    assert refused(tmp_path, hosts.url("dumb"), hosts.commit) == "repository_unreachable", "such a server gives no single commits"
    # Nothing but the depth keeps a step from asking such a server for objects, so git is asked without it, too.
    folder = tmp_path / "deep"
    folder.mkdir()
    env = git_environment(parse_repository_url(hosts.url("dumb"), allow_private=True), Credentials(), tmp_path)
    subprocess.run(["git", "init", "--quiet"], cwd=folder, env=env, check=True)
    asked = ["git", "fetch", hosts.url("dumb"), "refs/heads/main"]
    done = subprocess.run(asked, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert any("alternates" in path for path, _ in hosts.hostile.seen), done.stderr
    assert done.returncode != 0
    assert hosts.other.seen == []


def test_submodules_and_lfs_are_left_alone(hosts: Hosts, tmp_path: Path) -> None:
    elsewhere = f"https://127.0.0.1:{hosts.other.port}/open/origin"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 7\n"
    commit = hosts.repository.commit(
        {
            ".gitmodules": f'[submodule "x"]\n\tpath = x\n\turl = {elsewhere}\n\tupdate = checkout\n',
            ".lfsconfig": f"[lfs]\n\turl = {elsewhere}\n",
            ".gitattributes": "*.csv filter=lfs diff=lfs merge=lfs -text\n",
            "seed.csv": pointer,
        }
    )
    folder = hosts.repository.folder
    entry = f"160000,{hosts.commit},x"
    subprocess.run(["git", "update-index", "--add", "--cacheinfo", entry], cwd=folder, check=True)
    commit = hosts.repository.commit({"b.txt": "2"})
    found = fetch(tmp_path, hosts.url("open"), commit)
    assert (found / "seed.csv").read_text() == pointer
    assert not any((found / "x").iterdir()) if (found / "x").exists() else True
    assert hosts.other.seen == []


def test_bundles_that_a_server_offers_are_not_asked_for(hosts: Hosts, tmp_path: Path) -> None:
    assert (fetch(tmp_path, hosts.url("bundles"), hosts.commit) / "a.txt").exists()
    assert hosts.other.seen == []
    offered = [text for text in hosts.spoken if b"fetch=" in text]
    assert offered
    assert not any(b"command=bundle-uri" in text for text in hosts.spoken)
    env = git_environment(parse_repository_url("https://git.example.com/shop"), Credentials(), tmp_path)
    told = {env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(env["GIT_CONFIG_COUNT"]))}
    assert (told["transfer.bundleURI"], told["fetch.uriProtocols"], told["http.followRedirects"]) == ("false", "", "false")


def test_packs_on_other_hosts_are_not_asked_for(hosts: Hosts, tmp_path: Path) -> None:
    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=hosts.repository.folder, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    blob = git("rev-parse", f"{hosts.commit}:a.txt")
    uri = f"https://127.0.0.1:{hosts.other.port}/open/packs/pack.pack"
    git("config", "uploadpack.blobPackfileUri", f"{blob} {'0' * 40} {uri}")
    assert (fetch(tmp_path, hosts.url("open"), hosts.commit) / "a.txt").read_text() == "1"
    assert hosts.other.seen == []
    offered = [text for text in hosts.spoken if b"fetch=" in text]
    assert offered
    assert all(b" packfile-uris" in text for text in offered)
    assert [text for text in hosts.spoken if b"packfile-uris" in text and text not in offered] == []


def test_a_list_of_branches_without_end_is_cut_off(hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkout, "GIT_TIMEOUT", 2.0)
    assert refused(tmp_path, hosts.url("endless"), hosts.commit) == "timeout"
    assert hosts.other.seen == []


@pytest.mark.parametrize(
    "url",
    [
        "https://localhost@127.0.0.1:{port}/open/origin",
        "https://localhost:443@127.0.0.1:{port}/open/origin",
        "https://localhost\\@127.0.0.1:{port}/open/origin",
        "https://localhost#@127.0.0.1:{port}/open/origin",
        "https://localhost?@127.0.0.1:{port}/open/origin",
        "https://127.0.0.1:{port}%2f@localhost/open/origin",
    ],
)
def test_addresses_that_read_differently_are_refused(hosts: Hosts, tmp_path: Path, url: str) -> None:
    assert refused(tmp_path, url.format(port=hosts.other.port), hosts.commit) == "invalid_request"
    assert hosts.other.seen == []


# Where names lead


def answers(monkeypatch: pytest.MonkeyPatch, *found: str) -> None:
    rows = [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in found]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *arguments, **options: rows)


@pytest.mark.parametrize(
    "found",
    ["127.0.0.1", "10.0.0.7", "169.254.169.254", "::1", "fe80::1", "fd00:ec2::254", "::ffff:127.0.0.1", "64:ff9b::7f00:1"],
)
@pytest.mark.parametrize("url", ["https://git.example.com/shop", "git@git.example.com:shop"], ids=["https", "ssh"])
def test_one_private_address_of_a_name_is_enough_and_no_git_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str, found: str
) -> None:
    started: list[object] = []
    monkeypatch.setattr(checkout, "run_child", lambda child, stop: started.append(child))
    answers(monkeypatch, "140.82.121.4", found)
    with pytest.raises(RunnerError) as caught:
        fetch(tmp_path, url, "0" * 40, Reach())
    assert caught.value.code == "private_host"
    assert found not in caught.value.message, "who may read a plan need not learn addresses of our network"
    assert started == []


def test_git_goes_to_the_judged_address_whatever_the_name_leads_to_a_moment_later(
    hosts: Hosts, tmp_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name leads to 127.0.0.1, where the hostile server listens; it was judged when it led to 127.0.0.2."""
    judged = GitServer(tmp_path, certificate, place=("127.0.0.2", hosts.hostile.port))
    monkeypatch.setattr(checkout, "addresses_to_contact", lambda *arguments, **options: ("127.0.0.2",))
    try:
        assert (fetch(tmp_path, hosts.url("open"), hosts.commit) / "a.txt").exists()
    finally:
        judged.stop()
    assert judged.seen
    assert hosts.hostile.seen == []


@pytest.mark.parametrize("judged", [("140.82.121.4", "2606:50c0:8000::153"), ("2606:50c0:8000::153",)], ids=["both", "IPv6"])
@pytest.mark.parametrize(
    ("url", "alias"),
    [("git@git.example.com:shop", "git.example.com"), ("ssh://git@git.example.com:2222/shop", "[git.example.com]:2222")],
)
def test_ssh_goes_to_the_judged_address_and_looks_up_the_key_of_the_name(
    tmp_path: Path, url: str, alias: str, judged: tuple[str, ...]
) -> None:
    env = git_environment(parse_repository_url(url), Credentials(), tmp_path, judged)
    words = [*shlex.split(env["GIT_SSH_COMMAND"]), "-G", "git.example.com"]
    try:
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no ssh here")
    settings = dict(line.split(" ", 1) for line in said.splitlines() if " " in line)
    assert (settings["hostname"], settings["hostkeyalias"]) == (judged[0], alias)
    assert settings["stricthostkeychecking"] in ("true", "yes")
    assert settings["batchmode"] == "yes"


def test_curl_is_held_to_judged_addresses_of_both_kinds(tmp_path: Path) -> None:
    address = parse_repository_url("https://git.example.com:8443/shop")
    env = git_environment(address, Credentials(), tmp_path, ("140.82.121.4", "2606:50c0:8000::153"))
    assert "git.example.com:8443:140.82.121.4,2606:50c0:8000::153" in env.values()


def test_a_name_that_leads_nowhere_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*arguments: object, **options: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(RunnerError, match=r"git\.example\.com leads nowhere: Name or service not known") as caught:
        fetch(tmp_path, "https://git.example.com/shop", "0" * 40, Reach())
    assert caught.value.code == "repository_unreachable"


def test_a_name_server_that_does_not_answer_ends_with_the_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, release, stop = threading.Event(), threading.Event(), Stop()

    def getaddrinfo(*arguments: object, **options: object) -> list[object]:
        asked.set()
        stop.request("cancelled")
        release.wait(60)
        return []

    monkeypatch.setattr(addresses.socket, "getaddrinfo", getaddrinfo)
    request = Request(repository_url="https://git.example.com/shop", commit_sha="0" * 40, project_id="p", step_id="s")
    with pytest.raises(RunnerError) as caught:
        fetch_project(request, Credentials(), tmp_path, Progress(io.StringIO()), stop, Reach())
    release.set()
    assert (caught.value.code, asked.is_set()) == ("cancelled", True)


def test_behind_a_proxy_the_proxy_is_asked_for_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as proxy:

        def serve() -> None:
            connection = proxy.accept()[0]
            with connection:
                heard.append(connection.recv(65536))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        for name in ("HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        code = refused(tmp_path, "https://git.unknown-here.example/shop", "0" * 40, Reach())
        thread.join(60)
    assert heard[0].startswith(b"CONNECT git.unknown-here.example:443 ")
    assert code == "repository_unreachable"
    answers(monkeypatch, "10.0.0.7")
    (tmp_path / "scratch").rename(tmp_path / "first")
    assert refused(tmp_path, "https://git.example.com/shop", "0" * 40, Reach()) == "private_host"


# Certificates and clocks


@pytest.mark.parametrize("first_day", [datetime.timedelta(days=30), datetime.timedelta(days=-30)], ids=["future", "past"])
def test_a_certificate_that_the_clock_does_not_fit_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_day: datetime.timedelta
) -> None:
    """Seen from git, a clock that jumped and a certificate of another time are the same."""
    other_time = make_certificate(tmp_path / "other.pem", first_day)
    monkeypatch.setenv("GIT_SSL_CAINFO", str(other_time))
    server = GitServer(tmp_path, other_time)
    try:
        code = refused(tmp_path, f"https://localhost:{server.port}/open/origin", "0" * 40)
    finally:
        server.stop()
    assert code == "certificate_refused"
    assert server.seen == []
