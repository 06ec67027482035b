"""The pages of environment variables: made, changed and removed there, and no sensitive value in any of them."""

from __future__ import annotations

from typing import Any

import pytest

from dagctl_provider.services import variables
from dagctl_provider.store import transactions
from dagctl_provider.store import variables as variable_rows
from tests.services.world import World

from .conftest import Browser, Shown, read
from .test_safety import HOSTILE

pytestmark = pytest.mark.slow

PAGE = "/dagctl/organization/variables"
PLANTED = "planted-s3cret-value"


def make(world: World, name: str = "TOKEN", value: str = PLANTED, **more: Any) -> None:
    variables.create_variable(world.actor(), {"name": name, "value": value, **more})


def sent(browser: Browser, path: str, form: dict[str, Any]) -> Shown:
    """A form that was not accepted, as it comes back; no form repeats a value."""
    shown = read(browser.post(path, form))
    assert PLANTED not in shown.html
    return shown


def error_of(shown: Shown, name: str) -> bool:
    return shown.fields()[name].get("aria-invalid") == "true"


def test_a_variable_from_its_creation_to_its_end(browser: Browser, world: World) -> None:
    project = world.project()
    assert "No variables" in browser.get(PAGE).text
    form = {
        "name": "key_file",
        "value": f"{PLANTED}\r\nb",
        "is_sensitive": "true",
        "mount_as_file": "true",
        "file_permissions": "0400",
    }
    answer = browser.post(f"{PAGE}/new", {**form, "project_ids": project.id, "environments": "prod, dev"})
    assert (answer.status_code, answer.headers["Location"].endswith("said=variable_created")) == (303, True)
    (made,) = variables.list_variables(world.actor())
    assert (made.variable.name, made.variable.file_mount_path, made.variable.file_permissions) == (
        "KEY_FILE",
        "/secrets/KEY_FILE",
        0o400,
    )
    assert (made.variable.project_ids, made.variable.environments) == ((project.id,), ("prod", "dev"))
    shown = browser.get(PAGE)
    assert "KEY_FILE file /secrets/KEY_FILE , 0400 ***" in shown.text
    assert "analytics in prod, dev" in shown.text

    edit = browser.get(f"{PAGE}/KEY_FILE")
    assert edit.fields()["file_permissions"]["value"] == "0400"
    assert "name" not in edit.fields()
    # An empty value means that it stays; without 'mount_as_file' what stands in its fields counts no more.
    assert browser.post(f"{PAGE}/KEY_FILE", {"is_sensitive": "true", "file_mount_path": "/secrets/KEY_FILE"}).status_code == 303
    changed = variables.get_variable(world.actor(), "KEY_FILE").variable
    assert (changed.mount_as_file, changed.project_ids, changed.environments) == (False, None, None)
    assert changed.content == made.variable.content

    assert "KEY_FILE" in browser.get(f"{PAGE}/KEY_FILE/delete").text
    assert browser.post(f"{PAGE}/KEY_FILE/delete").status_code == 303
    assert browser.get(f"{PAGE}/KEY_FILE").status == 404


def test_no_page_holds_a_sensitive_value(browser: Browser, world: World) -> None:
    make(world)
    step = world.explained(world.project())
    for path in (PAGE, f"{PAGE}/TOKEN", f"{PAGE}/TOKEN/delete", "/dagctl/organization/audit", f"/dagctl/plans/{step.group_id}"):
        shown = browser.get(path)
        assert shown.status == 200
        assert PLANTED not in shown.html
    assert "TOKEN" in shown.text, "the plan names it"
    assert not error_of(browser.get(f"{PAGE}/TOKEN"), "value")


def test_a_plain_value_is_shown_and_left_alone_when_it_is_not_touched(browser: Browser, world: World) -> None:
    make(world, "SCHEMA", "\na\r\nb <i>", is_sensitive=False)
    shown = browser.get(f"{PAGE}/SCHEMA")
    assert "a\r\nb &lt;i&gt;</textarea>" in shown.html
    assert browser.post(f"{PAGE}/SCHEMA", {"value": "\r\na\r\nb <i>"}).status_code == 303
    assert variables.get_variable(world.actor(), "SCHEMA").value == "\na\r\nb <i>"
    browser.post(f"{PAGE}/SCHEMA", {"value": "c\r\nd"})
    assert variables.get_variable(world.actor(), "SCHEMA").value == "c\nd"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"name": "PATH"}, "name"),
        ({"name": "taken"}, "name"),
        ({"name": HOSTILE}, "name"),
        ({"mount_as_file": "true", "file_mount_path": "/etc/passwd"}, "file_mount_path"),
        ({"mount_as_file": "true", "file_permissions": "0777"}, "file_permissions"),
        ({"mount_as_file": "true", "file_permissions": "rw"}, "file_permissions"),
        ({"environments": HOSTILE}, "environments"),
        ({"project_ids": "proj_none"}, "project_ids"),
        ({"value": PLANTED * 4000}, "value"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(browser: Browser, world: World, form: dict[str, str], field: str) -> None:
    make(world, "TAKEN", "x")
    shown = sent(browser, f"{PAGE}/new", {"name": "TOKEN", "value": PLANTED, "is_sensitive": "true", **form})
    assert shown.status in (409, 422)
    assert [name for name in shown.fields() if error_of(shown, name)] == [field]
    assert len(variables.list_variables(world.actor())) == 1


def test_a_sensitive_value_is_not_uncovered(browser: Browser, world: World) -> None:
    make(world)
    shown = sent(browser, f"{PAGE}/TOKEN", {})
    assert (shown.status, error_of(shown, "value")) == (422, True)


def test_who_may(browser: Browser, world: World) -> None:
    make(world)
    browser.actor = world.actor("developer")
    shown = browser.get(PAGE)
    assert "TOKEN" in shown.text
    assert not [link for link in shown.links() if link.endswith(("/new", "/TOKEN", "/delete"))]
    for path in (f"{PAGE}/new", f"{PAGE}/TOKEN", f"{PAGE}/TOKEN/delete"):
        assert browser.get(path).status == 403
        assert browser.post(path, {"name": "A", "value": "x"}).status_code == 403
    browser.actor = world.actor("reader")
    assert browser.get(PAGE).status == 403


def test_forms_of_other_sites_and_names_that_are_none(browser: Browser, world: World) -> None:
    make(world)
    for path in (f"{PAGE}/new", f"{PAGE}/TOKEN", f"{PAGE}/TOKEN/delete"):
        assert browser.post(path, {"name": "A", "value": "x"}, Sec_Fetch_Site="cross-site").status_code == 403
    for path in (f"{PAGE}/a-b", f"{PAGE}/a.b/delete", f"{PAGE}/%00", f"{PAGE}/NONE"):
        assert browser.get(path).status == 404
    assert [one.variable.name for one in variables.list_variables(world.actor())] == ["TOKEN"]


def test_one_that_cannot_be_decrypted_is_told(browser: Browser, world: World) -> None:
    make(world)

    def spoil(session: Any) -> None:
        found = variable_rows.get_variable(session, world.organization_id, "TOKEN")
        assert found is not None
        variable_rows.update_variable(session, found.id, {"content": b"gAAAAnothing"})

    transactions.run(spoil)
    assert "Cannot be decrypted" in browser.get(PAGE).text
    assert browser.get(f"{PAGE}/TOKEN").status == 200


def test_what_people_write_is_only_ever_text(browser: Browser, world: World) -> None:
    make(world, "HOSTILE", HOSTILE, is_sensitive=False)
    for path in (PAGE, f"{PAGE}/HOSTILE"):
        shown = browser.get(path)
        assert "onerror" not in {name for _, own in shown.elements for name in own}
        assert HOSTILE in shown.html.replace("&lt;", "<").replace("&gt;", ">").replace("&#34;", '"').replace("&#39;", "'")
