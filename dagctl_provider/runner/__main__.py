"""``python -m dagctl_provider.runner``."""

from __future__ import annotations

import sys

from dagctl_provider.runner.cli import main

if __name__ == "__main__":
    sys.exit(main())
