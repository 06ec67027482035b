"""Protected environments: listed, made, changed and removed by who keeps the secrets, and asked for by every command line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.protections import Exceptions, Protection, check_name, check_roles, key_of, refused
from dagctl_provider.domain.rules import invalid, read_rules, require_known
from dagctl_provider.domain.standings import People, Standing
from dagctl_provider.domain.tools import DEFAULT_TOOL, TOOLS
from dagctl_provider.services.lifecycle import auditing, lookups, protecting
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import protections as protection_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

PERMISSION = "manage_secrets"


@dataclass(frozen=True)
class ProtectionDetail:
    """A protection, and who the people on its allowlist are.

    :param users: Those of them who are members now.
    """

    protection: Protection
    users: tuple[Standing, ...]


@dataclass(frozen=True)
class Choices:
    """What a form about a protection can offer.

    :param environments: Names of environments that there are.
    """

    environments: tuple[str, ...]
    people: People


def list_protections(actor: Actor) -> tuple[Protection, ...]:
    """The protections of the organization, by name.

    :raises DagctlError: ``forbidden``.
    """
    _require(actor)
    return transactions.run(lambda session: protection_rows.list_protections(session, actor.organization_id))


def get_protection(actor: Actor, identifier: str) -> ProtectionDetail:
    """One protection.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    _require(actor)

    def work(session: Session) -> ProtectionDetail:
        return _detail(session, _visible(session, actor, identifier))

    return transactions.run(work)


def choices(actor: Actor) -> Choices:
    """What a protection can be about, and whom it can name."""
    _require(actor)

    def work(session: Session) -> Choices:
        people = protection_rows.people(session, actor.organization_id)
        return Choices(tuple(sorted(_known(session, actor.organization_id).values())), people)

    return transactions.run(work)


def create_protection(actor: Actor, values: Mapping[str, Any]) -> ProtectionDetail:
    """Protect an environment.

    :param values: As they were sent: ``environment_name``, and what :func:`update_protection` takes.
    :raises DagctlError: ``forbidden``, ``name_taken``, ``invalid_request``, naming the field.
    """
    _require(actor)
    now = utcnow()
    identifier = new_id("ep_")
    blank = Protection(identifier, actor.organization_id, "", True, (actor.user_id or actor.identifier)[:255], now, now)
    asked = _with(blank, values)

    def work(session: Session) -> ProtectionDetail:
        made = _checked(session, asked, blank)
        protection_rows.insert_protection(session, made)
        auditing.record(session, actor, "created", _subject(made), after=made.told())
        return _detail(session, made)

    return transactions.run(work)


def update_protection(actor: Actor, identifier: str, values: Mapping[str, Any]) -> ProtectionDetail:
    """Rename a protection, switch it on or off, or change its allowlist or rules.

    :param values: The fields that were sent; the others stay.
    :raises DagctlError: ``not_found``, ``forbidden``, ``name_taken``, ``invalid_request``, naming the field.
    """
    _require(actor)

    def work(session: Session) -> ProtectionDetail:
        before = _visible(session, actor, identifier, lock=True)
        made = replace(_checked(session, _with(before, values), before), updated_at=utcnow())
        protection_rows.update_protection(session, made)
        was, now = auditing.changes(before.told(), made.told())
        if now:
            auditing.record(session, actor, "changed", _subject(made), before=was, after=now)
        return _detail(session, made)

    return transactions.run(work)


def delete_protection(actor: Actor, identifier: str) -> Protection:
    """Protect an environment no longer: the role alone decides again.

    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    _require(actor)

    def work(session: Session) -> Protection:
        found = _visible(session, actor, identifier, lock=True)
        protection_rows.delete_protection(session, found.id)
        auditing.record(session, actor, "removed", _subject(found), before=found.told())
        return found

    return transactions.run(work)


def check(actor: Actor, project_id: str, environment: str | None) -> str:
    """Whether the caller may change an environment, as command lines ask before they do.

    :param environment: The project's own where it is absent.
    :return: Its name.
    :raises DagctlError: ``environment_protected``; ``not_found`` where there is no protection, which callers take for a yes, so
        a project that the caller cannot see is ``invalid_request``.
    """
    actor.require("read")

    def work(session: Session) -> str:
        try:
            project = lookups.visible_project(session, actor, project_id)
        except DagctlError:
            raise invalid({"query.project_id": "names no project"}) from None
        name = environment or project.environment or protecting.deployed_environment(session, project)
        found = protection_rows.list_protections(session, actor.organization_id)
        here = next((one for one in found if key_of(one.environment_name) == key_of(name or "")), None)
        if name is None and any(one.enabled for one in found):
            raise invalid({"query.environment": "is missing, and the project's settings name none"})
        if here is None or name is None:
            raise not_found("Protection of environment", name or "")
        somebody = protection_rows.people(session, actor.organization_id).standing(actor.kind, actor.identifier, actor.name)
        if here.enabled and not here.exceptions.hold(somebody):
            raise refused(here.environment_name, actor.name)
        return name

    return transactions.run(work)


def _require(actor: Actor) -> None:
    actor.require(PERMISSION)
    actor.require_unlimited()


def _visible(session: Session, actor: Actor, identifier: str, *, lock: bool = False) -> Protection:
    found = protection_rows.get_protection(session, identifier, lock=lock)
    if found is None or found.organization_id != actor.organization_id:
        raise not_found("Protection", identifier)
    return found


def _detail(session: Session, protection: Protection) -> ProtectionDetail:
    people = protection_rows.people(session, protection.organization_id)
    return ProtectionDetail(protection, tuple(one for one in people.members if one.user_id in protection.exceptions.user_ids))


def _subject(protection: Protection) -> Subject:
    return Subject("protection", protection.id, protection.environment_name)


def _with(protection: Protection, values: Mapping[str, Any]) -> Protection:
    """A protection with what was sent, before anything is known of the organization."""
    old = protection.exceptions
    roles = tuple(values.get("excepted_roles", old.roles))
    check_roles(roles)
    exceptions = Exceptions(
        tuple(dict.fromkeys(values.get("excepted_user_ids", old.user_ids))),
        tuple(dict.fromkeys(roles)),
        tuple(dict.fromkeys(values.get("excepted_token_ids", old.token_ids))),
    )
    rules = read_rules(values["rules"]) if "rules" in values else protection.rules
    name = check_name(str(values.get("environment_name", protection.environment_name)))
    return replace(
        protection,
        environment_name=name,
        enabled=bool(values.get("enabled", protection.enabled)),
        exceptions=exceptions,
        rules=rules,
    )


def _checked(session: Session, protection: Protection, before: Protection) -> Protection:
    """A protection whose environment is there and free, and whose people are the organization's.

    Whoever was named before and has left since may stay named: nobody gains by it, and other changes go on.
    """
    people = protection_rows.people(session, protection.organization_id)
    members = {one.user_id for one in people.members if one.user_id} | set(before.exceptions.user_ids) | before.rules.user_ids
    require_known(
        {"excepted_user_ids": protection.exceptions.user_ids, "rules": sorted(protection.rules.user_ids)}, members, "a member"
    )
    tokens = {one.id for one in people.tokens} | set(before.exceptions.token_ids)
    require_known({"excepted_token_ids": protection.exceptions.token_ids}, tokens, "a token")
    if key_of(protection.environment_name) == key_of(before.environment_name):
        return protection
    known = _known(session, protection.organization_id)
    if key_of(protection.environment_name) not in known:
        names = ", ".join(sorted(known.values())[:10])
        raise invalid({"environment_name": f"is an environment that nobody has; there are {names}"})
    others = protection_rows.list_protections(session, protection.organization_id)
    if any(key_of(one.environment_name) == key_of(protection.environment_name) for one in others if one.id != protection.id):
        raise DagctlError("name_taken", f"The environment {protection.environment_name!r} has a protection already.")
    return protection


def _known(session: Session, organization_id: str) -> dict[str, str]:
    """The environments of an organization by their keys, that of every new project among them."""
    found = protection_rows.known_environments(session, organization_id)
    found |= {one.environment for one in project_rows.list_projects(session, organization_id) if one.environment}
    default = TOOLS[DEFAULT_TOOL].default_environment
    return {key_of(name): name for name in sorted(found | ({default} if default else set()))}
