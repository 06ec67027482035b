"""Locks and installs the Python packages that a project asks for, together with the tool, in an environment of their own.

A project that asks for none uses the tool's shared environment and nothing here costs it anything. For one that does, tool and
packages are resolved together, once, into a lock of versions and hashes; the lock is the name of its environment. Versions move
only when something asks them to: what the tool itself brings keeps the versions of the tool's day, an execute and a run keep
those of the plan they carry out, and the next plan keeps those that are deployed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dagctl_provider.runner.environments import (
    EnvironmentSpec,
    ask_uv,
    cache_folder,
    find_uv,
    given_python,
    resolution,
    tool_python,
    wheels_only,
)
from dagctl_provider.runner.errors import RunnerError, one_line
from dagctl_provider.runner.locking import file_lock
from dagctl_provider.runner.processes import Child, base_environment, run_child
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.requests import Request
from dagctl_provider.runner.requirement_files import SETTING, Requirements, refused
from dagctl_provider.runner.requirement_lines import Requirement, canonical_name
from dagctl_provider.runner.stopping import Stop
from dagctl_provider.runner.tools import TOOLS

NAMED_LIMIT = 3
"""Requirements that a message names."""
SOURCES_LIMIT = 20
"""Packages that a tool itself may need to have built."""
CHECK_TIMEOUT = 60.0
DIFF_LIMIT = 20_000

_PIN = re.compile(r"(?m)^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)")
_HASH = re.compile(r"--hash=(\w+:[0-9a-f]+)")
_ONLY_SOURCE = re.compile(r"Wheels are required for `([^`]+)`|(\S+?)(?:[<>=!~]=?\S+)? has no (?:usable )?wheels")
_AWAY = re.compile(r"Failed to (?:fetch|download)|Request failed|error sending request|[Dd]ns error|[Cc]onnection refused")
_NOISE = re.compile(r"(^|\s)(?:No solution found when resolving dependencies:?|error:|cause:|\u00d7|╰─▶|├─▶|Caused by:)\s*")

# Run by the image's interpreter, which has `packaging` through the tool; without it only names are looked at.
_CHECK = """
import importlib.metadata, json, sys
try:
    from packaging.requirements import Requirement
except ImportError:
    Requirement = None
lacking = []
for number, (name, text) in enumerate(json.loads(sys.argv[1])):
    wanted = Requirement(text) if Requirement else None
    if wanted is not None and wanted.marker is not None and not wanted.marker.evaluate():
        continue
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        lacking.append([number, None])
        continue
    if wanted is not None and not wanted.specifier.contains(version, prereleases=True):
        lacking.append([number, version])
print("lacking " + json.dumps(lacking))
"""


@dataclass(frozen=True)
class _Resolver:
    """Asks the installer for versions, in one private folder."""

    spec: EnvironmentSpec
    folder: Path
    progress: Progress
    stop: Stop

    def compile(
        self,
        lines: Iterable[str],
        limits: Iterable[str],
        preferred: Mapping[str, str],
        built: Sequence[str],
        options: Sequence[str],
    ) -> tuple[str, list[str]]:
        """The lock, or an empty text and what the installer said."""
        wanted, limiting, out = (self.folder / name for name in ("requirements.in", "constraints.in", "lock.txt"))
        wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
        limiting.write_text("\n".join(limits) + "\n", encoding="utf-8")
        # Versions of a lock that is there already are kept where they fit.
        out.write_text("".join(f"{name}=={version}\n" for name, version in sorted(preferred.items())), encoding="utf-8")
        command = [find_uv(), "pip", "compile", str(wanted), "--constraints", str(limiting), "--output-file", str(out)]
        command += ["--generate-hashes", "--no-header", "--no-annotate", "--quiet", "--python", self.spec.interpreter]
        status, said = ask_uv([*command, *wheels_only(built), *options], "still resolving packages", self.progress, self.stop)
        return ("" if status else out.read_text(encoding="utf-8")), said


@dataclass(frozen=True)
class Preparation:
    """An environment that is ready.

    :param spec: What it is.
    :param python: Its interpreter.
    :param packages: What is installed in it: name and version.
    """

    spec: EnvironmentSpec
    python: Path
    packages: Mapping[str, str]


def project_python(spec: EnvironmentSpec, wanted: Requirements, request: Request, progress: Progress, stop: Stop) -> Preparation:
    """The environment that has the tool and what the project asks for.

    :param spec: The tool's environment.
    :param wanted: What the project asks for.
    :param request: Knows which versions an earlier step used.
    :param progress: The log.
    :param stop: Ends waiting, resolving and installing.
    :raises RunnerError: ``requirements_failed``, ``tool_install_failed``.
    """
    if wanted and given_python() is None:
        spec = locked(spec, wanted, preferred_versions(request, spec.version), progress, stop)
    python = tool_python(spec, progress, stop)
    if wanted and given_python() is not None:
        _require_in_image(python, spec, wanted, stop)
    return Preparation(spec, python, installed_packages(python))


def preferred_versions(request: Request, tool_version: str) -> dict[str, str]:
    """The versions to keep: of the approved plan, or else of what is deployed with the same version of the tool.

    :param request: The step's request.
    :param tool_version: That it uses.
    """
    parts = request.expected_digest_parts or {}
    approved = {name.removeprefix("package:"): value for name, value in parts.items() if name.startswith("package:")}
    if approved or request.deployed_tool_version != tool_version:
        return approved
    return dict(request.deployed_packages or {})


def locked(
    spec: EnvironmentSpec, wanted: Requirements, preferred: Mapping[str, str], progress: Progress, stop: Stop
) -> EnvironmentSpec:
    """The environment of tool and packages together, by a lock that was made before or is made now.

    :param spec: The tool's environment.
    :param wanted: What the project asks for.
    :param preferred: Versions to keep where they fit.
    :param progress: The log.
    :param stop: Ends waiting and resolving.
    :raises RunnerError: ``requirements_failed``.
    """
    allowed = _allowed_sources()
    folder = cache_folder() / "requirements"
    content = _key(spec, [[str(row.text), row.hashes] for row in wanted.wanted], [row.text for row in wanted.limits], allowed)
    own = folder / f"{content}-{_key_of(sorted(preferred.items()))}.json"
    with file_lock(folder / f"{content}.lock", "waiting for another step to resolve the same packages", progress, stop):
        for path in (own, *sorted(folder.glob(f"{content}-*.json"))):
            lock, built = _stored(path)
            if lock and (path == own or _agrees(lock, preferred)):
                return replace(spec, lock=lock, built=built)
        progress.line(f"resolving the packages that {wanted.told()} asks for")
        lock, built = _resolve(spec, wanted, preferred, allowed, progress, stop)
        _store(own, lock, built)
    return replace(spec, lock=lock, built=built)


def _agrees(lock: str, preferred: Mapping[str, str]) -> bool:
    return all(preferred.get(name) == version for name, version in pins(lock).items())


def _allowed_sources() -> tuple[str, ...]:
    words = os.environ.get("DAGCTL_ALLOW_SOURCE_PACKAGES", "").replace(",", " ").split()
    return tuple(sorted({word if word == ":all:" else canonical_name(word) for word in words}))


def _key(spec: EnvironmentSpec, *what: object) -> str:
    tool = [spec.requirements, TOOLS[spec.tool].overrides, spec.cutoff, spec.python]
    # Another index may have other files of the same version. Its address may hold a password, so only a hash of it is kept.
    index = sorted((name, value) for name, value in os.environ.items() if name.startswith("UV_"))
    return _key_of([tool, index, *what])


def _key_of(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:16]


def _stored(path: Path) -> tuple[str, tuple[str, ...]]:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return str(kept["lock"]), tuple(kept["built"])
    except (OSError, ValueError, KeyError, TypeError):
        return "", ()


def _store(path: Path, lock: str, built: Sequence[str]) -> None:
    half = path.with_suffix(".new")
    half.write_text(json.dumps({"lock": lock, "built": list(built)}), encoding="utf-8")
    half.replace(path)


def _resolve(
    spec: EnvironmentSpec,
    wanted: Requirements,
    preferred: Mapping[str, str],
    allowed: Sequence[str],
    progress: Progress,
    stop: Stop,
) -> tuple[str, tuple[str, ...]]:
    folder = Path(tempfile.mkdtemp(prefix="dagctl-resolve-"))
    try:
        resolver = _Resolver(spec, folder, progress, stop)
        own, built = _tool_alone(resolver, wanted, allowed)
        limits = [row.text for row in wanted.limits]
        # A project's pin may be newer than the tool, so here the tool's day is a wish: unless the deployment itself sets one.
        options = [*resolution(replace(spec, cutoff=None), folder), *_deployments_cutoff()]
        lines = [*spec.requirements, *(row.text for row in wanted.wanted)]
        lock, said = resolver.compile(lines, limits, {**own, **preferred}, built, options)
        if not lock:
            for line in said:
                progress.line(line)
            raise _not_resolved(spec, wanted, said)
        return _narrowed(lock, wanted), built
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _deployments_cutoff() -> list[str]:
    day = os.environ.get("DAGCTL_EXCLUDE_NEWER")
    return ["--exclude-newer", day] if day and day != "off" else []


def _tool_alone(resolver: _Resolver, wanted: Requirements, allowed: Sequence[str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """The versions that the tool has by itself, as of its day, and the packages that have to be built for it.

    :raises RunnerError: ``tool_install_failed``, ``requirements_failed`` when the index does not answer.
    """
    spec, built = resolver.spec, tuple(allowed)
    for _ in range(SOURCES_LIMIT):
        lock, said = resolver.compile(spec.requirements, (), {}, built, resolution(spec, resolver.folder))
        if lock:
            return pins(lock), built
        lacking = {canonical_name(found[1] or found[2]) for found in _ONLY_SOURCE.finditer("\n".join(said))} - set(built)
        if not lacking:
            break
        # What a tool needs is built for it as ever, and for it alone: a project's packages come later.
        built = (*built, *sorted(lacking))
    if _AWAY.search("\n".join(said)):
        raise _away(wanted, said)
    raise RunnerError("tool_install_failed", f"{spec.tool} {spec.version}: {_flat(said)[:400]}")


def _away(wanted: Requirements, said: Sequence[str]) -> RunnerError:
    return refused(str(wanted.wanted[0]), f"the package index did not answer. {_flat(said)}")


def _not_resolved(spec: EnvironmentSpec, wanted: Requirements, said: Sequence[str]) -> RunnerError:
    text = "\n".join(said)
    if _AWAY.search(text):
        return _away(wanted, said)
    rows = _named_in(text, wanted)
    where = "; ".join(str(row) for row in rows[:NAMED_LIMIT]) + ("; …" if len(rows) > NAMED_LIMIT else "")
    source = _ONLY_SOURCE.search(text)
    if source:
        name = source[1] or source[2]
        allow = "a deployment allows building it with DAGCTL_ALLOW_SOURCE_PACKAGES"
        return RunnerError(
            "requirements_failed", f"{where or wanted.told()}: {name} comes as source only, not as a wheel; {allow}."
        )
    tool = {canonical_name(re.split(r"[\[=]", line)[0]) for line in spec.requirements[:1]}
    remedy = f" Set '{spec.tool}_version' or change the line." if any(row.name in tool for row in rows) else ""
    label = TOOLS[spec.tool].label
    said_short = one_line(_flat(said), 300)
    return RunnerError(
        "requirements_failed", f"{where or wanted.told()}: this does not fit {label} {spec.version}.{remedy} {said_short}"
    )


def _named_in(text: str, wanted: Requirements) -> list[Requirement]:
    """The project's requirements that a text of the installer is about."""
    names = {canonical_name(word) for word in re.findall(r"[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]|[A-Za-z0-9]", text)}
    return [row for row in (*wanted.wanted, *wanted.limits) if row.name in names]


def _flat(said: Sequence[str]) -> str:
    return " ".join(_NOISE.sub(r"\1", " ".join(said)).split())


def pins(lock: str) -> dict[str, str]:
    """Name and version of each package of a lock.

    :param lock: As the installer writes it.
    """
    return {canonical_name(name): version for name, version in _PIN.findall(lock)}


def _narrowed(lock: str, wanted: Requirements) -> str:
    """The lock in one spelling, with only those hashes that the project allows where it says so itself.

    :raises RunnerError: ``requirements_failed`` when the index has none of them.
    """
    allowed: dict[str, tuple[Requirement, set[str]]] = {}
    for row in wanted.wanted:
        if row.hashes:
            allowed[row.name] = (row, set(row.hashes) | allowed.get(row.name, (row, set()))[1])
    lines = []
    for block in re.split(r"(?m)^(?=[A-Za-z0-9])", lock):
        pin = _PIN.match(block)
        if pin is None:
            continue
        name, hashes = canonical_name(pin[1]), set(_HASH.findall(block))
        if name in allowed:
            row, own = allowed[name]
            if not hashes & own:
                raise refused(row.where, f"the package index has no file of {name} {pin[2]} with a hash that is listed.")
            hashes &= own
        lines.append(" \\\n".join([f"{name}=={pin[2]}", *(f"    --hash={text}" for text in sorted(hashes))]))
    return "\n".join(sorted(lines)) + "\n"


def installed_packages(python: Path) -> dict[str, str]:
    """What is installed beside an interpreter: name and version, without starting it.

    :param python: The interpreter of an environment.
    """
    found = {}
    for folder in python.absolute().parents[1].glob("lib/python3*/site-packages/*.dist-info"):
        name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
        if name:
            found[canonical_name(name)] = version
    return dict(sorted(found.items()))


def packages_diff(deployed: Mapping[str, str] | None, installed: Mapping[str, str]) -> str | None:
    """How the packages that the tool runs with change, for people; ``None`` when they do not, or when nothing is known.

    :param deployed: Name and version of what the deployed plan ran with.
    :param installed: The same of this plan.
    """
    lines = []
    for name in sorted({*deployed, *installed}) if deployed else ():
        before, after = (deployed or {}).get(name), installed.get(name)
        if before != after:
            lines += [f"- {name}=={before}"] if before else []
            lines += [f"+ {name}=={after}"] if after else []
    text = "\n".join(lines)
    return (text if len(text) <= DIFF_LIMIT else text[:DIFF_LIMIT].rpartition("\n")[0] + "\n…") or None


def _require_in_image(python: Path, spec: EnvironmentSpec, wanted: Requirements, stop: Stop) -> None:
    """An image that holds the tool has to hold what the project asks for: nothing is installed into it.

    :raises RunnerError: ``requirements_failed``, naming what it lacks.
    """
    lines: list[str] = []
    asked = json.dumps([[row.name, row.text] for row in wanted.wanted])
    child = Child([str(python), "-I", "-c", _CHECK, asked], base_environment(), Path("/"), lines.append, timeout=CHECK_TIMEOUT)
    status = run_child(child, stop)
    stop.check()
    answer = next((line.removeprefix("lacking ") for line in reversed(lines) if line.startswith("lacking ")), None)
    if status or answer is None:
        raise refused(wanted.wanted[0].where, f"the image's interpreter could not be asked what it holds: {' '.join(lines[-1:])}")
    lacking = [(wanted.wanted[number], version) for number, version in json.loads(answer)]
    if lacking:
        named = "; ".join(f"{row}" + (f" (it has {version})" if version else "") for row, version in lacking[:NAMED_LIMIT])
        more = f" and {len(lacking) - NAMED_LIMIT} more" if len(lacking) > NAMED_LIMIT else ""
        file = wanted.told().partition(",")[0]
        build = f"make image TOOL={spec.tool} VERSION={spec.version} REQUIREMENTS={'FILE' if file == SETTING else file}"
        raise RunnerError(
            "requirements_failed", f"The image does not hold what the project asks for: {named}{more}. Build one with '{build}'."
        )
