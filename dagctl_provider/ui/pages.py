"""What every page has: who looks at it, the frame around it, headers that let nothing foreign in, pages for errors.

A page is a method of a subclass of :class:`Pages`::

    class PlanPages(Pages):
        @expose("/plans/<plan_id>")
        def plan(self, plan_id: str) -> Response:
            actor = signed_in("read")
            return page("plan/plan.html", actor, title="Plan", nav="plans", ...)

Templates are rendered by an environment of their own, not by Flask's: Airflow's templates have the same names, and here
everything is escaped and nothing undefined goes through.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

import flask_appbuilder
from flask import Blueprint, Response, current_app, redirect, request
from jinja2 import Environment, PackageLoader, StrictUndefined
from werkzeug.exceptions import HTTPException

from dagctl_provider.api import limits, problems
from dagctl_provider.api.authentication import authenticate
from dagctl_provider.api.requests import is_identifier
from dagctl_provider.api.resources import VIEW_PERMISSIONS
from dagctl_provider.domain.errors import DagctlError, not_found
from dagctl_provider.domain.ids import short_sha
from dagctl_provider.domain.names import PAGES_ROUTE
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.services.outside.airflow_users import VIEW_NAME
from dagctl_provider.ui import addresses, filters
from dagctl_provider.ui.assets import asset_path
from dagctl_provider.ui.project_actions import offered
from dagctl_provider.ui.said import SAID

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self' data:",
            "font-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "frame-ancestors 'self'",
            "base-uri 'none'",
        )
    ),
    # Without a referrer browsers send "Origin: null" with forms, and then nobody could tell an own page from a foreign one.
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
"""On every answer of the pages that does not set one itself."""


PageT = TypeVar("PageT", bound=Callable[..., Response])


def expose(rule: str, methods: tuple[str, ...] = ("GET",)) -> Callable[[PageT], PageT]:
    """Serve a method of :class:`Pages` at an address, as Flask AppBuilder does, whose decorator has no types.

    :param rule: The address below the pages, with Flask's places.
    :param methods: What the page answers to.
    """
    exposed: Callable[[PageT], PageT] = flask_appbuilder.expose(rule, methods=methods)
    return exposed


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dagctl_provider.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        age=filters.age,
        when=filters.when,
        duration=filters.duration,
        counted=filters.counted,
        first_line=filters.first_line,
        short=short_sha,
        offered=offered,
    )
    environment.globals.update(
        url=addresses.page_url,
        here=addresses.here,
        airflow_root=addresses.airflow_root,
        dag_url=addresses.dag_url,
        run_url=addresses.run_url,
        task_url=addresses.task_url,
        asset=lambda name: f"{addresses.page_url()}{asset_path(name)}",
    )
    return environment


_ENVIRONMENT = _environment()


def signed_in(permission: str = "read") -> Actor:
    """The actor of this request, who must hold ``permission``.

    For writes it also makes sure that the request comes from a page of this Airflow.

    :raises DagctlError: ``unauthenticated``, ``forbidden``, ``cross_site_request``, ``invalid_request`` for forms with a NUL.
    """
    actor = authenticate("page")
    actor.require(permission)
    if unfit := {name: "must not hold a NUL" for name, values in request.form.lists() if any("\0" in text for text in values)}:
        raise problems.invalid_fields(unfit)
    return actor


def require_storable() -> None:
    """Refuse addresses with a NUL, which no database takes: there can be nothing of that name.

    :raises DagctlError: ``not_found``.
    """
    told = [*(request.view_args or {}).values(), *(text for _, texts in request.args.lists() for text in texts)]
    if any("\0" in str(text) for text in told):
        # Not one of Werkzeug's: Airflow has a page of its own for those.
        raise DagctlError("not_found", "There is no such page.")


def check_id(identifier: str, what: str) -> str:
    """``identifier``, if it has the shape of one.

    :raises DagctlError: ``not_found``.
    """
    if not is_identifier(identifier):
        raise not_found(what, identifier)
    return identifier


def render(template: str, **context: object) -> str:
    """A template as text."""
    return _ENVIRONMENT.get_template(template).render(**context)


def page(template: str, actor: Actor | None, *, title: str, nav: str = "", status: int = 200, **context: object) -> Response:
    """A page in the common frame.

    :param actor: Who looks at it; ``None`` when nobody is known. Templates ask ``may("approve_plan")``.
    :param title: Of the window; the page gives its own heading.
    :param nav: Which entry of the navigation is current: ``projects``, ``plans``.
    :param context: For the template.
    """
    held = actor.permissions if actor is not None else frozenset()
    frame = {
        "title": title,
        "nav": nav,
        "actor": actor,
        "may": held.__contains__,
        "said": SAID.get(request.args.get("said", "")),
        "version": "",
    }
    return Response(render(template, **{**frame, **context}), status, content_type="text/html; charset=utf-8")


def json_answer(value: object, status: int = 200) -> Response:
    """JSON for the scripts of a page."""
    return Response(json.dumps(value), status, content_type="application/json")


def back_to(address: str) -> Response:
    """Go on with a page after a write, so that reloading it does not write again."""
    # Flask makes one of its own answers and calls it one of Werkzeug's, here and below.
    return redirect(address, 303)  # type: ignore[return-value]


def _asked_by_script() -> bool:
    return "X-Dagctl-Request" in request.headers or request.accept_mimetypes.best == "application/json"


def answer_error(error: Exception) -> Response:
    """A page, or a problem document for a script, for whatever was raised on the way."""
    if isinstance(error, HTTPException) and error.code is not None and 300 <= error.code < 400:
        return error.get_response()  # type: ignore[return-value]
    told, headers = problems.from_exception(error)
    if _asked_by_script():
        return problems.respond(told, headers)
    if told.kind.status == 401:
        return _answer_signed_out(told)
    if told.code == "not_found" and isinstance(error, HTTPException):
        told = DagctlError("not_found", "There is no such page.")
    answer = page("error.html", None, title=told.kind.title, status=told.kind.status, error=told)
    answer.headers.update(headers)
    return answer


def _answer_signed_out(error: DagctlError) -> Response:
    """Off to Airflow's sign-in and back; inside Airflow's own page a sign-in in the frame would confuse, so it is told there."""
    if request.method in ("GET", "HEAD") and request.headers.get("Sec-Fetch-Dest") != "iframe":
        return redirect(addresses.login_url(), 302)  # type: ignore[return-value]
    return page("signed_out.html", None, title="Session expired", status=401, error=error, login=addresses.login_url())


def add_headers(response: Response) -> Response:
    """The headers of :data:`HEADERS`."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


# Flask AppBuilder has no types.
class Pages(flask_appbuilder.BaseView):  # type: ignore[misc]
    """Base of the views. Rights are asked of the actor; Flask AppBuilder only gets to know which there are."""

    route_base = PAGES_ROUTE
    class_permission_name = VIEW_NAME
    base_permissions = list(VIEW_PERMISSIONS)

    def create_blueprint(self, *args: object, **kwargs: object) -> Blueprint:
        blueprint: Blueprint = super().create_blueprint(*args, **kwargs)
        protection = current_app.extensions.get("csrf")
        if protection is not None:
            # That one wants a token in Flask's session; ours asks where a write comes from, for the API and the pages alike.
            protection.exempt(blueprint)
        blueprint.register_error_handler(Exception, answer_error)
        blueprint.before_request(require_storable)
        blueprint.after_request(add_headers)
        blueprint.teardown_request(limits.end)
        return blueprint
