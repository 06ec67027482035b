"""What may be an environment variable of an organization, and how a plan says which it was explained with."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.variables import (
    MODE,
    TOTAL_BYTES,
    VALUE_BYTES,
    Variable,
    check_fields,
    differing,
    file_settings,
    keyed_hash,
    require_own_path,
    require_room,
    stored_name,
    weight,
)

NOW = datetime(2026, 4, 28, tzinfo=timezone.utc)
VARIABLE = Variable("var_1", "org-1", "TOKEN", b"gAAAA", True, False, "ada", NOW, NOW)


def errors_of(sent: dict[str, object]) -> dict[str, str]:
    """What is wrong with each field."""
    try:
        check_fields(sent)
    except DagctlError as error:
        listed: Any = error.extra["errors"]
        return {row["field"]: row["message"] for row in listed}
    return {}


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "path", "LD_PRELOAD", "ld_preload", "PYTHONPATH", "HOME", "DAGCTL_VOLATILE_ENV", "AIRFLOW__CORE__FERNET_KEY"),
        *("KUBERNETES_SERVICE_HOST", "BASH_ENV", "ENV", "IFS", "GIT_SSH_COMMAND", "SSL_CERT_FILE", "https_proxy", "NO_PROXY"),
        *("SQLMESH_HOME", "DBT_TARGET", "UV_INDEX", "REQUESTS_CA_BUNDLE", "PGAPPNAME", "AIRFLOW_HOME"),
        *("", "1A", "A-B", "A B", "A=B", "A\x00", "Ä", "\u017fECRET", "A" * 256, "A\n", "A.B", "${A}"),
    ],
)
def test_names_that_are_refused(name: str) -> None:
    assert list(errors_of({"name": name})) == ["name"]


@pytest.mark.parametrize(
    "name", ["TOKEN", "snowflake_password", "_A", "A" * 255, "PGPASSWORD", "DBT_ENV_SECRET_GIT", "TZ", "ENVIRONMENT"]
)
def test_names_that_are_accepted(name: str) -> None:
    assert errors_of({"name": name}) == {}
    assert stored_name(name) == name.upper()


@given(st.text(max_size=300))
def test_no_name_is_stored_that_means_something_to_a_shell(name: str) -> None:
    if not errors_of({"name": name}):
        assert stored_name(name).isascii()
        assert stored_name(name).replace("_", "A").isalnum()


@pytest.mark.parametrize(
    ("value", "accepted"),
    [
        ("", True),
        ("x" * VALUE_BYTES, True),
        ("x" * (VALUE_BYTES + 1), False),
        ("é" * VALUE_BYTES, False),
        ("a\x00b", False),
        ("\ud800", False),
    ],
)
def test_values(value: str, accepted: bool) -> None:
    found = errors_of({"value": value})
    assert list(found) == ([] if accepted else ["value"])
    assert value not in str(found) or not value


@pytest.mark.parametrize(
    ("path", "accepted"),
    [
        *((path, True) for path in ("/secrets/snowflake/rsa_key.p8", "/var/secrets/a", "/mnt/secrets/.netrc", "/secrets/a..b")),
        *(
            (path, False)
            for path in ("/etc/passwd", "secrets/a", "/secrets", "/secrets/", "/secrets/../etc/passwd", "/secrets/a/..")
        ),
        *(
            (path, False)
            for path in ("/secrets//a", "/secrets/./a", "/secrets/a b", "/secrets/a\n", "/secretsx/a", "../a", "", "~/a")
        ),
        *(
            (path, False)
            for path in ("/run/secrets/kubernetes.io/token", "/secrets/$HOME", "/secrets/" + "a/" * 260 + "a", "/proc/1/environ")
        ),
    ],
)
def test_paths(path: str, accepted: bool) -> None:
    assert list(errors_of({"file_mount_path": path})) == ([] if accepted else ["file_mount_path"])


@pytest.mark.parametrize(
    ("mode", "accepted"),
    [(0o600, True), (0o400, True), (0o440, True), (0o644, True), (0o700, True)]
    + [(mode, False) for mode in (0o777, 0o660, 0o602, 0o610, 0o601, 0o1600, 0o4600, -1, 0o200, 0, 2**70)],
)
def test_modes(mode: int, accepted: bool) -> None:
    assert list(errors_of({"file_permissions": mode})) == ([] if accepted else ["file_permissions"])


@pytest.mark.parametrize(
    "sent", [{"environments": []}, {"environments": ["a b"]}, {"environments": ["x"] * 101}, {"project_ids": []}]
)
def test_limits_name_something(sent: dict[str, object]) -> None:
    assert list(errors_of(sent)) == list(sent)


def test_a_file_has_a_path_and_a_mode_and_nothing_else_has() -> None:
    assert file_settings("A", {"mount_as_file": True}, {}) == ("/secrets/A", MODE)
    assert file_settings("A", {"mount_as_file": True, "file_mount_path": "/secrets/b", "file_permissions": 256}, {}) == (
        "/secrets/b",
        256,
    )
    assert file_settings("A", {"mount_as_file": False, "file_mount_path": "/secrets/b"}, {}) == (None, None)
    with pytest.raises(DagctlError):
        file_settings("A", {"mount_as_file": False}, {"file_permissions": 384})


@pytest.mark.parametrize(
    ("path", "free"), [("/secrets/a", False), ("/secrets/a/b", False), ("/secrets", False), ("/secrets/ab", True)]
)
def test_two_files_never_stand_in_each_others_way(path: str, free: bool) -> None:
    other = replace(VARIABLE, name="OTHER", mount_as_file=True, file_mount_path="/secrets/a")
    if free:
        require_own_path(path, [other, VARIABLE])
    else:
        with pytest.raises(DagctlError, match="file_mount_path"):
            require_own_path(path, [other])


def test_all_together_are_limited_as_they_are_handed_on() -> None:
    # Each of these is six characters of JSON.
    assert weight("A", "\x01" * 1000, None) > 6000
    require_room([TOTAL_BYTES])
    with pytest.raises(DagctlError, match="value"):
        require_room([TOTAL_BYTES, 1])


@pytest.mark.parametrize(
    ("projects", "environments", "reached"),
    [
        (None, None, True),
        (("proj_1",), None, True),
        (("proj_2",), None, False),
        (None, ("PROD",), True),
        (None, ("dev",), False),
        (("proj_1",), ("dev", "prod"), True),
    ],
)
def test_limits(projects: tuple[str, ...] | None, environments: tuple[str, ...] | None, reached: bool) -> None:
    assert replace(VARIABLE, project_ids=projects, environments=environments).reaches("proj_1", "prod") is reached


def test_a_hash_tells_another_value_or_file_and_nothing_without_the_key() -> None:
    file = replace(VARIABLE, mount_as_file=True, file_mount_path="/secrets/a", file_permissions=384)
    known = {
        keyed_hash(key, variable, value)
        for key in ("k1", "k2")
        for value in ("a", "b")
        for variable in (
            *(VARIABLE, replace(VARIABLE, name="OTHER"), replace(VARIABLE, organization_id="org-2")),
            *(file, replace(file, file_mount_path="/secrets/b"), replace(file, file_permissions=256)),
        )
    }
    assert len(known) == 24
    assert keyed_hash("k1", VARIABLE, "a") == keyed_hash("k1", replace(VARIABLE, is_sensitive=False, content=b"other"), "a")


def test_what_differs_is_named() -> None:
    assert differing({"A": "1", "B": "2"}, {"B": "3", "C": "4"}) == ["A", "B", "C"]
    assert differing(None, {}) == []
    assert differing(None, {"A": "1"}) == ["A"]


def test_nothing_shows_what_is_stored() -> None:
    assert "gAAAA" not in repr(VARIABLE)
    assert "content" not in VARIABLE.told()
