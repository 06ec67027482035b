"""Where the scenarios run: the test cluster of this package, or any real one, chosen by environment variables.

=============================  ==========================================================================================
``DAGCTL_TEST_KUBECONFIG``     kubeconfig of a real cluster; absent: the test cluster
``DAGCTL_TEST_RUNNER_IMAGE``   runner image that the real cluster can pull; holds the newest supported SQLMesh
``TEST_REPOSITORY_HOSTPATH``   folder that is on this machine and, at the same path, on the nodes: repositories and
                               warehouses are made there and reach the pods as a hostPath volume and ``file://``
``TEST_HOST_ADDRESS``          instead: an address of this machine that pods reach; the repository is served there by https
``TEST_PRIVATE_IMAGE``         an image in a registry that asks for a login, for the cause "pull secret wrong"; may be absent
=============================  ==========================================================================================

Nothing else of a cluster is assumed: no DNS inside, no storage class, no internet. Everything is made in one namespace with a
random name, which is removed at the end.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config
from kubernetes.client import ApiException

from dagctl_provider.runner.versions import supported_versions
from demo.options import REPOSITORY_ROOT
from tests.airflow.site import Shop
from tests.kubernetes.repositories import HttpsRepositories
from tests.kubernetes.running import RunningCluster
from tests.waiting import wait_for

IMAGE_USER = 10001
_LAUNCHER = "launcher"
_TOKEN_SECONDS = 7200
_GONE_SECONDS = 300.0
_RUNNING_SECONDS = 300.0


def one_cluster(kubeconfig: Path) -> dict[str, Any]:
    """A kubeconfig's current context and nothing else, valid in any folder."""
    document: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
    context = next(item for item in document["contexts"] if item["name"] == document["current-context"])
    found = {**document, "contexts": [context]}
    for kind in ("cluster", "user"):
        entry = next(item for item in document[f"{kind}s"] if item["name"] == context["context"][kind])
        for name in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
            if name in entry[kind]:
                entry[kind][name] = str(kubeconfig.parent / entry[kind][name])
        found[f"{kind}s"] = [entry]
    return found


def _launcher_rules() -> list[dict[str, Any]]:
    """What ``docs/kubernetes/rbac.yaml`` lets workers do."""
    documents = yaml.safe_load_all((REPOSITORY_ROOT / "docs" / "kubernetes" / "rbac.yaml").read_text())
    roles = {document["metadata"]["name"]: document for document in documents if document["kind"] == "Role"}
    return list(roles["dagctl-launcher"]["rules"])


@dataclass
class Place:
    """A namespace of a cluster, and how repositories get into its pods.

    :param data: Folder of this machine for repositories and warehouses.
    :param shared: Whether pods see that folder.
    :param cluster: The test cluster, when it is that.
    """

    kubeconfig: Path
    namespace: str
    image: str
    data: Path
    shared: bool
    https: HttpsRepositories | None = None
    cluster: RunningCluster | None = None

    def __post_init__(self) -> None:
        self.core = client.CoreV1Api(config.new_client_from_config(str(self.kubeconfig)))

    @property
    def version(self) -> tuple[int, int]:
        """Major and minor version of the cluster; managed ones write ``31+``."""
        told = client.VersionApi(self.core.api_client).get_code()
        return int(told.major), int(told.minor.rstrip("+"))

    @property
    def environment(self) -> dict[str, str]:
        """Settings of workers."""
        return {
            "KUBECONFIG": str(self.launcher),
            "AIRFLOW__DAGCTL__KUBERNETES_NAMESPACE": self.namespace,
            "AIRFLOW__DAGCTL__RUNNER_IMAGE": self.image,
            "AIRFLOW__DAGCTL__KUBERNETES_POD_TEMPLATE": str(self.template()),
            "AIRFLOW__DAGCTL__ALLOW_LOCAL_REPOSITORIES": "True",
            "AIRFLOW__DAGCTL__ALLOW_PRIVATE_HOSTS": "True",
            "AIRFLOW__DAGCTL__LAUNCHER": "kubernetes",
        }

    @cached_property
    def launcher(self) -> Path:
        """A kubeconfig of workers: of an account that may do what the documents give to who starts pods, and nothing else."""
        file = self.data / "launcher.kubeconfig"
        if self.cluster is not None:
            return self.cluster.kubeconfig_of(file, _LAUNCHER, _launcher_rules())
        self.core.create_namespaced_service_account(self.namespace, {"metadata": {"name": _LAUNCHER}})
        self.let_launch(self.namespace)
        wanted = {"spec": {"expirationSeconds": _TOKEN_SECONDS}}
        made = self.core.create_namespaced_service_account_token(_LAUNCHER, self.namespace, wanted)
        document = one_cluster(self.kubeconfig)
        document["users"][0]["user"] = {"token": made.status.token}
        file.touch(0o600)
        file.write_text(yaml.safe_dump(document))
        return file

    def let_launch(self, namespace: str) -> None:
        """Let workers start pods in a namespace; those of the test cluster may in all."""
        if self.cluster is not None:
            return
        rights = client.RbacAuthorizationV1Api(self.core.api_client)
        rights.create_namespaced_role(namespace, {"metadata": {"name": _LAUNCHER}, "rules": _launcher_rules()})
        group = {"apiGroup": "rbac.authorization.k8s.io"}
        binding = {
            "metadata": {"name": _LAUNCHER},
            "roleRef": {**group, "kind": "Role", "name": _LAUNCHER},
            "subjects": [{"kind": "ServiceAccount", "name": _LAUNCHER, "namespace": self.namespace}],
        }
        rights.create_namespaced_role_binding(namespace, binding)

    def template(self, spec: Mapping[str, Any] | None = None, container: Mapping[str, Any] | None = None) -> Path:
        """A pod template file with what pods need to see the repository, and more.

        :param spec: More members of the pod's spec.
        :param container: More members of the runner's container.
        """
        base: dict[str, Any] = {"name": "base", "volumeMounts": [], "env": [], **(container or {})}
        made: dict[str, Any] = {**(spec or {}), "containers": [base]}
        made["volumes"] = [*made.get("volumes", [])]
        if self.shared:
            made["volumes"].append({"name": "test-data", "hostPath": {"path": str(self.data), "type": "Directory"}})
            base["volumeMounts"].append({"name": "test-data", "mountPath": str(self.data)})
            if os.geteuid() != 0 and self.cluster is None:
                # Git serves no repository of another user.
                made.setdefault("securityContext", {})["runAsUser"] = os.geteuid()
        if self.https is not None:
            made["volumes"].append({"name": "test-ca", "configMap": {"name": "test-ca"}})
            base["volumeMounts"].append({"name": "test-ca", "mountPath": "/etc/test-ca"})
            base["env"].append({"name": "GIT_SSL_CAINFO", "value": "/etc/test-ca/ca.pem"})
        file = self.data / f"template-{uuid.uuid4().hex[:8]}.yaml"
        file.write_text(yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "template"}, "spec": made}))
        return file

    def shop(self, name: str) -> PodShop:
        """A project in a new repository that pods can read."""
        return PodShop(self, name)

    def pods(self, **labels: str) -> list[Any]:
        """Pods with these labels (without their prefix ``dagctl/``)."""
        selector = ",".join(f"dagctl/{key}={value}" for key, value in labels.items())
        return list(self.core.list_namespaced_pod(self.namespace, label_selector=selector).items)

    def secrets(self, part: str) -> list[str]:
        """Names of the Secrets whose names hold this."""
        found = self.core.list_namespaced_secret(self.namespace).items
        return [secret.metadata.name for secret in found if part in secret.metadata.name]

    def running_pod(self, text: str = "commit", **labels: str) -> Any:
        """The one pod with these labels, once its runner runs.

        :param text: In its log by then. A container's first process ignores SIGTERM until it has asked for it, so a pod that has
            only just started would take its whole grace to end.
        """
        return wait_for(
            f"a running pod with {labels} and {text!r} in its log",
            lambda: next((pod for pod in self.pods(**labels) if text in self.pod_log(pod)), None),
            seconds=_RUNNING_SECONDS,
            show=lambda: [(pod.metadata.name, pod.status.phase, self.pod_log(pod)[-1000:]) for pod in self.pods(**labels)],
        )

    def pod_log(self, pod: Any) -> str:
        with contextlib.suppress(ApiException):
            return str(self.core.read_namespaced_pod_log(pod.metadata.name, self.namespace, container="base"))
        return ""

    def is_gone(self, pod: Any) -> bool:
        """Whether this very pod is there no more."""
        try:
            return bool(self.core.read_namespaced_pod(pod.metadata.name, self.namespace).metadata.uid != pod.metadata.uid)
        except ApiException as error:
            return error.status == 404  # type: ignore[no-any-return]


class PodShop(Shop):
    """The project of the Airflow tests, for pods: it belongs to the user that images run as.

    Where pods do not share a folder with this machine, its warehouse lives and dies with the pod, and its gate is a page.
    """

    def __init__(self, place: Place, name: str) -> None:
        self.place = place
        folder = place.data / name
        super().__init__(folder)
        folder.chmod(0o777)
        if place.https is not None:
            place.https.serve(name, self.path)
            self.use_warehouse_in_pod()
        self._hand_over()

    def use_warehouse_in_pod(self) -> None:
        """A warehouse that lives and dies with the pod; DuckDB's files are for one process at a time."""
        text = (self.path / "config.yaml").read_text()
        self.write("config.yaml", text.replace(str(self.warehouse), "/tmp/warehouse.duckdb"))
        self.commit("A warehouse of its own")

    @property
    def url(self) -> str:
        if self.place.https is not None:
            return self.place.https.url(self.path.parent.name)
        return super().url

    def commit(self, message: str) -> str:
        made = super().commit(message)
        self._hand_over()
        return made

    def git(self, *arguments: str) -> str:
        return super().git("-c", f"safe.directory={self.path}", *arguments)

    def _hand_over(self) -> None:
        if os.geteuid() == 0 and self.place.shared:
            for path in (self.path, *self.path.rglob("*")):
                os.chown(path, IMAGE_USER, IMAGE_USER)

    def block_loading(self) -> None:
        """Loading the project, and so an explain, waits for the gate."""
        self.write("models/wait.py", f"import time\n{self._opened()}\nwhile not opened():\n    time.sleep(0.05)\n")

    def add_slow_model(self) -> None:
        """A model that waits for the gate."""
        self.write(
            "models/slow.py",
            "import time\n\nimport pandas as pd\nfrom sqlmesh import model\n\n\n"
            '@model("shop.slow", columns={"n": "int"}, kind="FULL")\n'
            "def execute(context, start, end, execution_time, **kwargs):\n"
            f"{_indented(self._opened())}\n"
            "    while not opened():\n        time.sleep(0.05)\n"
            '    return pd.DataFrame({"n": [1]})\n',
        )

    def _opened(self) -> str:
        if self.place.https is None:
            return f'def opened():\n    import os\n    return os.path.exists("{self.gate}")'
        page = self.place.https.gate_url(self.path.parent.name)
        return (
            "def opened():\n    import ssl, urllib.request\n    context = ssl._create_unverified_context()\n"
            f'    return urllib.request.urlopen("{page}", context=context).read() == b"open"'
        )

    def open_gate(self) -> None:
        if self.place.https is not None:
            self.place.https.open_gate(self.path.parent.name)
        super().open_gate()

    def conf(self, **more: Any) -> dict[str, Any]:
        """The request of an explain of HEAD, as a run's conf holds it."""
        name = self.path.parent.name
        return {
            "tool": "sqlmesh",
            "tool_version": supported_versions("sqlmesh")[-1],
            "repository_url": self.url,
            "branch": "main",
            "commit_sha": self.git("rev-parse", "HEAD"),
            "environment": "prod",
            "run_tests": False,
            "organization_id": "org-test",
            "project_id": f"proj_{name}",
            "project_name": name,
            "plan_group_id": f"plangroup_{name}",
            "step_id": f"plan_{name}-{uuid.uuid4().hex[:6]}",
            "job_name": f"{name}-plan-explain-20260428-100000",
            "resources": {"cpu_request": "100m", "memory_request": "128Mi", "memory_limit": "2Gi"},
            **more,
        }


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


@contextmanager
def real_place() -> Iterator[Place]:
    """A namespace of the cluster that the environment names."""
    kubeconfig = Path(os.environ["DAGCTL_TEST_KUBECONFIG"]).resolve()
    image = os.environ.get("DAGCTL_TEST_RUNNER_IMAGE", "")
    host_path, address = os.environ.get("TEST_REPOSITORY_HOSTPATH"), os.environ.get("TEST_HOST_ADDRESS")
    assert image, "RUNNER_IMAGE is not set: the runner image for SQLMesh that this cluster can pull."
    assert bool(host_path) != bool(address), f"Set one of TEST_REPOSITORY_HOSTPATH and TEST_HOST_ADDRESS; see {__file__}"
    namespace = f"dagctl-test-{uuid.uuid4().hex[:8]}"
    data = Path(host_path or REPOSITORY_ROOT / ".tools") / namespace
    data.mkdir(parents=True, mode=0o755)
    data.chmod(0o755)
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, data, ignore_errors=True)
        https = stack.enter_context(HttpsRepositories.running(data, address)) if address else None
        place = Place(kubeconfig, namespace, image, data, bool(host_path), https)
        stack.enter_context(made_namespace(place))
        yield place


@contextmanager
def test_place(cluster: RunningCluster, data: Path) -> Iterator[Place]:
    """A namespace of the test cluster."""
    data.mkdir(parents=True)
    for folder in (data, *data.parents):
        if folder.owner() == Path.home().owner() and folder != Path("/tmp"):
            with contextlib.suppress(PermissionError):
                folder.chmod(folder.stat().st_mode | 0o055)
    place = Place(
        cluster.kubeconfig, f"scenarios-{uuid.uuid4().hex[:8]}", "example.org/dagctl-runner:1", data, True, None, cluster
    )
    with made_namespace(place):
        yield place


test_place.__test__ = False  # type: ignore[attr-defined]


@contextmanager
def made_namespace(place: Place) -> Iterator[None]:
    """The namespace of a place; removed at the end, with all that is in it."""
    place.core.create_namespace({"metadata": {"name": place.namespace, "labels": {"app.kubernetes.io/name": "dagctl-test"}}})
    try:
        if place.https is not None:
            body = {"metadata": {"name": "test-ca"}, "data": {"ca.pem": place.https.certificate}}
            place.core.create_namespaced_config_map(place.namespace, body)
        wait_for("the default service account", lambda: place.core.list_namespaced_service_account(place.namespace).items)
        yield
    finally:
        place.core.delete_namespace(place.namespace)
        wait_for("the namespace to go", lambda: _namespace_is_gone(place), seconds=_GONE_SECONDS)


def _namespace_is_gone(place: Place) -> bool:
    try:
        place.core.read_namespace(place.namespace)
    except ApiException as error:
        return error.status == 404  # type: ignore[no-any-return]
    return False


def tool_python() -> str:
    """The interpreter with SQLMesh that the images of the test cluster hold; installed at first use, kept in ``.tools``."""
    command = [sys.executable, "-m", "dagctl_provider.runner", "install", "--tool", "sqlmesh"]
    environment = {**os.environ, "DAGCTL_ENVIRONMENTS_DIR": str(REPOSITORY_ROOT / ".tools" / "cache" / "environments")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


def cluster_arguments() -> list[str]:
    """Arguments of the test cluster that make its images like those of ``images/runner``."""
    python = tool_python()
    arguments = ["--image-path", python.rpartition("/bin/")[0], "--image-user", str(IMAGE_USER)]
    for name, value in (("DAGCTL_TOOL_PYTHON", python), ("HOME", "/tmp"), ("DAGCTL_CACHE_DIR", "/tmp/dagctl")):
        arguments += ["--image-env", f"{name}={value}"]
    return arguments
