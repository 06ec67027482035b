"""The form of a protected environment: what it shows of a protection, and what it makes of what somebody filled in.

Groups and windows are rows; some spare ones stand below those that are there, so that the form needs no script. An empty row is
none. What is wrong is said by the domain, which names rules as REST does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from werkzeug.datastructures import MultiDict

from dagctl_provider.domain.permissions import ROLES
from dagctl_provider.domain.protections import Protection
from dagctl_provider.domain.rules import MOST_GROUPS, MOST_ITEMS

Row: TypeAlias = Mapping[str, object]
"""A group, a window or all rules, in the words of the REST API."""

SPARE = 3
NUMBERS: Mapping[str, tuple[str, str]] = {
    "quorum": ("Approvals", "How many a plan needs; 1 when empty."),
    "extra_when_breaking": ("More when something is breaking", "Contracts, columns, and what the tool calls breaking."),
    "extra_when_removed": ("More when something is removed", "A model or a column."),
    "expires_after_hours": ("Approvals expire after (hours)", "Never when empty."),
}
FLAGS: Mapping[str, str] = {
    "forbid_author": "The author of the commit does not count",
    "forbid_creator": "Whoever asked for the plan does not count",
    "codeowners": "The owners of changed files have to agree (CODEOWNERS)",
    "override": "An owner may do without the approvals, with a reason",
}
GROUP_TEXTS = ("name", "quorum", "paths", "tags")
WINDOW_FIELDS = ("kind", "time_zone", "cron", "duration_minutes", "from", "until")
_WHOLE = ("quorum", "duration_minutes")
_LISTS = ("paths", "tags")


@dataclass(frozen=True)
class Shown:
    """What stands in the form: the fields of a protection as texts and lists, and rows with spare ones."""

    name: str = ""
    enabled: bool = True
    excepted_user_ids: tuple[str, ...] = ()
    excepted_roles: tuple[str, ...] = ()
    excepted_token_ids: tuple[str, ...] = ()
    rules: Row = field(default_factory=dict)

    @property
    def groups(self) -> list[Row]:
        """Those that there are, and spare ones."""
        return _with_spare(self.rules.get("groups", ()), MOST_GROUPS)

    @property
    def windows(self) -> list[Row]:
        """Those that there are, and spare ones."""
        return _with_spare(self.rules.get("windows", ()), MOST_ITEMS)


def shown_of(protection: Protection) -> Shown:
    """The form of a protection as it is."""
    listed = protection.exceptions
    return Shown(
        protection.environment_name,
        protection.enabled,
        listed.user_ids,
        listed.roles,
        listed.token_ids,
        protection.rules.to_json(),
    )


def shown_again(values: Row) -> Shown:
    """The form with what was filled in and refused."""
    lists = (values[name] for name in ("excepted_user_ids", "excepted_roles", "excepted_token_ids"))
    users, roles, tokens = (tuple(map(str, one)) if isinstance(one, list) else () for one in lists)
    rules = values["rules"]
    name, enabled = str(values["environment_name"]), bool(values["enabled"])
    return Shown(name, enabled, users, roles, tokens, rules if isinstance(rules, dict) else {})


def read_form(form: MultiDict[str, str]) -> dict[str, object]:
    """What was filled in, in the words of the REST API."""
    return {
        "environment_name": form.get("environment_name", "").strip(),
        "enabled": "enabled" in form,
        "excepted_user_ids": form.getlist("excepted_user_ids"),
        "excepted_roles": [role for role in form.getlist("excepted_roles") if role in ROLES],
        "excepted_token_ids": form.getlist("excepted_token_ids"),
        "rules": _rules(form),
    }


def _rules(form: MultiDict[str, str]) -> dict[str, object]:
    rules: dict[str, object] = {name: _number(form[name]) for name in NUMBERS if form.get(name, "").strip()}
    rules |= {name: True for name in FLAGS if name in form}
    lists = {name: form.getlist(name) for name in ("approver_roles", "approver_user_ids")}
    rules |= {name: values for name, values in lists.items() if values}
    rules |= {
        name: rows
        for name, read, most in (("groups", _group, MOST_GROUPS), ("windows", _window, MOST_ITEMS))
        if (rows := _rows(form, name, read, most))
    }
    return rules


def _rows(
    form: MultiDict[str, str], name: str, read: Callable[[MultiDict[str, str], str], dict[str, object]], most: int
) -> list[dict[str, object]]:
    found = (read(form, f"{name}-{number}-") for number in range(most + 1) if f"{name}-{number}-row" in form)
    return [row for row in found if row]


def _group(form: MultiDict[str, str], prefix: str) -> dict[str, object]:
    row = _texts(form, prefix, GROUP_TEXTS)
    row |= {name: values for name in ("user_ids", "roles") if (values := form.getlist(prefix + name))}
    # A number alone is what a spare row shows.
    return {} if set(row) <= {"quorum"} else row


def _window(form: MultiDict[str, str], prefix: str) -> dict[str, object]:
    row = _texts(form, prefix, WINDOW_FIELDS)
    return {} if set(row) <= {"kind", "time_zone"} else row


def _texts(form: MultiDict[str, str], prefix: str, names: tuple[str, ...]) -> dict[str, object]:
    """The fields of a row that were filled in."""
    row: dict[str, object] = {}
    for name in names:
        text = form.get(prefix + name, "").strip()
        if text:
            row[name] = text.split() if name in _LISTS else _number(text) if name in _WHOLE else text
    return row


def _number(text: str) -> int | str:
    """A whole number; anything else stays what it is, for the domain to refuse."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else text


def _with_spare(rows: object, most: int) -> list[Row]:
    there = list(rows) if isinstance(rows, (list, tuple)) else []
    return [*there, *({} for _ in range(min(SPARE, most - len(there))))]
