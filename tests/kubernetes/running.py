"""Starts the test cluster as a process of its own, and breaks the way to a cluster when a test wants that."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from kubernetes import client, config

from demo.options import REPOSITORY_ROOT
from tests.waiting import wait_for

_START_SECONDS = 180.0


class RunningCluster:
    """A cluster that runs pods as processes of this machine.

    :param kubeconfig: File by which clients reach it as administrator.
    :param control_url: Where faults are ordered.
    """

    def __init__(self, kubeconfig: Path, control_url: str) -> None:
        self.kubeconfig = kubeconfig
        self.server = str(yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]["server"])
        self.core = client.CoreV1Api(config.new_client_from_config(str(kubeconfig)))
        self._control = httpx.Client(base_url=control_url, timeout=300)

    def order(self, method: str, path: str, body: Any = None) -> Any:
        """Order a fault; see ``Cluster.control``."""
        answer = self._control.request(method, path, json=body)
        answer.raise_for_status()
        return answer.json()

    def evict(self, namespace: str, pod: str) -> None:
        """As kubelet does when the node runs out of memory."""
        self.order("POST", f"/pods/{namespace}/{pod}/evict")

    def unavailable(self, seconds: float) -> None:
        """Answer every request with 503 for a while; 0 ends that."""
        self.order("POST", f"/unavailable/{seconds}")

    def kubeconfig_of(self, file: Path, token: str, rules: Sequence[Mapping[str, Any]]) -> Path:
        """Write a kubeconfig for a user who may do what these rules of a Role allow, and nothing else."""
        self.order("PUT", f"/users/{token}", {"rules": list(rules)})
        document = yaml.safe_load(self.kubeconfig.read_text())
        document["users"][0]["user"]["token"] = token
        file.write_text(yaml.safe_dump(document))
        return file


@contextmanager
def running_cluster(folder: Path, *arguments: str) -> Iterator[RunningCluster]:
    """Run a cluster while the block lasts.

    :param folder: For its kubeconfig and log.
    :param arguments: More arguments of ``python -m tests.kubernetes.cluster``.
    """
    kubeconfig, log = folder / "kubeconfig", folder / "cluster.log"
    command = [sys.executable, "-m", "tests.kubernetes.cluster", "--kubeconfig", str(kubeconfig), *arguments]
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=REPOSITORY_ROOT, stdout=output, stderr=output, start_new_session=True)
    try:

        def started() -> bool:
            assert process.poll() is None, log.read_text()
            return kubeconfig.exists()

        wait_for("the cluster to start", started, seconds=_START_SECONDS, show=log.read_text)
        yield RunningCluster(kubeconfig, Path(f"{kubeconfig}.control").read_text())
    finally:
        process.terminate()
        process.wait(120)


def can_run_pods() -> str | None:
    """Why pods cannot run here; ``None`` when they can. They need root, or user namespaces, of Linux."""
    if not sys.platform.startswith("linux"):
        return "namespaces are Linux's"
    inside = Path(__file__).with_name("cluster") / "inside.py"
    with tempfile.TemporaryDirectory() as folder:
        spec = Path(folder) / "spec.json"
        fields: dict[str, Any] = {"argv": ["true"], "env": dict(os.environ), "cwd": "/", "mounts": [], "image_paths": []}
        fields.update(root=os.geteuid() == 0, read_only_root=False, uid=0, gid=0, groups=[], folder=folder)
        spec.write_text(json.dumps(fields))
        done = subprocess.run([sys.executable, str(inside), "1", "run", str(spec)], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"no namespaces here: {done.stdout.strip()} {done.stderr.strip()[-200:]}"
