"""What the ``airflow dagctl`` commands do: ask the services, print the answer. Errors are one line and a hint."""

from __future__ import annotations

import functools
import getpass
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import suppress_logs_and_warning

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import system_actor
from dagctl_provider.services import organizations, plans, tokens


def _command(function: Callable[[Any], None]) -> Callable[[Any], None]:
    """Answer a refused request with one line and a hint instead of a traceback."""

    @functools.wraps(function)
    def wrapped(args: Any) -> None:
        try:
            function(args)
        except DagctlError as error:
            raise SystemExit(f"{error.detail}\nHint: {error.kind.hint}") from None

    return suppress_logs_and_warning(wrapped)


def _organization(args: Any) -> str:
    wanted = args.organization
    if wanted is None:
        return organizations.default_organization_id()
    for identifier, name, _ in organizations.list_organizations():
        if wanted in (identifier, name):
            return identifier
    raise DagctlError("not_found", f"There is no organization {wanted!r}; see 'airflow dagctl organizations list'.")


def _lifetime(text: str | None) -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([dhm])", text)
    if match is None:
        raise DagctlError("invalid_request", f"--expires-in {text!r} is no life time; write 90d, 12h or 30m.")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _print(args: Any, rows: list[dict[str, Any]]) -> None:
    AirflowConsole().print_as(data=rows, output=args.output)


@_command
def tokens_create(args: Any) -> None:
    """Make a token and print its secret, this once."""
    made = tokens.create_token(_organization(args), args.name, args.role, f"cli:{getpass.getuser()}", _lifetime(args.expires_in))
    expires = made.token.expires_at.isoformat() if made.token.expires_at else "never"
    _print(
        args,
        [
            {
                "token_id": made.token.id,
                "token": made.secret,
                "organization_id": made.token.organization_id,
                "role": made.token.role,
                "expires": expires,
            }
        ],
    )


@_command
def tokens_list(args: Any) -> None:
    """List tokens; never their secrets."""

    def shown(moment: Any) -> str:
        return moment.isoformat(timespec="seconds") if moment else ""

    _print(
        args,
        [
            {
                "token_id": token.id,
                "name": token.name,
                "role": token.role,
                "prefix": token.prefix,
                "created_by": token.created_by,
                "created": shown(token.created_at),
                "expires": shown(token.expires_at),
                "revoked": shown(token.revoked_at),
                "last_used": shown(token.last_used_at),
            }
            for token in tokens.list_tokens(_organization(args))
        ],
    )


@_command
def tokens_revoke(args: Any) -> None:
    """Revoke a token."""
    token = tokens.revoke_token(_organization(args), args.token_id)
    print(f"Token {token.id} ({token.name}) is revoked.")


@_command
def decisions(args: Any) -> None:
    """List the decisions on a plan group, oldest first."""
    reader = system_actor(_organization(args), "command_line")
    shown = ("created_at", "decision", "actor_kind", "actor_name", "door", "commit_sha", "digest", "comment")
    rows = plans.decisions(reader, args.plan_group_id)
    _print(args, [{name: str(row[name]) if row[name] is not None else "" for name in shown} for row in rows])


@_command
def organizations_create(args: Any) -> None:
    """Make an organization."""
    _print(args, [{"organization_id": organizations.ensure_organization(args.name), "name": args.name}])


@_command
def organizations_list(args: Any) -> None:
    """List organizations."""
    rows = organizations.list_organizations()
    _print(args, [{"organization_id": identifier, "name": name, "created": made.isoformat()} for identifier, name, made in rows])
