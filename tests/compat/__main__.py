"""All that is tried on another Airflow: ``python -m tests.compat 3.1``; ``make test-airflow`` calls it.

Each part is a pytest of its own, in the environment and the copy that :mod:`tests.compat.install` makes, so that at most one
Airflow runs at a time.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.compat.install import installed

_AIRFLOW_ROOMS = ("api", "cli", "controller", "hooks", "operators", "orchestration", "sensors", "services", "store", "ui")
_QUICK = ["-n", "2", "--dist", "loadscope", "-m", "not slow"]
_ONE_BY_ONE = ["-p", "no:xdist"]

PARTS: dict[str, list[str]] = {
    "Airflow and the wheel alone, on SQLite": [*_ONE_BY_ONE, "tests/compat/test_bare.py"],
    "the main job": [*_ONE_BY_ONE, "tests/airflow/test_plans_real.py"],
    "pages and answers in Airflow's session, both auth managers": [*_ONE_BY_ONE, "tests/compat/test_sessions.py"],
    "the rooms that touch Airflow": [
        *_QUICK,
        *(f"tests/{room}" for room in _AIRFLOW_ROOMS),
        "tests/test_dag_factory.py",
        "tests/test_provider_info.py",
        "tests/test_version_compat.py",
    ],
}


def run(folder: Path) -> list[str]:
    """Run every part.

    :param folder: Of an Airflow.
    :return: What failed.
    """
    python = str(folder / "tests" / "bin" / "python")
    failed = []
    for name, words in PARTS.items():
        print(f"\n== {folder.name}: {name}", flush=True)
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *words]
        if subprocess.run(command, cwd=folder / "checkout", check=False).returncode != 0:
            failed.append(name)
    return failed


def main() -> int:
    """Install, run, say what failed."""
    folder = installed(sys.argv[1])
    if folder is None:
        return 1
    failed = run(folder)
    print(f"\nAirflow {folder.name}: " + (f"failed: {'; '.join(failed)}" if failed else "all parts passed"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
