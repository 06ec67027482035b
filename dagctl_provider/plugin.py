"""How Airflow finds the product.

Airflow imports this module in every one of its processes, but only the API server asks for views and apps. So those stand
behind :class:`OnFirstUse`: the attribute is computed when it is read, and a scheduler, a Dag processor or a worker that never
reads it imports neither Flask nor FastAPI nor any service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from dagctl_provider.domain.names import PAGES, TRUST_PREFIX


class OnFirstUse:
    """A list as a class attribute that is made when somebody looks.

    It answers on the class and on instances alike: Airflow instantiates plugins that come from entry points and folders, and
    uses the class itself for those that come from provider information.

    :param make: Makes the list. Called once; everybody gets the same list, because Airflow edits some in place.
    """

    def __init__(self, make: Callable[[], list[object]]) -> None:
        self._make = make
        self._made: list[Any] | None = None

    def __get__(self, instance: object, owner: type) -> list[object]:
        if self._made is None:
            self._made = self._make()
        return self._made


def _views() -> list[Any]:
    from dagctl_provider.api.registry import RESOURCES
    from dagctl_provider.ui.views import VIEWS

    return [{"view": view()} for view in (*RESOURCES, *VIEWS)]


def _apps() -> list[Any]:
    from dagctl_provider.api import trust
    from dagctl_provider.api.mount import make_app
    from dagctl_provider.api.registry import SERVED
    from dagctl_provider.ui import live

    # The controller lives in the lifespan of the first one.
    contracts = [
        {"app": make_app(controls=number == 0), "url_prefix": row.contract.prefix, "name": row.app}
        for number, row in enumerate(SERVED)
    ]
    # Before the stream of events, below whose path it is.
    keys = {"app": trust.make_app(), "url_prefix": TRUST_PREFIX, "name": "dagctl trust"}
    return [*contracts, keys, {"app": live.make_app(), "url_prefix": live.PREFIX, "name": "dagctl events"}]


def _middlewares() -> list[Any]:
    from dagctl_provider.api.gate import Gate
    from dagctl_provider.api.registry import CONTRACTS
    from dagctl_provider.ui import live

    return [{"middleware": Gate, "kwargs": {"contracts": CONTRACTS, "others": (live.PREFIX,)}, "name": "dagctl gate"}]


def _links() -> list[object]:
    from dagctl_provider.operators.links import PlanLink

    return [PlanLink()]


# Addresses without a leading slash: the browser puts the path that Airflow itself is served at before them.
_PAGES = PAGES.removeprefix("/")
EXTERNAL_VIEWS: list[Any] = [
    {
        "name": "dagctl",
        "destination": "nav",
        "href": f"{_PAGES}/projects",
        "url_route": "dagctl",
        "icon": f"{_PAGES}/static/nav.svg",
        "icon_dark_mode": f"{_PAGES}/static/nav-dark.svg",
    },
    {
        "name": "Plan",
        "destination": "dag_run",
        "href": f"{_PAGES}/runs/{{DAG_ID}}/{{RUN_ID}}",
        "url_route": "dagctl_plan",
        "icon": f"{_PAGES}/static/nav.svg",
        "icon_dark_mode": f"{_PAGES}/static/nav-dark.svg",
    },
]


class DagctlPlugin(AirflowPlugin):
    """The plugin: the REST API behind its gate, the controller in the lifespan of its app, and the pages with their places."""

    name = "dagctl"
    # Airflow asks for lists and only ever reads them, which the others do as well.
    appbuilder_views: list[Any] = OnFirstUse(_views)  # type: ignore[assignment]
    external_views = EXTERNAL_VIEWS
    fastapi_apps: list[Any] = OnFirstUse(_apps)  # type: ignore[assignment]
    fastapi_root_middlewares: list[Any] = OnFirstUse(_middlewares)  # type: ignore[assignment]
    operator_extra_links: list[Any] = OnFirstUse(_links)  # type: ignore[assignment]
