"""What it costs an explain to count every input and to look for what differs each time, beside an older revision's explain.

SQLMesh projects of 200 models on DuckDB in three kinds: SQL alone; macros in Python that see only their arguments; macros that
read a variable and the clock, so that their SQL is worked out and the project is loaded a second time. A commit changes one
model in the middle. The runner of this checkout and that of the other revision take turns with the same tool environment, each
with a project, cache and warehouse of its own. On a machine with other work, the ratio of CPU seconds says more than that of
the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.common import Verdict, machine, median, run, table
from benchmarks.overhead import changed_model, models
from demo.options import REPOSITORY_ROOT

VERSION = "0.236.4"
BASE = "b01ffc3"
LIMIT = 1.1
CONFIG = """
gateways:
  main:
    connection: {{type: duckdb, database: {folder}/warehouse.db}}
    state_connection: {{type: duckdb, database: {folder}/state.db}}
default_gateway: main
model_defaults: {{dialect: duckdb, start: '2026-11-20'}}
"""
MACROS = {
    "SQL": "",
    "macros": "from sqlmesh import macro\n@macro()\ndef twice(evaluator, x):\n    return f'({x}) * 2'\n",
    "macros that look outside": "import datetime\nimport os\nfrom sqlmesh import macro\n@macro()\ndef twice(evaluator, x):\n"
    "    factor = os.environ.get('FACTOR', '2') if datetime.datetime.now() else '2'\n    return f'({x}) * {factor}'\n",
}


@dataclass
class Side:
    """One revision's runner and its project.

    :param root: Checkout of the revision.
    :param folder: Private.
    :param kind: Key of :data:`MACROS`.
    :param number: Of models.
    """

    root: Path
    folder: Path
    kind: str
    number: int
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository = self.folder / "repository"
        self.repository.mkdir(parents=True)
        self._git("init", "--quiet", "--initial-branch=main")
        self.commit(0)

    def _git(self, *arguments: str) -> str:
        command = ["git", "-c", "user.name=b", "-c", "user.email=b@example.com", *arguments]
        return subprocess.run(command, cwd=self.repository, check=True, capture_output=True, text=True).stdout.strip()

    def commit(self, turn: int) -> None:
        """Change a model in the middle; the first commit makes all."""
        files = models(self.number, {changed_model(turn, self.number): turn} if turn else None)
        files["config.yaml"] = CONFIG.format(folder=self.folder)
        if MACROS[self.kind]:
            files = {name: text.replace("amount + ", "@twice(amount) + ") for name, text in files.items()}
            files |= {"macros/__init__.py": "", "macros/m.py": MACROS[self.kind]}
        for name, text in files.items():
            (self.repository / name).parent.mkdir(exist_ok=True)
            (self.repository / name).write_text(text)
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", str(turn))

    def step(self, command: str, **more: Any) -> dict[str, Any]:
        """Do a step and remember what it took.

        :raises RuntimeError: when it fails.
        """
        request = {
            "tool": "sqlmesh", "tool_version": VERSION, "repository_url": str(self.repository), "environment": "prod",
            "commit_sha": self._git("rev-parse", "HEAD"), "project_id": f"proj_{self.folder.name}", "step_id": "plan_1",
            **more,
        }  # fmt: skip
        # Runners of older revisions are told by the request, newer ones by the variable.
        (self.folder / "request.json").write_text(json.dumps(request))
        result = self.folder / "result.json"
        arguments = [command, "--request", str(self.folder / "request.json"), "--result", str(result)]
        variables = {
            **os.environ,
            "DAGCTL_ENVIRONMENTS_DIR": str(REPOSITORY_ROOT / ".tools" / "environments"),
            "DAGCTL_CACHE_DIR": str(self.folder / "cache"),
            "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1",
        }
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(
            [sys.executable, "-m", "dagctl_provider.runner", *arguments],
            cwd=self.root, env=variables, capture_output=True, text=True, check=False,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            raise RuntimeError(f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
        if command == "explain":
            self.seconds.append(time.monotonic() - started)
            self.cpu.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
        answer: dict[str, Any] = json.loads(result.read_text())
        return answer

    def deploy(self) -> None:
        """Execute the first commit, which is not measured."""
        explained = self.step("explain")
        approved = {"expected_digest": explained["digest"], "explained_plan_id": explained["tool_plan_id"]}
        self.step("execute", **approved, expected_digest_parts=explained["plan_output"]["digest_parts"])
        self.seconds.clear()
        self.cpu.clear()


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """A checkout of another revision of this repository, for a while."""
    folder = Path(tempfile.mkdtemp(prefix="dagctl-proof-base-"))
    git = ["git", "-C", str(REPOSITORY_ROOT), "worktree"]
    subprocess.run([*git, "add", "--quiet", "--detach", "--force", str(folder), revision], check=True)
    try:
        yield folder
    finally:
        subprocess.run([*git, "remove", "--force", str(folder)], check=True)


def main(options: argparse.Namespace) -> int:
    """Measure, print."""
    about, verdict, rows = machine(), Verdict(), []
    folder = Path(tempfile.mkdtemp(prefix="dagctl-proof-"))
    with checkout(options.base) as base:
        for kind in MACROS:
            rows.append(measure(kind, base, folder, options, verdict))
            print(*rows[-1], file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    print(f"\nproof: {about}, load afterwards {os.getloadavg()[0]:.1f}; {options.turns} turns against {options.base}, medians\n")
    print(table(["project", "base s", "explain s", "ratio", "base CPU s", "explain CPU s", "CPU ratio", "second load s"], rows))
    print()
    return verdict.tell()


def measure(kind: str, base: Path, folder: Path, options: argparse.Namespace, verdict: Verdict) -> list[Any]:
    """One row of the table; the two sides take turns."""
    names = kind.replace(" ", "-")
    other = Side(base, folder / f"{names}-base", kind, options.models)
    ours = Side(REPOSITORY_ROOT, folder / f"{names}-ours", kind, options.models)
    for side in (other, ours):
        side.deploy()
    waited: list[float] = []
    answers: dict[Path, dict[str, Any]] = {}
    for turn in range(1, options.turns + 1):
        for side in (other, ours) if turn % 2 else (ours, other):
            side.commit(turn)
            answers[side.root] = side.step("explain")
        waited.append(answers[ours.root]["timings"].get("again", 0.0))
    ratio = median(one / two for one, two in zip(ours.seconds, other.seconds, strict=True))
    busy = median(one / two for one, two in zip(ours.cpu, other.cpu, strict=True))
    verdict.require(min(ratio, busy) <= LIMIT, f"{kind}: {ratio:.2f} by the clock, {busy:.2f} of CPU")
    figures = [median(other.seconds), median(ours.seconds), ratio, median(other.cpu), median(ours.cpu), busy, max(waited)]
    return [f"{options.models} models, {kind}", *(round(figure, 2) for figure in figures)]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.proof", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--base", default=BASE, help=f"revision to compare with (default {BASE}, before there was any of it)")
    made.add_argument("--models", type=int, default=200, help="models of each project (default 200)")
    made.add_argument("--turns", type=int, default=7, help="measurements of each side (default 7)")
    made.add_argument("--quick", action="store_true", help="20 models, 2 turns: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--models", "20", "--turns", "2"]
    run(main, parser())
