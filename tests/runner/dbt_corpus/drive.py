"""Runs in an environment of dbt: does every commit of the corpus as the inner program would, one after the other, in one process.

``python drive.py <folder of the inner program> <corpus> <work folder> <answers.jsonl>``. One line per commit: what the explain
showed, what ``dbt ls`` selects by itself and by the arguments shown, and what run_results.json says has run.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

INNER, CORPUS, WORK, ANSWERS = (Path(argument) for argument in sys.argv[1:5])
sys.path.insert(0, str(INNER))

import duckdb  # noqa: E402
import yaml  # noqa: E402
from dagctl_dbt import commands  # noqa: E402
from dagctl_dbt.builds import Build  # noqa: E402
from dagctl_dbt.journals import Step  # noqa: E402
from dbt.cli.main import dbtRunner  # noqa: E402
from dbt.version import __version__  # noqa: E402

PROJECT = WORK / "project"
RAW = """
create schema raw;
create table raw.orders as select i as order_id, i % 3 + 1 as customer_id, 'placed' as status,
  date '2024-01-01' + cast(i as integer) as ordered_at from range(10) t(i);
create table raw.customers as select * from (values (1, 'ann', 'de'), (2, 'bob', 'it'), (3, 'cy', 'de'))
  t(customer_id, name, country_code);
create table raw.payments as select i as payment_id, i as order_id, 'card' as method, 1000 * i as amount_cents,
  timestamp '2024-01-01' as paid_at from range(10) t(i);
create table raw.payments_2024 as from raw.payments;
create table raw.events as select i as event_id, i % 3 + 1 as customer_id, date '2024-01-25' as happened_at from range(10) t(i);
"""


def change(commit: dict[str, Any]) -> None:
    """Edit the work tree; an edit whose text is not there is a mistake in the corpus."""
    for old, new in (commit.get("move") or {}).items():
        (PROJECT / new).parent.mkdir(parents=True, exist_ok=True)
        (PROJECT / old).rename(PROJECT / new)
    for name in commit.get("delete") or ():
        (PROJECT / name).unlink()
    for name, text in (commit.get("write") or {}).items():
        (PROJECT / name).write_text(text)
    for name, pairs in (commit.get("edit") or {}).items():
        text = (PROJECT / name).read_text()
        for old, new in pairs:
            assert old in text, f"{commit['name']}: {name} has no {old!r}"
            text = text.replace(old, new, 1)
        (PROJECT / name).write_text(text)


def job(command: str, number: int, deployed: Path | None, **more: Any) -> dict[str, Any]:
    """What the outer program hands over."""
    scratch = WORK / f"{command}{number}"
    scratch.mkdir()
    os.environ.update({f"DBT_{name.upper()}_PATH": str(scratch / name) for name in ("target", "log")})
    return {
        "command": command, "project": str(PROJECT), "checkout": str(PROJECT), "scratch": str(scratch),
        "cache": str(WORK / "cache"), "shared": str(WORK / "shared"),
        "profile_file": str(PROJECT / "profiles.yml"), "profile": None, "target": None,
        "tool": "dbt", "tool_version": __version__, "commit_sha": str(number), "git_path": "", "run_tests": True,
        "secrets": [], "step_id": f"plan_{number}", "project_id": "proj_1",
        "inputs": {"deployed": str(deployed)} if deployed else {},
        "expected_digest_parts": None, "grace": 5, **more,
    }  # fmt: skip


def listed(manifest: Any, state: Path, *arguments: str) -> list[str]:
    """Unique ids that ``dbt ls`` answers; nothing is parsed again."""
    result = dbtRunner(manifest=manifest).invoke(
        ["--quiet", "ls", "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT), "--state", str(state),
         "--target-path", str(WORK / "ls"), "--output", "json", "--output-keys", "unique_id", *arguments]
    )  # fmt: skip
    if not result.success:
        raise SystemExit(f"dbt ls: {result.exception}")
    return [json.loads(line)["unique_id"] for line in result.result]


def one(number: int, commit: dict[str, Any], deployed: Path | None) -> dict[str, Any]:
    """Explain and execute what is in the work tree."""
    seen: dict[str, Any] = {}
    plan_of = commands._plan

    def plan_and_remember(step: Step, build: Any, task: Any, state: Any) -> Any:
        seen["manifest"] = task.manifest
        return plan_of(step, build, task, state)

    clock = [time.process_time()]
    commands._plan = plan_and_remember
    explained = commands.explain(Step(job("explain", number, deployed)))
    commands._plan = plan_of
    clock.append(time.process_time())
    answer = {"output": explained["plan_output"]}
    if deployed is not None:
        state = WORK / "explain-state"
        shutil.copyfile(deployed, state / "manifest.json")
        answer["dbt"] = listed(seen["manifest"], state, "--select", "state:modified+")
        typed = explained["plan_output"]["selection"]["arguments"]
        answer["typed"] = listed(seen["manifest"], state, *typed) if typed else None
    clock.append(time.process_time())
    execute = job("execute", number, deployed, expected_digest=explained["digest"], explained_plan_id=explained["tool_plan_id"],
                  expected_digest_parts=explained["plan_output"]["digest_parts"])  # fmt: skip
    step = Step(execute)
    try:
        executed = commands.execute(step)
    except commands.StepFailed as failure:
        raise SystemExit(f"{commit['name']}: {failure.code}: {failure.message}") from failure
    results = Path(execute["scratch"]) / "target" / "run_results.json"
    answer["ran"] = [row["unique_id"] for row in json.loads(results.read_text())["results"]] if results.is_file() else []
    answer["artifact"] = executed["artifacts"]["deployed"]
    clock.append(time.process_time())
    answer["seconds"] = [round(after - before, 2) for before, after in itertools.pairwise(clock)]
    return answer


def main() -> None:
    """The first deployment, then the commits."""
    import base64
    import gzip

    shutil.copytree(CORPUS / "project", PROJECT)
    for name in ("cache", "shared", "explain-state", "ls"):
        (WORK / name).mkdir()
    os.environ.update(DBT_SEND_ANONYMOUS_USAGE_STATS="false", DBT_LOG_LEVEL_FILE="none")
    os.environ["WAREHOUSE"] = str(WORK / "warehouse.duckdb")
    with duckdb.connect(os.environ["WAREHOUSE"]) as connection:
        connection.execute(RAW)
    invoke = Build.invoke
    Build.invoke = lambda self, **options: invoke(self, **{**options, "partial_parse": True})  # A full parse each would be slow.
    # What is asked here is what is shown, and not how fast the machine is.
    commands.COMPILE_SECONDS = commands.COLUMN_SECONDS = 600.0
    commands._lock = lambda step: None  # Given back at the end of a process only, and all steps are in this one.
    commits = yaml.safe_load((CORPUS / "commits.yaml").read_text())["commits"]
    deployed = None
    with open(ANSWERS, "w") as file:
        for number, commit in enumerate([{"name": "first deployment"}, *commits]):
            change(commit)
            answer = one(number, commit, deployed)
            deployed = WORK / "deployed.json"
            deployed.write_bytes(gzip.decompress(base64.b64decode(answer.pop("artifact"))))
            file.write(json.dumps({"name": commit["name"], **answer}) + "\n")
            file.flush()


if __name__ == "__main__":
    main()
