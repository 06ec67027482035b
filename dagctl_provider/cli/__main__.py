"""``python -m dagctl_provider.cli …``: the same commands where ``airflow dagctl`` is not there, which is before Airflow 3.2."""

from __future__ import annotations

import argparse

from airflow.cli.cli_config import GroupCommand
from airflow.cli.cli_parser import DefaultHelpParser, _add_command

from dagctl_provider.cli.definition import get_dagctl_cli_commands


def main() -> None:
    """Parse the command line and run the command."""
    parser = DefaultHelpParser(prog="python -m dagctl_provider.cli")
    groups = parser.add_subparsers(dest="subcommand", metavar="GROUP", required=True)
    (dagctl,) = get_dagctl_cli_commands()
    assert isinstance(dagctl, GroupCommand)
    for group in dagctl.subcommands:
        _add_command(groups, group)
    args: argparse.Namespace = parser.parse_args()
    args.func(args)


if __name__ == "__main__":
    main()
