"""The world one git process sees: its settings, its variables and its credentials, and nothing else.

Git can be told to run programs by its configuration, by variables and by the files around it. So a process inherits no
variable except those named here, reads no configuration except what is given here, and its home is an empty directory
made for it. Credentials are files in there, readable by this user only and gone when the block ends, or when the next server of
this machine starts, should this one be killed. They are never arguments or variables, which other processes can read.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

import psutil

from dagctl_provider.domain.repository import RepositoryAddress
from dagctl_provider.runner.git_settings import HARDENED, https_pin, ssh_pin

PASSED_THROUGH = (
    "PATH",
    "http_proxy",
    "https_proxy",
    "HTTPS_PROXY",
    "no_proxy",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""Variables of the API server that git may see: where programs, proxies and certificate authorities are."""

CONNECT_TIMEOUT_SECONDS = 10

_SETTINGS = {
    **HARDENED,
    # A server that sends a byte now and then must not hold a process until its time is up.
    "http.lowSpeedLimit": "200",
    "http.lowSpeedTime": "20",
    # Object checks only matter to a checkout, which never happens here, and they refuse honest old histories: fetches
    # with a filter ignore every exception made for those.
    "fetch.fsckObjects": "false",
}


@dataclass(frozen=True)
class GitCredentials:
    """What opens a private repository; its text form hides every value.

    :param ssh_private_key: a private key without passphrase, in OpenSSH or PEM form.
    :param known_hosts: host keys in known_hosts form. Required for ssh: keys are not learned on first use.
    :param token: password for https.
    :param username: name that goes with the token; by default one the large hosts take with any token.
    """

    ssh_private_key: str | None = field(default=None, repr=False)
    known_hosts: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    username: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not be seen anywhere, longest first."""
        candidates = [self.token, self.ssh_private_key]
        if self.token:
            candidates.append(quote(self.token, safe=""))
        return tuple(sorted((secret for secret in candidates if secret), key=len, reverse=True))

    @property
    def fingerprint(self) -> str:
        """Tells credentials apart without containing them."""
        text = "\0".join((self.ssh_private_key or "", self.username or "", self.token or ""))
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class GitEnvironment:
    """What one or more git processes for one repository are started with.

    :param home: private directory, also the processes' working directory.
    :param options: `-c name=value` options that go before git's command.
    :param variables: the complete environment.
    :param secrets: texts to remove from whatever git says.
    """

    home: Path
    options: tuple[str, ...]
    variables: dict[str, str]
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def offline(self) -> GitEnvironment:
        """The same, but no process may contact anything."""
        return replace(self, variables={**self.variables, "GIT_ALLOW_PROTOCOL": "none"})


@contextmanager
def git_environment(
    address: RepositoryAddress,
    credentials: GitCredentials | None = None,
    *,
    addresses: tuple[str, ...] = (),
    git_dir: Path | None = None,
) -> Iterator[GitEnvironment]:
    """Make the environment for git processes that talk to one repository, and remove it afterwards.

    Source of the settings: git-config, git(1) "ENVIRONMENT VARIABLES", ssh_config(5).

    :param credentials: written to files for the time of the block.
    :param addresses: the judged addresses of the host; git contacts no other when any are given.
    :param git_dir: the bare repository the processes work in; none for those that need no repository.
    """
    credentials = credentials or GitCredentials()
    home = Path(tempfile.mkdtemp(prefix=f"{_prefix()}{os.getpid()}-"))
    try:
        options = {**_SETTINGS, f"protocol.{address.scheme}.allow": "always"}
        helpers: list[str] = []
        variables = _variables(address, home)
        if git_dir is not None:
            variables["GIT_DIR"] = str(git_dir)
            options["remote.origin.url"] = address.url
        if address.scheme == "ssh":
            variables["GIT_SSH_COMMAND"] = f"ssh -F {shlex.quote(str(_ssh_config(address, credentials, addresses, home)))}"
            variables["GIT_SSH_VARIANT"] = "ssh"
        elif address.scheme == "https":
            options.update(https_pin(address, addresses))
            if credentials.token:
                helpers.append(f"credential.helper=store --file={shlex.quote(str(_store(address, credentials, home)))}")
        else:
            _trust_local(address, home)
        settings = [f"{name}={value}" for name, value in options.items()] + helpers
        arguments = tuple(part for setting in settings for part in ("-c", setting))
        yield GitEnvironment(home, arguments, variables, credentials.secrets)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _prefix() -> str:
    # Temporary folders may be on a disk that machines share, and a process id says nothing about another machine's.
    return f"dagctl-git-{socket.gethostname()[:64]}-"


def sweep() -> int:
    """Remove the homes that processes left when they were killed. Called before this process makes its first one.

    :return: How many there were.
    """
    removed = 0
    for home in Path(tempfile.gettempdir()).glob(f"{_prefix()}*"):
        owner = home.name.removeprefix(_prefix()).partition("-")[0]
        with suppress(OSError):
            if home.lstat().st_uid == os.geteuid() and not _is_another_process(owner):
                shutil.rmtree(home)
                removed += 1
    return removed


def _is_another_process(number: str) -> bool:
    # In containers the same number comes back with each start.
    return number.isdigit() and int(number) != os.getpid() and psutil.pid_exists(int(number))


def _variables(address: RepositoryAddress, home: Path) -> dict[str, str]:
    inherited = {name: os.environ[name] for name in PASSED_THROUGH if name in os.environ}
    return {
        **inherited,
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
        "TMPDIR": str(home),
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(home / ".gitconfig"),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_CEILING_DIRECTORIES": str(home.parent),
        "GIT_ALLOW_PROTOCOL": address.scheme,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_LITERAL_PATHSPECS": "1",
    }


def _store(address: RepositoryAddress, credentials: GitCredentials, home: Path) -> Path:
    # Unlike an askpass program, git's own store gives the token to this one host only and needs no executable file.
    name = credentials.username or ("x-token-auth" if address.host == "bitbucket.org" else "x-access-token")
    port = f":{address.port}" if address.port else ""
    line = f"https://{quote(name, safe='')}:{quote(credentials.token or '', safe='')}@{address.host}{port}\n"
    return _private_file(home / "credentials", line)


def _ssh_config(address: RepositoryAddress, credentials: GitCredentials, addresses: tuple[str, ...], home: Path) -> Path:
    known_hosts = _private_file(home / "known_hosts", (credentials.known_hosts or "").strip() + "\n")
    settings = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": _ssh_path(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "UpdateHostKeys": "no",
        "VerifyHostKeyDNS": "no",
        "CanonicalizeHostname": "no",
        "ConnectTimeout": str(CONNECT_TIMEOUT_SECONDS),
        "ConnectionAttempts": "1",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "IdentityFile": "none",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ProxyCommand": "none",
        "ControlMaster": "no",
        "ControlPath": "none",
        "LogLevel": "ERROR",
    }
    if credentials.ssh_private_key:
        key = credentials.ssh_private_key.replace("\r\n", "\n").strip() + "\n"
        settings["IdentityFile"] = _ssh_path(_private_file(home / "identity", key))
    settings.update(ssh_pin(address, addresses))
    text = "Host *\n" + "".join(f"    {name} {value}\n" for name, value in settings.items())
    return _private_file(home / "ssh_config", text)


def _ssh_path(path: Path) -> str:
    return '"' + str(path).replace("%", "%%") + '"'


def _trust_local(address: RepositoryAddress, home: Path) -> None:
    """Let git read a directory of another owner: whoever allows local repositories vouches for them.

    Without it, repositories mounted into a container, whose owner is somebody outside, could not be read.
    """
    paths = {address.path, os.path.realpath(address.path)}
    lines = [f'\tdirectory = "{path}{end}"\n' for path in sorted(paths) for end in ("", "/.git")]
    _private_file(home / ".gitconfig", "[safe]\n" + "".join(lines))


def _private_file(path: Path, text: str) -> Path:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    return path
