"""Workers for the scenarios: processes that run a pod operator as a task does, that can be killed, and that start at once.

``python -m tests.kubernetes.worker`` imports Airflow and the operator once; each line on its standard input is a job (JSON) for
which it forks a worker. A worker's output is its task log; what it pushed stands in its XCom file when it ends, and at every
push, because a killed worker ends without notice. SIGTERM calls ``on_kill``, as Airflow's task runner does.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil

from dagctl_provider.domain.names import GRANT_KEY, GRANT_TASK
from demo.options import REPOSITORY_ROOT
from tests.granting import KEY, SEAL_KEY, grant, signed
from tests.waiting import wait_for

_WAIT_SECONDS = 600.0


class _TaskInstance:
    """What an operator may ask of its task instance; XComs are kept in a file that all tries of a run share."""

    def __init__(self, job: Mapping[str, Any]) -> None:
        self.id = uuid.uuid4()
        self.try_number = int(job["try_number"])
        self.dag_id, self.run_id, self.task_id, self.map_index = "dagctl_scenario", job["run_id"], job["kind"], -1
        self.start_date = datetime.now(timezone.utc)
        self.max_tries = 3
        self._file = Path(job["xcom"])

    def _all(self) -> dict[str, Any]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}

    def was_granted(self, request: Mapping[str, Any]) -> None:
        """Leave what the API server leaves for this try."""
        os.environ["AIRFLOW__DAGCTL__PUBLIC_KEYS"] = KEY.public
        os.environ["AIRFLOW_CONN_DAGCTL__SEAL_KEY"] = json.dumps({"conn_type": "dagctl", "password": SEAL_KEY})
        decision, explained = (self._all().get(f"explain/{key}") or {} for key in ("decision", "result"))
        bound = {
            "step_id": decision.get("execution_plan_id"),
            "job_name": decision.get("job_name"),
            "expected_digest": decision.get("digest"),
            "explained_plan_id": explained.get("tool_plan_id"),
        }
        asked = {**request, **({name: value for name, value in bound.items() if value} if self.task_id == "execute" else {})}
        letter = grant(self.task_id, asked, self)
        self._write(f"{GRANT_TASK[self.task_id]}/{GRANT_KEY}", signed(letter))

    def xcom_push(self, key: str, value: Any, **_: Any) -> None:
        self._write(f"{self.task_id}/{key}", value)

    def _write(self, place: str, value: Any) -> None:
        part = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        part.write_text(json.dumps({**self._all(), place: value}))
        part.replace(self._file)

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value", **_: Any) -> Any:
        return self._all().get(f"{task_ids}/{key}")


def _operator(job: Mapping[str, Any]) -> Any:
    from dagctl_provider.operators.pod import PodStepOperator

    return PodStepOperator(task_id=job["kind"], kind=job["kind"])


def _bare_operator(job: Mapping[str, Any]) -> Any:
    """Airflow's own pod operator with the same image, command and result, for comparison."""
    from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
    from kubernetes.client import models as k8s

    from dagctl_provider.config import setting

    class Bare(KubernetesPodOperator):
        # Nothing of a job is a template.
        template_fields = ()

        def execute(self, context: Any) -> None:
            context["ti"].xcom_push("result", super().execute(context))

    empty = k8s.V1EmptyDirVolumeSource()
    return Bare(
        task_id=job["kind"],
        name=str(job["conf"]["job_name"]),
        namespace=setting("kubernetes_namespace"),
        image=setting("runner_image"),
        cmds=["python", "-m", "dagctl_provider.runner"],
        arguments=[job["kind"], "--result", "/airflow/xcom/return.json"],
        env_vars=[k8s.V1EnvVar(name="DAGCTL_REQUEST", value=json.dumps(job["conf"]))],
        pod_template_file=setting("kubernetes_pod_template"),
        volumes=[k8s.V1Volume(name="tmp", empty_dir=empty)],
        volume_mounts=[k8s.V1VolumeMount(name="tmp", mount_path="/tmp")],
        security_context={"fsGroup": 10001},
        do_xcom_push=True,
    )


def _work(job: Mapping[str, Any]) -> int:
    """Run the operator; 0 when it succeeded, 1 when the task failed for good, 2 when Airflow would try again."""
    from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

    operator = _bare_operator(job) if job["bare"] else _operator(job)
    signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
    instance = _TaskInstance(job)
    instance.was_granted(job["conf"])
    context = {
        "ti": instance,
        "task_instance": instance,
        "run_id": job["run_id"],
        "dag": SimpleNamespace(dag_id=instance.dag_id, parent_dag=None),
        "dag_run": SimpleNamespace(conf={"dagctl": job["conf"]}, run_id=job["run_id"]),
        "task": operator,
    }
    try:
        operator.execute(context)
    except AirflowFailException as error:
        print(f"FAILED: {type(error).__name__}: {error}", flush=True)
        return 1
    except AirflowException as error:
        print(f"UP FOR RETRY: {type(error).__name__}: {error}", flush=True)
        return 2
    return 0


def _become_worker(job: Mapping[str, Any]) -> None:
    code = 70
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        output = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.environ.update(job["environment"])
        code = _work(job)
    except BaseException:
        import traceback

        traceback.print_exc()
    Path(job["exit"]).write_text(str(code))
    sys.stdout.flush()
    os._exit(code)


def main() -> None:
    """Fork a worker for each line of input, and tell its process id."""
    import dagctl_provider.operators.pod  # noqa: F401 - half of a worker's time would go into this

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    print("ready", flush=True)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _become_worker(json.loads(line))
        print(pid, flush=True)


# For tests


@dataclass
class Work:
    """A worker that runs, or ran, one try of a step."""

    pid: int
    job: Mapping[str, Any]

    @property
    def log(self) -> str:
        file = Path(self.job["log"])
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def xcom(self) -> dict[str, Any]:
        """All XComs of the run: ``explain/result`` and so on."""
        file = Path(self.job["xcom"])
        return dict(json.loads(file.read_text())) if file.exists() else {}

    @property
    def result(self) -> dict[str, Any]:
        """What the step reported."""
        return dict(self.xcom.get(f"{self.job['kind']}/result") or {})

    @property
    def error(self) -> dict[str, Any]:
        return dict(self.result.get("error") or {})

    def send(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)

    def is_over(self) -> bool:
        return not psutil.pid_exists(self.pid)

    def wait(self, seconds: float = _WAIT_SECONDS) -> int | None:
        """The exit code; ``None`` of a worker that was killed.

        :raises AssertionError: with its log, when it takes longer.
        """
        wait_for("the worker to end", self.is_over, seconds=seconds, show=lambda: self.log)
        file = Path(self.job["exit"])
        return int(file.read_text()) if file.exists() else None


@dataclass
class Workers:
    """Starts workers.

    :param folder: For logs and XComs.
    :param environment: Settings of all of them.
    """

    folder: Path
    environment: Mapping[str, str]
    _process: subprocess.Popen[str]
    _count: int = 0
    # Benchmarks start workers from several threads; each has to get the process id of its own.
    _lock: threading.Lock = field(default_factory=threading.Lock)
    started: list[Work] = field(default_factory=list)

    def start(
        self,
        kind: str,
        conf: Mapping[str, Any],
        run: str,
        try_number: int = 1,
        kubeconfig: Path | None = None,
        bare: bool = False,
        **settings: str,
    ) -> Work:
        """Start a try of a step.

        :param kind: ``explain``, ``execute`` or ``run``.
        :param conf: The step's request, as the run's conf holds it.
        :param run: Name of the run; explain, execute and all their tries share its XComs.
        :param kubeconfig: Another than that of all workers.
        :param bare: With Airflow's own pod operator instead of ours.
        :param settings: ``[dagctl]`` settings of this worker alone.
        """
        with self._lock:
            self._count += 1
            stem = self.folder / f"{self._count:03}-{run}-{kind}"
        named = {f"AIRFLOW__DAGCTL__{name.upper()}": str(value) for name, value in settings.items()}
        if kubeconfig is not None:
            named["AIRFLOW__DAGCTL__KUBERNETES_CONN_ID"] = "test_cluster"
            extra = {"kube_config_path": str(kubeconfig)}
            named["AIRFLOW_CONN_TEST_CLUSTER"] = json.dumps({"conn_type": "kubernetes", "extra": extra})
        job = {
            "kind": kind,
            "bare": bare,
            "conf": conf,
            "run_id": run,
            "try_number": try_number,
            "environment": {**self.environment, **named},
            "xcom": f"{self.folder}/{run}.xcom.json",
            "log": f"{stem}.log",
            "exit": f"{stem}.exit",
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with self._lock:
            self._process.stdin.write(json.dumps(job) + "\n")
            self._process.stdin.flush()
            work = Work(int(self._process.stdout.readline()), job)
            self.started.append(work)
        return work

    def push(self, run: str, key: str, value: Any) -> None:
        """Leave an XCom in a run, as the API server does (``explain/decision``)."""
        file = self.folder / f"{run}.xcom.json"
        found = json.loads(file.read_text()) if file.exists() else {}
        file.write_text(json.dumps({**found, key: value}))


@contextlib.contextmanager
def workers(folder: Path, environment: Mapping[str, str]) -> Iterator[Workers]:
    """Workers while the block lasts; those still running at its end are killed."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AIRFLOW__DAGCTL", "KUBECONFIG"))}
    own = {"AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO", "PYTHONUNBUFFERED": "1", **environment}
    with (folder / "workers.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.kubernetes.worker"],
            cwd=REPOSITORY_ROOT,
            env={**kept, **own},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    made = Workers(folder, own, process)
    try:
        assert process.stdout is not None
        # Airflow may say something while it is imported.
        while (line := process.stdout.readline()) and line.strip() != "ready":
            pass
        assert line, (folder / "workers.log").read_text()
        yield made
    finally:
        process.stdin.close()  # type: ignore[union-attr]
        for work in made.started:
            work.send(signal.SIGKILL)
        process.wait(120)


if __name__ == "__main__":
    main()
