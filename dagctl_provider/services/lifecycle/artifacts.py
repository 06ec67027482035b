"""What one step leaves for another: the deployed state of a dbt project, and how far a failed execution got.

dbt has no state of its own, so the product keeps it: the runner hands the deployed manifest to the API server as an XCom, the
API server files it by its content in its own table and hands it out again as an XCom of the next run. Everything here runs in
the caller's transaction, which holds the project's row; the lock of the artifacts comes after that.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import hashlib
import json
import logging
from collections.abc import Iterable, Mapping
from typing import Any

from dagctl_provider.domain.deployments import Deployment
from dagctl_provider.domain.names import ARTIFACTS_KEY, EXECUTE, INPUTS_KEY, INPUTS_TASK, PROGRESS_KEY
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.projects import Project
from dagctl_provider.domain.wire.reports import Artifacts, Finished, Progress, Result
from dagctl_provider.domain.wire.requests import Inputs
from dagctl_provider.orchestration import runs
from dagctl_provider.plan_output import stored
from dagctl_provider.plan_output.reading import mapping
from dagctl_provider.services.lifecycle import leftovers, letters
from dagctl_provider.store import artifacts as artifact_rows
from dagctl_provider.store import leases
from dagctl_provider.store.session import Session

log = logging.getLogger(__name__)

DEPLOYED = "deployed"
PROGRESS = "progress"
_KEPT = (DEPLOYED,)
_LOCK = "artifacts"


def keep(session: Session, project: Project, step: PlanStep) -> dict[str, str]:
    """Move what an execute left from its XCom to the table; the caller names it in the deployment.

    :return: The artifacts of what is deployed now, by name: the new ones and those of which there is no newer.
    """
    left = letters.told_by(session, Artifacts, step, ARTIFACTS_KEY)
    found = _decoded(left.artifacts) if left is not None else {}
    before = project.artifacts or {}
    if not found:
        return before
    leases.touch_lock(session, _LOCK)
    after = dict(before)
    for name, content in found.items():
        after[name] = _sha256(content)
        artifact_rows.insert_artifact(session, after[name], content)
    runs.delete_xcom(session, step.dag_id, step.run_id, EXECUTE, ARTIFACTS_KEY)
    return after


def put(session: Session, deployed: bytes) -> dict[str, str]:
    """Store a deployed state that no execute left; the caller names it in the deployment.

    :param deployed: Bytes of gzip.
    :return: The artifacts by name.
    """
    leases.touch_lock(session, _LOCK)
    artifact_rows.insert_artifact(session, _sha256(deployed), deployed)
    return {DEPLOYED: _sha256(deployed)}


def _decoded(artifacts: Mapping[str, Any]) -> dict[str, bytes]:
    found = {}
    for name, text in artifacts.items():
        try:
            if name in _KEPT:
                found[name] = base64.b64decode(text, validate=True)
        except (binascii.Error, TypeError, ValueError):
            log.warning("The artifact %s is not base64 and is left out", name)
    return found


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def give_up(session: Session, before: Deployment, after: Deployment) -> None:
    """Remove what a deployment named and the one in its place does not, where no other names it."""
    forget(session, set((before.artifacts or {}).values()) - set((after.artifacts or {}).values()))


def forget(session: Session, named: Iterable[str]) -> None:
    """Remove what deployments have named and none names any more."""
    candidates = set(named)
    if candidates:
        leases.touch_lock(session, _LOCK)
        artifact_rows.drop_unused_artifacts(session, candidates)


def hand_out(session: Session, project: Project, step: PlanStep) -> Inputs:
    """Give a step what it starts from, before Airflow starts it."""
    inputs, finished = {}, stored.resumes(step.plan_output)
    for name, sha256 in sorted((project.artifacts or {}).items()):
        content = artifact_rows.get_artifact(session, sha256)
        if content is not None:
            inputs[name] = base64.b64encode(content).decode()
    if step.plan_type == "execute" and (finished.succeeded or finished.touched):
        inputs[PROGRESS] = packed({"digest": step.digest, **finished.to_json()})
    inputs.update(leftovers.input_for(session, step))
    place = (step.dag_id, step.run_id, INPUTS_TASK[step.plan_type], INPUTS_KEY)
    handed_out = Inputs(files=inputs)
    if inputs:
        runs.write_xcom(session, *place, handed_out.to_json())
    else:
        runs.delete_xcom(session, *place)
    return handed_out


def packed(content: object) -> str:
    """Something as an input: compressed JSON in base64."""
    return base64.b64encode(gzip.compress(json.dumps(content, sort_keys=True).encode(), mtime=0)).decode()


def take_back(session: Session, step: PlanStep) -> None:
    """Remove a step's inputs when it has come to its end; a retry gets its own."""
    runs.delete_xcom(session, step.dag_id, step.run_id, INPUTS_TASK[step.plan_type], INPUTS_KEY)


def finished_before(session: Session, step: PlanStep) -> Finished:
    """How far an execution that failed or was cancelled has come, and those before it: dbt's nodes and batches.

    Three witnesses: what the step itself was told, what its worker reported while it ran, and its result, if it left one. What it
    was told counts no more if it had another turn, and so did all of it again.
    """
    told = stored.resumes(step.plan_output)
    progress = letters.told_by(session, Progress, step, PROGRESS_KEY, EXECUTE) or Progress()
    result = letters.result_of(session, step) or Result()
    turn = result.turn or progress.turn
    if turn is not None and told.turn != turn:
        told = Finished()
    rows = [mapping(row) for row in (*progress.models, *(result.models or ()))]
    results = [str(row["unique_id"]) for row in rows if row.get("unique_id") and row.get("status") == "succeeded"]
    begun = [str(row["unique_id"]) for row in rows if row.get("unique_id") and row.get("status") != "skipped"]
    return Finished(
        succeeded=_united(told.succeeded, progress.succeeded, results),
        touched=_united(told.touched or (), begun),
        batches={**(told.batches or {}), **(progress.batches or {})} or None,
        turn=turn or told.turn,
    )


def _united(*lists: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({key for keys in lists for key in keys}))
