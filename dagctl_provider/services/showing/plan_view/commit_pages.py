"""Addresses of pages about commits on hosts whose shape of addresses is known."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from dagctl_provider.domain.repository import InvalidRepository, RepositoryAddress, parse_repository_url

Shape = tuple[str, str]
"""Of the page of one commit, and of the page that compares two."""

_GITHUB: Shape = ("{base}/commit/{sha}", "{base}/compare/{since}...{sha}")
_GITLAB: Shape = ("{base}/-/commit/{sha}", "{base}/-/compare/{since}...{sha}")
_BITBUCKET: Shape = ("{base}/commits/{sha}", "{base}/branches/compare/{sha}..{since}")

_HOSTS: Mapping[str, Shape] = {
    "github.com": _GITHUB,
    "gitlab.com": _GITLAB,
    "bitbucket.org": _BITBUCKET,
    "codeberg.org": _GITHUB,
}
# Self-hosted: what companies call such a host.
_FIRST_LABELS: Mapping[str, Shape] = {"github": _GITHUB, "gitlab": _GITLAB, "gitea": _GITHUB, "forgejo": _GITHUB}


def commit_page(repository_url: str, sha: str) -> str | None:
    """The page of a commit, or ``None`` where nobody knows its address.

    :param repository_url: As the project has it; the page is always asked for over https.
    """
    return _page(repository_url, 0, sha, "")


def compare_page(repository_url: str, since: str, sha: str) -> str | None:
    """The page with everything between two commits."""
    return _page(repository_url, 1, sha, since)


def _page(repository_url: str, which: int, sha: str, since: str) -> str | None:
    try:
        address = parse_repository_url(repository_url, allow_local=True, allow_private=True)
    except InvalidRepository:
        return None
    if address.host is None:
        return None
    shape = _HOSTS.get(address.host) or _FIRST_LABELS.get(address.host.partition(".")[0])
    if shape is None:
        return None
    return shape[which].format(base=_base(address), sha=quote(sha, safe=""), since=quote(since, safe=""))


def _base(address: RepositoryAddress) -> str:
    # The port of ssh is not the port of the pages.
    port = f":{address.port}" if address.port and address.scheme == "https" else ""
    return f"https://{address.host}{port}/{quote(address.path.strip('/').removesuffix('.git'), safe='/~%')}"
