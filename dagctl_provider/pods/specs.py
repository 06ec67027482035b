"""Pods as data: what the pod of a plan step looks like, from the step's request and the settings, without asking a cluster.

Three layers, the later wins: secure defaults, the deployment's pod template, and what the step cannot do without.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator
from kubernetes.client import models as k8s

from dagctl_provider.config import filled_in, setting
from dagctl_provider.domain.ids import slug
from dagctl_provider.domain.pods import DEFAULT_PYTHON, check_object_name, check_pod_template, label_value, object_names
from dagctl_provider.domain.variables import FOLDERS
from dagctl_provider.runner.organization import FOLDERS as FOLDERS_VARIABLE
from dagctl_provider.runner.reach import reach_variables

if TYPE_CHECKING:
    from dagctl_provider.domain.wire.requests import StepRequest

Pod: TypeAlias = k8s.V1Pod
"""For rooms that do not speak to Kubernetes themselves."""

BASE = "base"
SIDECAR = "airflow-xcom-sidecar"
GRACE_SECONDS = 20
"""Between a cancel and the kill of the tool, by the runner."""
POD_GRACE_SECONDS = 60
"""``terminationGracePeriodSeconds``: the runner's grace, its sweep of the warehouse after a kill, and its result."""

SECRETS = "/var/run/secrets/dagctl"
GIT_SECRETS = "/var/run/secrets/dagctl-git"
ENV_SECRETS = "/var/run/secrets/dagctl-env"
REQUEST = "/var/run/dagctl/request"
RESULTS = "/airflow/xcom"
RESULT = f"{RESULTS}/return.json"
RELEASE = f"{RESULTS}/.read"
TERMINATION_LOG = "/dev/termination-log"

PROJECT_LABEL = "dagctl/project-id"
STEP_LABEL = "dagctl/step"
WRITER_LABEL = "dagctl/writer"
INPUTS_ANNOTATION = "dagctl/inputs"

# Label: member of the request. Label values are cut and marked where Kubernetes would not take them.
_LABELS: Mapping[str, str] = {
    "dagctl/organization": "organization_id",
    PROJECT_LABEL: "project_id",
    "dagctl/plan-group": "plan_group_id",
    STEP_LABEL: "step_id",
    "dagctl/environment": "environment",
    "dagctl/tool": "tool",
}
# Annotation: member of the request. No commit message and no address: both may hold what nobody should read here.
_ANNOTATIONS: Mapping[str, str] = {
    "dagctl/project-name": "project_name",
    "dagctl/commit": "commit_sha",
    "dagctl/branch": "branch",
    "dagctl/tool-version": "tool_version",
    "dagctl/job-name": "job_name",
}
_SECRET_SETTINGS = ("secret", "env_secret", "explain_secret", "explain_env_secret")
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_MAX_STEM = 57
_OTHER_USER = 65534
_FILES_LIMIT = "2Mi"

# Ends when the result was read, or when the pod is told to end; the result is gone then.
_HOLD = f"trap 'exit 0' TERM INT; while [ ! -e {RELEASE} ]; do sleep 0.5 & wait $!; done"


@dataclass(frozen=True)
class Piece:
    """One file the pod is given from a Secret of its own.

    :param volume: ``secrets`` or ``request``.
    :param name: File name, and key in the Secret.
    :param secret: Name of the Secret.
    """

    volume: str
    name: str
    secret: str


def pod_name(job_name: str, step_id: str) -> str:
    """The name of a step's pod: its job name and five characters, ``analytics-plan-execute-20260428-100500-xk9vz``.

    They follow from the step: Kubernetes itself then refuses a second pod for a step, whoever asks for it.
    """
    stem = re.sub(r"[^a-z0-9-]+", "-", job_name.lower())[:_MAX_STEM].strip("-") or "dagctl"
    number = int.from_bytes(hashlib.sha256(step_id.encode()).digest()[:8], "big")
    letters = []
    for _ in range(5):
        number, index = divmod(number, len(_SUFFIX_ALPHABET))
        letters.append(_SUFFIX_ALPHABET[index])
    return f"{stem}-{''.join(letters)}"


def step_pod_name(request: StepRequest, kind: str) -> str:
    """The name of the pod that a request stands for.

    :param kind: ``explain``, ``execute`` or ``run``.
    """
    return pod_name(request.launcher.job_name or f"{request.runner.project_name}-{kind}", str(request.runner.step_id))


def labels_for(request: StepRequest, kind: str) -> dict[str, str]:
    """What ``kubectl get pods -l`` can ask for.

    :param kind: ``explain``, ``execute`` or ``run``.
    """
    said = request.to_json()
    labels = {
        "app.kubernetes.io/name": "dagctl-runner",
        "app.kubernetes.io/managed-by": "airflow-provider-dagctl",
        "dagctl/kind": kind,
        "dagctl/project": label_value(slug(request.runner.project_name)[:63].strip("-")),
        # A hash of 64 characters is longer than a label may be; the annotation has all of it.
        "dagctl/commit": label_value(request.runner.commit_sha[:40]),
    }
    labels.update({label: label_value(str(said[key])) for label, key in _LABELS.items() if said.get(key)})
    if kind != "explain":
        labels[WRITER_LABEL] = writer(request)
    return labels


def writer(request: StepRequest) -> str:
    """Marks what writes to one environment of one project: of these, one pod at a time."""
    return hashlib.sha256(f"{request.runner.project_id}/{request.runner.environment}".encode()).hexdigest()[:16]


def annotations_for(request: StepRequest, inputs: str) -> dict[str, str]:
    """What people may want to know of a pod and no label can hold.

    :param inputs: Stem of the names of the step's own Secrets.
    """
    said = request.to_json()
    found = {name: str(said[key]) for name, key in _ANNOTATIONS.items() if said.get(key)}
    return {**found, INPUTS_ANNOTATION: inputs}


def image_for(request: StepRequest) -> str:
    """The runner image of the step's tool, version and Python, and of its project where each has its own."""
    asked = request.runner
    return filled_in(
        "runner_image",
        tool=asked.tool,
        version=str(asked.tool_version),
        python=asked.python_version or DEFAULT_PYTHON,
        project=slug(asked.project_name),
    )


def build_pod(request: StepRequest, kind: str, inputs: str, pieces: Sequence[Piece]) -> k8s.V1Pod:
    """The pod of a step, apart from what KubernetesPodOperator adds.

    :param inputs: Stem of the names of the step's own Secrets.
    :param pieces: The files in those Secrets.
    :raises ValueError: when a setting is none that Kubernetes would take; it names the setting.
    """
    layers = [_defaults(), _template(), _step(request, kind, inputs, pieces)]
    pod = reduce(PodGenerator.reconcile_pods, [layer for layer in layers if layer is not None])
    assert pod.spec is not None
    runner = pod.spec.containers[0]
    # Lists were appended to each other; of two variables of one name the later counts.
    runner.env = list({variable.name: variable for variable in runner.env or []}.values())
    for name in ("volumes", "image_pull_secrets", "tolerations"):
        setattr(pod.spec, name, getattr(pod.spec, name) or None)
    pod.spec.containers.append(_sidecar(request, runner))
    return pod


def _defaults() -> k8s.V1Pod:
    """What the "restricted" pod security standard asks for, and no token for the cluster."""
    group = str(setting("kubernetes_fs_group")).strip()
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(),
        spec=k8s.V1PodSpec(
            containers=[k8s.V1Container(name=BASE, security_context=_container_security())],
            security_context=k8s.V1PodSecurityContext(
                run_as_non_root=True,
                fs_group=int(group) if group else None,
                seccomp_profile=k8s.V1SeccompProfile(type="RuntimeDefault"),
            ),
            node_selector=_json_setting("kubernetes_node_selector"),
            tolerations=[_model(item, k8s.V1Toleration) for item in _json_setting("kubernetes_tolerations") or []],
            image_pull_secrets=[
                k8s.V1LocalObjectReference(name=name) for name in object_names(str(setting("kubernetes_image_pull_secrets")))
            ],
            service_account_name=setting("kubernetes_service_account") or None,
            automount_service_account_token=False,
            enable_service_links=False,
            # The runner stops first and says that it was the time; this ends what no worker looks after any more.
            active_deadline_seconds=int(float(setting("step_timeout"))) + 90,
        ),
    )


def _container_security(user: int | None = None) -> k8s.V1SecurityContext:
    return k8s.V1SecurityContext(
        allow_privilege_escalation=False,
        privileged=False,
        read_only_root_filesystem=True,
        run_as_non_root=True,
        run_as_user=user,
        capabilities=k8s.V1Capabilities(drop=["ALL"]),
    )


def _template() -> k8s.V1Pod | None:
    path = str(setting("kubernetes_pod_template"))
    if not path:
        return None
    try:
        text = Path(path).read_text(encoding="utf-8")
        check_pod_template(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"[dagctl] kubernetes_pod_template: {path} {error}") from None
    pod = PodGenerator.deserialize_model_file(path)
    pod.metadata = pod.metadata or k8s.V1ObjectMeta()
    return pod


def _step(request: StepRequest, kind: str, inputs: str, pieces: Sequence[Piece]) -> k8s.V1Pod:
    volumes, mounts, env = _files(request, kind, pieces)
    runner = k8s.V1Container(
        name=BASE,
        image=image_for(request),
        command=["python", "-m", "dagctl_provider.runner"],
        args=[
            *(kind, "--request", REQUEST, "--result", RESULT, "--secrets", SECRETS),
            *(
                "--termination-log",
                TERMINATION_LOG,
                "--grace",
                str(GRACE_SECONDS),
                "--timeout",
                str(float(setting("step_timeout"))),
                "--events",
                "-",
            ),
        ],
        env=env,
        resources=_resources(request.launcher.resources),
        volume_mounts=mounts,
        termination_message_path=TERMINATION_LOG,
        termination_message_policy="FallbackToLogsOnError",
    )
    return k8s.V1Pod(
        metadata=k8s.V1ObjectMeta(
            name=step_pod_name(request, kind),
            labels=labels_for(request, kind),
            annotations=annotations_for(request, inputs),
        ),
        spec=k8s.V1PodSpec(
            containers=[runner],
            volumes=volumes,
            restart_policy="Never",
            termination_grace_period_seconds=POD_GRACE_SECONDS,
        ),
    )


def _files(
    request: StepRequest, kind: str, pieces: Sequence[Piece]
) -> tuple[list[k8s.V1Volume], list[k8s.V1VolumeMount], list[k8s.V1EnvVar]]:
    """Volumes, where they are mounted, and the variables that tell the runner of them. Secrets are named, never quoted."""
    project = slug(request.runner.project_name)
    named = {name: filled_in(f"kubernetes_{name}", project=project) for name in _SECRET_SETTINGS}
    reader, env_reader = (named[name] if kind == "explain" else "" for name in ("explain_secret", "explain_env_secret"))
    found = {
        "dagctl-secrets": (SECRETS, [*_projections(pieces, "secrets"), *_whole(reader or named["secret"])]),
        "dagctl-request": (REQUEST, _projections(pieces, "request")),
    }
    # The execute's own stay away from an explain, so the runner is told that it cannot compare their values.
    variables = {"DAGCTL_EXPLAIN_SECRETS": "1"} if reader or env_reader else {}
    local, private = bool(setting("allow_local_repositories")), bool(setting("allow_private_hosts"))
    variables.update(reach_variables(local=local, private=private))
    for volume, path, variable, secrets in (
        ("dagctl-git", GIT_SECRETS, "DAGCTL_GIT_SECRETS", git_secret(request)),
        ("dagctl-env", ENV_SECRETS, "DAGCTL_ENV_SECRETS", env_reader or named["env_secret"]),
    ):
        if secrets:
            found[volume] = (path, _whole(secrets))
            variables[variable] = path
    volumes = [
        k8s.V1Volume(name=name, projected=k8s.V1ProjectedVolumeSource(sources=sources, default_mode=0o440))
        for name, (_, sources) in found.items()
    ]
    mounts = [k8s.V1VolumeMount(name=name, mount_path=path, read_only=True) for name, (path, _) in found.items()]
    for name, path in (("dagctl-tmp", "/tmp"), ("xcom", RESULTS)):  # noqa: S108 - in the pod, a volume of its own
        volumes.append(k8s.V1Volume(name=name, empty_dir=k8s.V1EmptyDirVolumeSource()))
        mounts.append(k8s.V1VolumeMount(name=name, mount_path=path))
    for folder in _folders_of_files(request):
        # Not from the Secret itself: Kubernetes gives such files to root, and opens those to the group that are only the owner's.
        name = f"dagctl-files{folder.replace('/', '-')}"
        volumes.append(k8s.V1Volume(name=name, empty_dir=k8s.V1EmptyDirVolumeSource(medium="Memory", size_limit=_FILES_LIMIT)))
        mounts.append(k8s.V1VolumeMount(name=name, mount_path=folder))
        variables[FOLDERS_VARIABLE] = ":".join(filter(None, (variables.get(FOLDERS_VARIABLE), folder)))
    env = [k8s.V1EnvVar(name="PYTHONUNBUFFERED", value="1")]
    env += [k8s.V1EnvVar(name=name, value=value) for name, value in variables.items()]
    return volumes, mounts, env


def _folders_of_files(request: StepRequest) -> list[str]:
    """Folders that the runner puts variables into that are files. The pod says nothing more of them."""
    paths = [one.file_mount_path for one in request.variables.values() if one.file_mount_path]
    return [folder for folder in FOLDERS if any(path.startswith(f"{folder}/") for path in paths)]


def _whole(secrets: str) -> list[k8s.V1VolumeProjection]:
    return [_projection(name) for name in object_names(secrets)]


def git_secret(request: StepRequest) -> str | None:
    """The Kubernetes Secret with the git credentials of a step; ``None`` without any, or when the worker copies them.

    :raises ValueError: when the reference is no name of a Secret.
    """
    source = str(setting("kubernetes_git_credentials"))
    if source not in ("secret", "connection"):
        raise ValueError(f"[dagctl] kubernetes_git_credentials must be 'secret' or 'connection', not {source!r}")
    name = request.launcher.git_secret_ref
    if source == "connection" or request.launcher.git_auth_method == "none" or not name:
        return None
    try:
        check_object_name(name)
    except ValueError as error:
        raise ValueError(f"git_secret_ref: {error}") from None
    return name


def _projections(pieces: Sequence[Piece], volume: str) -> list[k8s.V1VolumeProjection]:
    secrets = dict.fromkeys(piece.secret for piece in pieces if piece.volume == volume)
    return [
        _projection(secret, [piece.name for piece in pieces if (piece.volume, piece.secret) == (volume, secret)])
        for secret in secrets
    ]


def _projection(secret: str, files: Sequence[str] | None = None) -> k8s.V1VolumeProjection:
    items = [k8s.V1KeyToPath(key=name, path=name) for name in files] if files else None
    return k8s.V1VolumeProjection(secret=k8s.V1SecretProjection(name=secret, items=items))


def _sidecar(request: StepRequest, runner: k8s.V1Container) -> k8s.V1Container:
    """Keeps the volume with the result, and so the pod, until the result was read."""
    own = str(setting("kubernetes_xcom_image"))
    return k8s.V1Container(
        name=SIDECAR,
        image=own or runner.image,
        image_pull_policy=None if own else runner.image_pull_policy,
        command=["sh", "-c", _HOLD],
        # Most small images run as root unless told otherwise, and that is not allowed here. The group may read the result.
        security_context=_container_security(_OTHER_USER) if own else runner.security_context,
        resources=k8s.V1ResourceRequirements(requests={"cpu": "1m", "memory": "16Mi"}, limits={"cpu": "250m", "memory": "64Mi"}),
        volume_mounts=[k8s.V1VolumeMount(name="xcom", mount_path=RESULTS)],
    )


def _resources(wanted: Mapping[str, str]) -> k8s.V1ResourceRequirements | None:
    def of(kind: str) -> dict[str, str] | None:
        return {name: wanted[f"{name}_{kind}"] for name in ("cpu", "memory") if wanted.get(f"{name}_{kind}")} or None

    return k8s.V1ResourceRequirements(requests=of("request"), limits=of("limit")) if wanted else None


def _json_setting(name: str) -> Any:
    text = str(setting(name)).strip()
    try:
        return json.loads(text) if text else None
    except ValueError as error:
        raise ValueError(f"[dagctl] {name} is no JSON: {error}") from None


def _model(value: Any, kind: type) -> Any:
    """A part of a pod written as in YAML, as an object of the client."""
    names = {theirs: ours for ours, theirs in kind.attribute_map.items()}  # type: ignore[attr-defined]
    try:
        return kind(**{names[key]: member for key, member in value.items()})
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"[dagctl] kubernetes_tolerations: {error}") from None
