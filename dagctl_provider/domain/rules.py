"""What an approval in a protected environment needs, as data, and how that data is read.

Everything but known fields is refused: a rule with a slip in its name would otherwise be no rule at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from dagctl_provider.domain import schedules
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import ROLES
from dagctl_provider.domain.windows import KINDS, MOST_MINUTES, Window, moment_of

T = TypeVar("T")

MOST_APPROVALS = 20
MOST_HOURS = 24 * 366
MOST_ITEMS = 100
MOST_GROUPS = 50
LONGEST_TEXT = 255


@dataclass(frozen=True)
class Group:
    """Somebody who has to agree when certain models change.

    :param paths: Patterns of files, as in a CODEOWNERS file.
    :param tags: Of models, as their own files give them.
    """

    name: str
    quorum: int = 1
    user_ids: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Rules:
    """The rules of one environment; the defaults ask for one approval and nothing else.

    :param approver_roles: With ``approver_user_ids``, whose approvals count; everybody's who may approve when both are empty.
    :param forbid_author: Whoever wrote the commit does not count.
    :param forbid_creator: Whoever asked for the plan does not count.
    :param extra_when_breaking: How many more approvals when a change is breaking.
    :param extra_when_removed: How many more when a model or a column goes.
    :param override: An owner may do without the approvals, with a reason. Through closed windows an owner may always.
    """

    quorum: int = 1
    approver_roles: tuple[str, ...] = ()
    approver_user_ids: tuple[str, ...] = ()
    groups: tuple[Group, ...] = ()
    codeowners: bool = False
    forbid_author: bool = False
    forbid_creator: bool = False
    extra_when_breaking: int = 0
    extra_when_removed: int = 0
    expires_after_hours: int | None = None
    windows: tuple[Window, ...] = ()
    override: bool = False

    @property
    def user_ids(self) -> frozenset[str]:
        """Everybody whom they name."""
        return frozenset((*self.approver_user_ids, *(user for group in self.groups for user in group.user_ids)))

    def to_json(self) -> dict[str, Any]:
        """What is not as it is by default, in the words of the API."""
        return _told(self, Rules())


_WORDS = {"since": "from"}
"""Fields whose names in JSON are no names in Python."""


def _told(value: Any, default: Any = None) -> dict[str, Any]:
    told = {}
    for one in fields(value):
        member = getattr(value, one.name)
        if member is None or member == () or (default is not None and member == getattr(default, one.name)):
            continue
        if isinstance(member, tuple):
            member = [item if isinstance(item, str) else _told(item) for item in member]
        told[_WORDS.get(one.name, one.name)] = member
    return told


def invalid(errors: Mapping[str, str]) -> DagctlError:
    """``invalid_request`` that names each field."""
    listed = [{"field": field[:LONGEST_TEXT], "message": message} for field, message in errors.items()]
    named = "; ".join(f"{error['field']} {error['message']}" for error in listed[:5])
    return DagctlError("invalid_request", f"Not accepted: {named}.", errors=listed[:50])


def read_rules(value: object, field: str = "rules") -> Rules:
    """Rules as somebody sent them.

    :param field: Its name for people.
    :raises DagctlError: ``invalid_request``, naming each field that is wrong.
    """
    reader = _Reader()
    found = reader.record(Rules, value, field, _RULES)
    if reader.errors or found is None:
        raise invalid(reader.errors or {field: "must be an object"})
    return found


def stored_rules(value: Mapping[str, Any]) -> Rules:
    """Rules as they were stored. What an older version wrote and this one does not know is an error: fewer rules would hold."""
    return read_rules(dict(value))


class _Reader:
    """Reads values and collects what is wrong with them, by the name of the field."""

    def __init__(self) -> None:
        self.errors: dict[str, str] = {}

    def wrong(self, field: str, message: str) -> None:
        self.errors.setdefault(field, message)

    def record(self, kind: Callable[..., T], value: object, field: str, readers: Mapping[str, Callable[..., Any]]) -> T | None:
        if not isinstance(value, dict):
            self.wrong(field, "must be an object")
            return None
        before = len(self.errors)
        made: dict[str, Any] = {}
        for key, member in value.items():
            if key not in readers:
                self.wrong(f"{field}.{str(key)[:64]}", "is not known")
            else:
                made[_NAMES.get(str(key), str(key))] = readers[key](self, member, f"{field}.{key}")
        if len(self.errors) > before:
            return None
        try:
            return kind(**made)
        except TypeError:
            self.wrong(field, f"needs {'name' if kind is Group else 'kind and time_zone'}")
            return None


_NAMES = {word: name for name, word in _WORDS.items()}


def _whole(least: int, most: int) -> Callable[[_Reader, object, str], int]:
    def read(reader: _Reader, value: object, field: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            reader.wrong(field, f"must be a whole number from {least} to {most:,}")
            return least
        return value

    return read


def _flag(reader: _Reader, value: object, field: str) -> bool:
    if not isinstance(value, bool):
        reader.wrong(field, "must be true or false")
    return value is True


def _text(reader: _Reader, value: object, field: str) -> str:
    if not isinstance(value, str) or not 1 <= len(value.strip()) <= LONGEST_TEXT or not value.isprintable():
        reader.wrong(field, f"must be a text of 1 to {LONGEST_TEXT} printable characters")
        return ""
    return value.strip()


def _texts(reader: _Reader, value: object, field: str) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        reader.wrong(field, f"must be a list of at most {MOST_ITEMS} texts")
        return ()
    return tuple(dict.fromkeys(_text(reader, item, f"{field}[{at}]") for at, item in enumerate(value)))


def _one_of(choices: Collection[str]) -> Callable[[_Reader, object, str], str]:
    def read(reader: _Reader, value: object, field: str) -> str:
        if value not in choices:
            reader.wrong(field, f"must be one of {', '.join(choices)}")
        return str(value)

    return read


def _roles(reader: _Reader, value: object, field: str) -> tuple[str, ...]:
    found = _texts(reader, value, field)
    for role in found:
        if role not in ROLES:
            reader.wrong(field, f"has {role[:64]!r}, which is none of {', '.join(ROLES)}")
    return found


def _cron(reader: _Reader, value: object, field: str) -> str:
    text = _text(reader, value, field)
    if text:
        try:
            schedules.check_times(text)
        except ValueError as error:
            reader.wrong(field, f"is no time that comes: {error}")
    return schedules.cron_of(text)


def _zone(reader: _Reader, value: object, field: str) -> str:
    text = _text(reader, value, field)
    try:
        # Names with dots are no names but places on the disk.
        if not text or text.startswith((".", "/")) or ".." in text:
            raise ValueError
        ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        reader.wrong(field, "is no time zone of the IANA database, such as Europe/Berlin")
        return "UTC"
    return text


def _day(reader: _Reader, value: object, field: str) -> str:
    text = _text(reader, value, field)
    try:
        moment = moment_of(text)
        if not 1970 <= moment.year <= 9000:
            raise ValueError
    except ValueError:
        reader.wrong(field, "must be a day such as 2026-12-20, or a moment such as 2026-12-20T18:00, without an offset")
    return text


def _listed(one: Callable[[_Reader, object, str], T | None], most: int) -> Callable[[_Reader, object, str], tuple[T, ...]]:
    def read(reader: _Reader, value: object, field: str) -> tuple[T, ...]:
        if not isinstance(value, list) or len(value) > most:
            reader.wrong(field, f"must be a list of at most {most}")
            return ()
        made = (one(reader, item, f"{field}[{at}]") for at, item in enumerate(value))
        return tuple(item for item in made if item is not None)

    return read


def _group(reader: _Reader, value: object, field: str) -> Group | None:
    group = reader.record(Group, value, field, _GROUP)
    if group is not None and not (group.user_ids or group.roles):
        reader.wrong(field, "needs user_ids or roles: otherwise nobody could agree")
    if group is not None and not (group.paths or group.tags):
        reader.wrong(field, "needs paths or tags: otherwise no model would be its")
    return group


def _groups(reader: _Reader, value: object, field: str) -> tuple[Group, ...]:
    groups = _listed(_group, MOST_GROUPS)(reader, value, field)
    names = [group.name for group in groups]
    if len(set(names)) != len(names):
        reader.wrong(field, "has two groups of one name")
    return groups


def _window(reader: _Reader, value: object, field: str) -> Window | None:
    window = reader.record(Window, value, field, _WINDOW)
    if window is None:
        return None
    again, once = (window.cron, window.duration_minutes), (window.since, window.until)
    if any(part is not None for part in again) == any(part is not None for part in once):
        reader.wrong(field, "needs cron with duration_minutes, or from and until, and not both")
    elif window.cron is None and window.duration_minutes is not None:
        reader.wrong(f"{field}.cron", "is missing beside duration_minutes")
    elif window.cron is not None and window.duration_minutes is None:
        reader.wrong(f"{field}.duration_minutes", "is missing beside cron")
    elif window.since and window.until and moment_of(window.since) >= moment_of(window.until, ends=True):
        reader.wrong(f"{field}.until", "is before from")
    return window


_GROUP: Mapping[str, Callable[..., Any]] = {
    "name": _text,
    "quorum": _whole(1, MOST_APPROVALS),
    "user_ids": _texts,
    "roles": _roles,
    "paths": _texts,
    "tags": _texts,
}
_WINDOW: Mapping[str, Callable[..., Any]] = {
    "kind": _one_of(KINDS),
    "time_zone": _zone,
    "cron": _cron,
    "duration_minutes": _whole(1, MOST_MINUTES),
    "from": _day,
    "until": _day,
}
_RULES: Mapping[str, Callable[..., Any]] = {
    "quorum": _whole(1, MOST_APPROVALS),
    "approver_roles": _roles,
    "approver_user_ids": _texts,
    "groups": _groups,
    "codeowners": _flag,
    "forbid_author": _flag,
    "forbid_creator": _flag,
    "extra_when_breaking": _whole(0, MOST_APPROVALS),
    "extra_when_removed": _whole(0, MOST_APPROVALS),
    "expires_after_hours": _whole(1, MOST_HOURS),
    "windows": _listed(_window, MOST_ITEMS),
    "override": _flag,
}


def require_known(named: Mapping[str, Sequence[str]], known: Collection[str], what: str) -> None:
    """Refuse what is named and not there.

    :param named: By the name of the field.
    :param what: ``a member``, ``a token``.
    :raises DagctlError: ``invalid_request``.
    """
    errors = {
        field: f"has {identifier[:64]!r}, which is not {what} of the organization"
        for field, identifiers in named.items()
        for identifier in identifiers
        if identifier not in known
    }
    if errors:
        raise invalid(errors)
