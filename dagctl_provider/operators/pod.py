"""Runs a plan step as a Kubernetes pod, so that the pod outlives the worker and its end is always told.

The promises: one pod per step and one writer per project and environment, whatever dies; a result is reported before its pod is
removed; what went wrong with a pod is an error of the plan, not a line in a log.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, TextIO

from airflow.providers.cncf.kubernetes.hooks.kubernetes import KubernetesHook
from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from kubernetes.client import models as k8s

from dagctl_provider.config import setting
from dagctl_provider.domain import wire
from dagctl_provider.domain.names import POD_KEY
from dagctl_provider.domain.pods import Finished, beyond_history, label_value
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
from dagctl_provider.pods import causes as causes
from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.cluster import Cluster, ExecFailed
from dagctl_provider.pods.inputs import StepFiles, step_files
from dagctl_provider.pods.logs import LogFollower
from dagctl_provider.pods.specs import (
    BASE,
    INPUTS_ANNOTATION,
    POD_GRACE_SECONDS,
    PROJECT_LABEL,
    RELEASE,
    RESULT,
    SIDECAR,
    STEP_LABEL,
    WRITER_LABEL,
    build_pod,
    git_secret,
    labels_for,
    pod_name,
)
from dagctl_provider.runner.progress import EVENT_MARK

_GONE_SECONDS = POD_GRACE_SECONDS + 60.0
_QUICK = 1
_EVENT_SECONDS = 5.0
_STOP_PATIENCE = 30.0
_RELEASE_SECONDS = 10.0
# Airflow kills a task that it stops after five seconds.
_ANSWER_SECONDS = 3.0
# States of a task that is to go on: as it is, or, where Airflow took its worker for lost, with the next try.
_WANTED = frozenset({"running", "up_for_retry", "scheduled", "queued"})


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
        self._running = False
        self._stopped = False
        self._left = False
        self._instance: Any = None
        self._name: str | None = None
        self._seen: k8s.V1Pod | None = None
        self._cluster: Cluster | None = None
        self._stopper: Cluster | None = None

    def execute(self, context: Any) -> None:
        """Run the step and report its result, which travels by XCom ``result`` as with the process launcher.

        :raises StepFailed: when the runner or the pod failed; the plan's error says why.
        :raises StepInterrupted: when the step was stopped.
        """
        asked = received_request(context, self.kind)
        request = asked.to_json()
        self._instance, self._running = context["ti"], True
        try:
            result = self._result(context, request)
        except PodTrouble as trouble:
            result = trouble.finding.result()
        except ProfileError as error:
            result = profile_refused(error)
        except _Stopped:
            went_on = "the next try attaches to its pod" if self._left else "and its pod with it"
            raise StepInterrupted(f"The step was stopped, {went_on}.") from None
        finally:
            self._running = False
        try:
            report(context, asked, result, pod_name=self._name)
        except (StepFailed, StepInterrupted):
            # A pod that nobody could ask about may be all right. It goes on, also when the cluster is back by now.
            if (result.get("error") or {}).get("code") != "cluster_unreachable":
                self._tidy(request, succeeded=False)
            raise
        # Only now: a worker that dies before the result is reported is followed by one that finds it in the pod.
        self._tidy(request, succeeded=True)

    def on_kill(self) -> None:
        """Delete the pod and wait until it is gone. The runner has its grace to stop the tool, and the tool its queries.

        A worker that is shut down, or that has lost its API server for a while, also ends its tasks. Nobody wants the step to
        end then: its pod goes on, and the next try attaches to it.
        """
        self._stopped = True
        if self._running and self._is_wanted():
            self._left = True
            self.log.info("This worker stops; pod %s goes on, and the next try attaches to it", self._name)
            return
        if self._name is None or self._stopper is None:
            return
        self.log.info("Stopping pod %s", self._name)
        try:
            self._remove(self._stopper, self._name, POD_GRACE_SECONDS)
        except PodTrouble as trouble:
            self.log.error("Pod %s could not be stopped: %s", self._name, trouble)

    def _result(self, context: Any, request: dict[str, Any]) -> dict[str, Any]:
        """Find or start the step's pod, follow it to its end, and read what it left.

        :raises PodTrouble: when the pod cannot do the step.
        """
        # A client of its own for on_kill, which interrupts whatever the other one is doing.
        self._stopper = Cluster(self._connect, self._space, _STOP_PATIENCE, self.log)
        cluster = Cluster(self._connect, self._space, float(setting("kubernetes_api_patience")), self.log)
        self._cluster = cluster
        try:
            pod = self._attach(cluster, context, request) or self._start(cluster, context, request)
        except ValueError as error:
            raise PodTrouble("pod_settings_invalid", str(error)) from None
        self._check()
        self.pod = pod
        # For who reads the log while the step runs; its record has the name only from the result.
        seen = wire.reports.PodSeen(step_id=request["step_id"], pod_name=self._name)
        context["ti"].xcom_push(key=POD_KEY, value=seen.to_json())
        self._await_start(cluster)
        with tempfile.TemporaryDirectory(prefix="dagctl-events-") as folder:
            events = Path(folder, "events.jsonl")
            tell = progress_to_xcom(context, wire.requests.StepRequest.from_json(request))
            with ProgressTeller(events, tell), events.open("a", encoding="utf-8") as stream:
                self._follow(cluster, stream)
        return self._collect(cluster, request)

    def _is_wanted(self) -> bool:
        """Whether Airflow still wants the task to run, as far as it can be asked now: a cancel puts it into another state."""
        instance = self._instance
        ask = getattr(instance, "get_task_states", None)
        if ask is None:
            return False
        answers: list[Any] = []

        def look() -> None:
            with contextlib.suppress(Exception):
                answers.append(ask(dag_id=instance.dag_id, task_ids=[instance.task_id], run_ids=[instance.run_id]))

        # In a thread, since what was interrupted may be talking to Airflow itself and then never lets go.
        thread = threading.Thread(target=look, name="dagctl-wanted", daemon=True)
        thread.start()
        thread.join(_ANSWER_SECONDS)
        if not answers:
            return True
        return str((answers[0].get(instance.run_id) or {}).get(instance.task_id)) in _WANTED

    @property
    def _space(self) -> str:
        return str(self.namespace)

    def _connect(self) -> Any:
        return KubernetesHook(
            conn_id=self.kubernetes_conn_id,
            in_cluster=self.in_cluster,
            config_file=self.config_file,
            cluster_context=self.cluster_context,
        ).core_v1_client

    def _check(self) -> None:
        """Leave as soon as the step is to stop.

        :raises _Stopped: then. A pod that was made while :meth:`on_kill` looked is removed first.
        """
        if self._stopped:
            if not self._left and self._cluster is not None and self._name is not None:
                with contextlib.suppress(PodTrouble):
                    self._remove(self._cluster, self._name, POD_GRACE_SECONDS)
            raise _Stopped

    def _read(self, cluster: Cluster) -> k8s.V1Pod | None:
        """The step's pod as it is now; as it was last seen stays in ``_seen``."""
        pod = cluster.read_pod(str(self._name))
        self._seen = pod or self._seen
        return pod

    def _attach(self, cluster: Cluster, context: Any, request: dict[str, Any]) -> k8s.V1Pod | None:
        """The pod that an earlier try of this step left, when it still has something to do or to say."""
        live: list[k8s.V1Pod] = []
        # With the project, since who starts a Dag run in Airflow may choose its id.
        wanted = {STEP_LABEL: request["step_id"], PROJECT_LABEL: request["project_id"]}
        for pod in cluster.list_pods(",".join(f"{label}={label_value(str(value))}" for label, value in wanted.items())):
            if pod.metadata.deletion_timestamp is None and not _spent(pod):
                live.append(pod)
            else:
                self._remove(cluster, pod.metadata.name, _QUICK, pod)
        if not live:
            return None
        pod = live[0]
        self._name, self._seen = pod.metadata.name, pod
        self.log.info("Attaching to pod %s, which an earlier try of this step started", pod.metadata.name)
        if not _began(pod):
            # The earlier try may have died between the pod and its Secrets.
            self._give(cluster, self._files(request, pod.metadata.name, _stem(pod)), pod)
        return pod

    def _start(self, cluster: Cluster, context: Any, request: dict[str, Any]) -> k8s.V1Pod:
        """Start the step's pod, as the only one that writes to the project's environment."""
        self._await_other_writers(cluster, request)
        name = pod_name(str(request.get("job_name") or f"{request['project_name']}-{self.kind}"), str(request["step_id"]))
        files = self._files(request, name)
        pod = self.build_step_pod(context, request, files)
        self._check()
        self._name = name
        created = cluster.create_pod(pod)
        self._seen = created
        if _stem(created) != files.stem:
            files = self._files(request, name, _stem(created))
        self._check()
        self._give(cluster, files, created)
        self.log.info("Started pod %s in namespace %s, image %s", name, self._space, created.spec.containers[0].image)
        return created

    def build_step_pod(self, context: Any, request: dict[str, Any], files: StepFiles) -> k8s.V1Pod:
        """The pod as it is sent to Kubernetes, with KubernetesPodOperator's labels and after the deployment's mutation hook."""
        self.full_pod_spec = build_pod(request, self.kind, files.stem, files.pieces)
        return self.build_pod_request_obj(context)

    def _files(self, request: dict[str, Any], name: str, stem: str | None = None) -> StepFiles:
        """Request and secrets of the step. Git credentials that the pod has from a Secret by reference stay out."""
        known = wire.requests.StepRequest.from_json({**request, "git_auth_method": "none"} if git_secret(request) else request)
        return step_files(known.for_runner(), project_secrets(known).files, name, stem)

    def _give(self, cluster: Cluster, files: StepFiles, pod: k8s.V1Pod) -> None:
        try:
            for secret in files.objects(pod):
                cluster.create_secret(secret)
        except PodTrouble:
            # Without them it would wait for ever.
            self._remove(cluster, pod.metadata.name, _QUICK, pod)
            raise

    def _await_other_writers(self, cluster: Cluster, request: dict[str, Any]) -> None:
        """End what still writes to this environment. Airflow lets one writer of a project run at a time, so it is nobody's.

        :raises PodTrouble: ``earlier_pod_remains``.
        """
        mark = labels_for(request, self.kind).get(WRITER_LABEL)
        for pod in cluster.list_pods(f"{WRITER_LABEL}={mark}") if mark else []:
            if causes.may_run(pod):
                self.log.warning("Pod %s of an earlier step still runs and is stopped first", pod.metadata.name)
                self._remove(cluster, pod.metadata.name, POD_GRACE_SECONDS, pod)

    def _remove(self, cluster: Cluster, name: str, grace: int, pod: k8s.V1Pod | None = None) -> None:
        """Delete a pod and wait until it is gone.

        :raises PodTrouble: ``earlier_pod_remains``.
        """
        pod = pod or cluster.read_pod(name)
        if pod is None:
            return
        if pod.metadata.deletion_timestamp is None:
            cluster.delete_pod(name, grace if causes.may_run(pod) else _QUICK)
        if not cluster.await_gone(name, pod.metadata.uid, _GONE_SECONDS):
            raise PodTrouble("earlier_pod_remains", f"Pod {name} on node {pod.spec.node_name}.")

    def _await_start(self, cluster: Cluster) -> None:
        """Wait until the step runs.

        :raises PodTrouble: when something keeps it from running for longer than the table of causes has patience.
        """
        watch = _StartWatch(lambda: cluster.events(str(self._name)), self.log.info)
        pause = 0.2
        while True:
            self._check()
            pod = self._read(cluster)
            if pod is None or pod.metadata.deletion_timestamp is not None or _began(pod) or causes.over(pod):
                return
            watch.look(pod)
            cluster.sleep(pause)
            pause = min(pause * 1.3, 1.0)

    def _follow(self, cluster: Cluster, events: TextIO) -> None:
        """Hand the log on until the step has ended.

        :param events: Gets the lines that are events.
        """

        def line(text: str) -> None:
            if not text.startswith(EVENT_MARK):
                self.log.info("%s", text)
                return
            events.write(text.removeprefix(EVENT_MARK) + "\n")
            events.flush()

        def running() -> bool:
            self._check()
            pod = self._read(cluster)
            return pod is not None and causes.runs(pod) and not causes.over(pod)

        if self._seen is not None and _began(self._seen):
            LogFollower(cluster, str(self._name), BASE, line).follow(running)

    def _collect(self, cluster: Cluster, request: dict[str, Any]) -> dict[str, Any]:
        """What the step left; when it left nothing, why.

        :raises PodTrouble: when the result is there but cannot be read.
        """
        pod = self._read(cluster)
        limits = {"memory": value} if (value := (request.get("resources") or {}).get("memory_limit")) else {}
        result = self._read_result(cluster, pod) if pod is not None and causes.ended(pod) is not None else None
        self._check()
        last = self._seen
        if last is not None and last.metadata.deletion_timestamp is not None:
            # Whoever retries must not meet it.
            self._remove(cluster, str(self._name), POD_GRACE_SECONDS, last)
        if result is None:
            return causes.end_of(last, lambda: cluster.events(str(self._name)), limits).result()
        more = causes.explains_more(last, result, limits)
        return {**result, **more.result()} if more is not None else result

    def _read_result(self, cluster: Cluster, pod: k8s.V1Pod) -> dict[str, Any] | None:
        """The runner's result from the sidecar that holds it.

        :return: ``None`` when it left none, or when the sidecar is gone.
        :raises PodTrouble: when the sidecar does not come up or cannot be asked.
        """
        until, pause = time.monotonic() + float(setting("kubernetes_api_patience")), 0.2
        current: k8s.V1Pod | None = pod
        said = ""
        while current is not None and not _spent(current):
            self._check()
            if causes.runs(current, SIDECAR):
                try:
                    return cluster.read_json(str(self._name), SIDECAR, RESULT)
                except ExecFailed as error:
                    said = str(error)
            else:
                found = causes.keeps_from_starting(current, lambda: cluster.events(str(self._name)))
                said = found[0].error()["message"] if found else causes.describe(current)
            if time.monotonic() > until or " 403 " in said:
                raise PodTrouble("pod_result_missing", said)
            cluster.sleep(pause)
            pause = min(pause * 2, 5.0)
            current = self._read(cluster)
        return None

    def _tidy(self, request: dict[str, Any], succeeded: bool) -> None:
        """Remove the pod, or keep it for a look within the history limits. The result is reported, so nothing here may fail."""
        cluster, pod = self._cluster, self._seen
        if cluster is None or pod is None or self._name is None:
            return
        limits = (int(setting("kubernetes_successful_pods_kept")), int(setting("kubernetes_failed_pods_kept")))
        wanted = limits[0] if succeeded else limits[1]
        try:
            if causes.may_run(pod):
                self._remove(cluster, self._name, POD_GRACE_SECONDS)
            elif wanted <= 0 or not self._release(cluster, pod):
                cluster.delete_pod(self._name, _QUICK)
            else:
                for name in _own_secrets(pod):
                    cluster.delete_secret(name)
                self._prune(cluster, request, succeeded, limits)
        except PodTrouble as trouble:
            self.log.warning("Pod %s could not be tidied away: %s", self._name, trouble)

    def _release(self, cluster: Cluster, pod: k8s.V1Pod) -> bool:
        """Let the sidecar end, so that a pod that is kept uses nothing."""
        if not causes.runs(pod, SIDECAR):
            return causes.over(pod)
        # The end of the sidecar may cut the command off before it has told how it ended, so that counts which comes of it.
        with contextlib.suppress(ExecFailed):
            cluster.exec(str(self._name), SIDECAR, f": > {RELEASE}")
        until = time.monotonic() + _RELEASE_SECONDS
        while (now := self._read(cluster)) is not None and not causes.over(now):
            if time.monotonic() > until:
                return False
            cluster.sleep(0.2)
        return now is not None

    def _prune(self, cluster: Cluster, request: dict[str, Any], succeeded: bool, limits: tuple[int, int]) -> None:
        pods = cluster.list_pods(f"{PROJECT_LABEL}={label_value(str(request['project_id']))}")
        done = [pod for pod in pods if causes.over(pod) and pod.metadata.name != self._name]
        finished = [Finished(pod.metadata.name, pod.metadata.creation_timestamp, pod.status.phase == "Succeeded") for pod in done]
        finished.append(Finished(str(self._name), datetime.now(timezone.utc), succeeded))
        for one in beyond_history(finished, *limits):
            cluster.delete_pod(one.name, _QUICK)


class _Stopped(Exception):
    """Somebody stopped the task; its pod is gone or going."""


class _StartWatch:
    """Judges a pod that has not started, from one look to the next.

    :param events: Reads the pod's events.
    :param tell: Gets a line when something changes.
    """

    def __init__(self, events: Callable[[], Sequence[Any]], tell: Callable[..., None]) -> None:
        self._events = events
        self._tell = tell
        self._began = self._looked = time.monotonic()
        self._scheduled: float | None = None
        self._since: dict[str, float] = {}
        self._said = ""

    def look(self, pod: k8s.V1Pod) -> None:
        """Judge the pod as it is now.

        :raises PodTrouble: when there is no more hope for it.
        """
        now = time.monotonic()
        text = causes.describe(pod)
        if text != self._said:
            self._said = text
            self._tell("Pod %s: %s", pod.metadata.name, text)
        if pod.spec.node_name and self._scheduled is None:
            self._scheduled = now
        found = causes.keeps_from_starting(pod, self._events)
        if found is None and now - self._looked >= _EVENT_SECONDS:
            self._looked = now
            found = causes.event_before_start(self._events)
        elif found is None and now - self._looked < _EVENT_SECONDS:
            # Between two looks at the events, what they said stands.
            return self._out_of_time(pod, now)
        self._since = {found[0].code: self._since.get(found[0].code, now)} if found else {}
        if found:
            finding, patience = found
            limit = float(setting("kubernetes_schedule_timeout")) if patience is None else patience
            if now - self._since[finding.code] >= limit:
                raise PodTrouble(finding.code, finding.detail)
        return self._out_of_time(pod, now)

    def _out_of_time(self, pod: k8s.V1Pod, now: float) -> None:
        if self._scheduled is not None:
            if now - self._scheduled >= float(setting("kubernetes_startup_timeout")):
                raise PodTrouble("pod_not_started", causes.describe(pod))
        elif now - self._began >= float(setting("kubernetes_schedule_timeout")):
            raise PodTrouble("pod_unschedulable", causes.describe(pod))


def _began(pod: k8s.V1Pod) -> bool:
    """Whether the step's container runs or ran."""
    return causes.runs(pod) or causes.ended(pod) is not None


def _spent(pod: k8s.V1Pod) -> bool:
    """Whether nothing can be had from the pod any more: no work, and no result."""
    return causes.over(pod) or (causes.ended(pod) is not None and causes.ended(pod, SIDECAR) is not None)


def _stem(pod: k8s.V1Pod) -> str | None:
    return (pod.metadata.annotations or {}).get(INPUTS_ANNOTATION)


def _own_secrets(pod: k8s.V1Pod) -> list[str]:
    """Names of the Secrets that were made for this pod alone."""
    stem = _stem(pod)
    sources = [source for volume in pod.spec.volumes or [] if volume.projected for source in volume.projected.sources or []]
    names = dict.fromkeys(source.secret.name for source in sources if source.secret)
    return [name for name in names if stem and name.startswith(f"{stem}-")]
