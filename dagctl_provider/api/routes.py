"""The table of operations: what can be asked, by whom, with what, and what comes back.

Routing, authorisation, validation, the OpenAPI document and the tables in ``docs/api.md`` are all made from
:data:`OPERATIONS`. A new operation is one row, one handler and one service function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from dagctl_provider.api import examples, handlers, schemas
from dagctl_provider.api.project_schemas import (
    CreateProject,
    ProjectAnswer,
    ProjectList,
    ProjectMessage,
    UpdateProject,
)

PREFIX = "/api/v1"
DOCUMENT_PATH = f"{PREFIX}/openapi.json"


@dataclass(frozen=True)
class Outcome:
    """One way an operation can succeed.

    :param model: Shape of the answer.
    :param example: From the API documents, where they have one.
    :param summary: When this is the answer.
    """

    model: type[schemas.Answer]
    example: Mapping[str, Any]
    summary: str


@dataclass(frozen=True)
class Operation:
    """One row of the table.

    :param path: Below :data:`PREFIX`, with ``{parameters}``.
    :param id: Operation id of OpenAPI, name of the method on the view class.
    :param permission: Key of :data:`~dagctl_provider.domain.permissions.PERMISSIONS`.
    :param answers: How it succeeds, by HTTP status.
    :param errors: Codes it can answer with besides :data:`COMMON_ERRORS`.
    :param query: Shape of the query parameters.
    :param body: Shape of the request body; none for methods that have no body.
    :param body_examples: From the API documents.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    id: str
    tag: Literal["Projects", "Plans"]
    summary: str
    permission: str
    handler: Callable[[handlers.Call], handlers.Result]
    answers: Mapping[int, tuple[Outcome, ...]]
    errors: tuple[str, ...] = ()
    query: type[schemas.Request] = schemas.NoParameters
    body: type[schemas.Request] | None = None
    body_examples: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    description: str = ""

    @property
    def changes_something(self) -> bool:
        """Whether this is a write."""
        return self.method != "GET"

    @property
    def all_errors(self) -> tuple[str, ...]:
        """Every error code this operation can answer with."""
        common = COMMON_ERRORS + (WRITE_ERRORS if self.changes_something else ()) + (BODY_ERRORS if self.body else ())
        return tuple(dict.fromkeys(common + self.errors))


COMMON_ERRORS = ("unauthenticated", "organization_required", "forbidden", "not_found", "invalid_request", "internal_error")
WRITE_ERRORS = ("cross_site_request",)
BODY_ERRORS = ("invalid_json", "payload_too_large", "unsupported_media_type")
_REPOSITORY_ERRORS = (
    "invalid_repository",
    "branch_not_found",
    "repository_empty",
    "repository_unreachable",
    "repository_authentication_failed",
)
_SOURCE_ERRORS = (
    *_REPOSITORY_ERRORS,
    "project_not_found_in_repository",
    "unsupported_version",
    "pod_settings_refused",
    "state_database_not_configured",
    "state_database_unavailable",
)


def _ok(
    model: type[schemas.Answer], example: Mapping[str, object], summary: str, status: int = 200
) -> dict[int, tuple[Outcome, ...]]:
    return {status: (Outcome(model, example, summary),)}


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/projects",
        "list_projects",
        "Projects",
        "List all projects of the organization",
        "read",
        handlers.list_projects,
        _ok(ProjectList, examples.PROJECT_LIST, "All projects"),
    ),
    Operation(
        "POST",
        "/projects",
        "create_project",
        "Projects",
        "Create a project and deploy it",
        "manage_projects",
        handlers.create_project,
        _ok(ProjectAnswer, examples.PROJECT, "The new project", 201),
        errors=("name_taken", *_SOURCE_ERRORS),
        body=CreateProject,
        body_examples={"SQLMesh project": examples.CREATE_SQLMESH, "dbt project": examples.CREATE_DBT},
        description="For SQLMesh projects the repository is read for gateway names; its code is never executed.",
    ),
    Operation(
        "GET",
        "/projects/{id}",
        "get_project",
        "Projects",
        "Get a project",
        "read",
        handlers.get_project,
        _ok(ProjectAnswer, examples.PROJECT, "The project"),
    ),
    Operation(
        "PUT",
        "/projects/{id}",
        "update_project",
        "Projects",
        "Change a project",
        "manage_projects",
        handlers.update_project,
        _ok(ProjectAnswer, examples.PROJECT, "The project as changed"),
        errors=("name_taken", "downgrade_refused", "project_busy", *_SOURCE_ERRORS),
        body=UpdateProject,
        body_examples={"Some fields": examples.UPDATE},
        description="Only the fields sent are changed. null takes away a value that may be absent.",
    ),
    Operation(
        "DELETE",
        "/projects/{id}",
        "delete_project",
        "Projects",
        "Delete a project",
        "manage_projects",
        handlers.delete_project,
        _ok(schemas.Message, examples.PROJECT_DELETED, "The project is gone"),
        errors=("project_busy", "state_database_not_configured", "state_database_unavailable"),
        description="A deployed project is undeployed first; its managed state database is dropped.",
    ),
    Operation(
        "POST",
        "/projects/{id}/deploy",
        "deploy_project",
        "Projects",
        "Deploy a project",
        "manage_projects",
        handlers.deploy_project,
        _ok(ProjectMessage, examples.DEPLOYED, "Its Dags are generated and active"),
        errors=("project_busy", *_SOURCE_ERRORS),
        body=schemas.NoBody,
    ),
    Operation(
        "DELETE",
        "/projects/{id}/deploy",
        "undeploy_project",
        "Projects",
        "Undeploy a project",
        "manage_projects",
        handlers.undeploy_project,
        _ok(ProjectMessage, examples.UNDEPLOYED, "Its Dags are withdrawn; the record stays"),
        errors=("project_busy",),
    ),
    Operation(
        "POST",
        "/projects/{id}/run",
        "run_project",
        "Projects",
        "Run the deployed project now",
        "run_project",
        handlers.run_project,
        _ok(schemas.RunAnswer, examples.RUN, "The run is queued"),
        errors=(
            "project_not_deployed",
            "project_suspended",
            "run_in_progress",
            "plan_not_executed",
            "execution_in_progress",
            "project_busy",
        ),
        body=schemas.NoBody,
    ),
    Operation(
        "GET",
        "/projects/{id}/runs",
        "list_runs",
        "Projects",
        "List the runs of a project",
        "read",
        handlers.list_runs,
        _ok(schemas.RunList, examples.RUN_LIST, "One page, newest first"),
        query=schemas.RunListParameters,
        description="Finished runs are kept up to the history limits.",
    ),
    Operation(
        "GET",
        "/projects/{id}/sync-status",
        "get_sync_status",
        "Projects",
        "How a project stands to its branch",
        "read",
        handlers.get_sync_status,
        _ok(schemas.SyncStatusAnswer, examples.SYNC_STATUS, "The git sync status"),
    ),
    Operation(
        "GET",
        "/projects/{id}/plans",
        "list_plans",
        "Plans",
        "List the plans of a project",
        "read",
        handlers.list_plans,
        _ok(schemas.PlanList, examples.PLAN_LIST, "One page, newest first"),
        query=schemas.PlanListParameters,
    ),
    Operation(
        "POST",
        "/projects/{id}/plans",
        "create_plan",
        "Plans",
        "Create a plan for the branch HEAD",
        "create_plan",
        handlers.create_plan,
        {
            201: (Outcome(schemas.PlanCreatedAnswer, examples.PLAN_CREATED, "A new plan"),),
            200: (
                Outcome(schemas.AlreadyDeployedAnswer, examples.ALREADY_DEPLOYED, "The commit is deployed"),
                Outcome(schemas.ExistingPlanAnswer, examples.EXISTING_PLAN, "The commit has a plan"),
            ),
        },
        errors=(
            "project_not_deployed",
            "project_not_found_in_repository",
            *_REPOSITORY_ERRORS,
        ),
        body=schemas.NoBody,
    ),
    Operation(
        "GET",
        "/projects/{id}/plans/pending",
        "count_pending_plans",
        "Plans",
        "Count the plans that wait for approval",
        "read",
        handlers.count_pending_plans,
        _ok(schemas.PendingCount, examples.PENDING_COUNT, "The count"),
    ),
    Operation(
        "GET",
        "/plans/{planId}",
        "get_plan",
        "Plans",
        "Get a plan step",
        "read",
        handlers.get_plan,
        _ok(schemas.Plan, examples.PLAN, "The plan step"),
    ),
    Operation(
        "DELETE",
        "/plans/{planId}",
        "delete_plan",
        "Plans",
        "Delete a pending plan",
        "approve_plan",
        handlers.delete_plan,
        _ok(schemas.Message, examples.PLAN_DELETED, "The plan is gone"),
        errors=("wrong_state",),
    ),
    Operation(
        "GET",
        "/plans/group/{planGroupId}/steps",
        "get_plan_group",
        "Plans",
        "All steps of a plan group, explain first",
        "read",
        handlers.get_plan_group,
        _ok(schemas.PlanGroupAnswer, examples.PLAN_GROUP, "The timeline; logs of running steps are live"),
    ),
    Operation(
        "GET",
        "/plans/{planId}/logs",
        "get_plan_logs",
        "Plans",
        "The log of a plan step",
        "read",
        handlers.get_plan_logs,
        _ok(schemas.LogsAnswer, examples.LOGS, "Live while running, stored afterwards"),
    ),
    Operation(
        "POST",
        "/plans/{planId}/approve",
        "approve_plan",
        "Plans",
        "Approve a pending explain step and execute it",
        "approve_plan",
        handlers.approve_plan,
        {
            200: (
                Outcome(schemas.ApprovedAnswer, examples.APPROVED, "The execute step has started"),
                Outcome(schemas.AutoDiscardedAnswer, examples.AUTO_DISCARDED, "The repository changed since the explain"),
            )
        },
        errors=("wrong_state", "execution_in_progress", "project_not_deployed", *_REPOSITORY_ERRORS),
        body=schemas.DecisionBody,
        body_examples={"With a comment": {"comment": "Checked with finance."}},
    ),
    Operation(
        "POST",
        "/plans/{planId}/reject",
        "reject_plan",
        "Plans",
        "Reject a pending plan",
        "approve_plan",
        handlers.reject_plan,
        _ok(schemas.PlanMessage, examples.REJECTED, "Nothing is executed"),
        errors=("wrong_state",),
        body=schemas.DecisionBody,
        body_examples={"With a reason": {"comment": "Rebuilds two years of orders."}},
    ),
    Operation(
        "POST",
        "/plans/{planId}/cancel",
        "cancel_plan",
        "Plans",
        "Cancel a running or approved plan",
        "cancel_plan",
        handlers.cancel_plan,
        _ok(schemas.PlanMessage, examples.CANCELLED, "The job is stopped; partial logs are kept"),
        errors=("wrong_state",),
        body=schemas.NoBody,
        description="Cancelling an approved explain step withdraws the approval, which is possible until the plan is applied.",
    ),
    Operation(
        "POST",
        "/plans/{planId}/retry",
        "retry_plan",
        "Plans",
        "Execute a failed or cancelled execute step again",
        "approve_plan",
        handlers.retry_plan,
        _ok(schemas.RetryAnswer, examples.RETRIED, "A new execute step has started"),
        errors=(
            "wrong_state",
            "head_moved",
            "retries_exhausted",
            "run_lost",
            "execution_in_progress",
            "project_not_deployed",
            *_REPOSITORY_ERRORS,
        ),
        body=schemas.NoBody,
        description="At most three retries per plan group.",
    ),
)
