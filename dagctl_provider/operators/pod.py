"""Runs a plan step as a Kubernetes pod."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from airflow.providers.cncf.kubernetes.operators.pod import KubernetesPodOperator
from airflow.providers.common.compat.sdk import AirflowException
from kubernetes.client import models as k8s

from dagctl_provider.config import filled_in, setting
from dagctl_provider.domain.ids import slug
from dagctl_provider.operators.steps import StepKind, report, runner_request, step_request

_SECRETS = "/var/run/secrets/dagctl"
_RESULT = "/airflow/xcom/return.json"
_LABEL_KEYS = {"organization_id": "organization", "project_id": "project", "plan_group_id": "plan-group", "step_id": "step"}


class PodStepOperator(KubernetesPodOperator):
    """Runs the runner in a pod. Image, resources and name follow from the step's request.

    :param kind: ``explain``, ``execute`` or ``run``.
    """

    # Everything that varies is set from the request when the task runs. Nothing of it is a template: names and commit
    # messages are hostile text.
    template_fields = ()

    def __init__(self, *, kind: StepKind, **kwargs: Any) -> None:
        defaults: dict[str, Any] = {
            "name": f"dagctl-{kind}",
            "namespace": setting("kubernetes_namespace"),
            "kubernetes_conn_id": setting("kubernetes_conn_id") or None,
            "service_account_name": setting("kubernetes_service_account") or None,
            "do_xcom_push": True,
            "get_logs": True,
            "reattach_on_restart": True,
            "random_name_suffix": True,
            "automount_service_account_token": False,
            "retries": 1,
            "retry_delay": timedelta(seconds=5),
        }
        super().__init__(**{**defaults, **kwargs})
        self.kind = kind
        self._request: dict[str, Any] = {}
        self._result: dict[str, Any] | None = None

    def execute(self, context: Any) -> None:
        """Run the step and report its result, which travels by XCom ``result`` as with the process launcher."""
        self._request = request = step_request(context, self.kind)
        self._prepare()
        try:
            super().execute(context)
        except AirflowException:
            # A failed pod raises after its result was read; without a result the pod's own failure is the cause.
            if self._result is None:
                raise
        report(context, request, self._result, pod_name=self.pod.metadata.name if self.pod else None)

    def _prepare(self) -> None:
        request = self._request
        self.name = str(request.get("job_name") or f"{slug(str(request['project_name']))}-{self.kind}")
        self.image = filled_in("runner_image", tool=str(request["tool"]), version=str(request["tool_version"]))
        self.cmds = ["python", "-m", "dagctl_provider.runner"]
        self.arguments = [self.kind, "--result", _RESULT, "--secrets", _SECRETS, "--timeout", str(setting("step_timeout"))]
        self.env_vars = [k8s.V1EnvVar(name="DAGCTL_REQUEST", value=json.dumps(runner_request(request)))]
        self.labels = {f"dagctl/{label}": str(request[key]) for key, label in _LABEL_KEYS.items() if request.get(key)}
        self.labels["dagctl/commit"] = str(request["commit_sha"])
        self.container_resources = _resources(request.get("resources") or {})
        secret = filled_in("kubernetes_secret", project=slug(str(request["project_name"])))
        if secret:
            source = k8s.V1SecretVolumeSource(secret_name=secret, default_mode=0o400)
            self.volumes = [k8s.V1Volume(name="dagctl-secrets", secret=source)]
            self.volume_mounts = [k8s.V1VolumeMount(name="dagctl-secrets", mount_path=_SECRETS, read_only=True)]

    def extract_xcom(self, pod: k8s.V1Pod, **kwargs: Any) -> None:
        """Keep the runner's result, also that of a failed pod. It is reported by :meth:`execute`, not returned."""
        result = super().extract_xcom(pod, **kwargs)
        self._result = result if isinstance(result, dict) else None


def _resources(wanted: dict[str, str]) -> k8s.V1ResourceRequirements:
    def of(kind: str) -> dict[str, str]:
        return {name: wanted[f"{name}_{kind}"] for name in ("cpu", "memory") if wanted.get(f"{name}_{kind}")}

    return k8s.V1ResourceRequirements(requests=of("request"), limits=of("limit"))
