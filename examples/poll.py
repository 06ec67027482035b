"""Fetch runs and model executions that have changed since the last call, each change once, as JSON lines.

A file remembers how far it came. What changed in the last minute is asked for once more, since a change may become visible a
little after its time; what was printed already is left out.
"""

from __future__ import annotations

import argparse
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import quote

from client import pages

OVERLAP = timedelta(seconds=60)
LISTS = {"runs": "runs", "model-executions": "model_executions"}
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


def main() -> None:
    """Ask once, and remember."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("project", help="id of the project: proj_…")
    parser.add_argument("--state", type=Path, default=Path("dagctl-poll.json"), help="file that remembers how far it came")
    parser.add_argument("--hours", type=float, default=24.0, help="how far the first call looks back (default 24)")
    options = parser.parse_args()
    known = json.loads(options.state.read_text()) if options.state.exists() else {}
    first = datetime.now(timezone.utc) - timedelta(hours=options.hours)
    for path, member in LISTS.items():
        since = known.get(path, {}).get("since", first.strftime(_FORMAT))
        known[path] = poll(options.project, path, member, since, set(known.get(path, {}).get("seen", ())))
    partial = options.state.with_suffix(".new")
    partial.write_text(json.dumps(known))
    partial.replace(options.state)


def poll(project: str, path: str, member: str, since: str, seen: set[str]) -> dict[str, Any]:
    """Print what has changed.

    :param since: The newest change that was seen.
    :param seen: Changes that were printed, of the time that is asked for once more.
    :return: How far it came.
    """
    after = (datetime.strptime(since, _FORMAT).replace(tzinfo=timezone.utc) - OVERLAP).strftime(_FORMAT)
    newest, printed = since, {}
    for row in pages(f"/projects/{quote(project)}/{path}", member, updated_after=after, limit=500, **_quietly(path)):
        change = f"{row['id']} {row['updated_at']} {row['status']}"
        if change not in seen and change not in printed:
            print(json.dumps({"list": path, **row}))
        printed[change] = row["updated_at"]
        newest = max(newest, row["updated_at"])
    keep = (datetime.strptime(newest, _FORMAT) - OVERLAP).strftime(_FORMAT)
    return {"since": newest, "seen": sorted(change for change, at in printed.items() if at >= keep)}


def _quietly(path: str) -> dict[str, str]:
    return {"include_stats": "false"} if path == "runs" else {}


if __name__ == "__main__":
    main()
