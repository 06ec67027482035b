"""Decides at every door whether somebody may change a protected environment now, and whether a plan has the approvals it needs.

Asked inside the transaction that holds the project's row, at the moment of the act, so that the rules, the roles and the time of
that moment count. Where no protection is switched on for an environment, the role alone decides and nothing is asked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagctl_provider.domain import windows
from dagctl_provider.domain.codeowners import CodeOwners
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.evaluations import Approval, Evaluation, Judge, approved_json
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.protections import Protection, key_of, refused
from dagctl_provider.domain.standings import People, Standing
from dagctl_provider.services.lifecycle import matters
from dagctl_provider.store import deployments as deployment_rows
from dagctl_provider.store import protections as protection_rows
from dagctl_provider.store.session import Session, utcnow


@dataclass(frozen=True)
class Verdict:
    """What was found at a door of a protected environment.

    :param evaluation: Of a plan's approvals, the one just given among them; absent where no approvals are asked for.
    :param counted_before: Whether the same person's approval was there already.
    :param override_reason: Why an owner did without what the rules ask for.
    :param without_approvals: Whether that goes for the approvals too, and not only for the time.
    """

    protection: Protection
    evaluation: Evaluation | None = None
    counted_before: bool = False
    override_reason: str | None = None
    without_approvals: bool = False

    @property
    def passes(self) -> bool:
        """Whether what was asked for may be done now."""
        return self.without_approvals or self.evaluation is None or self.evaluation.complete

    def to_json(self, environment: str | None) -> dict[str, Any]:
        """What is recorded: the rules that were followed, and what there was."""
        said: dict[str, Any] = {
            "environment": environment or self.protection.environment_name,
            "protection_id": self.protection.id,
            "rules": self.protection.rules.to_json(),
        }
        if self.evaluation is not None:
            said["approvals"] = approved_json(self.evaluation.counted)
            said["required"] = self.evaluation.required
            said["missing"] = [one.to_json() for one in self.evaluation.missing]
        return {**said, "override_reason": self.override_reason} if self.override_reason else said


def protection_of(session: Session, organization_id: str, environment: str | None) -> Protection | None:
    """The protection that is in force for an environment, if there is one.

    :param environment: By its name; ``None`` where nobody knows it.
    :raises DagctlError: ``environment_protected`` for an environment without a name beside protected ones: it may be one of them.
    """
    found = protection_rows.list_protections(session, organization_id, enabled=True)
    if environment is None and found:
        detail = "The project's own files name its environment, which may be a protected one; name it in the project's settings."
        raise DagctlError("environment_protected", detail)
    return next((one for one in found if key_of(one.environment_name) == key_of(environment or "")), None)


def admit(session: Session, actor: Actor, environment: str | None, override_reason: str | None = None) -> Verdict | None:
    """Let somebody change an environment in a way that needs no approvals of a plan: a run, a retry of what was approved.

    :param environment: By its name.
    :param override_reason: Why an owner does it while the environment is closed.
    :return: ``None`` where it is not protected.
    :raises DagctlError: ``environment_protected``, ``outside_window``, ``override_refused``.
    """
    protection = protection_of(session, actor.organization_id, environment)
    if protection is None:
        return None
    people = protection_rows.people(session, actor.organization_id)
    somebody = _listed(protection, people, actor)
    overridden = _through_windows(protection, actor, somebody, override_reason)
    return Verdict(protection, override_reason=override_reason if overridden else None)


def running(session: Session, actor: Actor, project: Project, override_reason: str | None = None) -> Verdict | None:
    """Let somebody run what is deployed; see :func:`admit`. Where nothing is, nothing can be changed."""
    if project.current_commit_sha is None:
        return None
    return admit(session, actor, deployed_environment(session, project), override_reason)


def starting_later(session: Session, actor: Actor, project: Project) -> None:
    """Let somebody have runs of a project start by themselves. Nobody is asked when they do, so the allowlist is asked now; a
    schedule may be set while the environment is closed.

    :raises DagctlError: ``environment_protected``.
    """
    environment = deployed_environment(session, project) or project.environment
    protection = protection_of(session, actor.organization_id, environment)
    if protection is not None:
        _listed(protection, protection_rows.people(session, actor.organization_id), actor)


def approving(
    session: Session,
    actor: Actor,
    explain: PlanStep,
    owners: CodeOwners | None = None,
    override_reason: str | None = None,
) -> Verdict | None:
    """Judge a plan with the approval that somebody gives it now.

    :param explain: The step that is to be approved.
    :param owners: The CODEOWNERS file, where a rule asks for it.
    :return: ``None`` where the environment is not protected.
    :raises DagctlError: ``environment_protected``, ``outside_window``, ``override_refused``, ``approval_refused``.
    """
    environment = matters.environment_of(explain)
    protection = protection_of(session, actor.organization_id, environment)
    if protection is None:
        return None
    people, now = protection_rows.people(session, actor.organization_id), utcnow()
    somebody = _listed(protection, people, actor)
    opened = _through_windows(protection, actor, somebody, override_reason)
    matter = matters.matter_of(explain, people, owners)
    judge = Judge(protection.rules, protection.exceptions, people, now)
    given = matters.approvals_of(session, explain, people)
    before = judge.evaluate(matter, given)
    known = any(one.by.person == somebody.person for one in before.counted)
    evaluation = judge.evaluate(matter, given if known else (*given, Approval(somebody, now, actor.door)))
    # A reason that has opened the window stands for no approval where the rules say so.
    asks = override_reason is not None and not evaluation.complete and (protection.rules.override or not opened)
    without = asks and _may_override(protection, actor, somebody)
    why = None if known or without else judge.why_not(matter, somebody)
    if why is not None:
        missing = [one.to_json() for one in before.missing]
        raise DagctlError("approval_refused", f"{somebody.name[:255]!r} {why}.", plan_id=explain.id, missing=missing)
    return Verdict(protection, evaluation, known, override_reason if opened or without else None, without)


def is_free(session: Session, explain: PlanStep) -> bool:
    """Whether a plan needs nobody's approval because of its environment: no protection is in force there."""
    try:
        return protection_of(session, explain.organization_id, matters.environment_of(explain)) is None
    except DagctlError:
        return False


def kept(session: Session, explain: PlanStep) -> Verdict | None:
    """Judge a plan by the approvals that an earlier one with the same digest was given, when nobody is asked.

    No file of a repository can be read meanwhile, so where code owners are asked for, somebody has to approve.

    :return: ``None`` where the environment is not protected.
    :raises DagctlError: ``outside_window``, ``environment_protected``.
    """
    found = state_of(session, explain)
    if found is None:
        return None
    protection, evaluation, _ = found
    if not windows.is_open(protection.rules.windows, utcnow()):
        raise closed(protection)
    return Verdict(protection, evaluation)


def state_of(
    session: Session, explain: PlanStep, owners: CodeOwners | None = None
) -> tuple[Protection, Evaluation, People] | None:
    """How far a plan's approvals are; ``None`` where its environment is not protected."""
    protection = protection_of(session, explain.organization_id, matters.environment_of(explain))
    if protection is None:
        return None
    people = protection_rows.people(session, explain.organization_id)
    return protection, _evaluated(session, protection, explain, people, owners), people


def asks_for_owners(session: Session, explain: PlanStep) -> bool:
    """Whether the CODEOWNERS file has to be read before a plan can be judged."""
    environment = matters.environment_of(explain)
    protection = protection_of(session, explain.organization_id, environment) if environment else None
    return protection is not None and protection.rules.codeowners


def deployed_environment(session: Session, project: Project) -> str | None:
    """The environment of what is deployed, by its name."""
    if project.current_environment:
        return project.current_environment
    output = deployment_rows.deployed_output(session, project.id, project.current_environment or "") or {}
    name = output.get("environment")
    return name if isinstance(name, str) and name else None


def _evaluated(
    session: Session, protection: Protection, explain: PlanStep, people: People, owners: CodeOwners | None
) -> Evaluation:
    judge = Judge(protection.rules, protection.exceptions, people, utcnow())
    matter = matters.matter_of(explain, people, owners)
    return judge.evaluate(matter, matters.approvals_of(session, explain, people))


def _listed(protection: Protection, people: People, actor: Actor) -> Standing:
    """Whoever acts, as they are now, if they are on the allowlist."""
    somebody = people.standing(actor.kind, actor.identifier, actor.name)
    if not protection.exceptions.hold(somebody):
        raise refused(protection.environment_name, actor.name)
    return somebody


def _through_windows(protection: Protection, actor: Actor, somebody: Standing, override_reason: str | None) -> bool:
    """Whether the environment is closed and an owner goes in all the same."""
    if windows.is_open(protection.rules.windows, utcnow()):
        return False
    if override_reason is None:
        raise closed(protection)
    _require_overrider(actor, somebody)
    return True


def _may_override(protection: Protection, actor: Actor, somebody: Standing) -> bool:
    if not protection.rules.override:
        raise DagctlError("override_refused", f"The rules of {protection.environment_name!r} allow no override of approvals.")
    _require_overrider(actor, somebody)
    return True


def may_override_windows(actor: Actor, somebody: Standing) -> bool:
    """Whether somebody may change an environment while it is closed, with a reason."""
    return somebody.role == "owner" and "override_rules" in actor.permissions


def _require_overrider(actor: Actor, somebody: Standing) -> None:
    if not may_override_windows(actor, somebody):
        raise DagctlError("override_refused", "This needs an owner with the permission 'override_rules'.")


def opens_at(protection: Protection) -> str | None:
    """When the environment is open next, for programs and people; ``None`` while it is open, or when that is not known."""
    found = windows.next_open(protection.rules.windows, utcnow())
    now_open = windows.is_open(protection.rules.windows, utcnow())
    return None if found is None or now_open else windows.said(found, protection.rules.windows[0].time_zone)


def closed(protection: Protection) -> DagctlError:
    """The answer to whoever wants to change an environment while it is closed."""
    opens = opens_at(protection)
    when = f"It opens at {opens}." if opens else "When it opens is not known."
    detail = f"The environment {protection.environment_name!r} is closed for changes now. {when}"
    return DagctlError("outside_window", detail, environment=protection.environment_name, opens_at=opens and opens.split(" ")[0])
