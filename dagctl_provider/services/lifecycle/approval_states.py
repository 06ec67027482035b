"""How far the approvals of plans are, and what a caller may do with them now: what is shown, and decides nothing.

Who may decide is judged once more when somebody acts (:mod:`~dagctl_provider.services.lifecycle.protecting`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from dagctl_provider.domain import windows
from dagctl_provider.domain.codeowners import CodeOwners
from dagctl_provider.domain.decisions import DecisionRecord
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.evaluations import QUORUM, ApprovalState, Evaluation, Missing, approved_json
from dagctl_provider.domain.permissions import PERMISSIONS, ROLES, Actor
from dagctl_provider.domain.plans import VERB_PERMISSIONS, PlanStep, verbs_now
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.protections import Protection, key_of, refused
from dagctl_provider.services.lifecycle import protecting
from dagctl_provider.services.lifecycle.matters import environment_of
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import protections as protection_rows
from dagctl_provider.store.session import Session, utcnow

_CHANGING = ("approve", "retry")
"""The verbs that a protection judges."""


def may_now(session: Session, actor: Actor, steps: Iterable[PlanStep]) -> tuple[PlanStep, ...]:
    """Steps with the verbs that this caller may take now: those that the state allows, less what a right or a protection forbids.

    Costs one statement where nothing is protected, and three where something is, however many steps there are.

    :param steps: With the verbs that their state allows. Those without output count by the environment that they were made for.
    """
    steps = tuple(steps)
    changing = any(verb in (step.verbs or ()) for step in steps for verb in _CHANGING)
    protections = protection_rows.list_protections(session, actor.organization_id, enabled=True) if changing else ()
    refusals = _refusals(session, actor, protections)
    return tuple(_filtered(actor, step, refusals) for step in steps)


def _refusals(session: Session, actor: Actor, protections: tuple[Protection, ...]) -> Mapping[str, str | None]:
    """Why somebody may not change each protected environment now, by its key; ``None``: they may."""
    if not protections:
        return {}
    somebody = protection_rows.people(session, actor.organization_id).standing(actor.kind, actor.identifier, actor.name)
    found: dict[str, str | None] = {}
    for protection in protections:
        why = None
        if not protection.exceptions.hold(somebody):
            why = refused(protection.environment_name, actor.name).detail
        elif not windows.is_open(protection.rules.windows, utcnow()):
            overrides = protecting.may_override_windows(actor, somebody)
            why = None if overrides else protecting.closed(protection).detail
        found[key_of(protection.environment_name)] = why
    return found


def _filtered(actor: Actor, step: PlanStep, refusals: Mapping[str, str | None]) -> PlanStep:
    why_not: dict[str, str] = {}
    for verb in step.verbs or ():
        permission = VERB_PERMISSIONS[verb]
        refusal = refusals.get(key_of(environment_of(step) or "")) if verb in _CHANGING else None
        if permission not in actor.permissions:
            why_not[verb] = f"This needs the permission {permission!r}."
        elif refusal is not None:
            why_not[verb] = refusal
    verbs = None if step.verbs is None else tuple(verb for verb in step.verbs if verb not in why_not)
    return replace(step, verbs=verbs, approval=replace(step.approval or ApprovalState(), why_not=why_not))


def owners_wanted(session: Session, explain: PlanStep | None) -> tuple[Project, str] | None:
    """Of which project and commit the CODEOWNERS file has to be read before it can be said how far a plan is."""
    if explain is None or explain.status != "pending" or not protecting.asks_for_owners(session, explain):
        return None
    project = project_rows.get_project(session, explain.project_id)
    return (project, explain.to_commit_sha) if project is not None else None


def with_state(session: Session, step: PlanStep, decisions: Iterable[DecisionRecord], owners: CodeOwners | None) -> PlanStep:
    """An explain step with how far its approvals are: as they are now while it waits, and as they were when it was approved.

    :param decisions: On its group.
    :param owners: The CODEOWNERS file, where a rule asks for it and it could be read.
    """
    if step.plan_type != "explain":
        return step
    if step.status == "pending":
        return replace(step, approval=_pending(session, step, owners))
    judged = [row.evaluation for row in decisions if row.decision == "approved" and row.evaluation is not None]
    return replace(step, approval=_recorded(judged[-1])) if judged else step


def shown(
    session: Session,
    actor: Actor,
    steps: Sequence[PlanStep],
    decisions: Sequence[DecisionRecord],
    owners: CodeOwners | None,
) -> ApprovalState | None:
    """How far the approvals of a plan are, with what the caller may not do now because of its environment.

    :param steps: Of its group, explain first.
    """
    explain, last = steps[0], steps[-1]
    state = with_state(session, explain, decisions, owners).approval
    found = {step.id: replace(step, verbs=verbs_now(step, steps)) for step in (explain, last)}
    allowed = may_now(session, actor, found.values())
    why_not = {
        verb: why
        for step in allowed
        for verb, why in (step.approval.why_not if step.approval is not None else {}).items()
        if VERB_PERMISSIONS[verb] in actor.permissions
    }
    return replace(state or ApprovalState(), why_not=why_not) if state is not None or why_not else None


def may_override(session: Session, actor: Actor, explain: PlanStep) -> bool:
    """Whether somebody may do without the rules of a plan's environment now."""
    if "override_rules" not in actor.permissions:
        return False
    try:
        protection = protecting.protection_of(session, actor.organization_id, environment_of(explain))
    except DagctlError:
        return False
    if protection is None:
        return False
    return protection.rules.override or not windows.is_open(protection.rules.windows, utcnow())


def _pending(session: Session, step: PlanStep, owners: CodeOwners | None) -> ApprovalState:
    try:
        found = protecting.state_of(session, step, owners)
    except DagctlError as error:
        return ApprovalState(required=1, missing=(Missing(QUORUM, 1, note=error.detail),))
    if found is None:
        able = tuple(role for role in ROLES if role in PERMISSIONS["approve_plan"].roles)
        return ApprovalState(required=1, missing=(Missing(QUORUM, 1, able),))
    protection, evaluation, _ = found
    return _state(protection, evaluation)


def _state(protection: Protection, evaluation: Evaluation) -> ApprovalState:
    approvals = tuple(approved_json(evaluation.counted))
    return ApprovalState(approvals, evaluation.required, evaluation.missing, protecting.opens_at(protection))


def _recorded(evaluation: Mapping[str, object]) -> ApprovalState:
    approvals, required = evaluation.get("approvals"), evaluation.get("required")
    listed = tuple(row for row in approvals if isinstance(row, dict)) if isinstance(approvals, list) else ()
    return ApprovalState(listed, required if isinstance(required, int) else None)
