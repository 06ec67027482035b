"""What is wrong with the machine, told from an error of the system or from the words of a program: a full disk is no bad network.

Programs say it in the words of the C library, or of Rust's with the number behind them. Where they leave it out, the folder is
tried.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import tempfile
from pathlib import Path

_BY_NUMBER = {
    errno.ENOSPC: "disk_full",
    errno.EDQUOT: "disk_full",
    errno.EFBIG: "disk_full",
    errno.EROFS: "folder_not_writable",
    errno.EACCES: "folder_not_writable",
    errno.EPERM: "folder_not_writable",
}
_WORDS = (
    (
        "disk_full",
        re.compile(r"no space left on device|disk quota exceeded|file too large|\(os error (28|122|27)\)|signal 25", re.I),
    ),
    ("folder_not_writable", re.compile(r"read-only file system|\(os error (30|13)\)", re.I)),
    ("git_missing", re.compile(r"cannot run ssh|\b(git|ssh): not found|unable to find remote helper", re.I)),
)
REDIRECTED = r"returned error: 30[12378]|unable to update url base from redirection"
"""How git says that a server answers with a redirect, in small letters."""
CERTIFICATE_REFUSED = r"certificate (problem|verif|expiration|not activated|issuer|was revoked)|certificate subject name"
"""How git says that it does not believe a server's certificate."""
# Servers say "permission denied" too, so these words count only where git spoke of a file.
_OF_A_FILE = re.compile(
    r"(cannot|could not|unable to) (mkdir|create|open|write|lock|unlink|append|set|copy|rename)\b"
    r".*(permission denied|operation not permitted)|insufficient permission for adding an object",
    re.I,
)
_PROBE_BYTES = 64 * 1024


def cause_of(error: OSError) -> str | None:
    """The code of the step's error for an error of the system; ``None`` when it does not say what is wrong with the machine."""
    return _BY_NUMBER.get(error.errno or 0)


def cause_in(text: str) -> str | None:
    """The code of the step's error for what a program said; ``None`` when it does not speak of this machine."""
    # A server's own words, as git passes them on.
    text = "\n".join(line for line in text.splitlines() if not line.startswith("remote:"))
    for code, words in _WORDS:
        if words.search(text):
            return code
    return "folder_not_writable" if _OF_A_FILE.search(text) else None


def cause_of_end(status: int, text: str, folder: Path | None = None) -> str | None:
    """The code of the step's error for a program that failed; ``None`` when nothing is wrong with the machine.

    :param status: Its exit status; negative for a signal.
    :param text: What it said.
    :param folder: Where it worked, when that is to be tried in case it did not say why it failed.
    """
    if status == -signal.SIGXFSZ:
        return "disk_full"
    return cause_in(text) or (cause_here(folder) if folder else None)


def cause_here(folder: Path) -> str | None:
    """What keeps a folder from being written to, found out by writing a little."""
    try:
        with tempfile.TemporaryFile(dir=folder) as stream:
            # Not zeros: some file systems keep those for nothing.
            stream.write(os.urandom(_PROBE_BYTES))
            stream.flush()
            os.fsync(stream.fileno())
    except OSError as error:
        return cause_of(error)
    return None
