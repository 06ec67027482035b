"""Start one git process, and be sure that it ends: in time, and without filling memory or the disk.

GitPython starts the process. Waiting for it happens here, because its own time limit does not reach git's helpers (ssh,
index-pack, remote-https), and because it keeps all output in memory, however much a hostile server sends.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO, Any

from dagctl_provider.git.environment import GitEnvironment
from dagctl_provider.git.errors import GitMissing, GitTimeout, RepositoryTooLarge, scrub

MAX_OUTPUT_BYTES = 1_000_000
MAX_STDERR_BYTES = 16_000

# Sets the size limit for files and drops inherited variables, which Popen by way of GitPython cannot do. By name only: arguments
# can be read by every user of the machine, and the address of a proxy may have a password in it.
_LAUNCHER = 'ulimit -f "$1" 2>/dev/null; ulimit -c 0 2>/dev/null; shift; exec env "$@"'
_ULIMIT_BLOCK = 512
_LOOK_SECONDS = 0.25

ending = threading.Event()
"""Set while this server stops: nobody waits for an answer any more, and a process that is left behind would keep credentials in
a file."""


class ServerEnds(Exception):
    """The question was given up because this server stops; it says nothing about the repository."""


class Deadline:
    """A moment by which everything belonging to one question must be done."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def soon(self) -> float:
        """Seconds to wait before looking again whether anything is still to be waited for.

        :raises GitTimeout: when no time is left.
        :raises ServerEnds: when this server stops.
        """
        return min(self.remaining(), _LOOK_SECONDS)

    def remaining(self) -> float:
        """Seconds left.

        :raises GitTimeout: when there are none.
        :raises ServerEnds: when this server stops.
        """
        if ending.is_set():
            raise ServerEnds
        left = self._end - time.monotonic()
        if left <= 0:
            raise GitTimeout
        return left


@dataclass(frozen=True)
class Outcome:
    """How a git process ended: exit status, what it wrote, and what it complained about (scrubbed)."""

    status: int
    stdout: bytes
    stderr: str


def run_git(
    arguments: Sequence[str],
    environment: GitEnvironment,
    deadline: Deadline,
    *,
    max_file_bytes: int,
    max_output: int = MAX_OUTPUT_BYTES,
    standard_input: bytes = b"",
) -> Outcome:
    """Run git to its end and return how it ended; a status other than 0 is not an exception.

    :param arguments: git's command and its arguments.
    :param max_file_bytes: no file that git or its helpers write may become larger.
    :param max_output: git is stopped when it writes more.
    :param standard_input: what git reads; short, it is written in one piece.
    :raises GitTimeout: the deadline passed; git and all its helpers were killed.
    :raises RepositoryTooLarge: too much output.
    :raises GitMissing: there is no git here.
    :raises ServerEnds: this server stops; git and all its helpers were killed.
    """
    process = _start(arguments, environment, max_file_bytes, bool(standard_input))
    try:
        streams = _collect(process, deadline, max_output, standard_input)
        status = process.wait(timeout=deadline.remaining())
    except subprocess.TimeoutExpired:
        raise GitTimeout from None
    finally:
        _end(process)
    stderr = scrub(streams[1].decode(errors="replace"), environment.secrets)
    if status == 127:
        raise GitMissing(detail=stderr)
    return Outcome(status, bytes(streams[0]), stderr)


def _start(
    arguments: Sequence[str], environment: GitEnvironment, max_file_bytes: int, with_input: bool
) -> subprocess.Popen[bytes]:
    try:
        from git.cmd import Git
        from git.exc import GitCommandNotFound
    except ImportError as error:
        # GitPython looks for the git program while it is imported.
        raise GitMissing(detail=str(error)) from None
    program = Git.GIT_PYTHON_GIT_EXECUTABLE or "git"
    dropped = [part for name in os.environ if name not in environment.variables for part in ("-u", name)]
    blocks = str(max_file_bytes // _ULIMIT_BLOCK + 1)
    command = ["/bin/sh", "-c", _LAUNCHER, "git", blocks, *dropped, str(program), *environment.options, *arguments]
    try:
        handle: Any = Git(str(environment.home)).execute(
            command,
            istream=subprocess.PIPE if with_input else None,
            as_process=True,
            env=environment.variables,
            shell=False,
            start_new_session=True,
        )
    except GitCommandNotFound as error:
        raise GitMissing(detail=str(error)) from None
    process: subprocess.Popen[bytes] = handle.proc
    # The wrapper would interrupt a process that it outlives; from here on the process is ours.
    handle.proc = None
    return process


def _collect(
    process: subprocess.Popen[bytes], deadline: Deadline, max_output: int, standard_input: bytes
) -> tuple[bytearray, bytearray]:
    stdout, stderr = bytearray(), bytearray()
    if process.stdin is not None:
        # When git ended early, its status tells more than the broken pipe.
        with suppress(BrokenPipeError):
            process.stdin.write(standard_input)
            process.stdin.close()
    with selectors.DefaultSelector() as selector:
        for stream, buffer in ((process.stdout, stdout), (process.stderr, stderr)):
            _register(selector, stream, buffer)
        while selector.get_map():
            for key, _ in selector.select(deadline.soon()):
                chunk = os.read(key.fd, 65536)
                if not chunk:
                    selector.unregister(key.fileobj)
                key.data.extend(chunk)
            del stderr[:-MAX_STDERR_BYTES]
            if len(stdout) > max_output:
                raise RepositoryTooLarge
    return stdout, stderr


def _register(selector: selectors.BaseSelector, stream: IO[bytes] | None, buffer: bytearray) -> None:
    if stream is not None:
        selector.register(stream, selectors.EVENT_READ, buffer)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its helpers, which share its session, unless it ended by itself; release its pipes."""
    # As long as nobody waited for the process, its number cannot have passed to another one.
    if process.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            stream.close()
