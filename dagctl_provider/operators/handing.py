"""How a worker and the runner that it starts hand each other things: by files, or by streams where they are different users."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from dagctl_provider.hooks.project import ProjectSecrets
from dagctl_provider.operators.users import StepUser, UserUnavailable
from dagctl_provider.runner import handed
from dagctl_provider.runner.progress import EVENT_MARK

EVENTS = "events.jsonl"
PACKAGE_ROOT = Path(__file__).parents[2]
"""The runner's package may come from a checkout or a plugins folder rather than from site-packages."""
_LONG_ENOUGH_TO_SAY_WHY = 300


class Hands(Protocol):
    """What the operator needs to know of the way."""

    def command(self, arguments: list[str]) -> list[str]:
        """The command line. Called once, just before the start."""

    def process(self) -> dict[str, Any]:
        """How the process is started, beside its command line."""

    def begin(self, child: subprocess.Popen[str]) -> None:
        """Give the child what it waits for."""

    def line(self, text: str) -> str | None:
        """What of a line of output belongs into the log."""

    def result(self, code: int) -> dict[str, Any] | None:
        """What the child left, once it has ended."""

    def stop(self, child: subprocess.Popen[str]) -> None:
        """Ask the child to stop."""

    def kill(self, child: subprocess.Popen[str]) -> None:
        """End the child."""


class ByFiles:
    """The runner is the worker's own user, and they share a private folder.

    :param folder: The folder.
    :param lock: Descriptor of its lock: the runner outlives the worker by the seconds it needs to stop, with the folder its own.
    """

    def __init__(
        self, folder: Path, lock: int, environment: Mapping[str, str], request: dict[str, Any], secrets: ProjectSecrets
    ) -> None:
        self._folder = folder
        self._lock = lock
        self._environment = {**environment, "PYTHONPATH": str(PACKAGE_ROOT), "PYTHONUNBUFFERED": "1"}
        self._request = request
        self._secrets = secrets

    def command(self, arguments: list[str]) -> list[str]:
        self._secrets.write_to(self._folder / "secrets")
        (self._folder / "request.json").write_text(json.dumps(self._request))
        files = {"request": "request.json", "result": "result.json", "events": EVENTS, "secrets": "secrets"}
        words = [word for option, name in files.items() for word in (f"--{option}", str(self._folder / name))]
        return [sys.executable, "-m", "dagctl_provider.runner", arguments[0], *words, *arguments[1:], "--watch-stdin"]

    def process(self) -> dict[str, Any]:
        return {"env": self._environment, "pass_fds": (self._lock,)}

    def begin(self, child: subprocess.Popen[str]) -> None:
        """All is there: its files are."""

    def line(self, text: str) -> str | None:
        return text

    def result(self, code: int) -> dict[str, Any] | None:
        path = self._folder / "result.json"
        return json.loads(path.read_text()) if path.exists() else None

    def stop(self, child: subprocess.Popen[str]) -> None:
        child.send_signal(signal.SIGTERM)

    def kill(self, child: subprocess.Popen[str]) -> None:
        os.killpg(child.pid, signal.SIGKILL)


class ByStreams:
    """The runner is another user, who makes a private folder of its own (:mod:`dagctl_provider.runner.handed`).

    :param user: The user.
    :param folder: The worker's own folder, which gets the events.
    """

    def __init__(
        self, user: StepUser, folder: Path, environment: Mapping[str, str], request: dict[str, Any], secrets: ProjectSecrets
    ) -> None:
        self._user = user
        self._events = folder / EVENTS
        self._letter = handed.letter(environment, request, secrets.files)
        self._pid: int | None = None
        self._result: str | None = None
        self._last = ""

    def command(self, arguments: list[str]) -> list[str]:
        return [*self._user.command, *handed.command(sys.executable, PACKAGE_ROOT, arguments)]

    def process(self) -> dict[str, Any]:
        # The other user may not be able to enter the worker's folder. What sudo or setpriv do not need is in the letter.
        return {"env": {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"}, "cwd": "/"}

    def begin(self, child: subprocess.Popen[str]) -> None:
        assert child.stdin is not None
        # What has refused to start reads nothing; what it said is in its output.
        with contextlib.suppress(BrokenPipeError, ValueError):
            child.stdin.write(self._letter)
            child.stdin.flush()

    def line(self, text: str) -> str | None:
        if text.startswith(handed.RESULT_MARK):
            # The last one counts: a project may print what it likes, but only the runner speaks once the tool has ended.
            self._result = text.removeprefix(handed.RESULT_MARK)
        elif text.startswith(EVENT_MARK):
            with self._events.open("a") as file:
                file.write(text.removeprefix(EVENT_MARK) + "\n")
        elif self._pid is None and text.startswith(handed.BEGAN_MARK):
            self._pid = int(text.removeprefix(handed.BEGAN_MARK))
        else:
            self._last = text.strip() or self._last
            return text
        return None

    def result(self, code: int) -> dict[str, Any] | None:
        """What the child left.

        :raises UserUnavailable: when the program was not even begun: another try would not help.
        """
        if self._pid is None and code > 0:
            raise UserUnavailable(
                f"The runner did not start as {self._user.name!r}: {self._last[:_LONG_ENOUGH_TO_SAY_WHY] or f'exit code {code}'}"
            )
        return json.loads(self._result) if self._result else None

    def stop(self, child: subprocess.Popen[str]) -> None:
        assert child.stdin is not None
        # It may be called from a signal that came while the letter was being written; it is called again after that.
        with contextlib.suppress(BrokenPipeError, RuntimeError):
            child.stdin.close()

    def kill(self, child: subprocess.Popen[str]) -> None:
        self._user.kill(child, self._pid)
