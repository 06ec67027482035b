"""The runner as another user than the worker: all that they hand each other goes through the three standard streams.

So no file of one has to be readable for the other, and nothing has to survive ``sudo``, which closes every other descriptor and
empties the environment. The worker writes one line, the letter: environment, request and secrets. Back come the log, the events,
and the result as the last marked line. The end of standard input cancels the step, for the worker may not signal another user.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagctl_provider.runner.cli import main as run
from dagctl_provider.runner.hiding import hide_from_own_user
from dagctl_provider.runner.scratch import scratch_folder

BEGAN_MARK = "::dagctl-began:: "
"""Begins the first line, with the process id: from here on the step is the runner's, and the user could be become."""
RESULT_MARK = "::dagctl-result:: "
PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from dagctl_provider.runner.handed import main; sys.exit(main())"


def command(python: str, root: Path, arguments: Sequence[str]) -> list[str]:
    """The command line that starts this program, whatever the environment and the working folder are.

    :param python: The interpreter.
    :param root: The folder that the package lies in.
    :param arguments: The runner's own arguments.
    """
    return [python, "-u", "-I", "-c", PROGRAM, str(root), *arguments]


def letter(environment: Mapping[str, str], request: Mapping[str, Any], secrets: Mapping[str, str]) -> str:
    """The line that the program waits for.

    :param environment: Its whole environment.
    :param request: The request.
    :param secrets: Files of the secrets folder, by name.
    """
    return json.dumps({"environment": environment, "request": request, "secrets": secrets}) + "\n"


def main() -> int:
    """Run a step whose letter comes on standard input."""
    # In a process namespace of its own this is the first process, which ignores what it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
    hide_from_own_user()
    os.umask(0o077)
    print(f"{BEGAN_MARK}{os.getpid()}", flush=True)
    told = json.loads(sys.stdin.buffer.readline())
    os.environ.clear()
    os.environ.update(told["environment"])
    with scratch_folder() as (folder, _lock):
        return _run(folder, told)


def _run(folder: Path, told: Mapping[str, Any]) -> int:
    secrets, request, result = folder / "secrets", folder / "request.json", folder / "result.json"
    secrets.mkdir()
    for name, text in told["secrets"].items():
        (secrets / name).write_text(text, encoding="utf-8")
    request.write_text(json.dumps(told["request"]))
    files = ["--request", str(request), "--secrets", str(secrets), "--result", str(result), "--events", "-", "--watch-stdin"]
    code = run([*sys.argv[1:], *files])
    if result.exists():
        print(RESULT_MARK + json.dumps(json.loads(result.read_text())), flush=True)
    return code
