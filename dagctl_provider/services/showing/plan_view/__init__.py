"""The plan page's read model: a plan group as a person decides about it.

A page needs much more than the API's plan object: what matters first, in one sentence, with everything that was decided and
everything that may be done. All of it is worked out here from one transaction, by pure functions over the stored records; the
page only has to lay it out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dagctl_provider.domain.decisions import DecisionRecord
from dagctl_provider.domain.errors import not_found
from dagctl_provider.domain.evaluations import ApprovalState
from dagctl_provider.domain.names import EXPLAIN, PROGRESS_KEY
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep, current_status
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire import reports
from dagctl_provider.orchestration import runs
from dagctl_provider.plan_output.coverage import drift_rows, written_to
from dagctl_provider.plan_output.destructive import to_allow
from dagctl_provider.plan_output.findings import Occasion, findings_of
from dagctl_provider.plan_output.graphs import graph_of
from dagctl_provider.plan_output.models import find_model, models_of, results_of
from dagctl_provider.plan_output.parts import Finding, Graph, ModelResult, Progress
from dagctl_provider.plan_output.progress import is_reported, progress_of, rows_of
from dagctl_provider.plan_output.reading import executed, explained
from dagctl_provider.plan_output.telling import Told, tell
from dagctl_provider.services.lifecycle import approval_states, deployments, letters
from dagctl_provider.services.outside import owners
from dagctl_provider.services.showing.plan_view.actions import actions_of
from dagctl_provider.services.showing.plan_view.commit_pages import commit_page, compare_page
from dagctl_provider.services.showing.plan_view.parts import Action, Commit, PlanView
from dagctl_provider.services.showing.plan_view.timelines import timeline
from dagctl_provider.store import decisions as decision_rows
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

GROUP_PREFIX = "plangroup_"


def get_view(actor: Actor, identifier: str) -> PlanView:
    """Everything the page of a plan shows.

    :param identifier: Of a plan group or of one of its steps.
    :raises DagctlError: ``not_found``, ``forbidden``.
    """
    actor.require("read")
    code_owners = owners.owners_shown(
        transactions.run(lambda session: approval_states.owners_wanted(session, _group(session, actor, identifier)[0]))
    )

    def work(session: Session) -> PlanView:
        steps = _group(session, actor, identifier)
        project = project_rows.get_project(session, steps[0].project_id)
        if project is None:
            raise not_found("Plan", identifier)
        explain = steps[0]
        tasks = runs.task_states(session, [(explain.dag_id, explain.run_id)])
        task = tasks.get((explain.dag_id, explain.run_id, EXPLAIN))
        explained_at = task.end_date if task is not None else None
        decisions = decision_rows.list_decisions(session, explain.group_id)
        around = Around(
            deployments.commit_in(session, project, explain.environment),
            explained_at,
            _told(session, steps[-1]),
            approval_states.shown(session, actor, steps, decisions, code_owners),
            approval_states.may_override(session, actor, explain),
        )
        return assemble(actor, project, steps, decisions, around)

    return transactions.run(work)


def get_progress(actor: Actor, identifier: str) -> tuple[PlanStep, Progress | None, dict[str, ModelResult]]:
    """The newest step of a plan, how far it is, and what became of each model so far; see :func:`get_view`."""
    actor.require("read")

    def work(session: Session) -> tuple[PlanStep, Progress | None, dict[str, ModelResult]]:
        step = _group(session, actor, identifier)[-1]
        return (step, *_progress(step, _told(session, step)))

    return transactions.run(work)


def get_graph(actor: Actor, identifier: str) -> Graph:
    """The impact graph of a plan; see :func:`get_view`."""
    actor.require("read")

    def work(session: Session) -> Graph:
        explain = _group(session, actor, identifier)[0]
        project, output = project_rows.get_project(session, explain.project_id), explained(explain.plan_output)
        if project is None:
            raise not_found("Plan", identifier)
        return graph_of(output, models_of(output, project.tool))

    return transactions.run(work)


def get_diff(actor: Actor, identifier: str, model: str) -> dict[str, Any]:
    """The diff of one model of a plan: ``name``, and as far as known ``diff``, ``diff_of`` and ``truncated``.

    :param model: Its name, as the plan has it.
    :raises DagctlError: ``not_found``, also for models that are not in the plan.
    """
    actor.require("read")

    def work(session: Session) -> dict[str, Any]:
        found = find_model(_group(session, actor, identifier)[0].plan_output, model)
        if found is None:
            raise not_found("Model", model)
        return {"name": model, "diff_of": found.diff_of, "diff": found.diff, "truncated": found.diff_truncated is True}

    return transactions.run(work)


def _told(session: Session, step: PlanStep) -> dict[str, Any]:
    """What the task of ``step`` last told of its progress, where no result says more."""
    ended = step.status != "running" and (step.plan_type == "explain" or is_reported(step))
    if step.dispatched_at is None or ended:
        return {}
    told = letters.told_by(session, reports.Progress, step, PROGRESS_KEY)
    return told.to_json() if told is not None else {}


def _progress(step: PlanStep, told: Mapping[str, Any]) -> tuple[Progress | None, dict[str, ModelResult]]:
    rows = rows_of(step, told)
    return progress_of(step, told, rows, utcnow()), results_of(rows)


def _group(session: Session, actor: Actor, identifier: str) -> tuple[PlanStep, ...]:
    group_id = identifier
    if not identifier.startswith(GROUP_PREFIX):
        step = plan_rows.get_step(session, identifier)
        group_id = step.group_id if step is not None else identifier
    steps = plan_rows.group_steps(session, group_id)
    if not steps or steps[0].organization_id != actor.organization_id or not actor.sees(steps[0].project_id):
        raise not_found("Plan", identifier)
    return steps


@dataclass(frozen=True)
class Around:
    """What is known of a plan beside its records.

    :param deployed: The commit on record for its environment now.
    :param explained_at: When the explain task ended.
    :param told: What the task of the newest step told of its progress.
    :param approval: How far its approvals are.
    :param may_override: Whether the person who looks may do without the rules of its environment.
    """

    deployed: str | None = None
    explained_at: datetime | None = None
    told: Mapping[str, Any] = field(default_factory=dict)
    approval: ApprovalState | None = None
    may_override: bool = False


def _findings(steps: Sequence[PlanStep], project: Project, told: Told) -> tuple[Finding, ...]:
    """What is worth knowing. Red is for who can still decide: of a plan that came to nothing no danger is left."""
    found = findings_of(Occasion.of(steps, project), told.output, told.models)
    if told.mood != "would":
        return found
    return tuple(replace(one, severity="warning") if one.severity == "danger" else one for one in found)


def assemble(
    actor: Actor,
    project: Project,
    steps: Sequence[PlanStep],
    decisions: Sequence[DecisionRecord],
    around: Around = Around(),
) -> PlanView:
    """Work out the page from the stored records.

    :param steps: Of one group, explain first, then executions by attempt.
    :param decisions: The record of decisions on the group.
    :param around: What is known beside them.
    """
    explain, last = steps[0], steps[-1]
    rows = rows_of(last, around.told)
    told = tell(steps, project, around.deployed, rows)
    output, models = told.output, told.models
    return PlanView(
        group_id=explain.group_id,
        project=project,
        steps=tuple(steps),
        status=current_status(steps),
        commit=_commit(project, explain),
        environment=output.environment or project.environment,
        mood=told.mood,
        outcome=told.outcome,
        summary=told.sentence,
        counts=told.counts,
        findings=_findings(steps, project, told),
        models=models,
        resources=output.resources,
        selection=output.selection,
        tests=output.tests,
        events=timeline(steps, decisions, around.explained_at),
        actions=_possible(actions_of(actor, project, steps, told.sentence), around.approval),
        has_graph=bool(output.lineage),
        discard_reason=output.auto_discard_reason,
        overtaken_by=output.current_commit,
        progress=progress_of(last, around.told, rows, utcnow()),
        to_allow=to_allow(output),
        known=output.explain_completed is True,
        written_to=written_to(output.warehouse),
        drifts=drift_rows(executed(last.plan_output).drifts) if last.plan_type == "execute" else (),
        approval=around.approval,
        may_override=around.may_override,
    )


def _possible(actions: tuple[Action, ...], approval: ApprovalState | None) -> tuple[Action, ...]:
    """The actions without those that the environment of the plan does not let this person take now; the page says why."""
    why_not = approval.why_not if approval is not None else {}
    return tuple(action for action in actions if not (action.allowed and action.verb in why_not))


def _commit(project: Project, explain: PlanStep) -> Commit:
    subject, _, body = (explain.commit_message or "").strip().partition("\n")
    since, sha = explain.from_commit_sha, explain.to_commit_sha
    return Commit(
        sha=sha,
        subject=subject or "(no message)",
        body=body.strip(),
        author=explain.commit_author,
        committed_at=explain.committed_at,
        url=commit_page(project.repository_url, sha),
        compare_url=compare_page(project.repository_url, since, sha) if since and since != sha else None,
        deployed_sha=since,
        behind=explain.commits_behind,
    )
