"""Rules as they are sent: each slip is named, what was read is said again as it was, and the oldest mistakes are refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.rules import Rules, read_rules, stored_rules

ALL: dict[str, Any] = {
    "quorum": 2,
    "approver_roles": ["owner"],
    "approver_user_ids": ["user_1"],
    "groups": [{"name": "finance", "quorum": 1, "user_ids": ["user_2"], "roles": ["admin"], "paths": ["a/"], "tags": ["b"]}],
    "codeowners": True,
    "forbid_author": True,
    "forbid_creator": True,
    "extra_when_breaking": 1,
    "extra_when_removed": 2,
    "expires_after_hours": 72,
    "windows": [
        {"kind": "allow", "time_zone": "Europe/Berlin", "cron": "0 8 * * 1-5", "duration_minutes": 60},
        {"kind": "deny", "time_zone": "UTC", "from": "2026-12-19", "until": "2027-01-03T12:00"},
    ],
    "override": True,
}
WINDOW = {"kind": "allow", "time_zone": "UTC", "cron": "0 8 * * *", "duration_minutes": 5}
ONCE = {"kind": "deny", "time_zone": "UTC"}


def test_everything_that_can_be_said_is_kept() -> None:
    rules = read_rules(ALL)
    assert rules.to_json() == ALL
    assert stored_rules(rules.to_json()) == rules
    assert (read_rules({}), Rules().to_json()) == (Rules(), {})


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], "rules"),
        ({"quorom": 1}, "rules.quorom"),
        ({"quorum": 0}, "rules.quorum"),
        ({"quorum": 21}, "rules.quorum"),
        ({"quorum": True}, "rules.quorum"),
        ({"quorum": None}, "rules.quorum"),
        ({"approver_roles": ["chief"]}, "rules.approver_roles"),
        ({"approver_user_ids": "user_1"}, "rules.approver_user_ids"),
        ({"approver_user_ids": ["a\0"]}, "rules.approver_user_ids[0]"),
        ({"codeowners": 1}, "rules.codeowners"),
        ({"expires_after_hours": 0}, "rules.expires_after_hours"),
        ({"groups": [{"name": "a", "paths": ["x"]}]}, "rules.groups[0]"),
        ({"groups": [{"name": "a", "roles": ["owner"]}]}, "rules.groups[0]"),
        ({"groups": [{"roles": ["owner"], "paths": ["x"]}]}, "rules.groups[0]"),
        ({"groups": [{"name": "a", "roles": ["owner"], "paths": ["x"]}] * 2}, "rules.groups"),
        ({"groups": [{"name": "a", "who": 1}]}, "rules.groups[0].who"),
        ({"windows": [{**WINDOW, "cron": "0 0 30 2 *"}]}, "rules.windows[0].cron"),
        ({"windows": [{**WINDOW, "cron": "hello"}]}, "rules.windows[0].cron"),
        ({"windows": [{**WINDOW, "time_zone": "Europe/Atlantis"}]}, "rules.windows[0].time_zone"),
        ({"windows": [{**WINDOW, "time_zone": "../../etc/passwd"}]}, "rules.windows[0].time_zone"),
        ({"windows": [{**WINDOW, "kind": "maybe"}]}, "rules.windows[0].kind"),
        ({"windows": [{**WINDOW, "duration_minutes": 0}]}, "rules.windows[0].duration_minutes"),
        ({"windows": [{**ONCE, "cron": "0 8 * * *"}]}, "rules.windows[0].duration_minutes"),
        ({"windows": [{**ONCE, "duration_minutes": 5}]}, "rules.windows[0].cron"),
        ({"windows": [{**WINDOW, "from": "2026-01-01"}]}, "rules.windows[0]"),
        ({"windows": [ONCE]}, "rules.windows[0]"),
        ({"windows": [{**ONCE, "from": "2026-02-30"}]}, "rules.windows[0].from"),
        ({"windows": [{**ONCE, "from": "2026-01-01T10:00+02:00"}]}, "rules.windows[0].from"),
        ({"windows": [{**ONCE, "from": "2026-01-02", "until": "2026-01-01"}]}, "rules.windows[0].until"),
        ({"windows": [{"kind": "deny", "from": "2026-01-01"}]}, "rules.windows[0]"),
    ],
)
def test_a_slip_is_named(value: object, field: str) -> None:
    with pytest.raises(DagctlError) as caught:
        read_rules(value)
    errors: Any = caught.value.extra["errors"]
    assert (caught.value.code, [error["field"] for error in errors]) == ("invalid_request", [field])


json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 50) | st.text(max_size=20) | st.sampled_from(["owner", "allow", "UTC"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*ALL, *WINDOW, "name", "paths", "from"]), inner),
    max_leaves=20,
)


@given(json)
def test_anything_else_is_an_answer_too(value: object) -> None:
    try:
        read = read_rules(value)
    except DagctlError:
        return
    assert stored_rules(read.to_json()) == read
