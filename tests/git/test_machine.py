"""What is wrong with the API server's machine is said as it is, and not that the repository could not be reached."""

from __future__ import annotations

import os

import pytest

from dagctl_provider.git.errors import DiskFull, FolderNotWritable, GitMissing
from dagctl_provider.git.remotes import HeadRequest, RemoteGit
from dagctl_provider.services.outside.repositories import as_answer
from tests.disks import UNWRITABLE, small_disk


def test_a_full_disk_of_caches_is_told_and_nothing_of_it_is_left(tmp_path, origin):
    small = origin.commit("small")
    with small_disk(tmp_path / "caches", 512) as disk:
        git = RemoteGit(disk / "git", allow_local=True)
        assert git.facts(origin.address, "main", small).sha == small
        large = origin.commit("large", {"seed.csv": os.urandom(2_000_000)})
        with pytest.raises(DiskFull) as full:
            git.facts(origin.address, "main", large)
        assert git.facts(origin.address, "main", small).sha == small, "what was there before is still good"
        origin.git("reset", "-q", "--hard", small)
        assert git.facts(origin.address, "main", origin.commit("small again")).message == "small again"
    assert as_answer(full.value).code == "disk_full"


def test_a_folder_of_caches_that_cannot_be_made_is_told(origin):
    sha = origin.commit()
    git = RemoteGit(UNWRITABLE / "git", allow_local=True)
    with pytest.raises(FolderNotWritable) as refused:
        git.facts(origin.address, "main", sha)
    assert as_answer(refused.value).code == "folder_not_writable"
    assert "/sys" not in str(refused.value)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError(122, "Disk quota exceeded")])
def test_a_full_disk_of_temporary_files_is_told_of_each_branch(tmp_path, origin, monkeypatch, error):
    origin.commit()
    git = RemoteGit(tmp_path, allow_local=True)

    def mkdtemp(**options):
        raise error

    monkeypatch.setattr("dagctl_provider.git.environment.tempfile.mkdtemp", mkdtemp)
    ((_, answer),) = git.heads({"project": HeadRequest(origin.address, "main")})
    assert isinstance(answer, DiskFull)


def test_a_git_that_fails_without_a_word_is_told_by_what_its_folder_takes(tmp_path, origin, monkeypatch):
    sha = origin.commit()
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexit 128\n")
    program.chmod(0o755)
    monkeypatch.setattr("git.cmd.Git.GIT_PYTHON_GIT_EXECUTABLE", str(program))
    monkeypatch.setattr("dagctl_provider.runner.causes.os.fsync", lambda descriptor: (_ for _ in ()).throw(OSError(28, "full")))
    with pytest.raises(DiskFull):
        RemoteGit(tmp_path / "caches", allow_local=True).facts(origin.address, "main", sha)


def test_an_absent_git_is_no_internal_error(tmp_path, origin, monkeypatch):
    origin.commit()
    monkeypatch.setattr("git.cmd.Git.GIT_PYTHON_GIT_EXECUTABLE", str(tmp_path / "absent"))
    with pytest.raises(GitMissing) as missing:
        RemoteGit(tmp_path / "caches", allow_local=True).head(origin.address, "main")
    assert as_answer(missing.value).code == "git_missing"
