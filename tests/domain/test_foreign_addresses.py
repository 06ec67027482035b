"""Addresses that others wrote down: the documents of hosts, pip's examples, git's own tests; and git as the referee.

An address that a host tells its users to copy has to be taken, or refused for a reason that can be told.
"""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from dagctl_provider.domain.repository import InvalidRepository, RepositoryAddress, parse_repository_url

TAKEN_AS_WRITTEN = [
    # "Clone" of GitHub, GitLab, Bitbucket, Azure DevOps, CodeCommit, SourceHut, Gitea, Codeberg, Gerrit, Launchpad, Google.
    "https://github.com/OWNER/REPOSITORY.git",
    "git@github.com:OWNER/REPOSITORY.git",
    "ssh://git@ssh.github.com:443/OWNER/REPOSITORY.git",
    "https://gitlab.com/gitlab-tests/sample-project.git",
    "git@gitlab.com:gitlab-org/gitlab.git",
    "ssh://git@gitlab.com/gitlab-org/gitlab.git",
    "git@bitbucket.org:workspace/repository.git",
    "https://bitbucket.example.com/scm/proj/repository.git",
    "ssh://git@bitbucket.example.com:7999/proj/repository.git",
    "ssh://git@bitbucket.example.com:7999/~user/repository.git",
    "https://dev.azure.com/fabrikam/DefaultCollection/_git/FabrikamFiber",
    "git@ssh.dev.azure.com:v3/fabrikam/FabrikamFiber/FabrikamFiber",
    "https://fabrikam.visualstudio.com/DefaultCollection/Fabrikam/_git/Fabrikam",
    "https://git-codecommit.us-east-2.amazonaws.com/v1/repos/MyDemoRepo",
    "ssh://git-codecommit.us-east-2.amazonaws.com/v1/repos/MyDemoRepo",
    "ssh://APKAEIBAERJR2EXAMPLE@git-codecommit.us-east-2.amazonaws.com/v1/repos/MyDemoRepo",
    "git@git.sr.ht:~sircmpwn/scdoc",
    "https://git.sr.ht/~sircmpwn/scdoc",
    "https://codeberg.org/forgejo/forgejo.git",
    "ssh://git@codeberg.org/forgejo/forgejo.git",
    "ssh://admin@gerrit.example.com:29418/plugins/replication",
    "https://gerrit.example.com/a/plugins/replication",
    "https://git.launchpad.net/launchpad",
    "https://source.developers.google.com/p/my-project/r/my-repo",
    "https://git.kernel.org/pub/scm/git/git.git",
    "https://git.savannah.gnu.org/git/emacs.git",
    "https://xn--80ak6aa92e.com/a.git",
    # GIT URLS of git-clone(1).
    "ssh://user@host.xz:2222/~user/path/to/repo.git",
    "user@host.xz:/~user/path/to/repo.git",
    "https://host.xz:8443/path/to/repo.git",
]

REFUSED = {
    # What the same pages also show, and why it is none.
    "https://fabrikam@dev.azure.com/fabrikam/Project/_git/repo": "credentials_in_url",
    "https://user@bitbucket.org/workspace/repository.git": "credentials_in_url",
    "https://oauth2:glpat-0123@gitlab.com/group/project.git": "credentials_in_url",
    "https://x-token-auth:0123@bitbucket.org/workspace/repository.git": "credentials_in_url",
    "https://gitlab-ci-token:0123@gitlab.com/group/project.git": "credentials_in_url",
    "codecommit://MyDemoRepo": "scheme_not_allowed",
    "codecommit::ap-northeast-1://MyDemoRepo": "scheme_not_allowed",
    "git://git.kernel.org/pub/scm/git/git.git": "scheme_not_allowed",
    "bzr::lp:ubuntu": "scheme_not_allowed",
    "https://github.com/OWNER/REPOSITORY/tree/main?tab=readme": "query_or_fragment",
    "gh:OWNER/REPOSITORY": "invalid_url",
    "OWNER/REPOSITORY": "invalid_url",
    "github.com/OWNER/REPOSITORY": "invalid_url",
    # VCS addresses of pip, npm and Terraform: not git's.
    "git+https://git.example.com/MyProject.git@v1.0": "scheme_not_allowed",
    "git+ssh://git@git.example.com/MyProject": "scheme_not_allowed",
    "git+file:///home/user/projects/MyProject": "scheme_not_allowed",
    "git+git://git.example.com/MyProject#egg=MyProject": "scheme_not_allowed",
    "MyProject @ git+https://git.example.com/MyProject.git": "invalid_character",
    "github:npm/cli#v6": "invalid_url",
    "git::https://example.com/vpc.git": "scheme_not_allowed",
    "https://git.example.com/MyProject.git#egg=pkg&subdirectory=pkg_dir": "query_or_fragment",
    # git's t5500, t5601, t5603 and t5813 to t5815, and the advisories that made some of them.
    "host.xz:path/to/repo": "invalid_url",
    "[::1]:rep": "invalid_url",
    "[user@host.xz:22]:rep": "invalid_path",
    "user@[host.xz:22]:rep": "invalid_host",
    "user@::1:rep": "invalid_url",
    "./foo:bar": "invalid_url",
    "foo:bar": "invalid_url",
    "ssh://host.xz:/~repo": "invalid_port",
    "ssh://user@::1/repo": "invalid_host",
    "ssh://[user@::1]:22/repo": "invalid_host",
    "ssh://-oProxyCommand=touch%20wtf/repo": "leading_dash",
    "ssh://-oProxyCommand=touch%20wtf@host.xz/repo": "leading_dash",
    "-oProxyCommand=touch@host.xz:repo": "leading_dash",
    "user@-oProxyCommand=touch:repo": "leading_dash",
    "user@host.xz:-repo": "leading_dash",
    "ext::git-remote-ext sh": "invalid_character",
    "fd::3,4": "scheme_not_allowed",
    "transport::address": "scheme_not_allowed",
    "https://host.xz?.example.com/a": "invalid_host",
    "https://one.example.com%0ahost=two.example.com/a": "invalid_host",
    "https:///path": "invalid_host",
    "https://": "invalid_host",
    "ssh://host.xz": "missing_path",
}


def _code(url: str) -> str | None:
    try:
        parse_repository_url(url)
    except InvalidRepository as refused:
        return refused.code
    return None


@pytest.mark.parametrize("url", TAKEN_AS_WRITTEN)
def test_what_hosts_tell_their_users_to_copy_is_taken_as_it_is(url):
    assert parse_repository_url(url).url == url


@pytest.mark.parametrize(("url", "code"), REFUSED.items())
def test_what_is_no_plain_address_is_refused_for_its_reason(url, code):
    assert _code(url) == code


@pytest.fixture(scope="module")
def referee(tmp_path_factory) -> Path:
    """A folder in which git says how it reads an address; nothing is contacted."""
    folder = tmp_path_factory.mktemp("referee")
    subprocess.run(["git", "init", "--quiet", "."], cwd=folder, check=True)
    return folder


def _as_git_reads(url: str, folder: Path) -> tuple[str, str, str]:
    """User and host, port, path."""
    answer = subprocess.run(["git", "fetch-pack", "--diag-url", url], cwd=folder, capture_output=True, text=True, check=True)
    told = dict(line.removeprefix("Diag: ").partition("=")[::2] for line in answer.stdout.splitlines())
    assert told["protocol"] == "ssh"
    return told["userandhost"], told["port"], told["path"]


def _as_we_read(address: RepositoryAddress) -> tuple[str, str, str]:
    user = f"{address.user}@" if address.user else ""
    # The far side's shell gets "~user/..." without the slash, and what ssh:// has as an escape undone.
    path = address.path if address.scp_like else unquote(address.path)
    return user + address.host.strip("[]"), str(address.port or "NONE"), path[1:] if path.startswith("/~") else path


def _addresses_of_t5500() -> Iterator[str]:
    """The combinations that git's own test makes of its parts, and ours beside them."""
    paths = ("repo", "re:po", "re/po", "~repo", "~user/re:po", "a::b", "re%20po", "données", "a@b", "c++,d=e", "%7Erepo")
    hosts = ("host.xz", "user@host.xz", "user@[::1]", "git+x@8.8.8.8", "user@[::ffff:8.8.8.8]", "[2606:50c0::1]", "user@::1")
    for host, path in itertools.product(hosts, paths):
        yield from (f"ssh://{host}{port}/{path}" for port in ("", ":22", ":2222"))
        yield from (f"{host}:{slash}{path}" for slash in ("", "/"))


def test_git_reads_an_address_that_is_taken_as_we_do(referee):
    taken = {}
    for url in _addresses_of_t5500():
        try:
            taken[url] = parse_repository_url(url, allow_private=True)
        except InvalidRepository:
            continue

    assert len(taken) > 200
    assert {url for url, read in taken.items() if _as_git_reads(read.url, referee) != _as_we_read(read)} == set()
