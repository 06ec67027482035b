"""Mutation testing: how many small slips in a module do its own tests notice? See `docs/decisions/own-mutants.md`.

Each mutant runs in a process of its own that imports the module with one slip in it; no file is touched. Without `--all` a
sample of each module is tried, the same each time for the same seed.
"""

from __future__ import annotations

import argparse
import ast
import atexit
import contextlib
import fnmatch
import gc
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import random
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutations import Mutant, count, mutant

ROOT = Path(__file__).parents[2]
PACKAGE = "dagctl_provider"

# Which tests judge a module: the first row that fits; otherwise tests/<room>/test_<module>.py, or else all of tests/<room>.
TESTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("runner/repositories", ("tests/domain/test_repository.py", "tests/domain/test_foreign_addresses.py")),
    ("runner/hosts", ("tests/domain/test_repository.py",)),
    ("domain/repository", ("tests/domain/test_repository.py",)),
    ("domain/hosts", ("tests/domain/test_repository.py",)),
    ("domain/errors", ("tests/domain/test_ids.py",)),
    ("domain/settings", ("tests/domain/test_ids.py",)),
    ("domain/names", ("tests/domain/test_ids.py", "tests/test_dag_factory.py")),
    ("domain/releases", ("tests/services/test_detection.py",)),
    ("domain/run*", ("tests/services/test_runs.py",)),
    ("operators/steps", ("tests/operators/test_steps.py", "tests/operators/test_step_words.py", "tests/operators/test_wire.py")),
    ("services/*steps", ("tests/services/test_plans.py", "tests/services/test_what_is_written.py")),
    ("services/*requests", ("tests/services/test_project_requests.py", "tests/services/test_wire.py")),
    ("services/*reconcile", ("tests/services/test_waking.py", "tests/services/test_plans.py")),
)
DEFAULT = ("domain/*", "operators/steps", "services/*")
LONGEST = 900


def files_of(module: str) -> list[str]:
    """The test files for a module such as ``domain/plans``."""
    for pattern, files in TESTS:
        if fnmatch.fnmatch(module, pattern):
            return list(files)
    room, name = module.split("/", 1)[0], module.rsplit("/", 1)[-1]
    own = f"tests/{room}/test_{name}.py"
    return [own if (ROOT / own).exists() else f"tests/{room}"]


def modules_of(patterns: Sequence[str]) -> list[str]:
    """Modules below the package that fit a pattern, without those that hold nothing."""
    known = (path.relative_to(ROOT / PACKAGE).with_suffix("").as_posix() for path in (ROOT / PACKAGE).rglob("*.py"))
    return sorted(
        one for one in known if any(fnmatch.fnmatch(one, pattern) for pattern in patterns) and not one.endswith("__init__")
    )


class _Mutated(importlib.machinery.SourceFileLoader):
    """Loads a module from a tree instead of its file."""

    tree: ast.Module

    def get_code(self, fullname):
        return compile(self.tree, self.path, "exec")


class _Finder:
    """Finds one module, mutated, and leaves the others to Python."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        self._name, self._loader = name, _Mutated(name, str(path))
        self._loader.tree = tree

    def find_spec(self, name, path=None, target=None):
        return (
            importlib.util.spec_from_file_location(name, self._loader.path, loader=self._loader) if name == self._name else None
        )


def _start(module: str, tree: ast.Module | None, seconds: float) -> int:
    """Run the module's tests in a child; its process id. It ends with pytest's status, or by a signal when it hangs.

    :param seconds: Of work; a busy machine is no reason to take a mutant for one that hangs.
    """
    child = os.fork()
    if child:
        return child
    status = 70
    try:
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.alarm(LONGEST)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        if tree is not None:
            path = ROOT / PACKAGE / f"{module}.py"
            sys.meta_path.insert(0, _Finder(f"{PACKAGE}.{module.replace('/', '.')}", path, tree))
        status = _run_tests(module)
    finally:
        with contextlib.suppress(BaseException):
            atexit._run_exitfuncs()
        os._exit(status)


def _run_tests(module: str) -> int:
    import pytest
    from hypothesis.configuration import set_hypothesis_home_dir

    with tempfile.TemporaryDirectory(prefix="dagctl-mutant-") as folder:
        set_hypothesis_home_dir(folder)
        options = ["-x", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-m", "not slow and not long"]
        return int(pytest.main([*options, *files_of(module)]))


def _survivors(module: str, chosen: list[Mutant], seconds: float, jobs: int) -> list[Mutant]:
    waiting, running, alive = list(chosen), {}, []
    while waiting or running:
        while waiting and len(running) < jobs:
            one = waiting.pop(0)
            running[_start(module, one.tree, seconds)] = one
        child, status = os.wait()
        if status == 0:
            alive.append(running[child])
        del running[child]
    return sorted(alive, key=lambda one: one.line)


def _import_for_all() -> None:
    """Import here, once, what each child would spend a second on: the test tools, and nothing of what is tested."""
    for plugin in importlib.metadata.entry_points(group="pytest11"):
        plugin.load()
    importlib.import_module("hypothesis.strategies")
    gc.freeze()


def main() -> int:
    """Print killed and all, and the survivors' lines, per module; 1 when tests fail without any mutant."""
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--modules", nargs="*", default=list(DEFAULT), help="patterns such as domain/plans or services/*")
    parser.add_argument("--sample", type=int, default=20, help="mutants of each module")
    parser.add_argument("--seed", type=int, default=19)
    parser.add_argument("--all", action="store_true", help="every mutant")
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    os.chdir(ROOT)
    _import_for_all()

    killed = tried = 0
    for module in modules_of(asked.modules):
        source = (ROOT / PACKAGE / f"{module}.py").read_text("utf-8")
        possible = count(source)
        size = possible if asked.all else min(asked.sample, possible)
        chosen = [mutant(source, number) for number in sorted(random.Random(asked.seed).sample(range(possible), size))]
        if not chosen:
            continue
        _, status, used = os.wait4(_start(module, None, LONGEST), 0)
        if status:
            print(f"{module}: its tests fail without any mutant: {' '.join(files_of(module))}", flush=True)
            return 1
        alive = _survivors(module, chosen, 10 + 5 * (used.ru_utime + used.ru_stime), asked.jobs)
        tried, killed = tried + len(chosen), killed + len(chosen) - len(alive)
        print(f"{module}: {len(chosen) - len(alive)} of {len(chosen)} killed (of {possible} possible)", flush=True)
        for one in alive:
            print(f"  {PACKAGE}/{module}.py:{one.line}: {one.change}", flush=True)
    print(f"{killed} of {tried} mutants killed ({killed / max(tried, 1):.0%})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
