"""The command line of the runner."""

from __future__ import annotations

import argparse
import contextlib
import gzip
import io
import json
import os
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from dagctl_provider.runner.environments import make_spec, tool_python
from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.packages import locked
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.requests import REQUEST_LIMIT
from dagctl_provider.runner.requirement_files import Requirements, read_path
from dagctl_provider.runner.steps import StepOptions, run_step
from dagctl_provider.runner.stopping import Stop
from dagctl_provider.runner.tools import TOOLS
from dagctl_provider.runner.versions import DEFAULT_TOOL, TOOL_VERSIONS

_STEPS = {
    "explain": "work out what a commit would change; writes nothing",
    "execute": "apply an explained and approved plan, or nothing when it drifted",
    "run": "process what is due on the deployed models; dbt builds them all",
}


def build_parser() -> argparse.ArgumentParser:
    """The argument parser, also used to show the help in the docs."""
    parser = argparse.ArgumentParser(prog="python -m dagctl_provider.runner", description="Runs one plan step of a project.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in _STEPS.items():
        _add_step(commands.add_parser(name, help=text, description=text))
    install = commands.add_parser("install", help="make a tool's environment ahead of time, for images and warm-up")
    install.add_argument("--tool", default=DEFAULT_TOOL, choices=sorted(TOOL_VERSIONS))
    install.add_argument("--version", help="exact version; the newest supported one by default")
    install.add_argument(
        "--extra", action="append", default=[], help="database driver: extra of SQLMesh or adapter of dbt, for example snowflake"
    )
    install.add_argument("--python-version", help="interpreter to use, for example 3.11; by default the runner's own")
    install.add_argument(
        "--requirements", type=Path, help="a project's folder, or one file of requirements: its packages are installed as well"
    )
    listed = commands.add_parser("requirements", help="print what a project's files ask for beside the tool, one a line")
    listed.add_argument("path", type=Path, metavar="PATH", help="a project's folder, or one file of requirements")
    listed.add_argument("--tool", default=DEFAULT_TOOL, choices=sorted(TOOL_VERSIONS))
    listed.add_argument("--constraints", action="store_true", help="print what limits the versions instead")
    versions = commands.add_parser(
        "versions", help="print the supported versions and the day their dependencies are resolved as of"
    )
    versions.add_argument("--tool", choices=sorted(TOOL_VERSIONS), help="of one tool only")
    return parser


def _add_step(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--request",
        help="request file, - for standard input, or a folder whose files are one request in the order of their names, "
        "gzip or not; DAGCTL_REQUEST when absent",
    )
    parser.add_argument("--result", type=Path, required=True, help="result file, always written")
    parser.add_argument("--events", type=Path, help="file that gets one JSON line per event; - for marked lines of the log")
    parser.add_argument("--secrets", type=Path, help="folder with the step's secrets")
    parser.add_argument("--workdir", help="ignored: where a step happens must not change what it finds; older launchers set it")
    parser.add_argument("--grace", type=float, default=20.0, help="seconds between a cancel and the kill (default 20)")
    parser.add_argument("--timeout", type=float, help="seconds after which the step is stopped")
    parser.add_argument("--termination-log", type=Path, help="file that gets one line on why the step failed, for Kubernetes")
    parser.add_argument(
        "--watch-stdin", action="store_true", help="cancel when standard input ends, that is when the parent died"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param arguments: Arguments without the program's name.
    :return: Exit code.
    """
    options = build_parser().parse_args(arguments)
    if options.command == "versions":
        return _print_versions(options.tool)
    if options.command == "requirements":
        return _told(lambda: _print_requirements(options), Progress(sys.stderr))
    stop = Stop(getattr(options, "timeout", None))
    stop.listen_to_signals()
    progress = Progress()
    if options.command == "install":
        return _told(lambda: _install(options, progress, stop), progress)
    try:
        text = _read_request(options)
    except (OSError, UnicodeDecodeError, EOFError, zlib.error) as error:
        # run_step turns it into a result with the reason.
        progress.line(f"the request could not be read: {error}")
        text = ""
    if options.watch_stdin:
        stop.listen_to_parent()
    step = StepOptions(options.command, options.result, options.events, options.secrets, options.grace)
    code = run_step(step, text, progress, stop)
    if options.termination_log:
        _leave_cause(options.termination_log, options.result)
    return code


def _read_request(options: argparse.Namespace) -> str:
    if options.request is None:
        return os.environ.get("DAGCTL_REQUEST", "")
    if options.request != "-":
        return _read_files(Path(options.request))
    # With --watch-stdin the stream stays open, so the request is its first line.
    return sys.stdin.buffer.readline(REQUEST_LIMIT + 1).decode() if options.watch_stdin else sys.stdin.read(REQUEST_LIMIT + 1)


def _read_files(path: Path) -> str:
    """A request from a file, or from the pieces in a folder: what Kubernetes mounts from one Secret is at most 1 MiB."""
    if not path.is_dir():
        return path.read_text(encoding="utf-8")
    # Kubernetes' own entries of such a folder begin with two dots.
    pieces = sorted(piece for piece in path.iterdir() if not piece.name.startswith(".") and piece.is_file())
    data = b"".join(piece.read_bytes() for piece in pieces)
    if data.startswith(b"\x1f\x8b"):
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as unpacked:
            # One byte more than allowed is refused later, by its length.
            data = unpacked.read(REQUEST_LIMIT + 1)
    return data.decode()


def _leave_cause(path: Path, result: Path) -> None:
    """Say in one line why the step failed, where Kubernetes looks; and let the group read the result, for a sidecar does."""
    with contextlib.suppress(OSError, ValueError):
        result.chmod(0o640)
        error = json.loads(result.read_text(encoding="utf-8")).get("error")
        if error:
            path.write_text(f"{error['code']}: {error['message']}", encoding="utf-8")


def _told(work: Callable[[], None], progress: Progress) -> int:
    try:
        work()
    except RunnerError as error:
        progress.line(f"failed: {error.message} [{error.code}]")
        progress.line(error.row.hint)
        return error.row.exit_code
    return 0


def _install(options: argparse.Namespace, progress: Progress, stop: Stop) -> None:
    spec = make_spec(options.tool, options.version, options.extra, options.python_version)
    wanted = _asked_for(options.requirements, options.tool) if options.requirements else Requirements()
    if wanted:
        spec = locked(spec, wanted, {}, progress, stop)
    print(tool_python(spec, progress, stop))


def _asked_for(path: Path, tool: str) -> Requirements:
    if not path.exists():
        raise RunnerError("requirements_failed", f"{path} is not there.")
    return read_path(path, TOOLS[tool].lock_file)


def _print_requirements(options: argparse.Namespace) -> None:
    found = _asked_for(options.path, options.tool)
    for row in found.limits if options.constraints else found.wanted:
        print(" ".join([row.text, *(f"--hash={text}" for text in row.hashes)]))


def _print_versions(tool: str | None) -> int:
    for row in (row for name, rows in TOOL_VERSIONS.items() if tool in (None, name) for row in rows.values()):
        print(f"{row.tool} {row.version} {row.cutoff}")
    return 0
