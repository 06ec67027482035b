"""Runs inside the tool's environment: ``<environment>/bin/python <this folder> job.json``.

Only the standard library and the tool may be imported from here on; the package that holds this file is not installed there.
"""

import importlib
import json
import os
import sys
from pathlib import Path

if __name__ == "__main__":
    path = Path(sys.argv[1])
    job = json.loads(path.read_text(encoding="utf-8"))
    # It holds the key of the plan's hashes, and what is to be masked: the project's code has no business with it.
    path.unlink()
    # Drivers in C read it where they look; code that copies all variables would find another plan in each attempt.
    os.environ._data.pop(os.environ.encodekey("PGAPPNAME"), None)  # type: ignore[attr-defined]
    importlib.import_module("dagctl_common.ordering").sort_listings()
    sys.exit(importlib.import_module(f"dagctl_{job['tool']}.commands").main(job))
