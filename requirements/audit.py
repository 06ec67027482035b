"""``make audit`` and ``make sbom``: known holes and licences of what is locked, and what a wheel or an image is made of.

A database of holes that cannot be asked is no clean bill: that is said as it is, and with ``--must-ask`` it fails.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements" / "dev.lock"
PACKAGE = "airflow-provider-dagctl"
_PATIENCE_SECONDS = 600

IGNORED: Mapping[str, str] = {}
"""Id of a known hole, as pip-audit prints it -> why it does not matter here. One that is no longer found fails, so it goes."""

ALLOWED = re.compile(
    r"(3-Clause )?BSD( License|-[23]-Clause)?|Apache-2\.0|Apache Software License|MIT(-0)?|MIT License|ISC( License \(ISCL\))?"
    r"|PSF-2\.0|Python Software Foundation License|MPL-2\.0|Mozilla Public License 2\.0 \(MPL 2\.0\)|The Unlicense \(Unlicense\)"
    r"|Unlicense|Zlib|HPND|0BSD|CC0-1\.0"
)
"""Licences that a company may install beside its own code without asking anybody."""

LICENCE_EXCEPTIONS: Mapping[str, str] = {
    "psycopg2-binary": "LGPL: loaded as a library of its own, unchanged; Airflow's and SQLMesh's driver for PostgreSQL as well",
    "text-unidecode": "Artistic License or GPL, as one likes: here the Artistic License. Airflow needs it (python-slugify)",
}
"""Package -> why its licence, which is not among the allowed, may be there."""


@dataclass(frozen=True)
class Judgement:
    """What a report of pip-audit means.

    :param findings: A line for each hole that is not ignored.
    :param unasked: Packages that the database was not asked of.
    :param asked: How many it was asked of.
    :param idle: Ignored ids that were not found.
    """

    findings: tuple[str, ...]
    unasked: tuple[str, ...]
    asked: int
    idle: tuple[str, ...]


def judge(report: Mapping[str, Any], ignored: Mapping[str, str]) -> Judgement:
    """Read a report of pip-audit.

    :param report: Its JSON.
    :param ignored: See :data:`IGNORED`.
    """
    findings, unasked, met, asked = [], [], set(), 0
    for row in report.get("dependencies", ()):
        if "skip_reason" in row:
            unasked.append(row["name"])
            continue
        asked += 1
        for hole in row.get("vulns", ()):
            names = {hole["id"], *hole.get("aliases", ())}
            met |= names
            if not names & ignored.keys():
                fixed = ", ".join(hole.get("fix_versions", ())) or "no version yet"
                findings.append(f"{row['name']} {row['version']}: {' '.join(sorted(names))}; fixed in {fixed}")
    return Judgement(tuple(findings), tuple(unasked), asked, tuple(sorted(ignored.keys() - met)))


def told(judgement: Judgement, must_ask: bool) -> tuple[list[str], bool]:
    """What is said of it, and whether the audit passes.

    :param judgement: The judgement.
    :param must_ask: Whether packages that were not asked of fail it.
    """
    lines = [*judgement.findings, *(f"{name} is ignored and found no longer: remove it from IGNORED." for name in judgement.idle)]
    if judgement.unasked:
        some = ", ".join(judgement.unasked[:5]) + (" …" if len(judgement.unasked) > 5 else "")
        lines.append(
            f"COULD NOT BE ASKED: the database knows nothing of {len(judgement.unasked)} packages ({some}): not audited."
        )
    lines.append(f"Holes: {judgement.asked} packages asked of, {len(judgement.findings)} findings.")
    silent = bool(judgement.unasked) or not judgement.asked
    # What is idle is known only where everything was asked of.
    idle = bool(judgement.idle) and not silent
    return lines, not (judgement.findings or idle or (must_ask and silent))


def audit_holes(must_ask: bool) -> bool:
    """Ask for known holes of all that is locked."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.json"
        command = [_tool("pip-audit"), "--progress-spinner=off", "--disable-pip", "--require-hashes", "-r", str(LOCK)]
        done = _run([*command, "--format=json", f"--output={path}"])
        report = json.loads(path.read_text()) if path.exists() else {}
    if not report:
        last = (done.stderr.strip() or done.stdout.strip() or "no reason given").splitlines()[-1]
        print(f"COULD NOT BE ASKED: pip-audit left no report: {last[:300]}", file=sys.stderr)
        return not must_ask
    lines, passed = told(judge(report, IGNORED), must_ask)
    print("\n".join(lines), file=sys.stdout if passed else sys.stderr)
    return passed


def refused_licences(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """A line for each package whose licence is not among the allowed.

    :param rows: ``Name`` and ``License``, as pip-licenses has them. Of those joined by OR one has to be allowed, of others all.
    """
    refused = []
    for row in rows:
        choices = [re.split(r"\s+AND\s+|;\s*", choice) for choice in re.split(r"\s+OR\s+", row["License"])]
        allowed = any(all(ALLOWED.fullmatch(part.strip()) for part in choice) for choice in choices)
        if not allowed and canonicalize_name(row["Name"]) not in LICENCE_EXCEPTIONS:
            refused.append(f"{row['Name']}: {row['License']}")
    return refused


def audit_licences() -> bool:
    """Check the licences of what is installed with the package; the tools of development are not handed to anybody."""
    names = sorted(runtime())
    done = _run([_tool("pip-licenses"), "--from=mixed", "--format=json", "--python", sys.executable, "--packages", *names])
    rows = json.loads(done.stdout)
    refused = refused_licences(rows)
    missing = sorted(set(names) - {str(canonicalize_name(row["Name"])) for row in rows})
    refused += [f"{name}: pip-licenses says nothing of it" for name in missing if name != PACKAGE]
    print("\n".join([*refused, f"Licences: {len(rows)} packages looked at, {len(refused)} not allowed."]))
    return not refused


def runtime() -> dict[str, Distribution]:
    """All that is installed because the package needs it, by name; not what only other systems or Pythons need."""
    found: dict[str, Distribution] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting: list[tuple[str, tuple[str, ...]]] = [(PACKAGE, ())]
    while waiting:
        name, extras = waiting.pop()
        key = (str(canonicalize_name(name)), extras)
        if key in seen:
            continue
        seen.add(key)
        try:
            found[key[0]] = distribution(name)
        except PackageNotFoundError:
            # A marker was met that no wheel answers here.
            continue
        waiting += [(wanted.name, tuple(sorted(wanted.extras))) for wanted in _wanted(found[key[0]], extras)]
    return found


def _wanted(one: Distribution, extras: tuple[str, ...]) -> Iterator[Requirement]:
    for text in one.requires or ():
        wanted = Requirement(text)
        if wanted.marker is None or any(wanted.marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            yield wanted


def limited(document: dict[str, Any], names: set[str]) -> dict[str, Any]:
    """A CycloneDX document without the components that are not named.

    :param document: The document.
    :param names: Names of packages.
    """
    kept = [row for row in document.get("components", ()) if str(canonicalize_name(row["name"])) in names]
    refs = {row["bom-ref"] for row in kept} | {document.get("metadata", {}).get("component", {}).get("bom-ref")}
    graph = [
        {**row, **({"dependsOn": [ref for ref in row["dependsOn"] if ref in refs]} if "dependsOn" in row else {})}
        for row in document.get("dependencies", ())
        if row["ref"] in refs
    ]
    return {**document, "components": kept, "dependencies": graph}


def make_sbom(output: Path, python: str | None) -> None:
    """Write a bill of materials, CycloneDX as JSON.

    :param output: The file.
    :param python: Interpreter of a tool's environment, for an image; by default this one, for the wheel: what is installed
        because the package needs it, at the locked versions.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    command = [_tool("cyclonedx-py"), "environment", "--output-reproducible", "--no-validate"]
    own = [] if python else ["--pyproject", str(ROOT / "pyproject.toml"), "--mc-type", "library"]
    done = _run([*command, *own, python or sys.executable])
    if done.returncode:
        raise SystemExit(f"cyclonedx-py failed: {done.stderr.strip()[-500:]}")
    document = json.loads(done.stdout)
    if not python:
        document = limited(document, set(runtime()) - {PACKAGE})
    output.write_text(json.dumps(document, indent=2) + "\n")
    print(f"{output}: {len(document['components'])} components")


def _tool(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - no shell; programs of our own environment
        command, capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
    )


def main() -> int:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    audit = commands.add_parser("audit", help="known holes and licences")
    audit.add_argument("--must-ask", action="store_true", help="fail where the database of holes cannot be asked")
    sbom = commands.add_parser("sbom", help="a bill of materials")
    sbom.add_argument("output", type=Path)
    sbom.add_argument("--python", help="interpreter of a tool's environment")
    options = parser.parse_args()
    if options.command == "sbom":
        make_sbom(options.output, options.python)
        return 0
    results = [audit_licences(), audit_holes(options.must_ask)]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
