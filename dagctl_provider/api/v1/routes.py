"""The table of operations: one part for each word, in a folder of that name.

A new operation is one row, one handler and one service function. A new word is a folder and a line here.
"""

from __future__ import annotations

from dagctl_provider.api.v1.audit.routes import OPERATIONS as AUDIT
from dagctl_provider.api.v1.jobs.routes import OPERATIONS as JOBS
from dagctl_provider.api.v1.metrics.routes import OPERATIONS as METRICS
from dagctl_provider.api.v1.plans.routes import OPERATIONS as PLANS
from dagctl_provider.api.v1.projects.routes import OPERATIONS as PROJECTS
from dagctl_provider.api.v1.protections.routes import OPERATIONS as PROTECTIONS
from dagctl_provider.api.v1.team.routes import OPERATIONS as TEAM
from dagctl_provider.api.v1.tokens.routes import OPERATIONS as TOKENS
from dagctl_provider.api.v1.variables.routes import OPERATIONS as VARIABLES

OPERATIONS = (*PROJECTS, *PLANS, *JOBS, *METRICS, *TEAM, *TOKENS, *VARIABLES, *PROTECTIONS, *AUDIT)
