"""Environment variables of an organization: list, read, create, change, remove. A sensitive value is never told again.

What belongs to the whole organization is not for tokens that are limited to projects. Values are encrypted before they are
stored, and stand in no record of changes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from dagctl_provider.domain import variables as rules
from dagctl_provider.domain.audit import Subject
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import new_id
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.variables import HIDDEN, Variable, refused
from dagctl_provider.orchestration.encryption import Undecryptable, encrypted, is_encrypting
from dagctl_provider.services.lifecycle import auditing, keys
from dagctl_provider.services.lifecycle.variables import value_of
from dagctl_provider.services.results import ShownVariable
from dagctl_provider.store import leases, transactions
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import variables as variable_rows
from dagctl_provider.store.session import Session, utcnow

_DEFAULTS: Mapping[str, object] = {"is_sensitive": True, "mount_as_file": False}


def list_variables(actor: Actor) -> list[ShownVariable]:
    """All variables of the organization, by name.

    :raises DagctlError: ``forbidden``.
    """
    _require(actor, "view_secrets")
    return [_shown(one) for one in transactions.run(lambda session: variable_rows.list_variables(session, actor.organization_id))]


def get_variable(actor: Actor, name: str) -> ShownVariable:
    """One variable, found without regard to case.

    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    _require(actor, "view_secrets")
    return _shown(transactions.run(partial(_found, actor=actor, name=name)))


def create_variable(actor: Actor, sent: Mapping[str, Any]) -> ShownVariable:
    """Add a variable.

    :param sent: Its fields; ``name`` and ``value`` at least.
    :raises DagctlError: ``forbidden``, ``invalid_request``, ``name_taken``, ``encryption_missing``.
    """
    _require(actor, "manage_secrets")
    _require_encryption()
    rules.check_fields(sent)
    name, value = rules.stored_name(str(sent["name"])), str(sent["value"])
    path, mode = rules.file_settings(name, {**_DEFAULTS, **sent}, sent)
    now = utcnow()
    made = Variable(
        id=new_id("var_"),
        organization_id=actor.organization_id,
        name=name,
        content=encrypted(value).encode(),
        is_sensitive=bool(sent.get("is_sensitive", True)),
        mount_as_file=path is not None,
        created_by=actor.name[:255],
        created_at=now,
        updated_at=now,
        file_mount_path=path,
        file_permissions=mode,
        project_ids=_texts(sent.get("project_ids")),
        environments=_texts(sent.get("environments")),
    )

    def work(session: Session) -> Variable:
        others = _held(session, actor)
        if any(other.name == name for other in others):
            raise DagctlError("name_taken", f"There is a variable {name} already.")
        _require_fitting(session, made, value, others, sent)
        # Made now, rather than by the first step that gets a variable, which holds more.
        keys.variables_key(session)
        variable_rows.insert_variable(session, made)
        auditing.record(session, actor, "created", _subject(made), after=made.told())
        return made

    return _shown(transactions.run(work))


def update_variable(actor: Actor, name: str, sent: Mapping[str, Any]) -> ShownVariable:
    """Change what was sent of a variable; ``None`` takes away what may be absent.

    :raises DagctlError: ``forbidden``, ``not_found``, ``invalid_request``, ``encryption_missing``.
    """
    _require(actor, "manage_secrets")
    _require_encryption()
    rules.check_fields(sent)

    def work(session: Session) -> Variable:
        others = _held(session, actor)
        before = _found(session, actor=actor, name=name)
        after = _changed(before, sent)
        others = [other for other in others if other.id != before.id]
        _require_fitting(session, after, _value_or_none(after), others, sent)
        changed = {key: getattr(after, key) for key in (*rules.CHANGEABLE[1:], "content", "updated_at")}
        variable_rows.update_variable(session, before.id, changed)
        was, became = auditing.changes(before.told(), after.told())
        if "value" in sent:
            # That it is another one, and not what it is.
            became["value"] = "changed"
        auditing.record(session, actor, "changed", _subject(after), before=was, after=became)
        return after

    return _shown(transactions.run(work))


def _changed(before: Variable, sent: Mapping[str, Any]) -> Variable:
    """The variable as it is to be.

    :raises DagctlError: ``invalid_request``.
    """
    if before.is_sensitive and sent.get("is_sensitive") is False and "value" not in sent:
        raise refused({"value": "must be sent anew: one that was stored as sensitive is never shown"})
    merged = {**{key: getattr(before, key) for key in rules.CHANGEABLE[1:]}, **sent}
    path, mode = rules.file_settings(before.name, merged, sent)
    return replace(
        before,
        content=encrypted(str(sent["value"])).encode() if "value" in sent else before.content,
        is_sensitive=bool(merged["is_sensitive"]),
        mount_as_file=path is not None,
        file_mount_path=path,
        file_permissions=mode,
        project_ids=_texts(merged["project_ids"]),
        environments=_texts(merged["environments"]),
        updated_at=utcnow(),
    )


def delete_variable(actor: Actor, name: str) -> None:
    """Remove a variable; steps that begin from now on do without it.

    :raises DagctlError: ``forbidden``, ``not_found``.
    """
    _require(actor, "manage_secrets")

    def work(session: Session) -> None:
        _held(session, actor)
        found = _found(session, actor=actor, name=name)
        variable_rows.delete_variable(session, found.id)
        auditing.record(session, actor, "removed", _subject(found), before=found.told())

    transactions.run(work)


def _require(actor: Actor, permission: str) -> None:
    actor.require(permission)
    actor.require_unlimited()


def _require_encryption() -> None:
    if not is_encrypting():
        raise DagctlError("encryption_missing", "Airflow has no Fernet key, so a value would be stored as it is.")


def _held(session: Session, actor: Actor) -> list[Variable]:
    """The variables of the organization, which nobody else changes until the transaction ends: rules are about all of them."""
    leases.touch_lock(session, f"variables:{actor.organization_id}")
    return variable_rows.list_variables(session, actor.organization_id)


def _found(session: Session, *, actor: Actor, name: str) -> Variable:
    found = variable_rows.get_variable(session, actor.organization_id, rules.stored_name(name))
    if found is None:
        raise not_found("Environment variable", name)
    return found


def _require_fitting(
    session: Session, variable: Variable, value: str | None, others: list[Variable], sent: Mapping[str, Any]
) -> None:
    """Refuse what does not go together with the organization's projects and its other variables.

    :raises DagctlError: ``invalid_request``.
    """
    if sent.get("project_ids"):
        known = {project.id for project in project_rows.list_projects(session, variable.organization_id)}
        if unknown := [one for one in sent["project_ids"] if one not in known]:
            raise refused({"project_ids": f"names {unknown[0][:64]!r}, which is no project of the organization"})
    if variable.file_mount_path is not None:
        rules.require_own_path(variable.file_mount_path, others)
    rules.require_room(
        rules.weight(one.name, text, one.file_mount_path)
        for one, text in ((variable, value or ""), *((other, _value_or_none(other) or "") for other in others))
    )


def _value_or_none(variable: Variable) -> str | None:
    try:
        return value_of(variable)
    except Undecryptable:
        return None


def _shown(variable: Variable) -> ShownVariable:
    """A variable as it may be told. Also of a sensitive one it is said when it cannot be read any more."""
    value = _value_or_none(variable)
    return ShownVariable(variable, HIDDEN if variable.is_sensitive else value, readable=value is not None)


def _subject(variable: Variable) -> Subject:
    return Subject("variable", variable.id, variable.name)


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(value)) if value else None
