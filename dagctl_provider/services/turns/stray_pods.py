"""Ends the pods whose steps are over.

Workers end their pods themselves, if they live and within the five seconds that Airflow gives a task it stops. For the rest the
controller looks: a pod whose step is over does not stay (docs/decisions/api-server-sweeps-pods.md).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from dagctl_provider.config import setting
from dagctl_provider.orchestration import runs
from dagctl_provider.pods import live_pods
from dagctl_provider.pods.live_pods import LivePod
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import runs as run_rows
from dagctl_provider.store import transactions
from dagctl_provider.store.session import Session, utcnow

log = logging.getLogger(__name__)

_PATIENCE = 5.0
# A worker that has reported a result needs a while to tidy up; nobody waits for one whose step was cancelled.
TIDYING = timedelta(minutes=2)


def sweep(now: datetime | None = None) -> int:
    """End the pods whose steps are over: their worker died before it could.

    :param now: The present, for tests.
    :return: How many there were.
    :raises ClusterUnavailable: when the cluster cannot be asked.
    """
    if setting("launcher") != "kubernetes":
        return 0
    found = [pod for pod in live_pods.live_pods(live_pods.MANAGED, _PATIENCE) if not pod.going]
    moment = now or utcnow()
    # Pods of steps that are not on record here may be another Airflow's in the same namespace.
    over = transactions.run(lambda session: _over(session, found, moment)) if found else []
    for pod in over:
        log.info("Pod %s is ended: its step %s is over", pod.name, pod.step_id)
        live_pods.stop_pod(pod, _PATIENCE)
    return len(over)


def _over(session: Session, found: list[LivePod], now: datetime) -> list[LivePod]:
    """Those of the pods whose step or run is over; three queries, however many pods there are."""
    tidied = now - TIDYING
    states = plan_rows.step_states(session, [pod.step_id for pod in found])
    over = {key for key, (status, at) in states.items() if status == "cancelled" or (status != "running" and at < tidied)}
    on_record = run_rows.get_runs(session, [pod.step_id for pod in found if pod.step_id not in states])
    keys = {(run.dag_id, run.run_id): run.id for run in on_record}
    over |= {keys[key] for key, end in runs.ended_runs(session, keys).items() if end.ended_at < tidied}
    return [pod for pod in found if pod.step_id in over]
