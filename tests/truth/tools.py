"""A tool that is warm: the process of :mod:`tests.truth.warm`, and the product's runner with its steps started there.

The whole outer program runs as it is (request, checkout, environment, place, result), in the process of the tests, with one
exception: the tool's process is a fork of a warm one instead of a new one. What only the start of a process does is therefore
left out: supervision (grace, time limit, kill of its group), events and the log while a step runs, the end of the parent as a
signal, and the secrets as files of a launcher's own. ``test_the_whole_runner_says_the_same`` goes
through all of that with some cases.
"""

from __future__ import annotations

import io
import json
import os
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagctl_provider.runner import steps
from dagctl_provider.runner.environments import make_spec, tool_python
from dagctl_provider.runner.processes import Child, run_child
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.stopping import Stop

VERSIONS = {"sqlmesh": "0.236.4", "dbt": "1.12.6"}
DRIVERS = {"sqlmesh": [], "dbt": ["duckdb"]}
"""SQLMesh brings DuckDB along."""
PINNED = {"PYTHONHASHSEED": "0", "TZ": "UTC", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"}


class Warm:
    """A process that has a tool imported.

    :param tool: ``sqlmesh`` or ``dbt``.
    :param folder: For its home.
    """

    def __init__(self, tool: str, folder: Path) -> None:
        self.tool = tool
        self.folder = folder
        self.python = tool_python(make_spec(tool, VERSIONS[tool], DRIVERS[tool]), Progress(io.StringIO()), Stop())
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket = ours
        program = str(Path(__file__).with_name("warm.py"))
        self._process = subprocess.Popen(
            [str(self.python), program, str(steps.INNER), tool, str(theirs.fileno())],
            env={"PATH": os.environ["PATH"], "HOME": str(folder), **steps.TOOLS[tool].variables(folder), **PINNED},
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()
        assert ours.recv(16) == b"ready", f"{tool} could not be imported"

    def run(self, program: str, arguments: list[str], env: Mapping[str, str], cwd: Path, output: Path) -> int:
        """Run a program of :data:`tests.truth.warm.PROGRAMS` in a process of its own.

        :param program: Its name.
        :param arguments: Its arguments.
        :param env: Complete environment.
        :param cwd: Working folder.
        :param output: File for what it prints.
        :return: Its exit status.
        """
        order = {"program": program, "arguments": arguments, "env": dict(env), "cwd": str(cwd), "output": str(output)}
        self._socket.send(json.dumps(order).encode())
        return int(self._socket.recv(16))

    def close(self) -> None:
        """End the process."""
        self._socket.close()
        self._process.wait()

    def run_child(self, child: Child, stop: Stop) -> int:
        """In place of :func:`dagctl_provider.runner.processes.run_child`: without the descriptors by which the two programs talk.

        :param child: What the runner would start. A project with packages of its own has another Python, which is no warm one.
        :param stop: Only for such a one.
        """
        if child.command[0] != str(self.python):
            return run_child(child, stop)
        for descriptor in child.pass_fds:
            os.close(descriptor)
        path = Path(child.command[-1])
        job = json.loads(path.read_text())
        path.write_text(json.dumps({**job, "events_fd": None, "alive_fd": None}))
        output = self.folder / "output"
        status = self.run("step", [str(path)], child.env, child.cwd, output)
        for line in output.read_text(errors="replace").splitlines():
            child.on_line(line)
        return status


def plain_environment(tool: str, folder: Path, variables: Mapping[str, str]) -> dict[str, str]:
    """What a person has who runs the tool by hand.

    :param tool: The tool.
    :param folder: For its home.
    :param variables: The project's own.
    """
    own = {
        "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DBT_LOG_LEVEL_FILE": "none",
    }
    return {"PATH": os.environ["PATH"], "HOME": str(folder), **PINNED, **own, **variables}


def approval(explained: Mapping[str, Any]) -> dict[str, Any]:
    """What an approval adds to the execute's request.

    :param explained: Result of the explain.
    """
    return {
        "expected_digest": explained["digest"], "explained_plan_id": explained["tool_plan_id"],
        "expected_digest_parts": explained["plan_output"]["digest_parts"],
    }  # fmt: skip
