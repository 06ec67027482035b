"""What a plan is, as far as the rules of its environment ask: which models are edited, what breaks, who wrote it.

Taken from what the explain reported. Where that does not say, the answer is the one that asks for more approvals.
"""

from __future__ import annotations

from dagctl_provider.domain.codeowners import CodeOwners
from dagctl_provider.domain.decisions import standing_approvals
from dagctl_provider.domain.evaluations import Approval, ChangedModel, Matter
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.protections import key_of
from dagctl_provider.domain.standings import People
from dagctl_provider.plan_output.reading import explained
from dagctl_provider.plan_output.shape import ExplainOutput
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store.session import Session

_FOLLOWS = "indirectly_modified"
_BREAKING = ("breaking", "indirect_breaking")


def environment_of(step: PlanStep) -> str | None:
    """The environment that a plan changes, by name: the one it was made for, or what the project's own files call it."""
    return step.environment or explained(step.plan_output).environment


def matter_of(explain: PlanStep, people: People, owners: CodeOwners | None) -> Matter:
    """A plan as rules see it.

    :param explain: Its explain step.
    :param owners: The CODEOWNERS file, where it is asked for.
    """
    output = explained(explain.plan_output)
    called = (explain.commit_author, explain.commit_author_email)
    creator = explain.created_by_kind in ("user", "token") and explain.created_by_id
    return Matter(
        project_id=explain.project_id,
        models=_edited(output, str(explain.settings.get("git_path") or "")),
        author=frozenset(text.strip().casefold() for text in called if text and text.strip()),
        creator=people.standing(str(explain.created_by_kind), creator, "").person if creator else None,
        breaking=_breaks(output),
        removed=_removes(output),
        owners=owners,
    )


def approvals_of(session: Session, explain: PlanStep, people: People) -> tuple[Approval, ...]:
    """The approvals that stand for what the plan came to, given to this plan or to an earlier one with the same digest."""
    if explain.digest is None:
        return ()
    rows = decision_rows.decisions_on_digest(session, explain.project_id, explain.digest)
    groups = plan_rows.steps_of_groups(session, {row.group_id for row in rows if row.decision == "approved"})
    used_up = {group_id for group_id, steps in groups.items() if any(map(_applies, steps))}
    own = key_of(environment_of(explain) or "")
    here = [row for row in rows if _environment_in(row.evaluation) in (None, own)]
    standing = standing_approvals(here, used_up)
    return tuple(
        Approval(people.standing(row.actor_kind, row.actor_id, row.actor_name), row.created_at, row.door) for row in standing
    )


def _applies(step: PlanStep) -> bool:
    """Whether a step executes or executed more than the finding that its plan has drifted."""
    return step.plan_type == "execute" and not (step.status == "failed" and step.error_code == "plan_drifted")


def _environment_in(evaluation: object) -> str | None:
    """The environment that a decision was judged for, as protections know it."""
    named = evaluation.get("environment") if isinstance(evaluation, dict) else None
    return key_of(named) if isinstance(named, str) else None


def _edited(output: ExplainOutput, folder: str) -> tuple[ChangedModel, ...]:
    """The models that somebody edited: those that only follow from them are nobody's file."""
    followers = frozenset(output.metadata_followers)
    prefix = f"{folder.strip('/')}/" if folder.strip("/") else ""
    return tuple(
        ChangedModel(model.name, prefix + model.path if model.path else None, model.tags)
        for model in output.models
        if model.change is not None and model.change != _FOLLOWS and model.name not in followers
    )


def _unclear(output: ExplainOutput) -> bool:
    """Whether columns and categories may be missing from the report."""
    return output.explain_completed is not True or (output.compiled is not None and output.compiled.available is False)


def _breaks(output: ExplainOutput) -> bool:
    columns = any(model.columns_removed or model.columns_changed for model in output.models)
    categories = any(model.category in _BREAKING for model in output.models)
    return categories or columns or bool(output.contracts_broken or output.destructive) or _unclear(output)


def _removes(output: ExplainOutput) -> bool:
    gone = any(model.change == "removed" or model.columns_removed for model in output.models)
    return gone or bool(output.removed or output.models_removed) or _unclear(output)
