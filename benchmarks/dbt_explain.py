"""What an explain of a dbt project costs beside `dbt ls --select state:modified+ --state DIR` typed by hand.

Layered projects of 20, 200 and 1,000 models on DuckDB; the commit changes one model in the middle. Both run in turns with the
same dbt, the same state and the same things kept from the parse of the commit before (`partial_parse.msgpack`), or neither with
any. By hand means one process in a checkout that is there already. The explain is the whole step: it fetches the commit from git,
compares, compiles what changed, and writes diffs, columns and the digest. Ratios count: both sides come from the same minutes.
On a machine with other work, those of CPU seconds say more than those of the clock; one of the two must hold.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.common import Verdict, machine, median, run, table
from demo.options import REPOSITORY_ROOT

VERSION = "1.12.6"
LIMIT = 1.25
PROJECT = "name: shop\nversion: '1.0'\nconfig-version: 2\nprofile: shop\nmodels: {shop: {+materialized: view}}\n"
PROFILE = "shop: {target: prod, outputs: {prod: {type: duckdb, path: WAREHOUSE, threads: 2}}}\n"


def models(number: int) -> dict[str, str]:
    """A layered project: a tenth reads nothing, then staging, joins with CTEs, and marts with two tests each."""
    raw, staging, joins = max(1, number // 10), number * 3 // 10, number * 3 // 10
    files = {f"models/raw_{i}.sql": f"select {i} as id, 'n{i}' as name, {i} * 1.5 as amount" for i in range(raw)}
    for i in range(staging):
        files[f"models/stg_{i}.sql"] = f"select id, upper(name) as name, amount from {{{{ ref('raw_{i % raw}') }}}} where id >= 0"
    for i in range(joins):
        one, other = i % staging, (i * 7 + 1) % staging
        files[f"models/int_{i}.sql"] = (
            f"with a as (select * from {{{{ ref('stg_{one}') }}}}), b as (select id, amount from {{{{ ref('stg_{other}') }}}})\n"
            "select a.id, a.name, a.amount + b.amount as amount from a join b on a.id = b.id"
        )
    tests = []
    for i in range(number - raw - staging - joins):
        files[f"models/mart_{i}.sql"] = f"select name, sum(amount) as amount from {{{{ ref('int_{i % joins}') }}}} group by 1"
        tests.append(f"  - name: mart_{i}\n    columns: [{{name: name, data_tests: [not_null, unique]}}]\n")
    return {**files, "models/schema.yml": "version: 2\nmodels:\n" + "".join(tests)}


class Cost(NamedTuple):
    """What one measurement took."""

    seconds: float
    cpu: float


@dataclass
class Bench:
    """One project with two commits, and both ways to ask what the second one changes.

    :param number: Of models.
    :param folder: Private.
    """

    number: int
    folder: Path
    commits: list[str] = field(default_factory=list)
    found: list[set[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.repository, self.hand = self.folder / "repository", self.folder / "hand"
        environments = REPOSITORY_ROOT / ".tools" / "environments"
        self.variables = {
            **os.environ,
            "DAGCTL_ENVIRONMENTS_DIR": str(environments),
            "DAGCTL_ALLOW_LOCAL_REPOSITORIES": "1",
            "DAGCTL_CACHE_DIR": str(self.folder / "cache"),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }
        profile = PROFILE.replace("WAREHOUSE", str(self.folder / "warehouse.duckdb"))
        self._commit(
            {"dbt_project.yml": PROJECT, "profiles.yml": profile, ".gitignore": "target/\nlogs/\n", **models(self.number)}
        )
        changed = self.repository / "models" / "stg_1.sql"
        self._commit({"models/stg_1.sql": changed.read_text().replace("id >= 0", "id >= 1")})
        self.python = self._runner("install", "--tool", "dbt", "--version", VERSION, "--extra", "duckdb")[1].split()[-1]

    def _git(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.repository, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    def _commit(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            path = self.repository / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        if not self.commits:
            self._git("init", "--quiet", "--initial-branch=main")
        self._git("add", "--all")
        self._git("-c", "user.name=b", "-c", "user.email=b@example.com", "commit", "--quiet", "-m", "c")
        self.commits.append(self._git("rev-parse", "HEAD"))

    def _runner(self, *arguments: str) -> tuple[Cost, str]:
        return self._timed([sys.executable, "-m", "dagctl_provider.runner", *arguments], REPOSITORY_ROOT)

    def _timed(self, command: list[str], cwd: Path) -> tuple[Cost, str]:
        started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=cwd, env=self.variables, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return Cost(time.monotonic() - started, cpu), done.stdout

    def prepare(self) -> None:
        """Deploy the first commit's manifest on both sides, and keep what its parse left."""
        self._git("clone", "--quiet", str(self.repository), str(self.hand))
        subprocess.run(["git", "checkout", "--quiet", self.commits[0]], cwd=self.hand, check=True)
        self._dbt("parse")
        (self.folder / "state").mkdir()
        shutil.copy(self.hand / "target" / "manifest.json", self.folder / "state")
        shutil.copy(self.hand / "target" / "partial_parse.msgpack", self.folder / "hand.msgpack")
        subprocess.run(["git", "checkout", "--quiet", self.commits[1]], cwd=self.hand, check=True)
        self.explain(0, keep=True)
        self.kept = next((self.folder / "cache" / "projects").glob("*/*/partial_parse.msgpack"))
        shutil.copy(self.kept, self.folder / "ours.msgpack")

    def _dbt(self, *arguments: str) -> tuple[Cost, str]:
        return self._timed([str(Path(self.python).parent / "dbt"), *arguments, "--profiles-dir", str(self.hand)], self.hand)

    def by_hand(self, warm: bool) -> Cost:
        """Cost of what a person would type."""
        shutil.rmtree(self.hand / "target")
        (self.hand / "target").mkdir()
        if warm:
            shutil.copy(self.folder / "hand.msgpack", self.hand / "target" / "partial_parse.msgpack")
        select = ["--select", "state:modified+", "--state", str(self.folder / "state"), "--output", "json"]
        cost, text = self._dbt("--quiet", "ls", "--resource-type", "model", *select, "--output-keys", "unique_id")
        self.found.append({json.loads(line)["unique_id"] for line in text.splitlines() if line.startswith("{")})
        return cost

    def explain(self, commit: int = 1, *, warm: bool = True, keep: bool = False) -> Cost:
        """Cost of an explain."""
        if not keep:
            self.kept.unlink(missing_ok=True)
            if warm:
                shutil.copy(self.folder / "ours.msgpack", self.kept)
        state = self.folder / "state" / "manifest.json"
        packed = base64.b64encode(gzip.compress(state.read_bytes())).decode()
        request: dict[str, Any] = {
            "tool": "dbt", "tool_version": VERSION, "repository_url": str(self.repository), "commit_sha": self.commits[commit],
            "project_id": "proj_1", "step_id": "plan_1", "inputs": {"deployed": packed},
        }  # fmt: skip
        (self.folder / "request.json").write_text(json.dumps(request))
        result = self.folder / "result.json"
        cost, _ = self._runner("explain", "--request", str(self.folder / "request.json"), "--result", str(result))
        self.output = json.loads(result.read_text())
        if commit:
            self.found.append({row["unique_id"] for row in self.output["plan_output"]["models"]})
        return cost


def main(options: argparse.Namespace) -> int:
    """Measure, print."""
    about, verdict, rows = machine(), Verdict(), []
    for number in options.sizes:
        folder = Path(tempfile.mkdtemp(prefix="dagctl-dbt-explain-"))
        bench = Bench(number, folder)
        bench.prepare()
        for warm in (True, False):
            rows.append(measure(bench, warm, options.turns, verdict))
            print(*rows[-1], file=sys.stderr, flush=True)
        verdict.require(all(found == bench.found[0] for found in bench.found), f"{number}: both found the same models")
        shutil.rmtree(folder)
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
    print(f"\ndbt_explain: {about}, load afterwards {os.getloadavg()[0]:.1f}; dbt {VERSION}, {options.turns} turns, medians")
    print(f"largest process {memory} MiB\n")
    head = ["models", "changed", "parse kept", "dbt ls s", "explain s", "ratio", "dbt ls CPU s", "explain CPU s", "CPU ratio"]
    head += ["compile s", "columns s"]
    print(table(head, rows))
    print()
    return verdict.tell()


def measure(bench: Bench, warm: bool, turns: int, verdict: Verdict) -> list[Any]:
    """One row of the table; the two sides take turns."""
    hand, ours = [], []
    for _ in range(turns):
        hand.append(bench.by_hand(warm))
        ours.append(bench.explain(warm=warm))
    ratio = median(one.seconds / other.seconds for one, other in zip(ours, hand, strict=True))
    busy = median(one.cpu / other.cpu for one, other in zip(ours, hand, strict=True))
    verdict.require(
        min(ratio, busy) <= LIMIT, f"{bench.number} models, parse {'kept' if warm else 'anew'}: {ratio:.2f}, {busy:.2f}"
    )
    timings = bench.output["timings"]
    figures = [median(cost.seconds for cost in hand), median(cost.seconds for cost in ours), ratio]
    figures += [
        median(cost.cpu for cost in hand),
        median(cost.cpu for cost in ours),
        busy,
        timings["compile"],
        timings["columns"],
    ]
    return [bench.number, len(bench.found[-1]), "yes" if warm else "no", *(round(figure, 2) for figure in figures)]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.dbt_explain", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--sizes", type=int, nargs="+", default=[20, 200, 1000], help="models (default 20 200 1000)")
    made.add_argument("--turns", type=int, default=7, help="measurements of each side (default 7)")
    made.add_argument("--quick", action="store_true", help="20 models, 2 turns: does it work at all")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--sizes", "20", "--turns", "2"]
    run(main, parser())
