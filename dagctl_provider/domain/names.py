"""Names shared by the generated Dags, the pages and whoever looks at them: tasks, XCom keys, Variables, pools, addresses."""

from __future__ import annotations

EXPLAIN = "explain"
APPROVAL = "await_approval"
EXECUTE = "execute"
RUN = "run"

DECISION_KEY = "decision"
ANSWER_KEY = "answer"
COMMENT_PARAM = "comment"
RESULT_KEY = "result"
INPUTS_KEY = "inputs"
GRANT_KEY = "grant"
VARIABLES_KEY = "variables"
ARTIFACTS_KEY = "artifacts"
PROGRESS_KEY = "progress"
POD_KEY = "pod"

# Where a step finds what the API server gives it to start from. Airflow clears a task's own XComs when the task starts, so the
# inputs of a step stand with the other task of the run: execute has not started then, and explain never starts again.
INPUTS_TASK = {"explain": EXECUTE, "execute": EXPLAIN}

# Where what lets a step run lies, and with it the step's variables; for the same reason. A Dag of runs has one task only: its
# grant is written when it has started.
GRANT_TASK = {**INPUTS_TASK, "run": RUN}

DAG_PREFIX = "dagctl__"
RUN_SUFFIX = "__run"
INDEX_VARIABLE = f"{DAG_PREFIX}index"
TAG = "dagctl"

# Two underscores: no project's own connection is called so by itself.
PLAN_KEY_CONNECTION = f"{DAG_PREFIX}plan_key"
SEAL_KEY_CONNECTION = f"{DAG_PREFIX}seal_key"
# After the id of a connection: the one that an explain has instead, where there is one.
EXPLAIN_SUFFIX = "_explain"

# Airflow mounts the Flask views of plugins at the first, below the path that it is served at itself; the pages are among them.
FLASK_PREFIX = "/pluginsv2"
# Where the API server says by which keys it signs what workers believe.
TRUST_PREFIX = "/dagctl/trust"
PUBLIC_KEYS = f"{TRUST_PREFIX}/keys"
PAGES_ROUTE = "/dagctl"
PAGES = FLASK_PREFIX + PAGES_ROUTE

# Each step is the work of one task.
_TASK_OF = {"explain": EXPLAIN, "execute": EXECUTE}


def task_of(plan_type: str) -> str:
    """The task that does the work of a step.

    :param plan_type: ``explain`` or ``execute``.
    """
    return _TASK_OF[plan_type]


def plan_dag_id(slug: str, mark: str) -> str:
    """Id of the Dag that makes the plans of a project.

    :param slug: Of the project's name.
    :param mark: What tells it from other projects of that name.
    """
    return f"{DAG_PREFIX}{slug}__{mark}"


def run_dag_id(dag_id: str) -> str:
    """Id of the Dag that runs what a project has deployed.

    :param dag_id: Of the plan Dag.
    """
    return f"{dag_id}{RUN_SUFFIX}"


def job_dag_id(dag_id: str, slug: str, mark: str) -> str:
    """Id of the Dag of a job that is not the default one.

    :param dag_id: Of the project's plan Dag.
    :param slug: Of the job's name when it was made.
    :param mark: What tells it from other jobs of that name.
    """
    return f"{dag_id}__{slug}-{mark}{RUN_SUFFIX}"


def project_variable(dag_id: str) -> str:
    """Name of the Variable a worker reads to build the Dags of one project: the id of its plan Dag.

    :param dag_id: Of any Dag of the project. A slug holds no underscore, so the parts of an id can be told apart.
    """
    return "__".join(dag_id.removesuffix(RUN_SUFFIX).split("__")[:3])


def writer_pool(dag_id: str) -> str:
    """Name of the one-slot pool in which executes and runs of a project wait for each other."""
    return f"{project_variable(dag_id)}__writer"
