"""Git's own words are turned into typed errors, and never shown."""

from __future__ import annotations

import inspect

import pytest

from dagctl_provider.git import errors
from dagctl_provider.git.errors import (
    AuthenticationFailed,
    BranchNotFound,
    CertificateRefused,
    CommitNotFound,
    DiskFull,
    FolderNotWritable,
    GitError,
    GitMissing,
    GitTimeout,
    HostKeyRejected,
    RepositoryMoved,
    RepositoryTooLarge,
    RepositoryUnreachable,
    recognise,
    scrub,
)

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, GitError)]


@pytest.mark.parametrize(
    ("stderr", "kind"),
    [
        ("Host key verification failed.\nfatal: Could not read from remote repository.", HostKeyRejected),
        ("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @", HostKeyRejected),
        ("No ED25519 host key is known for github.com and you have requested strict checking.", HostKeyRejected),
        ("git@github.com: Permission denied (publickey).\nfatal: Could not read from remote", AuthenticationFailed),
        ('Load key "/x": invalid format\ngit@github.com: Permission denied (publickey).', AuthenticationFailed),
        ("fatal: could not read Username for 'https://github.com': terminal prompts disabled", AuthenticationFailed),
        ("remote: Invalid username or password.\nfatal: Authentication failed for 'https://x'", AuthenticationFailed),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 403", AuthenticationFailed),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 301", RepositoryMoved),
        ("fatal: unable to access 'https://x/': The requested URL returned error: 500", RepositoryUnreachable),
        ("remote: Repository not found.\nfatal: repository 'https://x/' not found", RepositoryUnreachable),
        ("ERROR: Repository not found.\nfatal: Could not read from remote repository.", RepositoryUnreachable),
        ("fatal: unable to access 'https://x/': Could not resolve host: x", RepositoryUnreachable),
        ("ssh: Could not resolve hostname x: Name or service not known", RepositoryUnreachable),
        ("fatal: unable to access 'https://x/': SSL certificate problem: self-signed", CertificateRefused),
        ("fatal: unable to access 'https://x/': server certificate verification failed. CAfile: none", CertificateRefused),
        ("fatal: unable to access 'https://x/': certificate is not yet valid: certificate problem", CertificateRefused),
        ("fatal: write error: No space left on device\nfatal: fetch-pack: invalid index-pack output", DiskFull),
        ("error: unable to write loose object file: Disk quota exceeded", DiskFull),
        ("remote: fatal: write error: No space left on device\nfatal: the remote end hung up", RepositoryUnreachable),
        ("fatal: cannot mkdir /cache/x.git: Read-only file system", FolderNotWritable),
        ("fatal: cannot mkdir /cache/x.git: Permission denied", FolderNotWritable),
        ("git@example.com: Permission denied (publickey).", AuthenticationFailed),
        ("ssh: connect to host x port 22: Connection refused", RepositoryUnreachable),
        ("ssh: connect to host x port 22: Connection timed out", GitTimeout),
        ("fatal: unable to access 'https://x/': Operation too slow. Less than 200 bytes/sec", GitTimeout),
        ("fatal: couldn't find remote ref refs/heads/x", BranchNotFound),
        ("fatal: remote error: upload-pack: not our ref 0123", CommitNotFound),
        ("error: Server does not allow request for unadvertised object 0123", CommitNotFound),
        ("fatal: write error: File too large\nfatal: fetch-pack: invalid index-pack output", RepositoryTooLarge),
        ("error: index-pack died of signal 25", RepositoryTooLarge),
        ("error: cannot run ssh: No such file or directory\nfatal: unable to fork", GitMissing),
        ("fatal: not a git repository: '/cache/x.git'", None),
        ("error: object file x is empty\nfatal: loose object 0123 is corrupt", None),
        ("", None),
    ],
)
def test_gits_words_are_recognised(stderr, kind):
    assert recognise(stderr) is kind


def test_every_error_has_its_own_code_and_says_what_to_do():
    assert len(KINDS) > 10
    assert len({kind.code for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        error = kind(detail="secret words of a server")
        assert error.code.isidentifier()
        assert str(error) == kind.message
        assert "secret" not in str(error) + error.hint + repr(error)
        assert error.message.endswith(".")
        assert error.hint.endswith(".")
        assert "\n" not in error.message + error.hint


def test_details_are_one_short_line_without_secrets():
    said = "fatal: 'https://user:pw@x/' \x1b[31mtok-1\x00 tok-10\nremote: \u202eevil " + "x" * 600

    detail = scrub(said, ["tok-10", "tok-1"])

    assert "pw" not in detail
    assert "tok" not in detail
    assert detail.isprintable()
    assert len(detail) == 500
    assert scrub("a //u:p@h b", []) == "a //***@h b"
