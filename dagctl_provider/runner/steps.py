"""One step from request to result: environment, checkout, then the tool's own program as a supervised child."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import signal
import traceback
import uuid
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from dagctl_provider.runner.causes import cause_of
from dagctl_provider.runner.checkout import fetch_project
from dagctl_provider.runner.credentials import Credentials, forget_git_credentials, read_credentials
from dagctl_provider.runner.environments import EnvironmentSpec, cache_folder, make_spec
from dagctl_provider.runner.errors import STEP_ERRORS, RunnerError, os_error
from dagctl_provider.runner.events import EventFile
from dagctl_provider.runner.inputs import UNSTABLE, variable_hashes, volatile_names, without_volatile
from dagctl_provider.runner.job_requests import RETRY, job_of
from dagctl_provider.runner.masking import Masker
from dagctl_provider.runner.organization import forget_files
from dagctl_provider.runner.packages import packages_diff, project_python
from dagctl_provider.runner.places import Place, project_place
from dagctl_provider.runner.processes import Child, base_environment, run_child
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.reach import reach_here
from dagctl_provider.runner.requests import Request, parse_request
from dagctl_provider.runner.requirement_files import read_requirements
from dagctl_provider.runner.results import ResultFile, error_result, finish_result
from dagctl_provider.runner.stopping import Stop
from dagctl_provider.runner.tools import TOOLS, Finding, Scene, Tool
from dagctl_provider.runner.variables import is_protected
from dagctl_provider.runner.versions import is_downgrade

INNER = Path(__file__).parent / "inner"
SWEEP_TIMEOUT = 60.0
INPUT_LIMIT = 512 * 1024 * 1024
_KEPT = ("timings", "models", "digest", "tool_plan_id", "tests", "left", "command", "remaining")
"""What a cancelled step tells all the same."""
_PINNED: Mapping[str, str] = {
    "PYTHONHASHSEED": "0",
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "USER": "dagctl",
    "LOGNAME": "dagctl",
}
"""What else a fingerprint can take in of the machine that it is worked out on. A project's own variables win over the time zone
and the languages."""


@dataclass(frozen=True)
class StepOptions:
    """What the command line says about a step.

    :param command: ``explain``, ``execute`` or ``run``.
    :param result: Result file.
    :param events: Event file, when wanted.
    :param secrets: Secrets folder, when there is one.
    :param grace: Seconds between a cancel and the kill.
    """

    command: str
    result: Path
    events: Path | None = None
    secrets: Path | None = None
    grace: float = 20.0


@dataclass
class _Prepared:
    """What a step needs before the tool can start."""

    scene: Scene
    finding: Finding
    python: Path
    spec: EnvironmentSpec
    packages: Mapping[str, str]
    cache: Path
    lock: int


def run_step(options: StepOptions, request_text: str, progress: Progress, stop: Stop) -> int:
    """Do one step; whatever happens, the result file is written.

    :param options: From the command line.
    :param request_text: The request, JSON.
    :param progress: The log.
    :param stop: Cancels the step.
    :return: Exit code of the runner.
    """
    file = ResultFile(options.result)
    try:
        file.reserve()
        with progress.timed("total"):
            result = _attempt(options, request_text, progress, stop)
    except RunnerError as error:
        result = error_result(error)
    except OSError as error:
        result = error_result(_told(error, progress))
    except Exception as error:
        _trace(progress)
        result = error_result(RunnerError("internal", f"{type(error).__name__}: {error}"))
    finished = finish_result(result, progress.timings, progress.masker)
    if options.command == "execute" and not progress.tool_began:
        finished["left"] = []
    if "error" in finished:
        progress.line(f"{finished['outcome']}: {finished['error']['message']} [{finished['error']['code']}]")
    else:
        progress.line(finished["outcome"])
    try:
        return file.write(finished)
    except OSError as error:
        lost = os_error(error, "The result could not be written")
        progress.line(f"{lost.message} [{lost.code}]")
        progress.line(lost.row.hint)
        return int(finished["exit_code"]) or lost.row.exit_code


def _told(error: OSError, progress: Progress) -> RunnerError:
    """What is wrong with the machine; anything else is a mistake of ours, and shown with all its calls."""
    told = os_error(error)
    if told.code == "internal":
        _trace(progress)
        return RunnerError("internal", f"{type(error).__name__}: {error}")
    return told


def _trace(progress: Progress) -> None:
    for line in traceback.format_exc().splitlines():
        progress.line(line)


def _attempt(options: StepOptions, request_text: str, progress: Progress, stop: Stop) -> dict[str, Any]:
    request, unknown = parse_request(request_text, options.command, reach_here())
    credentials = read_credentials(options.secrets)
    forget_git_credentials(options.secrets)
    public = {value for value in asdict(request).values() if isinstance(value, str)}
    progress.masker = Masker(credentials.secrets(), public)
    for key in unknown:
        progress.line(f"the request's key {key[:80]!r} is unknown to this runner and ignored")
    wanted = make_spec(request.tool, request.tool_version).version
    tool = TOOLS[request.tool]
    request = replace(request, environment=request.environment or tool.environment)
    if tool.versioned_state and is_downgrade(request.deployed_tool_version, wanted):
        raise RunnerError(
            "state_migration_downgrade",
            f"{tool.label} {request.deployed_tool_version} is deployed; {wanted} is older.",
        )
    with project_place(request.project_id, progress, stop) as place:
        credentials = credentials.placed(place.folder)
        try:
            prepared = _prepare(request, credentials, options.secrets, place, progress, stop)
            return _run_tool(options, prepared, progress, stop)
        finally:
            # Those in folders of a pod, too: it may be kept for a look.
            forget_files(credentials.files.values())


def _prepare(
    request: Request, credentials: Credentials, secrets: Path | None, place: Place, progress: Progress, stop: Stop
) -> _Prepared:
    where = f" in {request.git_path}" if request.git_path else ""
    progress.line(f"{request.project_name or request.project_id}: commit {request.commit_sha[:12]} of {request.branch}{where}")
    with progress.timed("checkout"):
        root, project, committed_at = fetch_project(request, credentials, place.folder, progress, stop, reach_here())
    scene = Scene(request, credentials, secrets.resolve() if secrets else None, root, project, place.folder, committed_at)
    tool = TOOLS[request.tool]
    with progress.timed("environment"):
        finding = tool.inspect(scene)
        spec = make_spec(request.tool, request.tool_version, finding.drivers, request.python_version)
        wanted = read_requirements(project, root, tool.lock_file, request.requirements or ())
        ready = project_python(spec, wanted, request, progress, stop)
    owner = hashlib.sha256(f"{request.project_id}/{request.git_path}".encode()).hexdigest()[:16]
    cache = cache_folder() / "projects" / owner / ready.spec.name
    tool.keep_cache(scene, cache)
    return _Prepared(scene, finding, ready.python, ready.spec, ready.packages, cache, place.lock)


def _run_tool(options: StepOptions, prepared: _Prepared, progress: Progress, stop: Stop) -> dict[str, Any]:
    answer = prepared.scene.scratch / "answer.json"
    job = _job(options, prepared)
    tool = TOOLS[prepared.spec.tool]
    progress.line(f"{options.command} with {tool.label} {prepared.spec.version}")
    progress.tool_began = True
    with EventFile(options.events, progress) as events:
        status = _start({**job, "answer": str(answer), "grace": options.grace}, options.grace, prepared, progress, stop, events)
    if prepared.finding.sweeps and status == -signal.SIGKILL and options.command != "explain":
        _sweep(job, prepared, progress)
    result = _read_answer(answer)
    if stop.requested and (not result or result.get("outcome") != "succeeded"):
        kept: dict[str, Any] = {key: result[key] for key in _KEPT if key in result}
        return {**kept, **error_result(stop.error())}
    if not result:
        raise _died(status, progress)
    if "error" in result:
        return {**result, **error_result(_inner_error(result["error"]["code"], result["error"]["message"]))}
    return {**_with_packages(result, prepared), "exit_code": 0}


def _with_packages(result: dict[str, Any], prepared: _Prepared) -> dict[str, Any]:
    """What an explain found, with how the packages change that it ran with; only the outer program knows what is deployed."""
    change = packages_diff(prepared.scene.request.deployed_packages, prepared.packages)
    output = result.get("plan_output")
    return {**result, "plan_output": {**output, "packages_diff": change}} if change and isinstance(output, dict) else result


def _start(
    job: Mapping[str, object], grace: float, prepared: _Prepared, progress: Progress, stop: Stop, events: EventFile
) -> int:
    """Run the inner program; one pipe brings its events, the other tells it by its end that we died."""
    events_read, events_write = os.pipe()
    alive_read, alive_write = os.pipe()
    path = prepared.scene.scratch / "job.json"
    path.write_text(json.dumps({**job, "events_fd": events_write, "alive_fd": alive_read}))
    child = Child(
        [str(prepared.python), str(INNER), str(path)],
        _tool_environment(job, prepared, progress),
        prepared.scene.project,
        events.line,
        events.ticker.tick,
        grace=grace,
        channels={events_read: events.event},
        # Should we be killed, the place is the tool's until it has ended, too.
        pass_fds=(events_write, alive_read, os.dup(prepared.lock)),
    )
    try:
        return run_child(child, stop)
    finally:
        os.close(alive_write)
        os.close(events_read)


def _job(options: StepOptions, prepared: _Prepared) -> dict[str, object]:
    request = prepared.scene.request
    step = f"{request.step_id}.{request.attempt}"
    credentials = prepared.scene.credentials
    writer = hashlib.sha256(f"{request.project_id}/{request.environment}".encode()).hexdigest()[:16]
    inputs = _unpack(request.inputs or {}, prepared.scene.scratch)
    return {
        **asdict(request),
        **prepared.finding.job,
        "inputs": inputs,
        "job_command": job_of(request, prepared.spec.version, inputs.get(RETRY)),
        "command": options.command,
        "project": str(prepared.scene.project),
        "checkout": str(prepared.scene.root),
        "scratch": str(prepared.scene.scratch),
        "tool_version": prepared.spec.version,
        "packages": dict(prepared.packages),
        "cache": str(prepared.cache),
        "shared": str(cache_folder()),
        "locks": str(cache_folder() / "locks"),
        "given": _given(credentials, request),
        "known": sorted({*credentials.environment, *(credentials.approved or {}), *volatile_names()}),
        "given_files": sorted(credentials.files.values()),
        "explain_connection": credentials.approved is not None or credentials.own_secrets,
        "plan_key": credentials.plan_key,
        "data_folder": _data_folder(request.project_id),
        "secrets": sorted(prepared.scene.credentials.telling_secrets()),
        # Names our sessions in the warehouse, differently in each attempt; PostgreSQL cuts names at 63 bytes.
        "application_prefix": f"dagctl:{writer}:",
        "application_name": f"dagctl:{writer}:{options.command}:{uuid.uuid4().hex[:8]}:{step}"[:63],
    }


def _given(credentials: Credentials, request: Request) -> dict[str, str]:
    """Hashes of the variables that an execute of this plan gets: of the step's own, as long as an explain has no others."""
    known = credentials.env if credentials.approved is None else credentials.mounted
    everywhere = {name: one.identity for name, one in credentials.variables.items()}
    hashes = variable_hashes({**everywhere, **known}, credentials.plan_key, request.project_id)
    if credentials.own_secrets:
        hashes = dict.fromkeys(hashes, UNSTABLE)
    # The worker does not know which names are the runner's own, nor always which are volatile here.
    return without_volatile(_allowed({**hashes, **(credentials.approved or {})}, TOOLS[request.tool]))


def _unpack(inputs: Mapping[str, str], scratch: Path) -> dict[str, str]:
    """Write what the request brought along into files.

    :raises RunnerError: ``invalid_request`` when it is not base64 of gzip, or unreasonably large; ``state_damaged`` when that is
        the deployed state.
    """
    files: dict[str, str] = {}
    for name, text in inputs.items():
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(base64.b64decode(text, validate=True))) as packed:
                content = packed.read(INPUT_LIMIT + 1)
        except (ValueError, OSError, EOFError, zlib.error) as error:
            if name == "deployed":
                raise RunnerError(
                    "state_damaged", "The deployed state is broken: it is not base64 text of gzip bytes."
                ) from error
            raise RunnerError("invalid_request", f"The input {name!r} is not base64 text of gzip bytes.") from error
        if len(content) > INPUT_LIMIT:
            raise RunnerError("invalid_request", f"The input {name!r} is larger than 512 MiB.")
        path = scratch / f"input-{name}.json"
        path.write_bytes(content)
        files[name] = str(path)
    return files


def _tool_environment(job: Mapping[str, object], prepared: _Prepared, progress: Progress) -> dict[str, str]:
    scratch, tool = prepared.scene.scratch, TOOLS[prepared.spec.tool]
    home, temporary = scratch / "home", scratch / "tmp"
    for folder in (home, temporary):
        folder.mkdir(exist_ok=True)
    more = os.environ.get("DAGCTL_PASS_ENV", "").replace(",", " ").split()
    env = {
        **base_environment("MAX_FORK_WORKERS", *more),
        "PGAPPNAME": str(job["application_name"]),
        "PYTHONUNBUFFERED": "1",
        # Old tools warn about each other's deprecations; nobody can act on that.
        "PYTHONWARNINGS": "ignore::DeprecationWarning,ignore::FutureWarning,ignore::UserWarning",
        "COLUMNS": "160",
        **_PINNED,
        "SOURCE_DATE_EPOCH": str(prepared.scene.committed_at),
    }
    own = {**tool.variables(scratch), "HOME": str(home), "TMPDIR": str(temporary)}
    given = prepared.scene.credentials.environment
    allowed = {name: value for name, value in _allowed(given, tool).items() if name not in own}
    for name in sorted(given.keys() - allowed.keys()):
        progress.line(f"the variable {name} is the runner's own and ignored")
    # A project may take all of it as a value, and SQLMesh's fingerprint of a value goes by its order, too.
    return dict(sorted({**env, **allowed, **own}.items()))


def _allowed(given: Mapping[str, str], tool: Tool) -> dict[str, str]:
    """The project's variables without those that only the runner may set."""
    return {name: value for name, value in given.items() if not (is_protected(name) or tool.protected.fullmatch(name))}


def _data_folder(project_id: str) -> str | None:
    """Where files of a project's warehouse are kept, if somebody provides for it."""
    folder = os.environ.get("DAGCTL_DATA_DIR")
    return str(Path(folder) / hashlib.sha256(project_id.encode()).hexdigest()[:16]) if folder else None


def _sweep(job: Mapping[str, object], prepared: _Prepared, progress: Progress) -> None:
    """After a kill: end the statements that the killed process left running in the warehouse."""
    progress.line("the tool was killed; looking for statements it left running")
    scratch = prepared.scene.scratch
    path = scratch / "sweep.json"
    path.write_text(json.dumps({**job, "command": "sweep", "answer": str(scratch / "sweep-answer.json")}))
    child = Child(
        [str(prepared.python), str(INNER), str(path)],
        {**_tool_environment(job, prepared, progress), "PGAPPNAME": "dagctl:sweep"},
        prepared.scene.project,
        progress.line,
        timeout=SWEEP_TIMEOUT,
    )
    try:
        run_child(child, Stop())
    except RunnerError as error:
        progress.line(f"could not look for statements of killed steps: {error}")


def _read_answer(path: Path) -> dict[str, Any]:
    try:
        answer = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


_OF_THE_SYSTEM = re.compile(r"\[Errno (\d+)\] ")
_VAGUE = frozenset({"internal", "project_load_failed", "plan_failed", "apply_failed", "packages_failed"})


def _inner_error(code: str, message: str) -> RunnerError:
    """The tool's error, by what is wrong with the machine where it says that: in Python's words, which no server uses."""
    number = _OF_THE_SYSTEM.search(message)
    cause = cause_of(OSError(int(number[1]), "")) if number and (code in _VAGUE or code not in STEP_ERRORS) else None
    if cause == "disk_full":
        return RunnerError(cause, message)
    return RunnerError(code if code in STEP_ERRORS else "internal", message)


def _died(status: int, progress: Progress) -> RunnerError:
    if status == -signal.SIGKILL:
        return RunnerError("tool_killed", "The tool's process was killed (signal 9) without an answer.")
    last = next((line for line in reversed(progress.tail) if line.strip()), "")
    return _inner_error("internal", f"The tool's process ended with status {status} and no answer: {last}")
