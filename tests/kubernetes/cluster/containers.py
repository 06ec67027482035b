"""One container: a process of this machine in namespaces of its own, with a log, signals and a termination message."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import psutil

_INSIDE = Path(__file__).with_name("inside.py")
_MESSAGE_BYTES = 4096
_FALLBACK_BYTES, _FALLBACK_LINES = 2048, 80
_MEMORY_EVERY = 0.2


class _Machine:
    """Which process of this machine has which children: one look for all containers, since each reads every process there is."""

    def __init__(self) -> None:
        self._children: dict[int, list[int]] = {}
        self._looked: float | None = None

    def family(self, pid: int | None) -> Iterator[int]:
        """A process and all that descend from it."""
        if self._looked is None or time.monotonic() - self._looked > _MEMORY_EVERY / 2:
            self._children.clear()
            for process in psutil.process_iter(["ppid"]):
                self._children.setdefault(process.info["ppid"], []).append(process.pid)
            self._looked = time.monotonic()
        left = [] if pid is None else [pid]
        while left:
            yield (first := left.pop())
            left += self._children.get(first, ())


_MACHINE = _Machine()


class StartError(Exception):
    """The command could not be started."""


class Log:
    """Lines with the moment each of them came, for any number of readers."""

    def __init__(self) -> None:
        self.lines: list[tuple[int, bytes]] = []
        self.closed = False
        self._changed = asyncio.Event()

    def add(self, line: bytes) -> None:
        self.lines.append((time.time_ns(), line))
        self._wake()

    def close(self) -> None:
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def read(self, follow: bool, first: int = 0) -> AsyncIterator[tuple[int, bytes]]:
        """Lines from the given one on; those to come as well when following."""
        while True:
            changed = self._changed
            for line in self.lines[first:]:
                first += 1
                yield line
            if first == len(self.lines) and (self.closed or not follow):
                return
            if first == len(self.lines):
                await changed.wait()


def stamp(nanoseconds: int) -> str:
    """RFC 3339 with nanoseconds, as the runtime stamps log lines."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


@dataclass
class Container:
    """A container of a pod.

    :param spec: As in the pod's spec.
    :param folder: Where its files are kept on this machine.
    """

    spec: dict[str, Any]
    folder: Path
    container_id: str = field(default_factory=lambda: f"containerd://{secrets.token_hex(32)}")
    log: Log = field(default_factory=Log)
    pid: int | None = None
    started_at: str | None = None
    killed_for: str | None = None
    _process: asyncio.subprocess.Process | None = None
    _failed: bool = False

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def spec_file(self) -> Path:
        return self.folder / "spec.json"

    @property
    def message_file(self) -> Path:
        return self.folder / "termination"

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def is_over(self) -> bool:
        """Whether nothing of it runs, or will: one that is just being started is not over."""
        return self._failed or (self._process is not None and self._process.returncode is not None)

    async def start(self, inside: dict[str, Any]) -> None:
        """Start the command.

        :param inside: What ``inside.py`` needs to know.
        :raises StartError: with the words of the runtime.
        """
        (self.folder / "fs").mkdir(parents=True, exist_ok=True)
        self.spec_file.write_text(json.dumps({**inside, "folder": str(self.folder / "fs")}))
        self.spec_file.chmod(0o600)
        try:
            self._process, status = await launch(["run", str(self.spec_file)], stdin=asyncio.subprocess.DEVNULL)
        except BaseException:
            self._failed = True
            raise
        lines = await status_lines(status)
        self.pid = next((int(value) for kind, value in lines if kind == "pid"), None)
        error = next((value for kind, value in lines if kind == "error"), None)
        self._reader = asyncio.create_task(self._read())
        if error is not None or self.pid is None:
            await self._process.wait()
            raise StartError(error or "the container ended before its command was started")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        rest = b""
        while chunk := await self._process.stdout.read(1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self.log.add(line)
        if rest:
            self.log.add(rest)
        self.log.close()

    async def wait(self) -> int:
        """Wait for the end; the exit code, 128 + signal where a signal ended it."""
        assert self._process is not None
        watcher = asyncio.create_task(self._watch_memory())
        code = await self._process.wait()
        watcher.cancel()
        # Somebody outside the container's namespace can hold the pipe no longer than this.
        await asyncio.wait([self._reader], timeout=5)
        self.log.close()
        return code

    async def _watch_memory(self) -> None:
        limit = quantity(((self.spec.get("resources") or {}).get("limits") or {}).get("memory"))
        while limit and self.is_running:
            if self._memory() > limit:
                self.kill("OOMKilled")
            await asyncio.sleep(_MEMORY_EVERY)

    def _memory(self) -> int:
        total = 0
        for pid in _MACHINE.family(self.pid):
            with contextlib.suppress(psutil.Error):
                total += psutil.Process(pid).memory_info().rss
        return total

    def kill(self, reason: str | None = None) -> None:
        """Kill it as the kernel does; ``OOMKilled`` is a reason."""
        self.killed_for = self.killed_for or reason
        self.signal(signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the container's first process, whose end ends all of them."""
        if not self.is_running:
            return
        with contextlib.suppress(ProcessLookupError):
            if self.pid is not None:
                os.kill(self.pid, number)
            elif number == signal.SIGKILL and self._process is not None:
                # Nobody knows the first process yet; it ends with the one that makes it.
                self._process.kill()

    def message(self, code: int) -> str | None:
        """The termination message: the file, or the end of the log where the policy says so."""
        text = self.message_file.read_bytes()[-_MESSAGE_BYTES:] if self.message_file.exists() else b""
        if not text and code != 0 and self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
            lines = [line for _, line in self.log.lines[-_FALLBACK_LINES:]]
            text = b"\n".join(lines)[-_FALLBACK_BYTES:]
        return text.decode(errors="replace") or None


async def launch(arguments: list[str], **streams: Any) -> tuple[asyncio.subprocess.Process, int]:
    """Start ``inside.py``; its process, and the descriptor it tells its status on."""
    reading, writing = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-ISE",
            str(_INSIDE),
            str(writing),
            *arguments,
            pass_fds=(writing,),
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
            **{"stderr": asyncio.subprocess.STDOUT, **streams},
        )
    finally:
        os.close(writing)
    return process, reading


async def status_lines(descriptor: int) -> list[tuple[str, str]]:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb"))
    try:
        text = (await reader.read()).decode(errors="replace")
    finally:
        transport.close()
    return [(kind, value) for kind, _, value in (line.partition(" ") for line in text.splitlines())]


_UNITS = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "m": 10**-3}


def quantity(text: Any) -> float:
    """A Kubernetes quantity as a number; 0 for none."""
    if not text:
        return 0.0
    text = str(text)
    unit = next((unit for unit in _UNITS if text.endswith(unit)), "")
    return float(text[: len(text) - len(unit)]) * _UNITS.get(unit, 1)
