"""Runs a plan step as a Kubernetes pod, so that the pod outlives the worker and its end is always told.

The promises: one pod per step and one writer per project and environment, whatever dies; a result is reported before its pod is
removed; what went wrong with a pod is an error of the plan, not a line in a log. This is Airflow's side of it; what happens in a
pod's life stands in ``pods``.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator

from dagctl_provider.config import setting
from dagctl_provider.domain import wire
from dagctl_provider.domain.names import POD_KEY
from dagctl_provider.hooks.letters import sealed
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.hooks.project import project_secrets
from dagctl_provider.operators.progress import ProgressTeller
from dagctl_provider.operators.steps import (
    StepFailed,
    StepInterrupted,
    StepKind,
    profile_refused,
    progress_to_xcom,
    received_request,
    report,
)
from dagctl_provider.operators.wanted import is_wanted
from dagctl_provider.pods.awaiting import await_start
from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.clients import core_client
from dagctl_provider.pods.collecting import collect
from dagctl_provider.pods.following import follow
from dagctl_provider.pods.inputs import StepFiles, step_files
from dagctl_provider.pods.specs import Pod, build_pod, git_secret
from dagctl_provider.pods.starting import Order, find_or_start
from dagctl_provider.pods.step_pod import StepPod, StepStopped, Stop
from dagctl_provider.pods.tidying import tidy

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import RuntimeTaskInstanceProtocol


class PodStepOperator(KubernetesPodOperator):
    """Runs the runner in a pod. Everything about the pod follows from the step's request and the ``[dagctl]`` settings.

    Waiting, logs, results and the end of a pod are handled here rather than by KubernetesPodOperator, which starts a second pod
    when the first one has ended without it, gives up when the API is away for half a minute, and does not say why a pod failed.

    :param kind: ``explain``, ``execute`` or ``run``.
    """

    # Everything that varies is set from the request when the task runs. Nothing of it is a template: names and commit
    # messages are hostile text.
    template_fields = ()

    def __init__(self, *, kind: StepKind, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {
            "namespace": setting("kubernetes_namespace"),
            "kubernetes_conn_id": setting("kubernetes_conn_id") or None,
            "random_name_suffix": False,
            "termination_message_policy": "FallbackToLogsOnError",
            "log_pod_spec_on_failure": False,
            # Each try after a lost worker attaches to the pod. A pod that failed ends the task for good (StepFailed).
            "retries": 3,
            "retry_delay": timedelta(seconds=5),
        }
        if kwargs.get("execution_timeout"):
            # It counts from the task's start; the step's own time begins when a node has taken the pod.
            waits = ("kubernetes_schedule_timeout", "kubernetes_startup_timeout", "kubernetes_api_patience")
            kwargs["execution_timeout"] += timedelta(seconds=sum(float(setting(name)) for name in waits))
        super().__init__(**{**defaults, **kwargs})
        self.kind = kind
        self._stop = Stop()
        self._step_pod: StepPod | None = None
        # While the step goes on: a next try could go on with its pod.
        self._running: RuntimeTaskInstanceProtocol | None = None

    def execute(self, context: Context) -> None:
        """Run the step and report its result, which travels by XCom ``result`` as with the process launcher.

        :raises StepFailed: when the runner or the pod failed; the plan's error says why.
        :raises StepInterrupted: when the step was stopped.
        """
        asked = received_request(context, self.kind)
        connect = partial(core_client, self.kubernetes_conn_id, self.in_cluster, self.config_file, self.cluster_context)
        self._running = context["ti"]
        try:
            pod = self._step_pod = StepPod(connect, str(self.namespace), self._stop, self.log)
            result = self._result(context, asked, pod)
        except StepStopped:
            went_on = "the next try attaches to its pod" if self._stop.pod_goes_on else "and its pod with it"
            raise StepInterrupted(f"The step was stopped, {went_on}.") from None
        finally:
            self._running = None
        try:
            report(context, asked, result, pod_name=pod.name or None)
        except (StepFailed, StepInterrupted):
            # A pod that nobody could ask about may be all right. It goes on, also when the cluster is back by now.
            if (result.get("error") or {}).get("code") != "cluster_unreachable":
                tidy(pod, asked.runner.project_id, succeeded=False)
            raise
        # Only now: a worker that dies before the result is reported is followed by one that finds it in the pod.
        tidy(pod, asked.runner.project_id, succeeded=True)

    def on_kill(self) -> None:
        """Delete the pod and wait until it is gone. The runner has its grace to stop the tool, and the tool its queries.

        A worker that is shut down, or that has lost its API server for a while, also ends its tasks. Nobody wants the step to
        end then: its pod goes on, and the next try attaches to it.
        """
        self._stop.asked = True
        pod = self._step_pod
        if self._running is not None and is_wanted(self._running):
            self._stop.pod_goes_on = True
            self.log.info("This worker stops; pod %s goes on, and the next try attaches to it", pod.name if pod else None)
        elif pod is not None:
            pod.end()

    def _result(self, context: Context, asked: wire.requests.StepRequest, pod: StepPod) -> dict[str, Any]:
        """What the step left, or why it left nothing."""
        try:
            return self._live_through(context, asked, pod)
        except PodTrouble as trouble:
            return trouble.finding.result()
        except ProfileError as error:
            return profile_refused(error)

    def _live_through(self, context: Context, asked: wire.requests.StepRequest, pod: StepPod) -> dict[str, Any]:
        """Find or start the step's pod, follow it to its end, and read what it left.

        :raises PodTrouble: when the pod cannot do the step.
        :raises ProfileError: when the dbt profile that it is given cannot be made.
        """
        order = Order(self.kind, asked, partial(_packed, asked, self.kind), partial(self.build_step_pod, context, asked))
        try:
            self.pod = find_or_start(pod, order)
        except ProfileError:
            # One of its own kind among the values that are wrong: the connection is to be corrected, not the pods' settings.
            raise
        except ValueError as error:
            raise PodTrouble("pod_settings_invalid", str(error)) from None
        # For who reads the log while the step runs; its record has the name only from the result.
        seen = wire.reports.PodSeen(step_id=asked.runner.step_id, pod_name=pod.name)
        context["ti"].xcom_push(key=POD_KEY, value=sealed(context["ti"], POD_KEY, seen.to_json()))
        await_start(pod)
        with tempfile.TemporaryDirectory(prefix="dagctl-events-") as folder:
            events = Path(folder, "events.jsonl")
            with ProgressTeller(events, progress_to_xcom(context, asked)), events.open("a", encoding="utf-8") as stream:
                follow(pod, stream)
        limit = asked.launcher.resources.get("memory_limit")
        return collect(pod, {"memory": limit} if limit else {})

    def build_step_pod(self, context: Context | None, request: wire.requests.StepRequest, files: StepFiles) -> Pod:
        """The pod as it is sent to Kubernetes, with KubernetesPodOperator's labels and after the deployment's mutation hook."""
        self.full_pod_spec = build_pod(request, self.kind, files.stem, files.pieces)
        return self.build_pod_request_obj(context)


def _packed(asked: wire.requests.StepRequest, kind: StepKind, name: str, stem: str | None) -> StepFiles:
    """Request and secrets of the step. Git credentials that the pod has from a Secret by reference stay out."""
    launcher = replace(asked.launcher, git_auth_method="none") if git_secret(asked) else asked.launcher
    return step_files(asked.for_runner(), project_secrets(replace(asked, launcher=launcher), kind).files, name, stem)
