"""Whether the approvals of a plan are enough by the rules of its environment, and if not, what is missing and who can give it.

Everything is judged as it is at this moment: the rules, the roles of those who approved, the time. Nothing here is read or
written; docs/environments.md says the same for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dagctl_provider.domain.codeowners import CodeOwners, OwnerLine
from dagctl_provider.domain.globs import matches
from dagctl_provider.domain.protections import Exceptions
from dagctl_provider.domain.rules import Group, Rules
from dagctl_provider.domain.standings import People, Standing

MOST_NAMED = 20
QUORUM = "approvals"
"""The name of the first rule."""
Allows = Callable[[Standing], bool]


@dataclass(frozen=True)
class Approval:
    """An approval that was given for a digest.

    :param by: Who gave it, as they are now.
    """

    by: Standing
    at: datetime
    door: str


@dataclass(frozen=True)
class ChangedModel:
    """A model that somebody edited.

    :param path: Its file, from the top of the repository; ``None`` where it is not known.
    :param tags: ``None`` where they are not known.
    """

    name: str
    path: str | None = None
    tags: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Matter:
    """What a plan is, as far as rules ask.

    :param author: By which names and addresses its commit calls who wrote it, folded.
    :param creator: The person who asked for it; ``None`` when nobody did.
    :param breaking: Whether a change is breaking, or that is not known.
    :param removed: Whether a model or a column goes.
    :param owners: The CODEOWNERS file, where a rule asks for it and it could be read.
    """

    project_id: str = ""
    models: tuple[ChangedModel, ...] = ()
    author: frozenset[str] = field(default_factory=frozenset)
    creator: str | None = None
    breaking: bool = False
    removed: bool = False
    owners: CodeOwners | None = None


@dataclass(frozen=True)
class Missing:
    """What is still missing.

    :param rule: ``approvals``, ``group NAME``, ``codeowners PATTERN``.
    :param needed: How many approvals.
    :param who_can: Names of those who could give them.
    :param note: What else is to be known.
    """

    rule: str
    needed: int
    who_can: tuple[str, ...] = ()
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As it is recorded and told."""
        said: dict[str, Any] = {"rule": self.rule, "needed": self.needed, "who_can": list(self.who_can)}
        return {**said, "note": self.note} if self.note else said


@dataclass(frozen=True)
class Evaluation:
    """What came of it.

    :param required: How many approvals count towards the first rule.
    :param counted: The approvals that count for anything.
    :param missing: Empty: it is enough.
    """

    required: int
    counted: tuple[Approval, ...]
    missing: tuple[Missing, ...]

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return not self.missing


@dataclass(frozen=True)
class _Requirement:
    rule: str
    needed: int
    allows: Allows
    note: str | None = None


@dataclass(frozen=True)
class Judge:
    """Judges plans in one environment at one moment.

    :param exceptions: Its allowlist.
    :param people: Everybody of the organization.
    """

    rules: Rules
    exceptions: Exceptions
    people: People
    now: datetime

    def evaluate(self, matter: Matter, approvals: Sequence[Approval]) -> Evaluation:
        """Whether these approvals are enough."""
        requirements = tuple(self._requirements(matter))
        valid = self._valid(matter, approvals)
        counted = tuple(one for one in valid if any(each.allows(one.by) for each in requirements))
        missing = tuple(found for each in requirements if (found := self._missing(each, matter, valid)) is not None)
        return Evaluation(requirements[0].needed, counted, missing)

    def why_not(self, matter: Matter, somebody: Standing) -> str | None:
        """Why somebody's approval would count for nothing; ``None`` when it would."""
        reason = self._unfit(matter, somebody)
        if reason is None and not any(each.allows(somebody) for each in self._requirements(matter)):
            return "none of the rules of this environment asks for them"
        return reason

    def _valid(self, matter: Matter, approvals: Sequence[Approval]) -> tuple[Approval, ...]:
        """One for each person: the newest that has not expired, by somebody who fits."""
        hours = self.rules.expires_after_hours
        oldest = self.now - timedelta(hours=hours) if hours is not None else None
        fit = [one for one in approvals if (oldest is None or one.at > oldest) and self._unfit(matter, one.by) is None]
        # Of a person and their tokens the person counts, whom rules may name.
        newest = {one.by.person: one for one in sorted(fit, key=lambda one: (one.by.kind == "user", one.at))}
        return tuple(sorted(newest.values(), key=lambda one: one.at))

    def _unfit(self, matter: Matter, somebody: Standing) -> str | None:
        if not somebody.may_approve:
            return "is no member who may approve"
        if somebody.project_ids is not None and matter.project_id not in somebody.project_ids:
            return "is limited to other projects"
        if not self.exceptions.hold(somebody):
            return "is not among those who may change this environment"
        if self.rules.forbid_author and somebody.called & matter.author:
            return "is the author of the commit"
        if self.rules.forbid_creator and somebody.person == matter.creator:
            return "asked for this plan"
        return None

    def _missing(self, requirement: _Requirement, matter: Matter, valid: Sequence[Approval]) -> Missing | None:
        given = [one for one in valid if requirement.allows(one.by)]
        if len(given) >= requirement.needed:
            return None
        done = {one.by.person for one in given}
        able = [
            one
            for one in (*self.people.members, *self.people.tokens)
            if one.person not in done and requirement.allows(one) and self._unfit(matter, one) is None
        ]
        # People first. Tokens that are not excepted by themselves are named only where nobody else could give it.
        asked = [one.name for one in able if one.kind == "user" or one.id in self.exceptions.token_ids]
        names = asked or [one.name for one in able]
        nobody = None if able else "Nobody here can give it."
        note = " ".join(text for text in (requirement.note, nobody) if text) or None
        return Missing(requirement.rule, requirement.needed - len(given), tuple(names[:MOST_NAMED]), note)

    def _requirements(self, matter: Matter) -> Iterator[_Requirement]:
        """What the rules ask of this plan. The first is that of the quorum."""
        rules = self.rules
        more = (
            (matter.breaking, rules.extra_when_breaking, "is breaking"),
            (matter.removed, rules.extra_when_removed, "removes"),
        )
        extra = [(count, why) for holds, count, why in more if holds and count]
        note = " ".join(
            f"{count} more, because the plan {why}{' something' if why == 'removes' else ''}." for count, why in extra
        )
        yield _Requirement(QUORUM, rules.quorum + sum(count for count, _ in extra), self._is_approver, note or None)
        for group in rules.groups:
            if any(_concerns(group, model) for model in matter.models):
                yield _Requirement(f"group {group.name}", group.quorum, _in_group(group))
        if rules.codeowners:
            yield from self._owners(matter)

    def _is_approver(self, somebody: Standing) -> bool:
        rules = self.rules
        if not (rules.approver_roles or rules.approver_user_ids):
            return True
        return somebody.role in rules.approver_roles or somebody.user_id in rules.approver_user_ids

    def _owners(self, matter: Matter) -> Iterator[_Requirement]:
        owners = matter.owners
        if owners is None or owners.path is None or owners.unread:
            why = "cannot be read now" if owners is None else owners.unread or "is not there"
            note = f"The CODEOWNERS file {why}." if owners is None or owners.path is None else f"{owners.unread}."
            yield _Requirement("codeowners", 1, lambda somebody: False, note)
            return
        for line in owners.lines_for(model.path for model in matter.models):
            yield self._of_line(line)

    def _of_line(self, line: OwnerLine) -> _Requirement:
        found = {written: self.people.owners(written) for written in line.owners}
        ids = {one.id for standings in found.values() for one in standings}
        nobody = [written[:100] for written, standings in found.items() if not standings]
        note = f"Nobody here is {', '.join(nobody[:10])}." if nobody else None
        return _Requirement(f"codeowners {line.pattern[:200]}", 1, lambda one: one.kind == "user" and one.id in ids, note)


def _in_group(group: Group) -> Allows:
    return lambda somebody: somebody.user_id in group.user_ids or somebody.role in group.roles


def _concerns(group: Group, model: ChangedModel) -> bool:
    """Whether a model is the group's; one of which the place or the tags are not known is everybody's."""
    if (group.paths and model.path is None) or (group.tags and model.tags is None):
        return True
    by_path = model.path is not None and any(matches(pattern, model.path) for pattern in group.paths)
    return by_path or bool(model.tags and set(model.tags) & set(group.tags))


@dataclass(frozen=True)
class ApprovalState:
    """How far the approvals of a plan are, and what somebody may do with it now.

    :param approvals: That count, as they are told.
    :param required: How many are asked for by the first rule.
    :param opens_at: When its environment is open next; ``None`` while it is open.
    :param why_not: Why this caller may not take a verb that the state of the plan allows, by verb.
    """

    approvals: tuple[dict[str, Any], ...] = ()
    required: int | None = None
    missing: tuple[Missing, ...] = ()
    opens_at: str | None = None
    why_not: Mapping[str, str] = field(default_factory=dict)


def still_missing(missing: Iterable[Missing]) -> str:
    """What is missing, in words."""
    return " ".join(_sentence(one) for one in missing)


def _sentence(missing: Missing) -> str:
    who = f": {', '.join(missing.who_can)} can give {'it' if missing.needed == 1 else 'them'}" if missing.who_can else ""
    thing = f"{missing.needed} approval{'' if missing.needed == 1 else 's'}"
    rule = "" if missing.rule == QUORUM else f" by {missing.rule}"
    return f"Still missing: {thing}{rule}{who}." + (f" {missing.note}" if missing.note else "")


def approved_json(approvals: Iterable[Approval]) -> list[dict[str, Any]]:
    """Approvals as they are recorded and told."""
    return [
        {
            "name": one.by.name,
            "kind": one.by.kind,
            "at": one.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "door": one.door,
            **({"role": one.by.role} if one.by.role else {}),
        }
        for one in approvals
    ]
