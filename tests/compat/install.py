"""Makes an environment with another Airflow beside the development environment, as somebody has it who never saw this checkout.

``.tools/airflow/<version>/`` gets two environments and a folder:

* ``bare``: that Airflow and this package from a wheel built now, nothing else;
* ``tests``: the same, and the tools of the tests;
* ``checkout``: the repository without the package, to run tests in: there, only the wheel can be imported.

What belongs to an Airflow is what was there on the day of its release, which comes near its constraints files and needs no other
server than the package index.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import certifi
import httpx
from packaging.version import Version

ROOT = Path(__file__).parents[2]
UV = ROOT / ".tools" / "bin" / "uv"
INDEX = os.environ.get("UV_DEFAULT_INDEX") or "https://pypi.org/simple"
PACKAGE = "dagctl_provider"
# Where companies put their own certificate authority; the Makefile has uv look there as well.
SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")

# What the constraints files of a minor say where the newest of that day says otherwise.
_CONSTRAINED = {(3, 1): ("sqlalchemy<2",)}


class Unknown(Exception):
    """The index has no such Airflow."""


def find_release(wanted: str) -> tuple[str, date]:
    """The version that is meant and the day it came out.

    :param wanted: A version, or a minor such as ``3.1``, which stands for its newest patch.
    :raises Unknown: when there is none.
    """
    headers = {"Accept": "application/vnd.pypi.simple.v1+json"}
    context = ssl.create_default_context(cafile=certifi.where())
    for bundle in filter(os.path.exists, SYSTEM_BUNDLES):
        context.load_verify_locations(bundle)
    address = f"{INDEX.rstrip('/')}/apache-airflow/"
    answer = httpx.get(address, headers=headers, timeout=60, follow_redirects=True, verify=context)
    answer.raise_for_status()
    days = {
        Version(file["filename"].split("-")[1]): date.fromisoformat(file["upload-time"][:10])
        for file in answer.json()["files"]
        if file["filename"].endswith(".whl") and not file.get("yanked")
    }
    days = {version: day for version, day in days.items() if version >= Version("3.1")}
    exact = [version for version in days if str(version) == wanted]
    patches = [version for version in days if f"{version.major}.{version.minor}" == wanted and not version.is_prerelease]
    if not exact and not patches:
        raise Unknown(f"There is no Airflow {wanted}, or it is older than 3.1, which this package needs. Try: AIRFLOW=3.1")
    found = max(exact or patches)
    return str(found), days[found]


def build_wheel(folder: Path) -> Path:
    """This package as a wheel, the only one in a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    _uv("build", "--quiet", "--wheel", "--out-dir", str(folder), str(ROOT))
    (wheel,) = folder.glob("*.whl")
    return wheel


def resolve(airflow: str, day: date, wheel: Path, target: Path) -> None:
    """Write the requirements of an Airflow with this package, as of the day after that Airflow's release."""
    version = Version(airflow)
    wanted = [
        f"apache-airflow=={airflow}",
        f"airflow-provider-dagctl @ {wheel.as_uri()}",
        # Has pre-releases only; those of all others are not wanted.
        "opentelemetry-semantic-conventions>=0.0b0",
        *_CONSTRAINED.get((version.major, version.minor), ()),
        *([f"apache-airflow-core=={airflow}", "apache-airflow-task-sdk>=0.0b0"] if version.is_prerelease else ()),
    ]
    options = ["--quiet", "--no-annotate", "--prerelease", "explicit", "--exclude-newer", str(day + timedelta(days=1))]
    _uv("pip", "compile", *options, "--python", sys.executable, "-", "-o", str(target), given="\n".join(wanted))


def install(airflow: str, day: date) -> Path:
    """Make or renew the folder of an Airflow.

    :return: The folder.
    """
    folder = ROOT / ".tools" / "airflow" / airflow
    folder.mkdir(parents=True, exist_ok=True)
    wheel = build_wheel(folder / "wheel")
    bare, tools = folder / "bare.txt", folder / "tests.txt"
    resolve(airflow, day, wheel, bare)
    group = ["--group", f"{ROOT / 'pyproject.toml'}:dev", "--constraint", str(bare)]
    _uv("pip", "compile", "--quiet", "--no-annotate", "--python", sys.executable, *group, "-o", str(tools))
    for name, files in (("bare", [bare]), ("tests", [bare, tools])):
        _uv("venv", "--quiet", "--allow-existing", "--python", sys.executable, str(folder / name))
        python = str(folder / name / "bin" / "python")
        _uv("pip", "sync", "--quiet", "--reinstall-package", "airflow-provider-dagctl", "--python", python, *map(str, files))
    copy_checkout(folder / "checkout")
    return folder


def copy_checkout(target: Path) -> None:
    """Copy the repository's files, all but the package; what tests keep between runs is shared."""
    shutil.rmtree(target, ignore_errors=True)
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        source = ROOT / name
        if name and source.is_file() and name.split("/")[0] != PACKAGE:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    cache = ROOT / ".tools" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    (target / ".tools").mkdir()
    (target / ".tools" / "cache").symlink_to(cache)


def _uv(*words: str, given: str | None = None) -> None:
    subprocess.run([str(UV), *words], check=True, input=given, text=True, stdout=subprocess.DEVNULL)


def installed(wanted: str) -> Path | None:
    """Find, install, and say what went wrong.

    :param wanted: As :func:`find_release` takes it.
    :return: The folder; ``None`` after a message.
    """
    try:
        airflow, day = find_release(wanted)
        print(f"Airflow {airflow} of {day}, Python {sys.version.split()[0]} ...", flush=True)
        return install(airflow, day)
    except (Unknown, httpx.HTTPError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        return None
