"""What commits and files say, without a checkout, from caches that may be broken, busy or worn out at any time."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import random
import shutil
import time
from datetime import datetime, timezone

import pytest

from dagctl_provider.domain.gateways import CONFIG_FILE_NAMES, detect_gateways
from dagctl_provider.git import caches, commits
from dagctl_provider.git.environment import GitCredentials
from dagctl_provider.git.errors import (
    AuthenticationFailed,
    CommitNotFound,
    FileTooLarge,
    GitError,
    GitTimeout,
    RepositoryNotAllowed,
    RepositoryTooLarge,
    RepositoryUnreachable,
)
from dagctl_provider.git.remotes import RemoteGit
from tests.git.conftest import Origin
from tests.gitserver import TOKEN

UNKNOWN = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def fetches(monkeypatch):
    """The arguments of every git process that may use the network."""
    started: list[tuple[str, ...]] = []
    run_git = commits.run_git

    def noting(arguments, environment, *args, **options):
        if environment.variables["GIT_ALLOW_PROTOCOL"] != "none":
            started.append(tuple(arguments))
        return run_git(arguments, environment, *args, **options)

    monkeypatch.setattr(commits, "run_git", noting)
    return started


@pytest.fixture(params=["with filters", "without filters"])
def any_origin(origin, request):
    if request.param == "with filters":
        origin.git("config", "uploadpack.allowFilter", "true")
    return origin


def _cache(tmp_path):
    (cache,) = (tmp_path / "cache").glob("*.git")
    return cache


def test_facts_of_a_commit(any_origin, remote_git):
    base = any_origin.commit("base")
    any_origin.commit("between")
    sha = any_origin.commit("Add a model\n\nWith a reason.\n", {"model.sql": "select 1"})

    facts = remote_git.facts(any_origin.address, "main", sha, base)

    assert facts == commits.CommitFacts(
        sha=sha,
        message="Add a model",
        full_message="Add a model\n\nWith a reason.",
        author_name="Ada Lovelace",
        committed_at=datetime(2026, 1, 2, 1, 4, 5, tzinfo=timezone.utc),
        commits_behind=2,
        author_email="ada@example.com",
    )


def test_known_commits_need_no_network(origin, remote_git, fetches):
    base = origin.commit("base")
    sha = origin.commit("next")
    remote_git.facts(origin.address, "main", sha, base)
    del fetches[:]
    shutil.rmtree(origin.path)

    assert remote_git.facts(origin.address, "main", sha, base).commits_behind == 1
    assert fetches == []


def test_new_commits_are_fetched_in_one_go(origin, remote_git, fetches):
    base = origin.commit("base")
    remote_git.facts(origin.address, "main", base)
    sha = origin.commit("next")
    del fetches[:]

    assert remote_git.facts(origin.address, "main", sha, base).commits_behind == 1
    assert len(fetches) == 1


def test_histories_come_without_trees_and_files(origin, remote_git, tmp_path):
    origin.git("config", "uploadpack.allowFilter", "true")
    sha = origin.commit(files={"large.bin": random.Random(1).randbytes(2_000_000)})

    assert remote_git.facts(origin.address, "main", sha).sha == sha
    assert sum(file.stat().st_size for file in _cache(tmp_path).rglob("*") if file.is_file()) < 100_000


def test_how_far_ahead_of_the_base(origin, remote_git):
    base = origin.commit("base")
    origin.git("checkout", "-q", "-b", "side")
    side = origin.commit("side")
    origin.git("checkout", "-q", "main")
    sha = origin.commit("next")

    def behind(base_sha):
        return remote_git.facts(origin.address, "main", sha, base_sha).commits_behind

    assert behind(None) is None
    assert behind(sha) == 0
    assert behind(base) == 1
    assert behind(side) == 1
    assert behind(UNKNOWN) is None
    assert behind("main") is None
    assert behind("--all") is None


def test_commits_of_rewritten_branches_are_still_found(origin, remote_git):
    base = origin.commit("base")
    lost = origin.commit("lost")
    origin.git("reset", "-q", "--hard", base)
    origin.commit("instead")

    assert remote_git.facts(origin.address, "main", lost, base).commits_behind == 1


def test_commits_of_deleted_branches_are_still_found(origin, remote_git):
    sha = origin.commit()

    assert remote_git.facts(origin.address, "gone", sha).sha == sha


def test_branches_may_take_each_others_place(origin, remote_git):
    origin.commit()
    origin.git("branch", "a")
    remote_git.facts(origin.address, "a", origin.git("rev-parse", "a"))
    origin.git("branch", "-D", "a")
    origin.git("checkout", "-q", "-b", "a/b")
    sha = origin.commit()

    assert remote_git.facts(origin.address, "a/b", sha).sha == sha


@pytest.mark.parametrize("sha", [UNKNOWN, "main", "HEAD", "--all", "", "0123456", UNKNOWN.upper(), UNKNOWN + "\n"])
def test_commits_nobody_has_are_not_found(origin, remote_git, sha):
    origin.commit()

    with pytest.raises(CommitNotFound):
        remote_git.facts(origin.address, "main", sha)
    with pytest.raises(CommitNotFound):
        remote_git.read_files(origin.address, "main", sha, ["a"])


def test_sha256_repositories_have_facts_too(tmp_path, remote_git):
    origin = Origin(tmp_path / "sha256", "--object-format=sha256")
    sha = origin.commit("first", {"a": "text"})

    assert remote_git.facts(origin.address, "main", sha).message == "first"
    assert remote_git.read_files(origin.address, "main", sha, ["a"]) == {"a": "text"}


@pytest.mark.parametrize(
    ("message", "first_line"),
    [
        ("", ""),
        ("\n\n  Indented  \nsecond", "Indented"),
        ("x" * 600, "x" * 500),
        ("Red \x1b[31malert\x07 \u202eevil\x00"[:-1], "Red [31malert evil"),
        ("Größe 📈", "Größe 📈"),
        ("One\r\nTwo", "One"),
    ],
)
def test_messages_are_made_fit_to_be_shown(origin, remote_git, message, first_line):
    sha = origin.commit(message)

    facts = remote_git.facts(origin.address, "main", sha)

    assert facts.message == first_line
    assert facts.message.isprintable()


def test_long_messages_are_cut(origin, remote_git):
    sha = origin.commit("first\n" + "x" * 20_000)

    assert len(remote_git.facts(origin.address, "main", sha).full_message) == 10_000


@pytest.mark.parametrize(
    ("message", "encoding", "first_line"),
    [
        (b"Caf\xe9 \xff", b"", "Caf\ufffd \ufffd"),
        (b"Caf\xe9", b"encoding ISO-8859-1\n", "Café"),
        (b"Caf\xe9", b"encoding no-such-thing\n", "Caf\ufffd"),
    ],
)
def test_messages_in_other_encodings(origin, remote_git, message, encoding, first_line):
    sha = origin.commit_raw(message, encoding=encoding)

    assert remote_git.facts(origin.address, "main", sha).message == first_line


@pytest.mark.parametrize("committed", ["99999999999999 +0000", "99999999999999999999999 +0000", "-5 +9999", "x"])
def test_absurd_dates_do_no_harm(origin, remote_git, committed):
    sha = origin.commit_raw(b"x", committed)

    assert remote_git.facts(origin.address, "main", sha).committed_at == datetime(1970, 1, 1, tzinfo=timezone.utc)


def test_files_are_read_without_a_checkout(any_origin, remote_git, tmp_path):
    sha = any_origin.commit(
        files={
            "config.yaml": "gateways: {a: {}}\n",
            "team/dbt core/sqlmesh.yaml": "ä",
            "binary": b"\xff\x00",
            "empty": "",
            "[a]*": "literal",
        }
    )
    wanted = ["config.yaml", "team/dbt core/sqlmesh.yaml", "binary", "empty", "[a]*", "team", "absent", "config.yaml"]

    files = remote_git.read_files(any_origin.address, "main", sha, wanted)

    assert files == {
        "config.yaml": "gateways: {a: {}}\n",
        "team/dbt core/sqlmesh.yaml": "ä",
        "binary": "\ufffd\x00",
        "empty": "",
        "[a]*": "literal",
    }
    assert list(files) == wanted[:5]
    assert not list(tmp_path.joinpath("cache").rglob("config.yaml"))
    assert remote_git.read_files(any_origin.address, "main", sha, []) == {}
    assert remote_git.read_files(any_origin.address, "main", sha, ["absent"]) == {}


def test_old_commits_keep_their_files(any_origin, remote_git):
    old = any_origin.commit(files={"a": "old"})
    new = any_origin.commit(files={"a": "new"})

    assert remote_git.read_files(any_origin.address, "main", new, ["a"]) == {"a": "new"}
    assert remote_git.read_files(any_origin.address, "main", old, ["a"]) == {"a": "old"}


def test_symbolic_links_are_not_followed(origin, remote_git):
    (origin.path / "config.yaml").symlink_to("/etc/passwd")
    sha = origin.commit()

    assert remote_git.read_files(origin.address, "main", sha, ["config.yaml"]) == {}


def test_large_files_are_refused(any_origin, remote_git):
    sha = any_origin.commit(files={"exact": "x" * 1000, "over": "x" * 1001, "far-over": "x" * 100_000})

    def read(name):
        return remote_git.read_files(any_origin.address, "main", sha, [name], max_bytes=1000)

    assert len(read("exact")["exact"]) == 1000
    for name in ("over", "far-over"):
        with pytest.raises(FileTooLarge):
            read(name)
    with pytest.raises(ValueError, match="more than 100 files"):
        remote_git.read_files(any_origin.address, "main", sha, [str(number) for number in range(101)])


def test_gateways_of_a_real_repository(origin, remote_git):
    sha = origin.commit(files={"analytics/config.yaml": "gateways: {dev: {}, prod: {}}\ndefault_gateway: dev\n"})

    paths = {f"analytics/{name}": name for name in CONFIG_FILE_NAMES}
    files = remote_git.read_files(origin.address, "main", sha, paths)

    assert detect_gateways({paths[path]: text for path, text in files.items()}).names == ("dev", "prod")


def test_history_and_files_over_https_with_a_token(origin, git_server, remote_git):
    origin.git("config", "uploadpack.allowFilter", "true")
    base = origin.commit("base", {"a/b": "old"})
    sha = origin.commit("next", {"a/b": "new"})
    address = git_server.address("private/origin")
    credentials = GitCredentials(token=TOKEN)

    assert remote_git.facts(address, "main", sha, base, credentials).commits_behind == 1
    assert remote_git.read_files(address, "main", sha, ["a/b"], credentials=credentials) == {"a/b": "new"}


def test_nobody_is_answered_from_what_others_fetched(origin, git_server, remote_git):
    sha = origin.commit()
    address = git_server.address("private/origin")
    remote_git.facts(address, "main", sha, None, GitCredentials(token=TOKEN))

    for credentials in (None, GitCredentials(token="wrong")):
        with pytest.raises(AuthenticationFailed):
            remote_git.facts(address, "main", sha, None, credentials)


def test_the_cache_does_not_open_what_the_rules_close(origin, remote_git, tmp_path):
    sha = origin.commit()
    remote_git.facts(origin.address, "main", sha)

    with pytest.raises(RepositoryNotAllowed):
        RemoteGit(tmp_path / "cache").facts(origin.address, "main", sha)


def test_repositories_over_the_size_limit_are_cut_off(origin, tmp_path):
    sha = origin.commit(files={"large.bin": random.Random(1).randbytes(3_000_000)})
    small = RemoteGit(tmp_path / "cache", allow_local=True, max_bytes=1_000_000)

    with pytest.raises(RepositoryTooLarge):
        small.facts(origin.address, "main", sha)


def test_a_silent_host_costs_the_time_limit(tmp_path, silent_host):
    patient = RemoteGit(tmp_path, allow_private=True, fetch_timeout_seconds=60)

    with pytest.raises(GitTimeout):
        patient.facts(silent_host.address, "main", UNKNOWN)

    assert silent_host.hung_up()


def _truncate_packs(cache):
    for pack in cache.glob("objects/pack/*.pack"):
        pack.chmod(0o600)
        pack.write_bytes(pack.read_bytes()[:20])


def _remove_head(cache):
    (cache / "HEAD").unlink()


def _empty_config(cache):
    (cache / "config").write_text("[core\n")


def _remove_objects(cache):
    shutil.rmtree(cache / "objects")


def _leave_a_lock(cache):
    for reference in (cache / "refs" / "dagctl").rglob("*"):
        if reference.is_file():
            reference.with_name(reference.name + ".lock").write_text("")


def _replace_by_nothing(cache):
    shutil.rmtree(cache)
    cache.mkdir()


def _point_nowhere(cache):
    for reference in (cache / "refs" / "dagctl").rglob("*"):
        if reference.is_file():
            reference.write_text(UNKNOWN + "\n")


@pytest.mark.parametrize(
    "damage",
    [_truncate_packs, _remove_head, _empty_config, _remove_objects, _leave_a_lock, _replace_by_nothing, _point_nowhere],
)
def test_damaged_caches_are_thrown_away_and_fetched_again(origin, remote_git, tmp_path, damage):
    base = origin.commit("base")
    remote_git.facts(origin.address, "main", base)
    damage(_cache(tmp_path))
    sha = origin.commit("next", {"a": "text"})

    facts = remote_git.facts(origin.address, "main", sha, base)

    assert (facts.message, facts.commits_behind) == ("next", 1)
    assert remote_git.read_files(origin.address, "main", sha, ["a"]) == {"a": "text"}


def test_a_cache_that_lost_a_commit_in_the_middle_is_fetched_again(origin, remote_git, tmp_path):
    base, middle, sha = (origin.commit(message) for message in ("base", "middle", "next"))
    remote_git.facts(origin.address, "main", sha)
    cache = _cache(tmp_path)
    for pack in list(cache.glob("objects/pack/*.pack")):
        content = pack.read_bytes()
        shutil.rmtree(pack.parent)
        origin.git("-C", str(cache), "unpack-objects", "-q", stdin=content)
    (cache / "objects" / middle[:2] / middle[2:]).unlink()

    assert remote_git.facts(origin.address, "main", sha, base).commits_behind == 2


def test_damaged_repositories_are_unreachable(origin, remote_git):
    sha = origin.commit()
    object_file = origin.path / ".git" / "objects" / sha[:2] / sha[2:]
    object_file.chmod(0o600)
    object_file.write_bytes(b"garbage")

    with pytest.raises(RepositoryUnreachable):
        remote_git.facts(origin.address, "main", sha)


def test_servers_that_talk_nonsense_are_unreachable_and_leave_no_cache(origin, git_server, remote_git, tmp_path):
    sha = origin.commit()
    started = time.monotonic()

    with pytest.raises(RepositoryUnreachable):
        remote_git.facts(git_server.address("200/origin"), "main", sha)

    # Git takes this for the dumb protocol, and with lazy fetching on it starts processes until the machine gives up.
    assert time.monotonic() - started < 60
    assert not list((tmp_path / "cache").glob("*.git"))


def test_a_cache_that_cannot_be_made_is_an_error_of_its_own(origin, remote_git, monkeypatch):
    sha = origin.commit()
    monkeypatch.setattr(commits, "discard", lambda path: path.write_text("in the way"))

    with pytest.raises(GitError) as raised:
        remote_git.facts(origin.address, "main", sha)
    assert raised.value.code == "git_failed"


def test_worn_out_caches_are_fetched_anew(origin, remote_git, tmp_path, monkeypatch):
    monkeypatch.setattr(caches, "MAX_PACKS", 3)
    for number in range(8):
        remote_git.facts(origin.address, "main", origin.commit(str(number)))

    assert len(list(_cache(tmp_path).glob("objects/pack/*.pack"))) <= 4


def test_caches_nobody_asks_for_are_thrown_away(origin, remote_git, tmp_path):
    sha = origin.commit()
    remote_git.facts(origin.address, "main", sha, None, GitCredentials(token="replaced"))
    old, lock = _cache(tmp_path), next((tmp_path / "cache").glob("*.lock"))
    long_ago = time.time() - 31 * 24 * 3600
    os.utime(lock, (long_ago, long_ago))

    remote_git.facts(origin.address, "main", sha)

    assert not old.exists()
    assert len(list((tmp_path / "cache").glob("*.git"))) == 1


def test_caches_in_use_are_not_thrown_away(origin, remote_git, tmp_path):
    sha = origin.commit()
    remote_git.facts(origin.address, "main", sha, None, GitCredentials(token="in use"))
    old, lock = _cache(tmp_path), next((tmp_path / "cache").glob("*.lock"))
    (tmp_path / "cache" / "dangling.lock").symlink_to(tmp_path / "gone")

    with open(lock) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        os.utime(lock, (0, 0))
        remote_git.facts(origin.address, "main", sha)

    assert old.exists()


def test_a_busy_cache_is_waited_for_until_time_is_up(origin, tmp_path):
    sha = origin.commit()
    patient = RemoteGit(tmp_path / "cache", allow_local=True)
    patient.facts(origin.address, "main", sha)
    hasty = RemoteGit(tmp_path / "cache", allow_local=True, fetch_timeout_seconds=0.2)

    with open(next((tmp_path / "cache").glob("*.lock"))) as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(GitTimeout):
            hasty.facts(origin.address, "main", sha)
    assert patient.facts(origin.address, "main", sha).sha == sha


def _ask_from_another_process(cache, address, shas, answers):
    remote_git = RemoteGit(cache, allow_local=True)
    answers.put([remote_git.facts(address, "main", sha).sha for sha in shas])


def test_several_api_servers_share_one_cache(origin, tmp_path):
    shas = [origin.commit(str(number)) for number in range(4)]
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    servers = [
        context.Process(target=_ask_from_another_process, args=(tmp_path / "cache", origin.address, shas, answers))
        for _ in range(2)
    ]
    for server in servers:
        server.start()

    assert [answers.get(timeout=120) for _ in servers] == [shas, shas]
    for server in servers:
        server.join()


def test_caches_are_private(origin, remote_git, tmp_path):
    remote_git.facts(origin.address, "main", origin.commit())

    assert (tmp_path / "cache").stat().st_mode & 0o777 == 0o700
