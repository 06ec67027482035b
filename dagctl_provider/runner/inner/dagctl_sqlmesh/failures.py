"""Turns whatever went wrong into a stable code and one line that names the real cause."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from dagctl_common.channel import StepFailed, plain
from dagctl_common.refusals import is_refusal

from dagctl_sqlmesh.consoles import failed_node
from dagctl_sqlmesh.journals import Step

DRIVERS = {
    "psycopg2", "duckdb", "snowflake", "google", "databricks", "redshift_connector", "pymssql", "_mssql", "pyodbc", "MySQLdb",
    "pymysql", "trino", "pyathena", "clickhouse_connect", "ibm_db_dbi", "pyspark", "py4j", "botocore", "mssql_python", "requests",
    "urllib3",
}  # fmt: skip

_STAGE_CODES = {
    "config": "project_load_failed",
    "load": "project_load_failed",
    "state": "state_unreachable",
    "lock": "state_unreachable",
    "tests": "tests_failed",
    "plan": "plan_failed",
    "migrate": "state_migration_failed",
    "apply": "apply_failed",
    "run": "apply_failed",
    "job": "command_failed",
}


_FQN = re.compile(r'"[^"\s]+"\."[^"\s]+"\."[^"\s]+"')
"""A model's full name, as SQLMesh's errors have it; people know it by another."""


def chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: list[int] = []
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.append(id(current))
        yield current
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)


def from_driver(error: BaseException) -> BaseException | None:
    """The database driver's own error, if there is one."""
    for link in chain(error):
        if type(link).__module__.split(".")[0] in DRIVERS:
            return link
    return None


def text_of(step: Step, error: BaseException) -> str:
    """One readable line for an error, without the scratch folder in it."""
    link = from_driver(error) or error
    text = _FQN.sub(lambda found: step.journal.names.of(found[0]), step.shorten(str(link)))
    name = type(link).__name__
    return f"{name}: {text}" if text else name


def failure_of(step: Step, error: BaseException) -> StepFailed:
    """What to answer for an error.

    :param step: Knows the part of the step it happened in, and which models failed.
    :param error: Any error.
    """
    if isinstance(error, StepFailed):
        return error
    if step.channel.stage_name in ("apply", "run"):
        failed = model_failure(step, error)
        if failed:
            return failed
    names = {type(link).__name__ for link in chain(error)}
    text = text_of(step, error)
    if step.channel.stage_name == "plan" and step.journal.errors:
        # What SQLMesh said before it gave up names the models.
        text = f"{'; '.join(step.journal.errors[:3])} ({text})"
    driver = from_driver(error)
    if "ConflictingPlanError" in names:
        return StepFailed("conflicting_plan", text)
    if "StateMigrationError" in names:
        return StepFailed("state_migration_failed", text)
    if driver is not None and step.channel.stage_name not in ("state", "lock") and is_refusal(driver):
        return StepFailed("warehouse_refused", text)
    return StepFailed(_STAGE_CODES.get(step.channel.stage_name, "internal"), text)


def model_failure(step: Step, error: BaseException | None = None) -> StepFailed | None:
    """The failure of the first model that failed, if one did.

    :param step: Its journal collected failures as they happened.
    :param error: What the whole apply raised; may be about one model as well.
    """
    failures = dict(step.journal.failures)
    for link in chain(error) if error else ():
        if type(link).__name__ == "NodeExecutionFailedError":
            failures.setdefault(failed_node(link), link.__cause__ or link)
        for nested in getattr(link, "errors", None) or () if type(link).__name__ == "SnapshotCreationFailedError" else ():
            failures.setdefault(failed_node(nested), nested.__cause__ or nested)
    real = {fqn: cause for fqn, cause in failures.items() if type(cause).__name__ != "Cancelled"}
    if not real:
        return None
    fqn, cause = next(iter(real.items()))
    more = f" (and {len(real) - 1} more)" if len(real) > 1 else ""
    audits = audit_text(step, cause)
    code = "audit_failed" if audits else "warehouse_refused" if _is_refusal(cause) else "model_failed"
    return StepFailed(code, f"{step.journal.names.of(fqn)}: {audits or text_of(step, cause)}{more}")


def reason_of(step: Step, error: BaseException) -> str:
    """Why a model failed, in one line, as the end of the step tells it of the first one.

    :param error: What was raised.
    """
    return audit_text(step, error) or text_of(step, error)


def _is_refusal(error: BaseException) -> bool:
    driver = from_driver(error)
    return driver is not None and is_refusal(driver)


def audit_text(step: Step, error: BaseException) -> str | None:
    """Which audit failed with how many rows."""
    for link in chain(error):
        found: list[Any] = list(getattr(link, "errors", None) or []) if type(link).__name__ == "NodeAuditsErrors" else []
        if type(link).__name__ == "AuditError":
            found = [link]
        if found:
            audit = found[0]
            name, count = getattr(audit, "audit_name", None), getattr(audit, "count", None)
            return f"audit {name} found {count} bad row(s)" if name else " ".join(plain(audit).split())
    return None
