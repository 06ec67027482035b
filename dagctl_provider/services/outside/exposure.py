"""What the way of running steps leaves open, said once when the controller starts."""

from __future__ import annotations

import logging

from dagctl_provider.config import setting

log = logging.getLogger(__name__)

BESIDE_AIRFLOW = (
    "Explains run code that nobody has approved yet as the user of Airflow's workers, so it can read what they can, Airflow's "
    "secrets among it: set [dagctl] process_user, or use pods; see docs/security.md"
)


def warn_of_exposure() -> str | None:
    """Log that explains run beside Airflow's secrets, where they do.

    Where repositories may be local folders, for demos and tests only, it is no warning: who commits there owns the machine.

    :return: What was said.
    """
    if setting("launcher") != "process" or str(setting("process_user")).strip():
        return None
    log.log(logging.INFO if setting("allow_local_repositories") else logging.WARNING, BESIDE_AIRFLOW)
    return BESIDE_AIRFLOW
