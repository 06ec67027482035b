"""One pod per step, one writer per environment, the result reported before the pod goes, and its end always told."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

import dagctl_provider.operators.pod as operators
from dagctl_provider.domain.wire.requests import StepRequest
from dagctl_provider.hooks.profiles import ProfileError
from dagctl_provider.hooks.project import ProjectSecrets
from dagctl_provider.operators import wanted
from dagctl_provider.operators.pod import PodStepOperator
from dagctl_provider.operators.steps import StepFailed, StepInterrupted
from dagctl_provider.pods import step_pod, tidying
from dagctl_provider.pods.causes import PodTrouble
from dagctl_provider.pods.cluster import ExecFailed
from dagctl_provider.pods.specs import writer
from dagctl_provider.runner.progress import EVENT_MARK
from tests.granting import content, granted, task
from tests.pods.objects import REQUEST, RUNS, model, pod, terminated, waiting

GOOD = {"outcome": "succeeded", "digest": "sha256:1"}
DONE = terminated(0, "Completed")


class FakeCluster:
    """A cluster of lists: what is asked of it, and pods that say what the test wants, one state per look."""

    def __init__(self) -> None:
        self.namespace = "data"
        self.pods: dict[str, Any] = {}
        self.states: list[Any] = [pod(RUNS, RUNS), pod(DONE, RUNS)]
        self.result: Any = GOOD
        self.asked: list[str] = []
        self.secrets: list[Any] = []
        self.stuck = False

    def list_pods(self, selector: str) -> list[Any]:
        wanted = dict(part.split("=") for part in selector.split(","))
        return [found for found in self.pods.values() if wanted.items() <= (found.metadata.labels or {}).items()]

    def create_pod(self, made: Any) -> Any:
        self.asked.append("create")
        made.metadata.uid = "u1"
        made.status = self.states[0].status
        self.pods[made.metadata.name] = made
        return made

    def read_pod(self, name: str) -> Any:
        found = self.pods.get(name)
        if found is not None and self.states:
            state = self.states.pop(0)
            if state is None:
                del self.pods[name]
                return None
            found.status, found.metadata.deletion_timestamp = state.status, state.metadata.deletion_timestamp
        return found

    def delete_pod(self, name: str, grace: int) -> None:
        self.asked.append(f"delete {name} {grace}")
        if not self.stuck:
            self.pods.pop(name, None)

    def await_gone(self, name: str, uid: str, seconds: float) -> bool:
        return name not in self.pods

    def create_secret(self, secret: Any) -> None:
        self.secrets.append(secret)

    def delete_secret(self, name: str) -> None:
        self.asked.append("delete secret")

    def events(self, name: str) -> list[Any]:
        return []

    def log_chunks(self, *arguments: Any) -> list[bytes]:
        event = json.dumps({"event": "model_finished", "status": "succeeded", "unique_id": "model.shop.orders"})
        return [b"2026-04-28T10:00:00Z a line\n", f"2026-04-28T10:00:01Z {EVENT_MARK}{event}\n".encode()]

    def read_json(self, name: str, container: str, path: str) -> Any:
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def exec(self, name: str, container: str, script: str) -> str:
        self.asked.append("release")
        self.pods[name].status = pod(DONE, DONE, phase="Failed").status
        return ""

    def sleep(self, seconds: float) -> None:
        pass


class SilentHook:
    is_in_cluster = False

    def __getattr__(self, name: str) -> Any:
        return lambda: None


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    found = FakeCluster()
    monkeypatch.setattr(step_pod, "Cluster", lambda *arguments: found)
    monkeypatch.setattr(operators, "project_secrets", lambda *_: ProjectSecrets({"env.json": "{}"}))
    monkeypatch.setattr(PodStepOperator, "hook", SilentHook())
    # What the fake API server says is there at once, but for a machine that is busy with everything else.
    monkeypatch.setattr(wanted, "_ANSWER_SECONDS", 120)
    return found


@pytest.fixture
def context() -> Any:
    bound = {"step_id": "plan_2", "expected_digest": "d", "job_name": "shop-plan-execute"}
    return granted("execute", {**REQUEST, **bound}, task("execute", run_id="r"))


def operator(kind: Any = "execute") -> PodStepOperator:
    return PodStepOperator(task_id=kind, kind=kind)


def left(cluster: FakeCluster, name: str, state: Any, **labels: str) -> None:
    """A pod that an earlier task left in the cluster."""
    named = {"project-id": REQUEST["project_id"], **labels}
    found = model(
        {
            "metadata": {"name": name, "uid": name, "labels": {f"dagctl/{k}": v for k, v in named.items()}},
            "spec": {"containers": []},
        }
    )
    found.status, found.metadata.deletion_timestamp = state.status, state.metadata.deletion_timestamp
    cluster.pods[name] = found


def error(context: Any) -> str:
    return str(context["ti"].pushed["result"]["error"]["code"])


def test_a_good_pod_reports_its_result_and_goes(cluster: FakeCluster, context: Any) -> None:
    assert operator().execute(context) is None
    result = context["ti"].pushed["result"]
    assert (result["step_id"], result["digest"]) == ("plan_2", "sha256:1")
    assert content(context["ti"].pushed["pod"]) == {"step_id": "plan_2", "pod_name": result["pod_name"]}
    assert cluster.pods == {}
    assert len(cluster.secrets) == 1


def test_the_result_is_reported_before_the_pod_goes(cluster: FakeCluster, context: Any) -> None:
    def lost(key: str, value: Any) -> None:
        if key == "result":
            raise ConnectionError("the API server is away")

    context["ti"].xcom_push = lost
    with pytest.raises(ConnectionError):
        operator().execute(context)
    assert len(cluster.pods) == 1, "the next try reads it again"


def test_a_failed_step_reports_what_the_runner_said_and_keeps_its_pod(cluster: FakeCluster, context: Any) -> None:
    cluster.result = {"outcome": "failed", "error": {"code": "tests_failed", "message": "1 of 3 tests failed"}}
    with pytest.raises(StepFailed, match="1 of 3 tests failed"):
        operator().execute(context)
    assert error(context) == "tests_failed"
    assert cluster.asked == ["create", "release", "delete secret"]
    assert len(cluster.pods) == 1


def test_failed_pods_are_kept_up_to_the_limit(cluster: FakeCluster, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.result = {"outcome": "failed", "error": {"code": "x", "message": "no"}}
    old = pod(terminated(1), DONE, phase="Failed")
    left(cluster, "old", old, **{"project-id": "proj_1"})
    cluster.pods["old"].metadata.creation_timestamp = datetime(2020, 1, 1, tzinfo=timezone.utc)
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert "delete old 1" in cluster.asked
    assert len(cluster.pods) == 1
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_FAILED_PODS_KEPT", "0")
    cluster.states, cluster.pods = [pod(RUNS, RUNS), pod(DONE, RUNS)], {}
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert cluster.pods == {}


@pytest.mark.parametrize("released", [True, False])
def test_a_failed_pod_is_kept_when_its_sidecar_ends_before_the_command_that_released_it(
    cluster: FakeCluster, context: Any, monkeypatch: pytest.MonkeyPatch, released: bool
) -> None:
    monkeypatch.setattr(tidying, "_RELEASE_SECONDS", 0)
    cluster.result = {"outcome": "failed", "error": {"code": "x", "message": "no"}}
    release = cluster.exec

    def cut_off(*arguments: Any) -> str:
        if released:
            release(*arguments)
        raise ExecFailed("exit code 137")

    monkeypatch.setattr(cluster, "exec", cut_off)
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert len(cluster.pods) == int(released)


def test_the_next_try_attaches_to_the_running_pod(cluster: FakeCluster, context: Any) -> None:
    left(cluster, "shop-plan-execute-abcde", pod(RUNS, RUNS), step="plan_2")
    operator().execute(context)
    assert "create" not in cluster.asked
    assert context["ti"].pushed["result"]["pod_name"] == "shop-plan-execute-abcde"


def test_the_pod_of_another_project_is_not_taken(cluster: FakeCluster, context: Any) -> None:
    """Who starts a Dag run in Airflow may give it any id, also that of another project's run."""
    left(cluster, "other-plan-execute-abcde", pod(RUNS, RUNS), step="plan_2", **{"project-id": "proj_other"})
    operator().execute(context)
    assert "create" in cluster.asked
    assert "other-plan-execute-abcde" in cluster.pods


def test_the_next_try_reads_what_a_pod_left_in_the_meantime(cluster: FakeCluster, context: Any) -> None:
    left(cluster, "shop-plan-execute-abcde", pod(DONE, RUNS), step="plan_2")
    cluster.states = []
    operator().execute(context)
    assert "create" not in cluster.asked
    assert context["ti"].pushed["result"]["outcome"] == "succeeded"


def test_a_pod_that_waits_for_the_secrets_of_a_dead_worker_gets_them(cluster: FakeCluster, context: Any) -> None:
    left(cluster, "shop-plan-execute-abcde", pod(waiting("ContainerCreating"), phase="Pending"), step="plan_2")
    cluster.pods["shop-plan-execute-abcde"].metadata.annotations = {"dagctl/inputs": "stem"}
    operator().execute(context)
    assert "create" not in cluster.asked
    assert [secret.metadata.name for secret in cluster.secrets] == ["stem-0"]


@pytest.mark.parametrize("state", [pod(DONE, DONE, phase="Failed"), pod(RUNS, RUNS, deleted=True)])
def test_a_pod_with_nothing_left_to_say_is_replaced(cluster: FakeCluster, context: Any, state: Any) -> None:
    left(cluster, "shop-plan-execute-abcde", state, step="plan_2")
    if state.metadata.deletion_timestamp:
        # It is going already; nobody needs to ask for it.
        cluster.await_gone = lambda *arguments: cluster.pods.pop("shop-plan-execute-abcde", None) is not None  # type: ignore[method-assign]
    operator().execute(context)
    assert cluster.asked.count("create") == 1


def test_another_writer_is_ended_first(cluster: FakeCluster, context: Any) -> None:
    mark = writer(StepRequest.from_json(REQUEST))
    left(cluster, "orphan", pod(RUNS, RUNS), step="plan_0", writer=mark)
    left(cluster, "in-its-grace", pod(RUNS, RUNS, phase="Failed", reason="DeadlineExceeded"), step="plan_0", writer=mark)
    left(cluster, "result-not-read-yet", pod(DONE, RUNS), step="plan_1", writer=mark)
    left(cluster, "kept", pod(DONE, DONE, phase="Failed"), step="plan_1", writer=mark)
    operator().execute(context)
    assert cluster.asked[:3] == ["delete orphan 60", "delete in-its-grace 60", "create"]
    assert list(cluster.pods) == ["result-not-read-yet", "kept"]


def test_nothing_starts_beside_a_writer_that_does_not_go(cluster: FakeCluster, context: Any) -> None:
    left(
        cluster,
        "orphan",
        pod(RUNS, RUNS),
        step="plan_0",
        writer=writer(StepRequest.from_json(REQUEST)),
    )
    cluster.pods["orphan"].spec.node_name = "dead-node"
    cluster.stuck = True
    with pytest.raises(StepFailed, match="dead-node"):
        operator().execute(context)
    assert error(context) == "earlier_pod_remains"
    assert "create" not in cluster.asked
    cluster.pods.clear()
    cluster.states = [pod(RUNS, RUNS), pod(DONE, RUNS)]
    operator("explain").execute(granted("explain", REQUEST))


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ([pod(RUNS, RUNS), None], "pod_deleted"),
        ([pod(RUNS, RUNS), pod(phase="Failed", reason="Evicted")], "pod_evicted"),
        # Kubernetes 1.20 never says how the containers of such a pod ended.
        ([pod(RUNS, RUNS), pod(RUNS, RUNS, phase="Failed", reason="DeadlineExceeded")], "pod_deadline_exceeded"),
        ([pod(RUNS, RUNS), pod(terminated(137, "OOMKilled"), RUNS)], "pod_out_of_memory"),
        ([pod(RUNS, RUNS), pod(terminated(1), RUNS)], "pod_failed"),
        ([pod(waiting("InvalidImageName"), phase="Pending")] * 3, "image_name_invalid"),
        ([pod(terminated(1), waiting("ErrImagePull", "x: not found"))] * 3, "pod_result_missing"),
    ],
)
def test_a_pod_without_a_result_is_told_by_its_end(
    cluster: FakeCluster, context: Any, states: Any, code: str, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_API_PATIENCE", "0")
    cluster.states, cluster.result = list(states), None
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert error(context) == code
    assert context["ti"].pushed["result"]["pod_name"]


def test_a_result_nobody_may_read_says_so(cluster: FakeCluster, context: Any) -> None:
    cluster.result = ExecFailed("Handshake status 403 Forbidden")
    with pytest.raises(StepFailed, match="403"):
        operator().execute(context)
    assert error(context) == "pod_result_missing"


def test_a_cluster_that_stays_away_is_told(cluster: FakeCluster, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(selector: str) -> Any:
        raise PodTrouble("cluster_unreachable", "503 Service Unavailable")

    monkeypatch.setattr(cluster, "list_pods", away)
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert error(context) == "cluster_unreachable"


def test_a_pod_that_nobody_could_ask_about_goes_on_even_when_the_cluster_is_back_by_then(
    cluster: FakeCluster, context: Any
) -> None:
    reads = cluster.read_pod

    def away(name: str) -> Any:
        cluster.read_pod = reads  # type: ignore[method-assign]
        raise PodTrouble("cluster_unreachable", "503 Service Unavailable")

    cluster.read_pod = away  # type: ignore[method-assign]
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert error(context) == "cluster_unreachable"
    assert cluster.asked == ["create"]
    assert len(cluster.pods) == 1


def test_wrong_settings_are_told(cluster: FakeCluster, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__KUBERNETES_TOLERATIONS", '[{"kee": "x"}]')
    with pytest.raises(StepFailed, match="kubernetes_tolerations"):
        operator().execute(context)
    assert error(context) == "pod_settings_invalid"


@pytest.mark.parametrize("known", [{}, {"r": {"execute": "failed"}}, {"r": {"execute": None}}, None])
def test_a_stop_removes_the_pod_and_ends_the_task(cluster: FakeCluster, context: Any, known: Any) -> None:
    if known is not None:
        context["ti"].get_task_states = lambda **asked: known
    stop_at_first_look(cluster, context)
    assert cluster.pods == {}
    assert any(asked.endswith(" 60") for asked in cluster.asked)
    assert "result" not in context["ti"].pushed


@pytest.mark.parametrize(
    "known", [*({"r": {"execute": state}} for state in ("running", "up_for_retry", "scheduled", "queued")), None]
)
def test_a_worker_that_is_shut_down_leaves_its_pod_to_the_next_try(cluster: FakeCluster, context: Any, known: Any) -> None:
    def states(**asked: Any) -> Any:
        if known is None:
            raise ConnectionError("the API server is away")
        assert asked == {"dag_id": "dagctl__shop", "task_ids": ["execute"], "run_ids": ["r"]}
        return known

    context["ti"].get_task_states = states
    stop_at_first_look(cluster, context)
    assert len(cluster.pods) == 1
    cluster.states = [pod(RUNS, RUNS), pod(DONE, RUNS)]
    operator().execute(context)
    assert cluster.asked.count("create") == 1


def test_a_task_that_took_too_long_ends_its_pod(cluster: FakeCluster, context: Any) -> None:
    context["ti"].get_task_states = lambda **asked: {"r": {"execute": "running"}}
    late = operator()

    def timeout(name: str) -> Any:
        raise TimeoutError

    reads, cluster.read_pod = cluster.read_pod, timeout  # type: ignore[method-assign]
    with pytest.raises(TimeoutError):
        late.execute(context)
    cluster.read_pod = reads  # type: ignore[method-assign]
    # As Airflow does after its execution_timeout.
    late.on_kill()
    assert cluster.pods == {}


def test_a_pod_that_is_made_while_the_task_is_stopped_is_removed_before_it_gets_anything(
    cluster: FakeCluster, context: Any
) -> None:
    running = operator()
    create = cluster.create_pod

    def stopped_first(made: Any) -> Any:
        running.on_kill()
        return create(made)

    cluster.create_pod = stopped_first  # type: ignore[method-assign]
    with pytest.raises(StepInterrupted, match="its pod with it"):
        running.execute(context)
    assert (cluster.pods, cluster.secrets) == ({}, [])
    assert [asked.rpartition(" ")[2] for asked in cluster.asked] == ["create", "60"]


def test_a_task_that_is_stopped_before_its_pod_has_a_name_starts_none(cluster: FakeCluster, context: Any) -> None:
    running = operator()
    cluster.list_pods = lambda selector: running.on_kill() or []  # type: ignore[method-assign, func-returns-value]
    with pytest.raises(StepInterrupted):
        running.execute(context)
    assert cluster.asked == []


def stop_at_first_look(cluster: FakeCluster, context: Any) -> None:
    """Stop the task while it waits for its pod, as a signal does."""
    running = operator()
    cluster.states = [pod(RUNS, RUNS)] * 3
    reads = cluster.read_pod

    def read(name: str) -> Any:
        cluster.read_pod = reads  # type: ignore[method-assign]
        running.on_kill()
        return reads(name)

    cluster.read_pod = read  # type: ignore[method-assign]
    with pytest.raises(StepInterrupted):
        running.execute(context)


def test_a_runner_that_was_told_to_stop_by_others_is_a_deleted_pod(cluster: FakeCluster, context: Any) -> None:
    cluster.result = {"outcome": "cancelled", "models": [{"name": "a"}], "error": {"code": "cancelled", "message": "cancelled"}}
    cluster.states = [pod(RUNS, RUNS), pod(terminated(130), RUNS, deleted=True)]
    cluster.await_gone = lambda *arguments: True  # type: ignore[method-assign]
    with pytest.raises(StepFailed):
        operator().execute(context)
    assert error(context) == "pod_deleted"
    assert context["ti"].pushed["result"]["models"] == [{"name": "a"}]


def test_what_a_dbt_execution_has_finished_is_told(cluster: FakeCluster, context: Any) -> None:
    it = granted("execute", {**REQUEST, "tool": "dbt", "step_id": "plan_2"})
    operator().execute(it)
    told = it["ti"].pushed["progress"]
    assert (told["step_id"], told["succeeded"]) == ("plan_2", ["model.shop.orders"])


def test_an_explain_tells_its_stages(cluster: FakeCluster, context: Any) -> None:
    it = granted("explain", REQUEST)
    operator("explain").execute(it)
    assert it["ti"].pushed["progress"]["step_id"] == it["ti"].pushed["result"]["step_id"]


def test_a_profile_that_cannot_be_made_is_told(cluster: FakeCluster, context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Any:
        raise ProfileError("connection 'x' is of type 'ftp'")

    monkeypatch.setattr(operators, "project_secrets", refused)
    with pytest.raises(StepFailed, match="ftp"):
        operator().execute(context)
    assert error(context) == "profile_invalid"
    assert "create" not in cluster.asked


def test_no_deprecated_argument_is_used(recwarn: pytest.WarningsRecorder) -> None:
    operator()
    assert [str(warning.message) for warning in recwarn if "reattach" in str(warning.message)] == []
