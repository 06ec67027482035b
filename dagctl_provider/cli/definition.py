"""The ``airflow dagctl`` commands as data; what they do is loaded only when one of them runs."""

from __future__ import annotations

from airflow.cli.cli_config import ARG_OUTPUT, ARG_VERBOSE, ActionCommand, Arg, CLICommand, GroupCommand, lazy_load_command

from dagctl_provider.domain.permissions import ROLES

_COMMANDS = "dagctl_provider.cli.commands."

ARG_ORGANIZATION = Arg(
    ("--organization",), help="Id or name of the organization; default: the default organization", default=None
)
ARG_NAME = Arg(("--name",), help="What the token is for", required=True)
ARG_ROLE = Arg(("--role",), help="What the token may do", choices=ROLES, default="admin")
ARG_EXPIRES = Arg(("--expires-in",), help="Life time such as 90d or 12h; default: does not expire", default=None)
ARG_TOKEN_ID = Arg(("token_id",), help="Id of the token (tok_…)")
ARG_PROJECT = Arg(
    ("--project",),
    help="Id or name of a project that the token is limited to; may be given more than once",
    action="append",
    default=None,
)
ARG_OVERLAP = Arg(("--overlap",), help="How long the former token is still good, such as 24h or 0h", default="24h")
ARG_USER = Arg(("--user",), help="Name or id of the user in Airflow", required=True)
ARG_MEMBER_ROLE = Arg(("--role",), help="Role in the organization", choices=ROLES, required=True)
ARG_OWNER = Arg(("--owner",), help="Name or id of the user in Airflow who becomes owner", default=None)
ARG_PLAN_GROUP = Arg(("plan_group_id",), help="Id of the plan group (plangroup_…)")
ARG_AFTER = Arg(("--after",), help="Only entries with a larger number", type=int, default=0)
ARG_ORGANIZATION_NAME = Arg(("name",), help="Name of the organization")

ARG_AT_ONCE = Arg(
    ("--at-once",),
    help="Believe nothing any more that a former key has signed; what is under way is granted anew",
    action="store_true",
)

_TOKENS: tuple[ActionCommand, ...] = (
    ActionCommand(
        name="create",
        help="Make an API token; its secret is printed once",
        func=lazy_load_command(_COMMANDS + "tokens_create"),
        args=(ARG_NAME, ARG_ROLE, ARG_PROJECT, ARG_ORGANIZATION, ARG_EXPIRES, ARG_OUTPUT, ARG_VERBOSE),
        epilog="example:\n\n    $ airflow dagctl tokens create --name ci --role developer --expires-in 90d",
    ),
    ActionCommand(
        name="list",
        help="List the API tokens of an organization",
        func=lazy_load_command(_COMMANDS + "tokens_list"),
        args=(ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="revoke",
        help="Make an API token useless",
        func=lazy_load_command(_COMMANDS + "tokens_revoke"),
        args=(ARG_TOKEN_ID, ARG_ORGANIZATION, ARG_VERBOSE),
    ),
    ActionCommand(
        name="rotate",
        help="Make a token of the same kind that takes another one's place; its secret is printed once",
        func=lazy_load_command(_COMMANDS + "tokens_rotate"),
        args=(ARG_TOKEN_ID, ARG_OVERLAP, ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    ),
)

_MEMBERS: tuple[ActionCommand, ...] = (
    ActionCommand(
        name="list",
        help="List the members of an organization",
        func=lazy_load_command(_COMMANDS + "members_list"),
        args=(ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="add",
        help="Make a user of Airflow a member, without an invitation",
        func=lazy_load_command(_COMMANDS + "members_add"),
        args=(ARG_USER, ARG_MEMBER_ROLE, ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="role",
        help="Give a member another role",
        func=lazy_load_command(_COMMANDS + "members_role"),
        args=(ARG_USER, ARG_MEMBER_ROLE, ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="remove",
        help="Remove a member; they come in again by an invitation only",
        func=lazy_load_command(_COMMANDS + "members_remove"),
        args=(ARG_USER, ARG_ORGANIZATION, ARG_VERBOSE),
    ),
)

_ORGANIZATIONS: tuple[ActionCommand, ...] = (
    ActionCommand(
        name="create",
        help="Make an organization, if it does not exist",
        func=lazy_load_command(_COMMANDS + "organizations_create"),
        args=(ARG_ORGANIZATION_NAME, ARG_OWNER, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="list",
        help="List the organizations",
        func=lazy_load_command(_COMMANDS + "organizations_list"),
        args=(ARG_OUTPUT, ARG_VERBOSE),
    ),
)

_AUDIT: tuple[ActionCommand, ...] = (
    ActionCommand(
        name="verify",
        help="Say whether the record of changes is whole: nothing changed, nothing missing; exits with 1 if not",
        func=lazy_load_command(_COMMANDS + "audit_verify"),
        args=(ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    ),
    ActionCommand(
        name="export",
        help="Print the record of changes as JSON lines, oldest first",
        func=lazy_load_command(_COMMANDS + "audit_export"),
        args=(ARG_ORGANIZATION, ARG_AFTER, ARG_VERBOSE),
    ),
)


def get_dagctl_cli_commands() -> list[CLICommand]:
    """The commands that Airflow adds to its command line."""
    groups = (
        GroupCommand(name="tokens", help="Manage API tokens", subcommands=_TOKENS),
        GroupCommand(name="members", help="Manage members of organizations", subcommands=_MEMBERS),
        GroupCommand(name="organizations", help="Manage organizations", subcommands=_ORGANIZATIONS),
        GroupCommand(name="audit", help="Verify and export the record of changes", subcommands=_AUDIT),
    )
    decisions = ActionCommand(
        name="decisions",
        help="List who decided what on a plan, when, through which door",
        func=lazy_load_command(_COMMANDS + "decisions"),
        args=(ARG_PLAN_GROUP, ARG_ORGANIZATION, ARG_OUTPUT, ARG_VERBOSE),
    )
    keys = (
        ActionCommand(
            name="keys",
            help="Print the public keys by which workers know what dagctl decided, for [dagctl] public_keys",
            func=lazy_load_command(_COMMANDS + "keys"),
            args=(ARG_VERBOSE,),
        ),
        ActionCommand(
            name="rotate-keys",
            help="Have a new key sign from now on; the former one is still believed for 8 days",
            func=lazy_load_command(_COMMANDS + "rotate_keys"),
            args=(ARG_AT_ONCE, ARG_VERBOSE),
        ),
        ActionCommand(
            name="rotate-fernet",
            help="Encrypt environment variables and dagctl's keys anew, with the first of Airflow's Fernet keys",
            func=lazy_load_command(_COMMANDS + "rotate_fernet"),
            args=(ARG_VERBOSE,),
        ),
    )
    return [
        GroupCommand(name="dagctl", help="Review and deploy SQLMesh and dbt projects", subcommands=(*groups, decisions, *keys))
    ]
