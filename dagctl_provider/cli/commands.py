"""What the ``airflow dagctl`` commands do: ask the services, print the answer. Errors are one line and a hint.

What is printed may have been written by others (names of tokens, comments of decisions), so nothing of it reaches a terminal as
markup or control characters.
"""

from __future__ import annotations

import argparse
import functools
import getpass
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from airflow.cli.simple_table import AirflowConsole
from airflow.utils.cli import suppress_logs_and_warning
from rich.markup import escape
from sqlalchemy.exc import DBAPIError

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.members import MemberRow, Person
from dagctl_provider.domain.permissions import Actor, system_actor
from dagctl_provider.domain.tokens import Token
from dagctl_provider.services import audit, members, organizations, plans, projects, rotation, tokens, trust
from dagctl_provider.services.outside import airflow_users

# The hints of the error table speak to callers of the REST API.
_HINTS = {
    "invalid_request": "Run the command with --help to see what it takes.",
    "not_found": "Check the id; of other organizations than the default one, name it with --organization.",
}
_DATABASE_FAILED = (
    "Airflow's database does not answer, or the tables of dagctl are not there.\n"
    "Hint: Check [database] sql_alchemy_conn and run 'airflow db migrate'; --verbose shows the error."
)
_NARROWEST = 80


def _command(function: Callable[[argparse.Namespace], None]) -> Callable[[argparse.Namespace], None]:
    """Answer a refused request with one line and a hint instead of a traceback."""

    @functools.wraps(function)
    def wrapped(args: argparse.Namespace) -> None:
        try:
            function(args)
        except DagctlError as error:
            raise SystemExit(f"{error.detail}\nHint: {_HINTS.get(error.code, error.kind.hint)}") from None
        except DBAPIError:
            if args.verbose:
                raise
            raise SystemExit(_DATABASE_FAILED) from None

    return suppress_logs_and_warning(wrapped)


def _organization(args: argparse.Namespace) -> str:
    wanted = args.organization
    if wanted is None:
        return organizations.default_organization_id()
    for identifier, name, _ in organizations.list_organizations():
        if wanted in (identifier, name):
            return identifier
    raise DagctlError("not_found", f"There is no organization {wanted!r}; see 'airflow dagctl organizations list'.")


def _lifetime(text: str | None, option: str = "--expires-in") -> timedelta | None:
    if text is None:
        return None
    match = re.fullmatch(r"([1-9][0-9]{0,4})([dhm])", text)
    if match is None:
        raise DagctlError("invalid_request", f"{option} {text!r} is no life time; write 90d, 12h or 30m.")
    unit = {"d": "days", "h": "hours", "m": "minutes"}[match[2]]
    return timedelta(**{unit: int(match[1])})


def _print(args: argparse.Namespace, rows: Sequence[Mapping[str, object]]) -> None:
    if args.output in ("table", "plain"):
        rows = [{name: _cell(value, args.output) for name, value in row.items()} for row in rows]
    AirflowConsole().print_as(data=rows, output=args.output)


def _cell(value: object, output: str) -> str:
    text = "".join(letter if letter.isprintable() or letter == "\n" else repr(letter)[1:-1] for letter in str(value))
    return escape(text) if output == "table" else text


def _time(moment: datetime | None) -> str:
    return moment.isoformat(timespec="seconds") if moment else ""


def _system(args: argparse.Namespace, organization_id: str | None = None) -> Actor:
    """Who runs this Airflow: nobody has to be asked, and the record says by which account of the machine it was done."""
    actor = system_actor(organization_id or _organization(args), f"cli:{getpass.getuser()}")
    return replace(actor, door="command_line")


def _project_ids(actor: Actor, wanted: Sequence[str] | None) -> list[str] | None:
    """Ids of projects that were given by id or name."""
    if wanted is None:
        return None
    present = projects.list_projects(actor)
    found = []
    for text in wanted:
        ids = [project.id for project in present if text == project.id or text.lower() == project.name.lower()]
        if not ids:
            raise DagctlError("not_found", f"There is no project {text!r} in this organization.")
        found += ids
    return found


@_command
def tokens_create(args: argparse.Namespace) -> None:
    """Make a token and print its secret, this once."""
    actor = _system(args)
    limits = _project_ids(actor, args.project)
    made = tokens.create(actor, args.name, args.role, project_ids=limits, expires_in=_lifetime(args.expires_in))
    _print_secret(args, made.token, made.secret)


@_command
def tokens_rotate(args: argparse.Namespace) -> None:
    """Make a token that takes another one's place and print its secret, this once."""
    overlap = timedelta(0) if re.fullmatch("0[dhm]", args.overlap) else _lifetime(args.overlap, "--overlap")
    made = tokens.rotate(_system(args), args.token_id, overlap or timedelta(0))
    _print_secret(args, made.token, made.secret)
    print(f"The former token is good until {_time(made.former.expires_at)}.", file=sys.stderr)


def _print_secret(args: argparse.Namespace, token: Token, secret: str) -> None:
    values = {
        "token_id": token.id,
        "token": secret,
        "organization_id": token.organization_id,
        "role": token.role,
        "expires": _time(token.expires_at) or "never",
    }
    if args.output == "table":
        # One value a line, on lines that are not folded: a token in two pieces is copied wrongly.
        console = AirflowConsole()
        console.width = max(console.width, _NARROWEST)
        console.print_as_table([{"name": name, "value": value} for name, value in values.items()])
    else:
        _print(args, [values])
    print("Copy the token now: it is not shown again.", file=sys.stderr)


@_command
def tokens_list(args: argparse.Namespace) -> None:
    """List tokens; never their secrets."""
    _print(
        args,
        [
            {
                "token_id": token.id,
                "name": token.name,
                "role": token.role,
                "projects": ",".join(token.project_ids or ()) or "all",
                "prefix": token.prefix,
                "created_by": token.created_by,
                "created": _time(token.created_at),
                "expires": _time(token.expires_at),
                "revoked": _time(token.revoked_at),
                "last_used": _time(token.last_used_at),
            }
            for token in tokens.list_tokens(_system(args))
        ],
    )


@_command
def tokens_revoke(args: argparse.Namespace) -> None:
    """Revoke a token."""
    token = tokens.revoke(_system(args), args.token_id)
    print(f"Token {token.id} ({token.name}) is revoked.")


def _texts(row: Mapping[str, object], names: Iterable[str]) -> dict[str, object]:
    return {name: row[name] or "" for name in names}


@_command
def decisions(args: argparse.Namespace) -> None:
    """List the decisions on a plan group, oldest first."""
    reader = system_actor(_organization(args), "command_line")
    shown = ("decision", "actor_kind", "actor_name", "door", "commit_sha", "digest", "comment")
    rows = plans.decisions(reader, args.plan_group_id)
    _print(args, [{"created": _time(row.created_at), **{name: getattr(row, name) or "" for name in shown}} for row in rows])


@_command
def audit_verify(args: argparse.Namespace) -> None:
    """Verify the record of changes; of one that is not whole, say what is wrong and fail."""
    verdict = audit.verify(_organization(args))
    said = {"entries": verdict.entries, "last_hash": verdict.last_hash, "whole": verdict.fault is None}
    _print(args, [{**said, "fault": verdict.fault or ""}])
    if verdict.fault is not None:
        raise SystemExit(f"The record is not whole: {verdict.fault}.\nHint: Compare it with a backup, or with an earlier export.")


@_command
def audit_export(args: argparse.Namespace) -> None:
    """Print the record of changes."""
    reader, after = system_actor(_organization(args), "command_line"), max(args.after, 0)
    while found := audit.export(reader, after):
        for entry in found:
            print(entry.as_json())
        after = found[-1].number


@_command
def organizations_create(args: argparse.Namespace) -> None:
    """Make an organization, with an owner if one is named."""
    owner = _airflow_user(args.owner) if args.owner is not None else None
    identifier = organizations.create(system_actor("", f"cli:{getpass.getuser()}"), args.name)
    if owner is not None:
        members.add_member(_system(args, identifier), owner, "owner")
    _print(args, [{"organization_id": identifier, "name": args.name}])


def _airflow_user(text: str) -> Person:
    found = airflow_users.find_person(text)
    if found is None:
        raise DagctlError("not_found", f"Airflow's auth manager knows no user {text!r}.")
    return found


def _member(actor: Actor, text: str) -> str:
    """Id of a member who was named by their name or id in Airflow, or their id here."""
    rows = [row for row in members.list_members(actor) if text in (row.user.id, row.user.airflow_id, row.user.name)]
    exact = [row for row in rows if text in (row.user.id, row.user.airflow_id)] or rows
    if len(exact) != 1:
        raise DagctlError("not_found", f"There {'are several members' if exact else 'is no member'} {text!r}; name an id.")
    return exact[0].user.id


def _print_members(args: argparse.Namespace, rows: Sequence[MemberRow]) -> None:
    shown = [
        {
            "user_id": row.user.id,
            "airflow_id": row.user.airflow_id,
            "name": row.user.name,
            "email": row.user.email or "",
            "role": row.member.role,
            "since": _time(row.member.created_at),
            "last_login": _time(row.user.last_login_at),
        }
        for row in rows
    ]
    _print(args, shown)


@_command
def members_list(args: argparse.Namespace) -> None:
    """List members."""
    _print_members(args, members.list_members(_system(args)))


@_command
def members_add(args: argparse.Namespace) -> None:
    """Make somebody a member."""
    _print_members(args, [members.add_member(_system(args), _airflow_user(args.user), args.role)])


@_command
def members_role(args: argparse.Namespace) -> None:
    """Give a member another role."""
    actor = _system(args)
    _print_members(args, [members.change_role(actor, _member(actor, args.user), args.role)])


@_command
def members_remove(args: argparse.Namespace) -> None:
    """Remove a member."""
    actor = _system(args)
    removed = members.remove_member(actor, _member(actor, args.user))
    print(f"{_cell(removed.user.name, 'plain')} is no member any more.")


@_command
def organizations_list(args: argparse.Namespace) -> None:
    """List organizations."""
    rows = organizations.list_organizations()
    _print(args, [{"organization_id": identifier, "name": name, "created": _time(made)} for identifier, name, made in rows])


@_command
def keys(_: argparse.Namespace) -> None:
    """Print the public keys, in one line, as the setting takes them."""
    print(",".join(trust.public_texts()))


@_command
def rotate_keys(args: argparse.Namespace) -> None:
    """Have a new key sign from now on."""
    public = trust.rotate(at_once=args.at_once)
    print(f"From now on {public} signs. Where [dagctl] public_keys is set, add it there before anything else starts.")


@_command
def rotate_fernet(_: argparse.Namespace) -> None:
    """Encrypt everything of dagctl anew; what cannot be read any more is named, and the command fails."""
    done = rotation.rotate()
    print(f"{done.rotated} values are encrypted with Airflow's present Fernet key.")
    if done.lost:
        raise SystemExit(
            f"Cannot be decrypted any more: {', '.join(done.lost)}.\n"
            "Hint: Put the former key behind the present one in [core] fernet_key and run this again, or set the variables anew."
        )
