"""Real repositories, a real https git server and hosts that never answer, all on this machine and made on the spot."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dagctl_provider.domain.repository import RepositoryAddress, parse_repository_url
from dagctl_provider.git.processes import Deadline
from dagctl_provider.git.remotes import RemoteGit
from tests.gitserver import GitServer, make_certificate

AUTHOR = {
    "GIT_AUTHOR_NAME": "Ada Lovelace",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Charles Babbage",
    "GIT_COMMITTER_EMAIL": "charles@example.com",
    "GIT_COMMITTER_DATE": "2026-01-02T03:04:05+0200",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


class Origin:
    """A repository with a work tree that tests commit to."""

    def __init__(self, path: Path, *init_options: str) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "-q", "-b", "main", *init_options)

    def git(self, *arguments: str, stdin: bytes | None = None) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.path, env={**os.environ, **AUTHOR}, input=stdin, capture_output=True, check=True
        )
        return done.stdout.decode().strip()

    def commit(self, message: str | bytes = "A change", files: dict[str, str | bytes] | None = None) -> str:
        for name, content in (files or {}).items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        message = message.encode() if isinstance(message, str) else message
        self.git("commit", "-q", "--allow-empty", "--allow-empty-message", "--cleanup=verbatim", "-F", "-", stdin=message)
        return self.git("rev-parse", "HEAD")

    def commit_raw(self, message: bytes, committed: str = "1 +0000", encoding: bytes = b"") -> str:
        """Make a commit that `git commit` would not make."""
        people = f"author A <a@example.com> 1 +0000\ncommitter A <a@example.com> {committed}\n".encode()
        raw = b"tree " + self.git("write-tree").encode() + b"\n" + people + encoding + b"\n" + message
        sha = self.git("hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=raw)
        self.git("update-ref", "refs/heads/main", sha)
        return sha

    @property
    def address(self) -> RepositoryAddress:
        return parse_repository_url(str(self.path), allow_local=True)


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    return Origin(tmp_path / "origin")


@pytest.fixture
def remote_git(tmp_path: Path) -> RemoteGit:
    return RemoteGit(tmp_path / "cache", allow_local=True, allow_private=True)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate") / "both.pem")


@pytest.fixture
def git_server(origin: Origin, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GitServer]:
    """The origin at `open/`, `private/` and `moved/`, named `origin`; numbers in front are answered as status."""
    monkeypatch.setenv("GIT_SSL_CAINFO", str(certificate))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = GitServer(origin.path.parent, certificate)
    yield server
    server.stop()


class SilentHost:
    """Accepts connections and never says a word. Time is up for whoever waits for it as soon as a test says so.

    :param is_up: Whether it is; by default from the first connection on.
    """

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.address = parse_repository_url(f"https://127.0.0.1:{self.port}/acme/analytics.git", allow_private=True)
        self.connections: list[socket.socket] = []
        self.is_up: Callable[[], bool] = lambda: bool(self.connections)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                self.connections.append(self._socket.accept()[0])

    def hung_up(self) -> bool:
        """Whether the programs that connected are gone, a while after they were told to go at the latest."""
        for connection in self.connections:
            connection.settimeout(60)
            with connection, suppress(ConnectionResetError):
                try:
                    while connection.recv(65536):
                        pass
                except TimeoutError:
                    return False
        return bool(self.connections)

    def close(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def silent_host(monkeypatch: pytest.MonkeyPatch) -> Iterator[SilentHost]:
    host = SilentHost()
    real = Deadline.remaining

    def remaining(deadline: Deadline) -> float:
        if host.is_up():
            deadline._end = 0
        return real(deadline)

    # However slow the machine is, git is waiting for the host by then, and the test waits for nothing else.
    monkeypatch.setattr(Deadline, "remaining", remaining)
    yield host
    host.close()


@pytest.fixture
def fake_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `ssh` that notes how it was called, then runs the far side's command right here; returns its notebook."""
    notebook = tmp_path / "ssh-notes"
    notebook.mkdir()
    program = tmp_path / "bin" / "ssh"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\nn={notebook}\nprintf "%s\\n" "$@" > $n/arguments\ncp "$2" $n/config\nenv > $n/environment\n'
        'd=$(dirname "$2")\nstat -c "%a %n" "$d" "$d"/* > $n/modes\ncp "$d/identity" "$d/known_hosts" $n\n'
        'for last; do :; done\nexec sh -c "$last"\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return notebook
