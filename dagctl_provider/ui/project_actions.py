"""What can be done to a project from its page: one row for each action, with what it brings about said before it is done."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from dagctl_provider.domain.doors import require_short
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services import adoption, plans, projects
from dagctl_provider.services.showing.overview import ProjectRow
from dagctl_provider.ui.addresses import page_url
from dagctl_provider.ui.filters import counted
from dagctl_provider.ui.form_fields import OVERRIDE_HINT, OVERRIDE_LABEL, FormField, option_fields, read_options


@dataclass(frozen=True)
class Action:
    """One row of the table.

    :param verb: Last part of its address.
    :param label: On its button.
    :param title: What is asked, with the project's name in place of ``{name}``.
    :param permission: Who may; the service asks again.
    :param possible: Whether it makes sense now; the service decides.
    :param consequences: Sentences on what it brings about.
    :param perform: Does it with what was filled in, and gives the address to go on with.
    :param tone: Of its button.
    :param prominent: Whether it stands in the row rather than in the menu.
    :param name_to_type: Whether the project's name has to be typed first.
    :param fields: What can be filled in, with what was.
    """

    verb: str
    label: str
    title: str
    permission: str
    possible: Callable[[ProjectRow], bool]
    consequences: Callable[[ProjectRow], list[str]]
    perform: Callable[[Actor, str, Mapping[str, str]], str]
    tone: Literal["primary", "danger"] = "primary"
    prominent: bool = False
    name_to_type: bool = False
    fields: Callable[[ProjectRow, Mapping[str, str]], list[FormField]] = lambda row, filled: []


def _environment(row: ProjectRow) -> str:
    environment = row.project.environment
    return f"environment {environment}" if environment else row.project.tool.unnamed_environment.page


def _waiting(row: ProjectRow) -> str:
    return counted(row.pending, "plan that waits", "plans that wait")


def _of_plan(row: ProjectRow) -> list[str]:
    found = [
        f"The newest commit of {row.project.branch} is looked up, and what it would change in {_environment(row)} is explained. "
        "Nothing is written to the warehouse.",
    ]
    if row.pending:
        found.append("A plan for an older commit that still waits for approval is discarded.")
    if row.project.settings.get("auto_apply"):
        found.append("This project applies plans without approval: the new plan is executed as soon as it is explained.")
    return found


def _of_run(row: ProjectRow) -> list[str]:
    sha = short_sha(row.project.current_commit_sha or "")
    found = [f"The deployed commit {sha} {row.project.tool.run_does} in {_environment(row)}. Nothing new is deployed."]
    policy = row.project.settings.get("concurrency_policy", "Allow")
    if row.newest_run is not None and row.newest_run.state in ("queued", "running"):
        told = {
            "Allow": "A run is under way; the new one starts beside it or waits for it.",
            "Forbid": "A run is under way; this project allows one at a time, so the request will be refused until it ends.",
            "Replace": "A run is under way; it is stopped and replaced.",
        }
        found.append(told[policy])
    return found


def _of_undeploy(row: ProjectRow) -> list[str]:
    found = ["Its Dags are paused and withdrawn: no commit is planned and nothing runs. The project and its history stay."]
    if row.pending:
        found.append(f"{_waiting(row)} for approval {'is' if row.pending == 1 else 'are'} discarded.")
    return [
        *found,
        "Tables and data in the warehouse stay as they are.",
        "It is refused while a step or run of the project is under way.",
    ]


def _of_delete(row: ProjectRow) -> list[str]:
    found = ["The project is undeployed and removed together with its plans. Who decided what stays on record."]
    if row.project.state_connection_id is not None:
        label = row.project.tool.label
        found.append(f"Its managed state database is dropped: {label} forgets what it has built and would build it anew.")
    return [*found, "Tables and data in the warehouse stay as they are.", "This cannot be undone."]


def _plan(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    created = plans.create_plan(actor, project_id, options=read_options(form))
    said = {"created": "plan_created"}.get(created.outcome, created.outcome)
    if created.step is None:
        return page_url("projects", project_id, said=said)
    return page_url("plans", created.step.group_id, said=said)


def _run(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    reason = form.get("override_reason", "").strip()
    require_short(reason)
    projects.run_project(actor, project_id, reason or None)
    return page_url("projects", project_id, said="run_started")


def _of_adopt(row: ProjectRow) -> list[str]:
    found = [
        f"What is in {_environment(row)} counts as deployed from the commit that you name. Nothing is written to the warehouse, "
        "and the first plan shows what the newest commit changes in it, rather than building everything.",
    ]
    if row.project.tool.has_state:
        found.append(f"{row.project.tool.label}'s state is the one that the project's own configuration names.")
    if row.pending:
        found.append(f"{_waiting(row)} for approval {'is' if row.pending == 1 else 'are'} discarded.")
    return found


def _adopt_fields(row: ProjectRow, filled: Mapping[str, str]) -> list[FormField]:
    commit = FormField("commit", "Commit", "The full hash of the commit that was applied last.", filled.get("commit", ""))
    hint = "target/manifest.json of that build, plain or compressed with gzip."
    manifest = FormField("manifest", "Manifest", hint, kind="file")
    return [commit] if row.project.tool.has_state else [commit, manifest]


def _adopt(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    commit = form.get("commit", "").strip()
    if not re.fullmatch(r"[0-9a-f]{40}([0-9a-f]{24})?", commit):
        raise DagctlError("invalid_request", "The commit must be a full hash, of 40 small hexadecimal digits.")
    manifest = form.get("manifest")
    adoption.adopt(actor, project_id, commit, base64.b64decode(manifest) if manifest else None)
    return page_url("projects", project_id, said="adopted")


def _suspend(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    projects.update_project(actor, project_id, {"suspended": True})
    return page_url("projects", project_id, said="suspended")


def _resume(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    projects.update_project(actor, project_id, {"suspended": False})
    return page_url("projects", project_id, said="resumed")


def _deploy(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    projects.deploy(actor, project_id)
    return page_url("projects", project_id, said="deployed")


def _undeploy(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    projects.undeploy(actor, project_id)
    return page_url("projects", project_id, said="undeployed")


def _delete(actor: Actor, project_id: str, form: Mapping[str, str]) -> str:
    projects.delete_project(actor, project_id)
    return page_url("projects", said="project_deleted")


ACTIONS: tuple[Action, ...] = (
    Action(
        "plan",
        "Plan now",
        "Plan the newest commit of {name}?",
        "create_plan",
        lambda row: row.project.deployed,
        _of_plan,
        _plan,
        prominent=True,
        fields=lambda row, filled: option_fields(row.project.tool, filled),
    ),
    Action(
        "run",
        "Run now",
        "Run {name} now?",
        "run_project",
        lambda row: row.project.deployed and row.project.current_commit_sha is not None and not row.project.suspended,
        _of_run,
        _run,
        fields=lambda row, filled: [
            FormField("override_reason", OVERRIDE_LABEL, OVERRIDE_HINT, filled.get("override_reason", ""))
        ],
        prominent=True,
    ),
    Action(
        "adopt",
        "Adopt",
        "Begin with what is deployed already?",
        "manage_projects",
        lambda row: row.project.current_commit_sha is None and row.project.state_connection_id is None,
        _of_adopt,
        _adopt,
        fields=_adopt_fields,
    ),
    Action(
        "deploy",
        "Deploy",
        "Deploy {name}?",
        "manage_projects",
        lambda row: not row.project.deployed,
        lambda row: [
            f"Its two Dags are generated and unpaused. From then on new commits on {row.project.branch} are planned.",
            "Nothing is written to the warehouse before a plan is approved"
            + (", except that this project applies plans without approval." if row.project.settings.get("auto_apply") else "."),
        ],
        _deploy,
        prominent=True,
    ),
    Action(
        "suspend",
        "Suspend",
        "Suspend {name}?",
        "manage_projects",
        lambda row: not row.project.suspended,
        lambda row: [
            "New commits are no longer detected and nothing runs, by schedule or on request, until the project is resumed.",
            "What runs now goes on, and plans that wait can still be decided.",
        ],
        _suspend,
    ),
    Action(
        "resume",
        "Resume",
        "Resume {name}?",
        "manage_projects",
        lambda row: row.project.suspended,
        lambda row: ["New commits are detected again, the newest one within a minute or so, and runs may start."],
        _resume,
    ),
    Action(
        "undeploy",
        "Undeploy",
        "Undeploy {name}?",
        "manage_projects",
        lambda row: row.project.deployed,
        _of_undeploy,
        _undeploy,
        tone="danger",
    ),
    Action(
        "delete",
        "Delete",
        "Delete {name}?",
        "manage_projects",
        lambda row: True,
        _of_delete,
        _delete,
        tone="danger",
        name_to_type=True,
    ),
)

BY_VERB: Mapping[str, Action] = {action.verb: action for action in ACTIONS}


def offered(row: ProjectRow, actor: Actor) -> list[Action]:
    """The actions that make sense now and that the actor may take, in table order."""
    return [action for action in ACTIONS if action.permission in actor.permissions and action.possible(row)]
