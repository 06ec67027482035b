"""The ``[dagctl]`` section of ``airflow.cfg`` as one table; provider info, readers and docs are made from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Setting:
    """One row of the settings table.

    :param kind: How the text is read.
    :param default: Text as it would stand in ``airflow.cfg``.
    :param description: One or two sentences for people.
    :param example: An example value, where the default says too little.
    """

    kind: Literal["string", "boolean", "integer", "float"]
    default: str
    description: str
    example: str | None = None


SECTION = "dagctl"

SETTINGS: Mapping[str, Setting] = {
    "launcher": Setting(
        "string",
        "kubernetes",
        "How plan steps run: 'kubernetes' (KubernetesPodOperator) or 'process' (a child process of the worker).",
    ),
    "process_user": Setting(
        "string",
        "",
        "User of the machine that steps of the launcher 'process' run as, so that a project's code cannot read what is "
        "Airflow's; <project> is filled in. Empty: the worker's own. See security.md.",
        "dagctl-steps",
    ),
    "default_organization": Setting("string", "default", "Name of the organization made on first start."),
    "default_role": Setting(
        "string",
        "reader",
        "Role in which users of Airflow become members of the default organization on first use: owner, admin, developer or "
        "reader. Whoever has Airflow's admin right becomes owner. Empty: nobody enters uninvited.",
    ),
    "polling_interval": Setting("float", "60", "Seconds between two looks at the branch of a project."),
    "polling_workers": Setting("integer", "8", "How many remotes are asked at the same time."),
    "polling_max_backoff": Setting("float", "900", "Longest pause in seconds before a failing remote is asked again."),
    "tick_seconds": Setting("float", "1", "Seconds between two looks of the controller at active plans."),
    "allow_local_repositories": Setting(
        "boolean",
        "False",
        "Accept file:// repositories and absolute paths. Only for demos and tests: they read the disks of servers and workers. "
        "Set it for both.",
    ),
    "allow_private_hosts": Setting(
        "boolean",
        "False",
        "Accept repositories on private, loopback or link-local addresses. Set it for API servers and workers.",
    ),
    "public_keys": Setting(
        "string",
        "",
        "Public keys by which workers know what dagctl decided, with commas between them; 'airflow dagctl keys' prints them. "
        "Empty: workers ask the API server of [core] execution_api_server_url.",
    ),
    "git_timeout": Setting("float", "30", "Seconds after which a git command against a remote is given up."),
    "cache_folder": Setting("string", "", "Folder for git caches and tool environments. Empty: 'dagctl' in AIRFLOW_HOME."),
    "state_database_conn_id": Setting(
        "string",
        "",
        "Airflow connection (postgres) that may create roles and databases for managed SQLMesh state. Empty: none is managed.",
        "dagctl_state_admin",
    ),
    "project_connection": Setting(
        "string",
        "dagctl_<project>",
        "Airflow connection (type dagctl) whose variables reach a project's steps, if it exists; <project>: shop_eu for Shop EU. "
        "Explains have the connection of that name with '_explain' behind it instead, if that exists.",
    ),
    "runner_image": Setting(
        "string",
        "dagctl-runner:<tool>-<version>",
        "Image of the runner pods; <tool>, <version>, <python> and <project> are filled in.",
        "registry.example.com/dagctl-runner:<tool>-<version>",
    ),
    "kubernetes_conn_id": Setting("string", "", "Airflow connection to the cluster. Empty: in-cluster or default kubeconfig."),
    "kubernetes_namespace": Setting("string", "default", "Namespace of the runner pods."),
    "kubernetes_service_account": Setting("string", "", "Service account of the runner pods. Empty: the namespace's default."),
    "kubernetes_image_pull_secrets": Setting(
        "string", "", "Secrets for pulling the runner image, names with commas between them.", "registry-login"
    ),
    "kubernetes_node_selector": Setting(
        "string", "", "Labels of the nodes that may run the pods, as a JSON object.", '{"disktype": "ssd"}'
    ),
    "kubernetes_tolerations": Setting(
        "string",
        "",
        "Taints of nodes that the pods tolerate, as a JSON list.",
        '[{"key": "data", "operator": "Exists", "effect": "NoSchedule"}]',
    ),
    "kubernetes_pod_template": Setting(
        "string",
        "",
        "File on workers and API server with a pod (YAML) that all runner pods start from: volumes, security context, affinity. "
        "Its first container is the runner's.",
        "/opt/airflow/dagctl-pod.yaml",
    ),
    "kubernetes_fs_group": Setting(
        "string", "10001", "Group that volumes of the pods belong to. Empty where the cluster chooses it, as OpenShift does."
    ),
    "kubernetes_secret": Setting(
        "string",
        "",
        "Name of a Kubernetes Secret mounted into the runner pods as the secrets folder; <project> is filled in.",
        "dagctl-<project>",
    ),
    "kubernetes_env_secret": Setting(
        "string",
        "",
        "Name of a Kubernetes Secret whose keys become environment variables of the tool; <project> is filled in.",
        "warehouse-<project>",
    ),
    "kubernetes_explain_secret": Setting(
        "string",
        "",
        "The same as kubernetes_secret for explains alone, with credentials that may only read; the same names of variables. "
        "Empty: the same Secret.",
        "dagctl-<project>-explain",
    ),
    "kubernetes_explain_env_secret": Setting(
        "string",
        "",
        "The same as kubernetes_env_secret for explains alone, with credentials that may only read; the same keys. "
        "Empty: the same Secret.",
        "warehouse-<project>-explain",
    ),
    "kubernetes_git_credentials": Setting(
        "string",
        "secret",
        "Where pods get git credentials: 'secret' (git_secret_ref names a Kubernetes Secret with ssh-privatekey and known_hosts, "
        "or token) or 'connection' (the worker copies them from the Airflow connection of that name).",
    ),
    "kubernetes_xcom_image": Setting(
        "string", "", "Image of the sidecar that holds a step's result; needs sh, gzip, base64. Empty: the runner image."
    ),
    "kubernetes_schedule_timeout": Setting("float", "600", "Seconds a pod may wait for a node."),
    "kubernetes_startup_timeout": Setting("float", "600", "Seconds a pod may take on its node before the step starts."),
    "kubernetes_api_patience": Setting("float", "300", "Seconds the Kubernetes API may be away before a step is given up."),
    "kubernetes_successful_pods_kept": Setting("integer", "0", "Pods of steps that succeeded, kept per project."),
    "kubernetes_failed_pods_kept": Setting("integer", "1", "Pods of steps that failed, kept per project for a look at them."),
    "successful_runs_history_limit": Setting(
        "integer", "3", "How many runs that succeeded are kept per project; older ones leave Airflow's list of Dag runs."
    ),
    "failed_runs_history_limit": Setting("integer", "3", "How many runs that failed are kept per project."),
    "metrics_retention_days": Setting(
        "integer", "180", "How many days runs, their models and the sums of days stay on record; 0 keeps them for ever."
    ),
    "notifiers": Setting(
        "string",
        "",
        "Who is told when plans wait, are approved, rejected, fail or complete: a JSON list; see notifications.md.",
        '[{"name": "ops", "events": ["pending", "failed"], "projects": ["shop*"], "webhook_conn_id": "ops_webhook"}]',
    ),
    "slack_conn_id": Setting(
        "string",
        "slack_api_default",
        "Airflow connection of the type slack by which jobs tell their channel; needs apache-airflow-providers-slack.",
    ),
    "data_folder": Setting(
        "string",
        "",
        "Folder on workers where relative warehouse files of projects (DuckDB, SQLite) are kept between steps. "
        "Empty: such projects are refused.",
        "/var/lib/dagctl/data",
    ),
    "unstable_plans": Setting(
        "string",
        "exclude",
        "What becomes of plans of which parts differ each time they are computed: 'exclude' (these parts are named to the "
        "reviewer and not compared) or 'refuse'.",
    ),
    "step_timeout": Setting("float", "21600", "Seconds after which an explain, execute or run is stopped."),
    "body_limit": Setting(
        "integer",
        "1048576",
        "Most bytes of a request body below the paths of this package, all of Airflow's /pluginsv2 included. "
        "Adopting a project takes up to 32 MiB whatever this says.",
    ),
    "body_timeout": Setting("float", "20", "Seconds in which a request body has to be there as a whole."),
    "outside_requests": Setting(
        "integer", "8", "How many requests to an API server process may ask git remotes or the cluster at the same time."
    ),
    "outside_queue": Setting(
        "integer",
        "24",
        "How many more requests may wait for their turn to do so; beyond them the answer is 503 with Retry-After.",
    ),
    "outside_patience": Setting("float", "10", "Seconds after which a request that waits for its turn is answered 503."),
    "requests_per_actor": Setting(
        "integer", "16", "How many requests of one token or user an API server process serves at the same time."
    ),
    "streams_per_actor": Setting(
        "integer", "100", "How many event streams (open pages) one user may have in an API server process."
    ),
    "explains_per_actor": Setting(
        "integer", "20", "How many plans that one token or user asked an API server process for may be explained at a time."
    ),
    "dag_bundle": Setting("string", "dags-folder", "Dag bundle that holds the dagctl Dag file."),
    "dag_file": Setting("string", "dagctl_dags.py", "Path of the dagctl Dag file inside its bundle."),
}
