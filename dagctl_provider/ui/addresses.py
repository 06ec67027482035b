"""Addresses of the pages and of Airflow's own, whatever path Airflow itself is served at."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from flask import request

from dagctl_provider.domain.names import FLASK_PREFIX, PAGES_ROUTE

_MAX_NEXT = 2000


def airflow_root() -> str:
    """Airflow's own path: empty, or the one of a ``base_url`` with a prefix."""
    return request.script_root.removesuffix(FLASK_PREFIX)


def page_url(*parts: str, **query: object) -> str:
    """Address of a page: ``page_url("projects", id, "edit")``.

    :param parts: Path segments; each is escaped as one.
    :param query: Parameters; those without value are left out.
    """
    path = "".join(f"/{quote(str(part), safe='')}" for part in parts)
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.script_root}{PAGES_ROUTE}{path}" + (f"?{urlencode(given)}" if given else "")


def here(**changes: object) -> str:
    """Address of this page with other parameters.

    :param changes: New values; ``None`` takes one away.
    """
    query = {**request.args.to_dict(), **changes}
    given = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{request.script_root}{request.path}" + (f"?{urlencode(given)}" if given else "")


def absolute(address: str) -> str:
    """An address for other people: where ``[api] base_url`` is not set, as whoever asks reaches this Airflow."""
    return address if "://" in address else f"{request.host_url.rstrip('/')}{airflow_root()}{address}"


def login_url() -> str:
    """Airflow's sign-in, which comes back to this page."""
    path = f"{request.script_root}{request.full_path.rstrip('?')}"
    back = path if len(path) <= _MAX_NEXT else f"{request.script_root}{request.path}"
    return f"{airflow_root()}/auth/login?{urlencode({'next': back})}"


def dag_url(dag_id: str) -> str:
    """A Dag in Airflow."""
    return f"{airflow_root()}/dags/{quote(dag_id, safe='')}"


def run_url(dag_id: str, run_id: str) -> str:
    """A Dag run in Airflow."""
    return f"{dag_url(dag_id)}/runs/{quote(run_id, safe='')}"


def task_url(dag_id: str, run_id: str, task_id: str) -> str:
    """A task of a Dag run in Airflow; its log is what opens first."""
    return f"{run_url(dag_id, run_id)}/tasks/{quote(task_id, safe='')}"
