"""The button on a task in Airflow that leads to the page of its plan.

Registered by the plugin rather than by the operators: Airflow then asks for the address when somebody looks at the task, so the
button is there before the task has run, while it runs and while it waits. A link of an operator comes out of an XCom that is
written when the task ends.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from airflow.configuration import conf
from airflow.sdk import BaseOperatorLink

from dagctl_provider.domain.names import DAG_PREFIX, PAGES, RUN_SUFFIX


def _named(module: str, name: str) -> type:
    """A class of that module and name and nothing more, which is all that Airflow compares.

    The API server offers the button from a serialised Dag without having loaded one operator, and need not: importing the
    pod operator takes seconds.
    """
    return type(name, (), {"__module__": module})


class PlanLink(BaseOperatorLink):
    """Leads from explain, await_approval and execute to their plan."""

    name = "Plan"

    operators = [
        _named("dagctl_provider.operators.process", "ProcessStepOperator"),
        _named("dagctl_provider.operators.pod", "PodStepOperator"),
        _named("dagctl_provider.sensors.approval", "PlanApprovalSensor"),
    ]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """Address of the page; empty for tasks that belong to no plan.

        :param ti_key: Of the task instance; of it ``dag_id`` and ``run_id`` count.
        """
        if not ti_key.dag_id.startswith(DAG_PREFIX) or ti_key.dag_id.endswith(RUN_SUFFIX):
            return ""
        root = str(conf.get("api", "base_url", fallback="") or "").rstrip("/")
        return f"{root}{PAGES}/runs/{quote(ti_key.dag_id, safe='')}/{quote(ti_key.run_id, safe='')}"
