"""The contract of the Projects and Plans documents, put together."""

from __future__ import annotations

from dagctl_provider.api.contracts import Contract, PathParameter
from dagctl_provider.api.models import to_json
from dagctl_provider.api.problems import PROBLEMS
from dagctl_provider.api.v1.routes import OPERATIONS
from dagctl_provider.domain.variables import NAME_PATTERN
from dagctl_provider.plan_output.schemas import record_schemas

V1 = Contract(
    name="v1",
    prefix="/api/v1",
    title="dagctl for Airflow",
    summary="Review, approve and apply SQLMesh and dbt commits.",
    description="Keys whose value is not known are absent, never null. Times are RFC 3339 in UTC.",
    operations=OPERATIONS,
    tags={
        "Projects": "Repositories and how they are deployed",
        "Plans": "What a commit changes, who approved it, how it went",
        "Jobs": "What of a project runs again and again, by schedules of its own",
        "Execution metrics": "What ran, how it ended and how long it took, model by model",
        "Team": "Members of organizations and invitations",
        "Tokens": "API tokens",
        "Environment variables": "Values and files that steps get, for a whole organization",
        "Environment protection": "Environments that only some may change, and what their approvals need",
        "Audit": "Who changed or decided what, by which door",
    },
    path_parameters={
        "id": PathParameter("Project", "Project ID"),
        "planId": PathParameter("Plan", "Plan ID"),
        "jobId": PathParameter("Job", "Job ID"),
        "runId": PathParameter("Run", "Run ID"),
        "userId": PathParameter("Member", "Member ID"),
        "invitationId": PathParameter("Invitation", "Invitation ID"),
        "tokenId": PathParameter("Token", "Token ID"),
        "planGroupId": PathParameter("Plan group", "The plan_id that explain and execute steps share"),
        "variableName": PathParameter("Environment variable", "Name, without regard to case", NAME_PATTERN),
        "protectionId": PathParameter("Protection", "Environment protection ID"),
    },
    to_json=to_json,
    refusals=PROBLEMS,
    more_schemas=record_schemas,
)
