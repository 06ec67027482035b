"""`airflow db migrate`, and the first API token in the same process: importing Airflow twice would take as long again.

Run as a program with Airflow's settings in the environment: ``python -m demo.bootstrap <file for the token>``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(target: Path) -> None:
    """Migrate, make a token, write both ids to ``target``."""
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", "db", "migrate"]
    airflow()

    from dagctl_provider.services import organizations, tokens
    from demo.processes import write_private

    organization_id = organizations.default_organization_id()
    made = tokens.create_token(organization_id, "demo", "owner", "demo")
    write_private(target, json.dumps({"organization_id": organization_id, "token": made.secret}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
