"""All pages, as the plugin registers them."""

from __future__ import annotations

from dagctl_provider.ui.audit import AuditPages
from dagctl_provider.ui.frame import FramePages
from dagctl_provider.ui.jobs import JobPages
from dagctl_provider.ui.lists import PlanListPages
from dagctl_provider.ui.models import ModelPages
from dagctl_provider.ui.organization import OrganizationPages
from dagctl_provider.ui.plan_pages import PlanPages
from dagctl_provider.ui.projects import ProjectPages
from dagctl_provider.ui.protections import ProtectionPages
from dagctl_provider.ui.runs import RunPages
from dagctl_provider.ui.team import AcceptingPages, InvitationPages, MemberPages
from dagctl_provider.ui.tokens import TokenPages
from dagctl_provider.ui.variables import VariablePages

VIEWS = (
    FramePages,
    ProjectPages,
    JobPages,
    RunPages,
    ModelPages,
    PlanListPages,
    PlanPages,
    OrganizationPages,
    MemberPages,
    InvitationPages,
    AcceptingPages,
    TokenPages,
    VariablePages,
    ProtectionPages,
    AuditPages,
)
