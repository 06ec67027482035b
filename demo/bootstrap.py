"""`airflow db migrate`, the first user and the first API token in one process: importing Airflow twice would take as long again.

Run as a program with Airflow's settings in the environment: ``python -m demo.bootstrap <file for the token> <passwords>
<tables>``. Where there is a token, the database is only brought to this version.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(target: Path, passwords: Path, tables: str) -> None:
    """Migrate, make the users that the auth manager does not know by itself, make a token, write its ids to ``target``.

    :param passwords: The file that SimpleAuthManager reads: passwords by user name.
    :param tables: Names the tables of this version, for the next start.
    """
    from airflow.configuration import conf

    from demo.processes import write_private

    _airflow("db", "migrate")
    if target.exists():
        write_private(target, json.dumps({**json.loads(target.read_text()), "tables": tables}))
        return
    if conf.get("core", "auth_manager").endswith(".FabAuthManager"):
        for name, password in json.loads(passwords.read_text()).items():
            who = ["--username", name, "--firstname", name, "--lastname", name, "--email", f"{name}@example.org"]
            _airflow("users", "create", *who, "--role", "Admin", "--password", password)

    from dagctl_provider.services import organizations, tokens

    organization_id = organizations.default_organization_id()
    made = tokens.create_token(organization_id, "demo", "owner", "demo")
    write_private(target, json.dumps({"organization_id": organization_id, "token": made.secret, "tables": tables}))


def _airflow(*words: str) -> None:
    from airflow.__main__ import main as airflow

    sys.argv = ["airflow", *words]
    airflow()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
