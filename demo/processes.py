"""Starts programs that outlive this one, remembers them in a file, and ends them with all their children.

Every program gets a process group of its own. A process id alone proves nothing, since ids are used again; so the start time
of the process is remembered with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil


@dataclass
class ProcessTable:
    """The programs of one stack, by name.

    :param folder: Holds the table and is private to its owner.
    :param logs: Folder of the programs' logs.
    """

    folder: Path
    logs: Path
    _popens: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def _file(self) -> Path:
        return self.folder / "processes.json"

    def _read(self) -> dict[str, dict[str, Any]]:
        try:
            table = json.loads(self._file.read_text())
        except (OSError, ValueError):
            return {}
        return table if isinstance(table, dict) else {}

    def _write(self, table: Mapping[str, Mapping[str, Any]]) -> None:
        write_private(self._file, json.dumps(table, indent=1))

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], **options: Any) -> psutil.Process:
        """Start a program in the background; its output goes to ``<name>.log``.

        :param name: Name in the table.
        :param options: For :class:`subprocess.Popen`, such as ``user``.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        with self.log_of(name).open("ab") as log:
            popen = subprocess.Popen(  # noqa: S603 - no shell, words of the demo
                list(command),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                **options,
            )
        self._popens[name] = popen
        process = psutil.Process(popen.pid)
        self._write({**self._read(), name: {"pid": popen.pid, "started": _start_of(process)}})
        return process

    def log_of(self, name: str) -> Path:
        """The log file of a program."""
        return self.logs / f"{name}.log"

    def tail(self, name: str, lines: int = 25) -> str:
        """The end of a program's log."""
        try:
            text = self.log_of(name).read_text(errors="replace")
        except OSError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def get(self, name: str) -> psutil.Process | None:
        """The process of a program, if it is the one that was started and still runs."""
        popen = self._popens.get(name)
        if popen is not None:
            # Takes the exit status, without which a dead child of ours would count as running.
            popen.poll()
        row = self._read().get(name)
        if row is None:
            return None
        try:
            process = psutil.Process(int(row["pid"]))
            same = abs(_start_of(process) - float(row["started"])) < 0.05
            return process if same and process.status() != psutil.STATUS_ZOMBIE else None
        except (psutil.Error, KeyError, TypeError, ValueError):
            return None

    def exit_code(self, name: str) -> int | None:
        """How a program that this process started ended; ``None`` while it runs."""
        popen = self._popens.get(name)
        return None if popen is None else popen.poll()

    def forget(self) -> None:
        """Drop what the table knows of programs that have ended."""
        with contextlib.suppress(FileNotFoundError):
            self._write({name: row for name, row in self._read().items() if self.get(name) is not None})

    def running(self) -> list[str]:
        """Names of the programs that run."""
        return [name for name in self._read() if self.get(name) is not None]

    def stop(self, names: Iterable[str] | None = None, grace: float = 15.0, kill: bool = False) -> None:
        """End programs and everything they started.

        :param names: Which; all by default.
        :param grace: Seconds between the polite and the final signal.
        :param kill: Leave out the polite signal.
        """
        wanted = [*{**self._read(), **self._popens}] if names is None else list(names)
        roots = {name: process for name in wanted if (process := self.get(name)) is not None}
        family = _with_descendants(roots.values())
        if not kill:
            for process in roots.values():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGTERM)
            family = _wait_for_end(family, grace)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for process in roots.values():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        _wait_for_end(family, 5.0)
        for name in wanted:
            popen = self._popens.pop(name, None)
            if popen is not None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    popen.wait(timeout=5)
        if wanted:
            self._write({name: row for name, row in self._read().items() if name not in wanted})


def _start_of(process: psutil.Process) -> float:
    """When a process was started. Linux counts from boot, and only that number stays the same when the clock is set."""
    started = process.create_time()
    return started - psutil.boot_time() if psutil.LINUX else started


def _with_descendants(roots: Iterable[psutil.Process]) -> list[psutil.Process]:
    """The processes and all below them, also those that left the process group."""
    found: dict[int, psutil.Process] = {}
    for root in roots:
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in [root, *root.children(recursive=True)]:
                found[process.pid] = process
    return list(found.values())


def _wait_for_end(processes: list[psutil.Process], seconds: float) -> list[psutil.Process]:
    deadline = time.monotonic() + seconds
    left = processes
    while left and time.monotonic() < deadline:
        left = [process for process in left if _is_alive(process)]
        if left:
            time.sleep(0.1)
    return left


def _is_alive(process: psutil.Process) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
    except psutil.NoSuchProcess:
        return False
    return bool(process.is_running())


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
