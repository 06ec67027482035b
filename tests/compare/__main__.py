"""``python -m tests.compare REVISION [--keep FOLDER]``: see :mod:`tests.compare`. Ends with 1 when something differs."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.compare.differences import compare, report

ROOT = Path(__file__).parents[2]
CODE = ("dagctl_provider", "dags")
"""What of a version is asked. Its tests stay away, for they have the name that the present tree's have."""


DATE = 1_777_000_000


def export(revision: str, folder: Path) -> None:
    """Put the code of a revision into a folder.

    :raises SystemExit: when git knows no such revision.
    """
    if subprocess.run(
        ["git", "rev-parse", "--quiet", "--verify", f"{revision}^{{commit}}"], cwd=ROOT, capture_output=True
    ).returncode:
        raise SystemExit(f"git knows no revision {revision!r} here.")
    folder.mkdir(parents=True)
    archive = subprocess.run(["git", "archive", "--format=tar", revision, *CODE], cwd=ROOT, check=True, stdout=subprocess.PIPE)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    _date(folder)


def copy_present(folder: Path) -> None:
    """Put the code as it stands, committed or not, into a folder."""
    folder.mkdir(parents=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", *CODE],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    for name in listed.stdout.decode().split("\0"):
        if name and (ROOT / name).is_file():
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
    _date(folder)


def _date(folder: Path) -> None:
    """Give all files one date, for the pages tell it of theirs."""
    for path in folder.rglob("*"):
        os.utime(path, (DATE, DATE))


def dump(code: Path, home: Path, answers: Path) -> None:
    """Have the answers of some code written into a folder.

    :param home: A folder for Airflow, made here.
    :raises SystemExit: when it could not be asked, with the end of what was said.
    """
    home.mkdir()
    settings = {"PYTHONPATH": f"{code}{os.pathsep}{ROOT}", "PYTHONHASHSEED": "0"}
    command = [sys.executable, "-W", "ignore", "-m", "tests.compare.dump", str(code), str(home), str(answers)]
    # Not in this tree, whose package Python would find before that of the code.
    done = subprocess.run(
        command, cwd=home, env={**os.environ, **settings}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise SystemExit(f"The code could not be asked:\n{done.stdout[-6000:]}")


def main() -> int:
    """Compare, print, and say by the exit code whether anything differs."""
    parser = argparse.ArgumentParser(prog="python -m tests.compare", description="Compare what two versions of the code answer.")
    parser.add_argument("revision", help="the version before, as git names it")
    parser.add_argument("--keep", type=Path, help="an empty folder that is to keep all answers")
    asked = parser.parse_args()
    if asked.keep and asked.keep.exists() and any(asked.keep.iterdir()):
        parser.error(f"{asked.keep} is not empty")
    with tempfile.TemporaryDirectory(prefix="dagctl-compare-") as temporary:
        answers = asked.keep.resolve() if asked.keep else Path(temporary, "answers")
        export(asked.revision, Path(temporary, "before"))
        copy_present(Path(temporary, "after"))
        # One after the other at one place, since answers, and hashes in them, tell of places.
        code, home = Path(temporary, "code"), Path(temporary, "home")
        for name in ("before", "after"):
            Path(temporary, name).rename(code)
            dump(code, home, answers / name)
            shutil.rmtree(code)
            shutil.rmtree(home)
        found = compare(answers / "before", answers / "after")
    print("\n".join(report(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
