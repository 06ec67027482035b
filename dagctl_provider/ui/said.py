"""What pages say after something was done, by a word in their address: an address can name a sentence, not bring its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Message:
    """One thing to say.

    :param tone: ``success``, ``info`` or ``warning``; shown as mark and colour.
    """

    tone: Literal["success", "info", "warning"]
    text: str


SAID: Mapping[str, Message] = {
    "project_created": Message("success", "The project is created. Its newest commit is planned within seconds."),
    "project_saved": Message("success", "Saved. Plans that exist keep the settings they were made with."),
    "project_deleted": Message("success", "The project is deleted."),
    "deployed": Message("success", "The project is deployed: its Dags are generated and new commits are planned."),
    "adopted": Message("success", "What is deployed is adopted: the next plan shows what the newest commit changes in it."),
    "undeployed": Message("success", "The project is undeployed: its Dags are withdrawn. Nothing in the warehouse changed."),
    "suspended": Message("success", "The project is suspended: no commit is detected and no run starts."),
    "resumed": Message("success", "The project is active again."),
    "run_started": Message("success", "A run is queued."),
    "run_cancelled": Message("success", "The run is cancelled."),
    "job_created": Message("success", "The job is created. Its Dag is there within seconds, if the project is deployed."),
    "job_saved": Message("success", "Saved. Runs that have begun go on as they are."),
    "job_deleted": Message("success", "The job is deleted. What its runs did stays on record."),
    "plan_created": Message("success", "The commit is being explained."),
    "existing_plan": Message("info", "This plan exists already for the newest commit."),
    "already_deployed": Message("info", "The newest commit of the branch is deployed; there is nothing to plan."),
    "approved": Message("success", "Approved. Its execution was started."),
    "approval_recorded": Message("info", "Your approval is recorded. The plan waits for more: what is missing is said below."),
    "protection_created": Message("success", "The environment is protected from now on."),
    "protection_saved": Message("success", "Saved. Plans that wait are judged by it from now on."),
    "protection_removed": Message("success", "The environment is not protected any more: the role alone decides."),
    "rejected": Message("success", "Rejected. Nothing is executed."),
    "cancelled": Message("success", "Cancelled."),
    "retried": Message("success", "Another execution was started."),
    "plan_deleted": Message("success", "The plan is deleted."),
    "role_changed": Message("success", "The role is changed. It counts from the next request on."),
    "member_removed": Message("success", "The member is removed. They come in again by an invitation only."),
    "invitation_withdrawn": Message("success", "The invitation is withdrawn. Its link is void."),
    "token_revoked": Message("success", "The token is revoked. It is useless from now on."),
    "organization_chosen": Message("success", "You work in this organization from now on."),
    "joined": Message("success", "You are a member now."),
    "variable_created": Message("success", "The variable is created. Steps get it from now on."),
    "variable_saved": Message("success", "Saved. Plans that were explained with another value have to be planned again."),
    "variable_deleted": Message("success", "The variable is deleted."),
    "head_moved": Message("warning", "The branch has newer commits, so this plan was discarded. Plan the newest commit instead."),
}
