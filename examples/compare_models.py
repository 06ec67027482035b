"""Tell which models have become slower between two spans of days."""

from __future__ import annotations

import argparse
import sys
from urllib.parse import quote

from client import pages


def main() -> int:
    """Ask for both spans, compare, tell. Exit code 1 when a model is slower than it may be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("project", help="id of the project: proj_…")
    for name in ("before", "after"):
        parser.add_argument(f"--{name}", nargs=2, metavar=("FIRST", "LAST"), required=True, help="days such as 2026-04-01")
    parser.add_argument("--job-type", choices=["plan", "run", "janitor"], default="run", help="which runs count (default run)")
    parser.add_argument("--factor", type=float, default=1.2, help="how many times as long is slower (default 1.2)")
    parser.add_argument("--least-seconds", type=float, default=1.0, help="models that take less are left out (default 1)")
    options = parser.parse_args()
    before, after = (averages(options.project, *span, options.job_type) for span in (options.before, options.after))
    slower = 0
    for name in sorted(before.keys() & after.keys(), key=lambda name: after[name] - before[name], reverse=True):
        was, now = before[name], after[name]
        if max(was, now) >= options.least_seconds:
            change = now / was if was else float("inf")
            mark = "slower" if change >= options.factor else "faster" if change <= 1 / options.factor else ""
            slower += mark == "slower"
            print(f"{name:50} {was:10.2f} s {now:10.2f} s {change:7.2f} x  {mark}".rstrip())
    for kind, names in (("new", after.keys() - before.keys()), ("gone", before.keys() - after.keys())):
        for name in sorted(names):
            print(f"{name:50} {kind}")
    return 1 if slower else 0


def averages(project: str, first: str, last: str, job_type: str) -> dict[str, float]:
    """How long each model takes on average, where it succeeded."""
    path = f"/projects/{quote(project)}/model-executions/stats"
    rows = pages(path, "model_stats", start_date=first, end_date=last, job_type=job_type, limit=500)
    return {row["model_name"]: row["avg_duration"] for row in rows if "avg_duration" in row}


if __name__ == "__main__":
    sys.exit(main())
