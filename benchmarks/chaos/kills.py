"""Kills processes of a running stack as ``kill -9`` does, and starts again at once whatever is not there."""

from __future__ import annotations

import contextlib
import json
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import psutil

from demo.options import DemoError, free_port
from demo.postgres import NAME as POSTGRES
from demo.postgres import EmbeddedPostgres
from demo.stack import COMPONENTS, Stack

WORKER, RUNNER = "worker", "runner"
_LOOK_SECONDS = 0.25
_POSTGRES_SECONDS = 120.0


class Processes:
    """The processes of a stack, of which there may be more than one of a kind.

    :param stack: Running.
    :param api_servers: How many; further ones get ports of their own.
    :param schedulers: How many.
    """

    def __init__(self, stack: Stack, api_servers: int, schedulers: int) -> None:
        self.stack = stack
        self._table = stack.processes
        self._kinds = {name: name for name in COMPONENTS}
        self._ports = {"api-server": stack.port}
        for number in range(2, api_servers + 1):
            self._kinds[f"api-server-{number}"], self._ports[f"api-server-{number}"] = "api-server", free_port()
        for number in range(2, schedulers + 1):
            self._kinds[f"scheduler-{number}"] = "scheduler"
        # A dead process is looked at by the supervisor and by the one who kills, never by both.
        self._lock, self._ended = threading.RLock(), threading.Event()
        self.kills: Counter[str] = Counter()
        self.fallen: Counter[str] = Counter()

    @property
    def addresses(self) -> list[str]:
        """Of the API servers."""
        return [f"http://127.0.0.1:{port}" for port in self._ports.values()]

    def kind_of(self, name: str) -> str:
        """What a process is one of."""
        return self._kinds.get(name, name)

    # Starting

    def start_missing(self) -> None:
        """Start whatever does not run."""
        with self._lock:
            for name in (POSTGRES, *self._kinds):
                if self._table.get(name) is None:
                    self._start(name)

    def _start(self, name: str) -> None:
        if name == POSTGRES:
            own = self.stack.secrets()
            server = EmbeddedPostgres(self.stack.home, self._table, own["postgres_port"], own["postgres_password"])
            # What a dead server's children still hold of its memory is free in a moment; until then it does not start.
            deadline = time.monotonic() + _POSTGRES_SECONDS
            while True:
                try:
                    server.start()
                    server.wait(deadline, lambda: None)
                    return
                except DemoError:
                    if time.monotonic() > deadline:
                        raise
        kind = self.kind_of(name)
        environment = self.stack.environment(kind)
        if kind == "api-server":
            environment["AIRFLOW__API__PORT"] = str(self._ports[name])
        self._table.start(name, [sys.executable, "-m", "airflow", *COMPONENTS[kind]], environment)

    def supervise(self) -> threading.Thread:
        """Start again, from now on, whatever falls by itself: an Airflow without its database does."""
        thread = threading.Thread(target=self._supervise, daemon=True)
        thread.start()
        return thread

    def _supervise(self) -> None:
        while not self._ended.wait(_LOOK_SECONDS):
            with self._lock:
                for name in (POSTGRES, *self._kinds):
                    if self._table.get(name) is None and not self._ended.is_set():
                        self.fallen[self.kind_of(name)] += 1
                        self._start(name)

    def end(self) -> None:
        """Stop supervising."""
        self._ended.set()
        with self._lock:
            pass

    # Killing

    def kill_one(self, dice: random.Random) -> str:
        """Kill something and start it again; what it was. Without a worker or a runner something else is taken."""
        victims = [*self._kinds, POSTGRES, WORKER, RUNNER]
        dice.shuffle(victims)
        for victim in victims:
            if victim in (WORKER, RUNNER):
                killed = _kill_family(dice, self._workers() if victim == WORKER else self._runners())
            else:
                killed = self._kill_component(victim)
            if killed:
                self.kills[self.kind_of(victim)] += 1
                return victim
        raise DemoError("There is nothing to kill.", "See the logs of the stack.")

    def _kill_component(self, name: str) -> bool:
        with self._lock:
            if self._table.get(name) is None:
                return False
            self._table.stop([name], kill=True)
            self._start(name)
            return True

    def _workers(self) -> list[psutil.Process]:
        """The LocalExecutor's processes that run a task just now: those above a runner, below a scheduler."""
        found = {}
        schedulers = {process.pid for name in self._kinds if (process := self._table.get(name)) and "scheduler" in name}
        for runner in self._runners():
            with contextlib.suppress(psutil.Error):
                above = [process for process in runner.parents() if schedulers & {one.pid for one in process.parents()}]
                # The lowest is the task, the one above it Airflow's supervisor of the task; both belong to a worker.
                found.update({above[-1].pid: above[-1]} if above else {})
        return list(found.values())

    def _runners(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                command = process.cmdline()
                if "dagctl_provider.runner" in command and "--watch-stdin" in command:
                    cache = process.environ().get("DAGCTL_CACHE_DIR", "")
                    found += [process] if self.stack.home in Path(cache).parents else []
        return found


def _kill_family(dice: random.Random, processes: list[psutil.Process]) -> bool:
    """Kill one of the processes with everything below it."""
    if not processes:
        return False
    chosen = dice.choice(processes)
    with contextlib.suppress(psutil.NoSuchProcess):
        for process in [*chosen.children(recursive=True), chosen]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return True
    return False


def note(file: Path, **facts: object) -> None:
    """A line of the record of what was killed when, for whoever reads the logs beside it."""
    with file.open("a") as stream:
        stream.write(json.dumps({"moment": time.strftime("%H:%M:%S"), **facts}) + "\n")
