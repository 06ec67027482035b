"""``python -m dagctl_provider.runner``."""

from __future__ import annotations

import signal
import sys

# The first process of a container ignores what it does not handle; a pod that is stopped while this program loads would
# otherwise sit out its whole grace.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))

from dagctl_provider.runner.cli import main  # noqa: E402
from dagctl_provider.runner.hiding import hide_from_own_user  # noqa: E402

if __name__ == "__main__":
    hide_from_own_user()
    sys.exit(main())
