"""The three things a member types to say where a project lives: repository address, branch and path.

All of them end up as arguments of git, ssh and Airflow operators. They are therefore judged here, by rules that start
no process, open no file and contact nothing, before any other part of the package sees them. What passes is kept in
one canonical spelling; what does not is refused with a reason that never repeats the text, which may hold a password.

The API server applies these rules before it keeps a project, and the runner once more to each request. So this module
needs nothing but the standard library and `hosts` beside it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote, unquote_to_bytes

from dagctl_provider.runner.hosts import HostRefused, check_host

MAX_URL_LENGTH = 2000
MAX_BRANCH_BYTES = 244
MAX_GIT_PATH_LENGTH = 1024
MAX_COMPONENT_BYTES = 255

Field = Literal["repository_url", "branch", "git_path"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)
_HELPER_TRANSPORT = re.compile(r"[A-Za-z0-9+._-]*::")
_SCP = re.compile(r"([^@:/]+)@(\[[^\]/]*\]|[^@:/\[\]]+):(?!:)(.+)")
_AUTHORITY = re.compile(r"(?:([^@]*)@)?(\[[^\]]*\]|[^@:\[\]]*)(?::([^@]*))?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,63}", re.ASCII)
_PORT = re.compile(r"[1-9][0-9]{0,4}", re.ASCII)
_URL_PUNCTUATION = frozenset("/._~-+@,=:")
_GIT_PATH_PUNCTUATION = frozenset("/._~-+@,=#() ")
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp", "Zs"})
_DEFAULT_PORTS = {"https": 443, "ssh": 22}


class InvalidRepository(ValueError):
    """A repository address, branch or path that is refused.

    :param field: which of the three: `repository_url`, `branch` or `git_path`.
    :param code: stable reason, snake_case.
    :param message: one sentence for the person who typed it; never repeats what they typed.
    """

    def __init__(self, field: Field, code: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.code = code
        self.message = message


@dataclass(frozen=True)
class RepositoryAddress:
    """Where a repository is, in canonical form.

    :param scheme: how it is reached.
    :param path: as git wants it: absolute for https, ssh and file; as written for the scp-like form.
    :param host: lower case; IPv6 in square brackets; absent for local repositories.
    :param port: absent when it is the scheme's own.
    :param user: ssh only.
    :param scp_like: `user@host:path`, whose path starts in the user's home; `ssh://` paths start at the root.
    """

    scheme: Literal["https", "ssh", "file"]
    path: str
    host: str | None = None
    port: int | None = None
    user: str | None = None
    scp_like: bool = False

    @property
    def url(self) -> str:
        """The address as it is given to git and shown to people; equal for equal addresses."""
        if self.scheme == "file":
            return "file://" + quote(self.path)
        user = f"{self.user}@" if self.user else ""
        if self.scp_like:
            return f"{user}{self.host}:{self.path}"
        port = f":{self.port}" if self.port else ""
        return f"{self.scheme}://{user}{self.host}{port}{self.path}"

    @property
    def is_local(self) -> bool:
        """Whether the repository is a directory of this machine."""
        return self.scheme == "file"

    @property
    def effective_port(self) -> int | None:
        """The TCP port that is contacted; absent for local repositories."""
        return self.port or _DEFAULT_PORTS.get(self.scheme)

    def __str__(self) -> str:
        return self.url


def parse_repository_url(url: str, *, allow_local: bool = False, allow_private: bool = False) -> RepositoryAddress:
    """Read a repository address, refusing everything that is not plainly one.

    Accepted are `https://`, `ssh://` and `user@host:path`; `file://` and absolute paths with `allow_local`. Source of
    the forms: gitremote-helpers and git-fetch, "GIT URLS". Neither DNS nor the network is asked; a name that resolves
    to a private address is caught by `addresses` beside this before it is contacted.

    :param url: what was typed.
    :param allow_local: accept directories of the machine that asks git.
    :param allow_private: accept hosts that are not on the public internet.
    :raises InvalidRepository: with field `repository_url`.
    """
    if not url:
        raise _bad_url("missing_url", "A repository address is required.")
    if len(url) > MAX_URL_LENGTH:
        raise _bad_url("url_too_long", f"The repository address is longer than {MAX_URL_LENGTH} characters.")
    if _has_unprintable(url):
        raise _bad_url("invalid_character", "The repository address contains white space or a control character.")
    if url.startswith("-"):
        raise _bad_url("leading_dash", "The repository address must not start with a dash.")
    if _HELPER_TRANSPORT.match(url):
        raise _bad_url("scheme_not_allowed", "Git's helper transports are not allowed.")
    scheme = _SCHEME.fullmatch(url)
    if scheme is None:
        return _parse_local(url, allow_local) if url.startswith("/") else _parse_scp(url, allow_private)
    name, rest = scheme[1].lower(), scheme[2]
    if name == "file":
        return _parse_file(rest, allow_local)
    if name == "https":
        return _parse_https(rest, allow_private)
    if name == "ssh":
        return _parse_ssh(rest, allow_private)
    raise _bad_url("scheme_not_allowed", "Only https and ssh repository addresses are allowed.")


def check_branch(name: str) -> str:
    """Return a branch name unchanged, or refuse it.

    The rules are those of `git check-ref-format --branch`, done without git, and a few more: no `@` alone, which elsewhere
    means HEAD, no name that starts with `refs/`, no invisible characters or white space, no braces (branch names travel
    through templated Airflow fields), and a limit on length so that `<name>.lock` is a legal file name.

    :raises InvalidRepository: with field `branch`.
    """
    if not name:
        raise _bad_branch("missing_branch", "A branch name is required.")
    if _has_unprintable(name):
        raise _bad_branch("invalid_character", "The branch name contains white space or a control character.")
    if len(name.encode()) > MAX_BRANCH_BYTES:
        raise _bad_branch("branch_too_long", f"The branch name is longer than {MAX_BRANCH_BYTES} bytes.")
    if name.startswith("-"):
        raise _bad_branch("leading_dash", "The branch name must not start with a dash.")
    if set(name) & set("~^:?*[\\{}"):
        raise _bad_branch("invalid_character", "The branch name contains a character that is not allowed in it.")
    if ".." in name or "@{" in name or name in {"@", "HEAD"}:
        raise _bad_branch("invalid_branch", "The branch name is git syntax for a revision.")
    if name.startswith("refs/"):
        raise _bad_branch("full_reference", "Give the branch name without refs/heads/ in front.")
    components = name.split("/")
    if any(not part or part.startswith(".") or part.endswith(".lock") for part in components) or name.endswith("."):
        raise _bad_branch("invalid_branch", "The branch name is not one that git accepts.")
    return name


def check_git_path(path: str) -> str:
    """Return a project's directory inside its repository as a normalised relative POSIX path, "" for the root.

    :raises InvalidRepository: with field `git_path`; for absolute paths, `..`, backslashes, `.git` in any spelling
        that some file system takes for it, leading dashes and characters outside letters, digits and a few marks.
    """
    if len(path) > MAX_GIT_PATH_LENGTH:
        raise _bad_path("path_too_long", f"The path is longer than {MAX_GIT_PATH_LENGTH} characters.")
    if path.startswith("/"):
        raise _bad_path("absolute_path", "The path must be relative to the root of the repository.")
    if not all(_is_word_character(character) or character in _GIT_PATH_PUNCTUATION for character in path):
        raise _bad_path("invalid_character", "The path contains a character that is not allowed in it.")
    components = [part for part in path.split("/") if part not in {"", "."}]
    for part in components:
        _check_path_component(part)
    return "/".join(components)


def _check_path_component(part: str) -> None:
    if part == "..":
        raise _bad_path("parent_directory", "The path must not contain '..'.")
    if part.startswith(("-", "~")):
        raise _bad_path("leading_dash", "No part of the path may start with a dash or a tilde.")
    if part.strip(" ") != part:
        raise _bad_path("invalid_character", "No part of the path may start or end with a space.")
    if part.casefold().rstrip(". ") == ".git" or part.casefold().startswith("git~"):
        raise _bad_path("git_directory", "The path must not lead into git's own directory.")
    if part.endswith("."):
        raise _bad_path("invalid_character", "No part of the path may end with a dot.")
    if len(part.encode()) > MAX_COMPONENT_BYTES:
        raise _bad_path("path_too_long", f"A part of the path is longer than {MAX_COMPONENT_BYTES} bytes.")


def _parse_https(rest: str, allow_private: bool) -> RepositoryAddress:
    _, host, port, path = _split_authority(rest, "https", allow_private)
    _check_url_path(path, escapes_anything=True)
    return RepositoryAddress("https", quote(path, safe="/%._~-+@,=:"), host, port)


def _parse_ssh(rest: str, allow_private: bool) -> RepositoryAddress:
    user, host, port, path = _split_authority(rest, "ssh", allow_private)
    _check_url_path(path, escapes_anything=False)
    return RepositoryAddress("ssh", path, host, port, _check_user(user) if user is not None else None)


def _parse_scp(url: str, allow_private: bool) -> RepositoryAddress:
    match = _SCP.fullmatch(url)
    if match is None:
        credentials = "@" in url and ":" in url.partition("@")[0]
        if credentials:
            raise _bad_url("credentials_in_url", "The repository address must not contain a password.")
        raise _bad_url("invalid_url", "The repository address must be https://, ssh:// or user@host:path.")
    user, host, path = match.groups()
    if "%" in path:
        raise _bad_url("invalid_path", "The repository address contains a character that is not allowed in its path.")
    path = path.rstrip("/")
    _check_url_path(path, escapes_anything=False)
    return RepositoryAddress("ssh", path, _check_url_host(host, allow_private), None, _check_user(user), scp_like=True)


def _parse_file(rest: str, allow_local: bool) -> RepositoryAddress:
    if not rest.startswith("/"):
        raise _bad_url("invalid_url", "A file address must start with file:/// and an absolute path.")
    if _ESCAPE.search(rest):
        raise _bad_url("invalid_path", "The repository address contains a broken percent escape.")
    try:
        path = unquote_to_bytes(rest).decode()
    except UnicodeDecodeError:
        raise _bad_url("invalid_path", "The repository address contains a broken percent escape.") from None
    return _parse_local(path, allow_local)


def _parse_local(path: str, allow_local: bool) -> RepositoryAddress:
    if not allow_local:
        raise _bad_url("local_not_allowed", "Repositories on this machine are not allowed.")
    path = path.rstrip("/")
    if _has_unprintable(path) or not all(_is_word_character(c) or c in _URL_PUNCTUATION for c in path):
        raise _bad_url("invalid_path", "The repository address contains a character that is not allowed in its path.")
    _check_segments(path)
    return RepositoryAddress("file", path)


def _split_authority(rest: str, scheme: str, allow_private: bool) -> tuple[str | None, str, int | None, str]:
    # Everything up to the first slash, whatever it is: a user name that holds "?" or "#" must not hide from the check.
    authority, slash, path = rest.partition("/")
    if "@" in authority and (scheme == "https" or ":" in authority.rpartition("@")[0]):
        raise _bad_url("credentials_in_url", "The repository address must not contain a user name or a password.")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not match[2]:
        raise _bad_url("invalid_host", "The repository address has no valid host.")
    port: int | None = None
    if match[3] is not None:
        if not _PORT.fullmatch(match[3]) or int(match[3]) > 65535:
            raise _bad_url("invalid_port", "The port must be a number from 1 to 65535.")
        port = int(match[3])
    host = _check_url_host(match[2], allow_private)
    return match[1], host, None if port == _DEFAULT_PORTS[scheme] else port, (slash + path).rstrip("/")


def _check_url_host(host: str, allow_private: bool) -> str:
    if host.startswith("-"):
        raise _bad_url("leading_dash", "The host must not start with a dash.")
    try:
        return check_host(host, allow_private=allow_private)
    except HostRefused as refused:
        raise _bad_url(refused.code, str(refused)) from None


def _check_user(user: str) -> str:
    if user.startswith("-"):
        raise _bad_url("leading_dash", "The user name must not start with a dash.")
    if not _USER.fullmatch(user):
        raise _bad_url("invalid_user", "The user name contains a character that is not allowed in it.")
    return user


def _check_url_path(path: str, *, escapes_anything: bool) -> None:
    """Judge the path of a remote address, as written and as it reads once its percent escapes are undone.

    :param escapes_anything: whether an escape may stand for any visible character. True for https, where it stays
        an escape; False for ssh, where git undoes it and the path reaches the shell of another machine.
    """
    if "?" in path or "#" in path:
        raise _bad_url("query_or_fragment", "The repository address must not contain '?' or '#'.")
    if not all(_is_word_character(c) or c in _URL_PUNCTUATION or c == "%" for c in path) or _ESCAPE.search(path):
        raise _bad_url("invalid_path", "The repository address contains a character that is not allowed in its path.")
    try:
        plain = unquote_to_bytes(path).decode()
    except UnicodeDecodeError:
        raise _bad_url("invalid_path", "The repository address contains a broken percent escape.") from None
    visible = plain.replace(" ", "")
    if _has_unprintable(visible) or "\\" in plain or plain.count("/") != path.count("/") or "%" in plain:
        raise _bad_url("invalid_path", "The repository address hides a character behind a percent escape.")
    if not escapes_anything and not all(_is_word_character(c) or c in _URL_PUNCTUATION for c in visible):
        raise _bad_url("invalid_path", "The repository address hides a character behind a percent escape.")
    _check_segments(plain)


def _check_segments(path: str) -> None:
    if not path.strip("/"):
        raise _bad_url("missing_path", "The repository address has no path.")
    if path.lstrip("/").startswith("-"):
        raise _bad_url("leading_dash", "The path of the repository address must not start with a dash.")
    segments = path.removeprefix("/").split("/")
    if any(segment in {"", ".", ".."} for segment in segments):
        raise _bad_url("invalid_path", "The path of the repository address must not contain '.', '..' or '//'.")
    if any(len(segment.encode()) > MAX_COMPONENT_BYTES for segment in segments):
        raise _bad_url("url_too_long", f"A part of the path is longer than {MAX_COMPONENT_BYTES} bytes.")


def _has_unprintable(text: str) -> bool:
    return any(unicodedata.category(character) in _UNPRINTABLE_CATEGORIES for character in text)


def _is_word_character(character: str) -> bool:
    if character.isascii():
        return character.isalnum()
    return unicodedata.category(character)[0] in "LMN"


def _bad_url(code: str, message: str) -> InvalidRepository:
    return InvalidRepository("repository_url", code, message)


def _bad_branch(code: str, message: str) -> InvalidRepository:
    return InvalidRepository("branch", code, message)


def _bad_path(code: str, message: str) -> InvalidRepository:
    return InvalidRepository("git_path", code, message)
