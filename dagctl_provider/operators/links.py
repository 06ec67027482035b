"""The button on a task in Airflow that leads to the page of its plan.

Registered by the plugin rather than by the operators: Airflow then asks for the address when somebody looks at the task, so the
button is there before the task has run, while it runs and while it waits. A link of an operator comes out of an XCom that is
written when the task ends.
"""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from dagctl_provider.config import setting
from dagctl_provider.domain.names import DAG_PREFIX, RUN_SUFFIX
from dagctl_provider.operators.launchers import step_operator
from dagctl_provider.sensors.approval import PlanApprovalSensor


def _operators() -> list[type]:
    # Only the operator in use, for the other one may be slow to import. A wrong launcher is told elsewhere.
    with contextlib.suppress(ValueError):
        return [step_operator(setting("launcher")), PlanApprovalSensor]
    return [PlanApprovalSensor]


class PlanLink(BaseOperatorLink):
    """Leads from explain, await_approval and execute to their plan."""

    name = "Plan"
    operators = _operators()

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the page; empty for tasks that belong to no plan.

        :param ti_key: Of the task instance; of it ``dag_id`` and ``run_id`` count.
        """
        if not ti_key.dag_id.startswith(DAG_PREFIX) or ti_key.dag_id.endswith(RUN_SUFFIX):
            return ""
        root = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return f"{root}/pluginsv2/dagctl/runs/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"
