"""Runs git, uv and the tool as children that can always be stopped: own session, live output, grace, then a kill of the group."""

from __future__ import annotations

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.stopping import Stop

OnLine = Callable[[str], None]
DRAIN_READS = 20
"""Of each pipe, each as large as a pipe."""
LINE_LIMIT = 64 * 1024
"""Characters after which a line without an end is taken for one; events are far shorter."""
PASSED_ON = (
    "LANG",
    "LC_ALL",
    "NO_PROXY",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "ALL_PROXY",
    "TZ",
)


def base_environment(*more: str) -> dict[str, str]:
    """The few variables every child gets; all else of the worker's environment stays out.

    :param more: Further names to pass on.
    """
    wanted = {*PASSED_ON, *(name.lower() for name in PASSED_ON if name.endswith("_PROXY")), *more}
    env = {name: value for name, value in os.environ.items() if name in wanted}
    env.setdefault("LANG", "C.UTF-8")
    env.setdefault("PATH", os.defpath)
    return env


@dataclass
class Child:
    """One child process and how it is to be supervised.

    :param command: Program and arguments; never through a shell.
    :param env: Complete environment.
    :param cwd: Working folder.
    :param on_line: Called with each line of output.
    :param on_tick: Called several times a second.
    :param timeout: Seconds before it counts as hung.
    :param grace: Seconds between SIGTERM and SIGKILL.
    :param channels: Further descriptors to read lines from; the child gets the write ends.
    """

    command: Sequence[str]
    env: Mapping[str, str]
    cwd: Path
    on_line: OnLine
    on_tick: Callable[[], None] | None = None
    timeout: float | None = None
    grace: float = 3.0
    channels: Mapping[int, OnLine] = field(default_factory=dict)
    pass_fds: Sequence[int] = ()


class _Lines:
    """Cuts a byte stream into lines, whatever the child writes."""

    def __init__(self, on_line: OnLine) -> None:
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._on_line = on_line
        self._rest = ""

    def feed(self, data: bytes, final: bool = False) -> None:
        *lines, self._rest = (self._rest + self._decode(data, final)).split("\n")
        if len(self._rest) > LINE_LIMIT or (final and self._rest):
            lines.append(self._rest)
            self._rest = ""
        for line in lines:
            self._on_line(line)


def run_child(child: Child, stop: Stop) -> int:
    """Run a child to its end.

    :param child: What to run.
    :param stop: Stops the child when requested.
    :return: Exit status; negative for a signal. The caller asks ``stop`` whether it was stopped.
    :raises RunnerError: ``timeout`` when the child's own time limit passed.
    """
    process = subprocess.Popen(  # noqa: S603 - no shell; the callers name the programs
        list(child.command),
        env=dict(child.env),
        cwd=child.cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        umask=0o022,
        pass_fds=tuple(child.pass_fds),
    )
    for descriptor in child.pass_fds:
        os.close(descriptor)
    try:
        return _supervise(process, child, stop)
    finally:
        # What the child left behind, forked loaders for example, goes with it.
        _signal_group(process, signal.SIGKILL)
        process.wait()


def _supervise(process: subprocess.Popen[bytes], child: Child, stop: Stop) -> int:
    assert process.stdout is not None
    deadline = time.monotonic() + child.timeout if child.timeout else None
    kill_at: float | None = None
    timed_out = False
    with selectors.DefaultSelector() as selector, process.stdout:
        selector.register(process.stdout.fileno(), selectors.EVENT_READ, _Lines(child.on_line))
        for descriptor, on_line in child.channels.items():
            selector.register(descriptor, selectors.EVENT_READ, _Lines(on_line))
        while process.poll() is None:
            if selector.get_map():
                _read_once(selector, 0.1)
            else:
                # It has closed its output, so it most likely ends just now: its end is waited for, rather than a time.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
            if child.on_tick:
                child.on_tick()
            now = time.monotonic()
            timed_out = timed_out or (deadline is not None and now > deadline)
            if kill_at is None and (timed_out or stop.requested):
                kill_at = now + child.grace
                with contextlib.suppress(ProcessLookupError):
                    process.send_signal(signal.SIGTERM)
            elif kill_at is not None and now > kill_at:
                _signal_group(process, signal.SIGKILL)
        _drain(selector)
    if timed_out:
        raise RunnerError("timeout", f"{Path(child.command[0]).name} took longer than {child.timeout:.0f} s.")
    return process.returncode


def _read_once(selector: selectors.BaseSelector, timeout: float) -> bool:
    events = selector.select(timeout)
    for key, _ in events:
        data = os.read(key.fd, 65536)
        key.data.feed(data, final=not data)
        if not data:
            selector.unregister(key.fileobj)
    return bool(events)


def _drain(selector: selectors.BaseSelector) -> None:
    """Read what is left; a grandchild that keeps the pipe open must not keep us.

    Counted in reads rather than seconds: what the child wrote is there, however long this process is kept from reading it.
    """
    for _ in range(DRAIN_READS):
        if not selector.get_map() or not _read_once(selector, 0.1):
            break
    for key in list(selector.get_map().values()):
        key.data.feed(b"", final=True)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
