"""What each operation on projects does: call one service, say the answer in the document's words.

Nothing is decided here. Rights are checked before (by the route) and again inside the service.
"""

from __future__ import annotations

import base64

from dagctl_provider.api.contracts import Call, Result
from dagctl_provider.api.problems import invalid_fields
from dagctl_provider.api.v1.common import Message, OverrideBody
from dagctl_provider.api.v1.projects import schemas
from dagctl_provider.api.v1.run_shapes import RunAnswer
from dagctl_provider.services import adoption, projects


def list_projects(call: Call) -> Result:
    found = projects.list_projects(call.actor)
    return 200, schemas.ProjectList(projects=[schemas.project(record) for record in found], total=len(found))


def get_project(call: Call) -> Result:
    return 200, schemas.project(projects.get_project(call.actor, call.ids["id"]))


def create_project(call: Call) -> Result:
    if foreign := schemas.foreign_fields(call.sent, call.body.project_type):
        raise invalid_fields(foreign)
    return 201, schemas.project(projects.create_project(call.actor, call.sent))


def update_project(call: Call) -> Result:
    sent = call.sent
    fixed = {name: sent.pop(name) for name in schemas.FIXED & set(sent)}
    if fixed:
        project = projects.get_project(call.actor, call.ids["id"])
        changed = {name: "cannot be changed" for name, value in fixed.items() if value != getattr(project, name)}
        if changed:
            raise invalid_fields(changed)
    return 200, schemas.project(projects.update_project(call.actor, call.ids["id"], sent))


def delete_project(call: Call) -> Result:
    projects.delete_project(call.actor, call.ids["id"])
    return 200, Message(message="Project deleted successfully")


def deploy_project(call: Call) -> Result:
    record = projects.deploy(call.actor, call.ids["id"])
    return 200, schemas.ProjectMessage(message="Project deployed successfully", project_id=record.id, deployed=record.deployed)


def undeploy_project(call: Call) -> Result:
    record = projects.undeploy(call.actor, call.ids["id"])
    return 200, schemas.ProjectMessage(message="Project undeployed successfully", project_id=record.id, deployed=record.deployed)


def adopt_project(call: Call) -> Result:
    body: schemas.AdoptBody = call.body
    try:
        manifest = None if body.manifest is None else base64.b64decode(body.manifest, validate=True)
    except ValueError:
        raise invalid_fields({"manifest": "is not base64 text"}) from None
    return 200, schemas.project(adoption.adopt(call.actor, call.ids["id"], body.commit_sha, manifest))


def run_project(call: Call) -> Result:
    body: OverrideBody = call.body
    run = projects.run_project(call.actor, call.ids["id"], body.override_reason)
    return 200, RunAnswer(job_run_id=run.run_id, job_name=run.job_name, status=run.status, message="Run triggered successfully")


def get_sync_status(call: Call) -> Result:
    status = projects.sync_status(call.actor, call.ids["id"])
    return 200, schemas.SyncStatusAnswer(
        project_id=status.project_id,
        branch=status.branch,
        in_sync=status.in_sync,
        current_commit_sha=status.current_commit_sha,
        latest_commit_sha=status.latest_commit_sha,
        latest_commit_message=status.latest_commit_message,
        commits_behind=status.commits_behind,
        last_synced_at=status.last_synced_at,
        error_message=status.error,
    )
