"""While a step runs in a pod, who reads its log is told the pod's name; afterwards the step's record has it."""

from __future__ import annotations

from typing import Any

from dagctl_provider.domain.names import EXECUTE
from dagctl_provider.orchestration import runs
from dagctl_provider.services import plans
from dagctl_provider.services.results import PlanApproved
from dagctl_provider.store import transactions
from tests.services.world import World, as_left


def test_a_running_step_tells_its_pod(world: World) -> None:
    approved = plans.approve(world.actor(), world.explained(world.project()).id, door="rest")
    assert isinstance(approved, PlanApproved)
    step = approved.execute

    def pod_of(told: dict[str, Any]) -> str | None:
        def work(session: Any) -> None:
            letter = as_left(session, step, EXECUTE, "pod", told)
            runs.write_xcom(session, step.dag_id, step.run_id, EXECUTE, "pod", letter)

        transactions.run(work)
        return plans.get_logs(world.actor(), step.id).step.pod_name

    assert plans.get_logs(world.actor(), step.id).step.pod_name is None
    assert pod_of({"step_id": "plan_earlier", "pod_name": "of-an-earlier-execution"}) is None
    assert pod_of({"step_id": step.id, "pod_name": "shop-plan-execute-abcde"}) == "shop-plan-execute-abcde"
    world.finish_execute(step, pod_name="as-reported")
    assert plans.get_logs(world.actor(), step.id).step.pod_name == "as-reported"
