"""Compare the days of a project with thresholds. Exit code 0: they hold; 1: they do not; anything else: nobody knows."""

from __future__ import annotations

import argparse
import sys
from typing import Any
from urllib.parse import quote

from client import get


def main() -> int:
    """Ask, compare, tell."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition(".")[0])
    parser.add_argument("project", help="id of the project: proj_…")
    parser.add_argument("--days", type=int, default=7, help="so many days up to today (default 7)")
    parser.add_argument("--job-type", choices=["plan", "run", "janitor"], default="run", help="which runs count (default run)")
    parser.add_argument("--least-success", type=float, default=99.0, help="percent of a day's runs that succeed (default 99)")
    parser.add_argument("--most-seconds", type=float, help="longest that a day's successful runs may take on average")
    parser.add_argument("--least-runs", type=int, default=0, help="runs that there must be on each day (default 0)")
    options = parser.parse_args()
    try:
        found = get(f"/projects/{quote(options.project)}/runs/daily-stats", days=options.days, job_type=options.job_type)
    except SystemExit as error:
        print(error.code, file=sys.stderr)
        return 2
    broken = [(day["date"], why) for day in found["daily_stats"] for why in misses(day, options)]
    for day, why in broken:
        print(f"{day}: {why}")
    if not broken:
        print(f"All {found['days']} days hold.")
    return 1 if broken else 0


def misses(day: dict[str, Any], options: argparse.Namespace) -> list[str]:
    """Which thresholds a day does not hold."""
    found = []
    total, succeeded = day["total_runs"], day["successful_runs"]
    if total < options.least_runs:
        found.append(f"{total} runs, fewer than {options.least_runs}")
    if total and 100 * succeeded / total < options.least_success:
        found.append(f"{succeeded} of {total} runs succeeded, less than {options.least_success:g} %")
    average = day.get("avg_success_duration")
    if options.most_seconds is not None and average is not None and average > options.most_seconds:
        found.append(f"{average:.1f} s on average, more than {options.most_seconds:g} s")
    return found


if __name__ == "__main__":
    sys.exit(main())
