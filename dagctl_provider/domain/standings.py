"""Who somebody is in an organization at this moment, as far as rules ask for it: not what they were when they approved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dagctl_provider.domain.permissions import ROLES, Role, permissions_of


@dataclass(frozen=True)
class Standing:
    """Somebody as they are now.

    :param kind: ``user``, ``token`` or ``system``.
    :param id: As actors have it: Airflow's id of a user, or the id of a token.
    :param role: ``None`` for whoever is no member any more, and for tokens that are worth nothing any more.
    :param user_id: Of people (``user_…``).
    :param person: The same for a member and for the tokens that they made, so that nobody counts twice.
    :param called: By which names and addresses a commit may call them, folded.
    :param project_ids: What a token is limited to; ``None``: to nothing.
    """

    kind: str
    id: str
    name: str
    role: Role | None = None
    user_id: str | None = None
    email: str | None = None
    person: str = ""
    called: frozenset[str] = field(default_factory=frozenset)
    project_ids: tuple[str, ...] | None = None

    @property
    def may_approve(self) -> bool:
        """Whether their role is one that approves."""
        return self.role is not None and "approve_plan" in permissions_of(self.role)


@dataclass(frozen=True)
class Member:
    """A member of an organization, as its tables have them."""

    user_id: str
    airflow_id: str
    name: str
    role: str
    email: str | None = None


@dataclass(frozen=True)
class TokenOf:
    """A token that is worth something now."""

    id: str
    name: str
    role: str
    created_by: str
    project_ids: tuple[str, ...] | None = None


class People:
    """Everybody of an organization.

    :param members: Those of now.
    :param tokens: That are neither revoked nor expired.
    """

    def __init__(self, members: Iterable[Member], tokens: Iterable[TokenOf]) -> None:
        self.members = tuple(_of_member(member) for member in members)
        self._users: Mapping[str, Standing] = {one.id: one for one in self.members}
        made_by = {name: one for one in self.members for name in (one.id, one.user_id or "", *one.called)}
        self.tokens = tuple(_of_token(token, made_by.get(_folded(token.created_by))) for token in tokens)
        self._tokens: Mapping[str, Standing] = {one.id: one for one in self.tokens}

    def standing(self, kind: str, identifier: str, name: str) -> Standing:
        """Somebody as they are now; without a role where they are nobody here.

        :param name: As it was when they did something.
        """
        known = (self._users if kind == "user" else self._tokens if kind == "token" else {}).get(identifier)
        return known or Standing(kind, identifier, name, person=f"{kind}:{identifier}")

    def owners(self, written: str) -> tuple[Standing, ...]:
        """The members that an owner of a CODEOWNERS file stands for: an address, or a name after an ``@``."""
        if written.startswith("@"):
            return tuple(one for one in self.members if _folded(written[1:]) in {_folded(one.name), _folded(one.id)})
        return tuple(one for one in self.members if one.email and _folded(one.email) == _folded(written))


def _folded(text: str) -> str:
    return text.strip().casefold()


def _role(text: str) -> Role | None:
    return next((role for role in ROLES if role == text), None)


def _of_member(member: Member) -> Standing:
    called = frozenset(_folded(text) for text in (member.name, member.airflow_id, member.email or "") if text.strip())
    role, person = _role(member.role), f"user:{member.user_id}"
    return Standing("user", member.airflow_id, member.name, role, member.user_id, member.email, person, called)


def _of_token(token: TokenOf, owner: Standing | None) -> Standing:
    # Tokens of one maker who is nobody here any more, or was at the command line, are one voice as well.
    person = owner.person if owner is not None else f"maker:{_folded(token.created_by)}"
    called = owner.called if owner is not None else frozenset({_folded(token.created_by)})
    return Standing("token", token.id, token.name, _role(token.role), None, None, person, called, token.project_ids)
