"""The table of operations as Flask AppBuilder resources.

Each class is one tag of the table. ``@protect`` of Flask AppBuilder is not used: it knows only the users of one auth manager
and no tokens. The permissions are declared all the same, so that the FAB auth manager offers them for its roles.
"""

from __future__ import annotations

import json

from flask import Blueprint, Response, request
from flask_appbuilder.api import BaseApi, expose

from dagctl_provider.api import openapi, problems
from dagctl_provider.api.authentication import authenticate
from dagctl_provider.api.handlers import Call
from dagctl_provider.api.requests import check_ids, read_body, read_query
from dagctl_provider.api.routes import DOCUMENT_PATH, OPERATIONS, PREFIX, Operation
from dagctl_provider.api.schemas import to_json
from dagctl_provider.domain.permissions import PERMISSIONS
from dagctl_provider.services.outside.airflow_users import VIEW_NAME

VIEW_PERMISSIONS = tuple(f"can_{name}" for name in PERMISSIONS)
"""All of them on every class: Flask AppBuilder deletes what a class registered under the same name does not list."""


def serve(operation: Operation, ids: dict[str, str]) -> Response:
    """One request from credentials to answer. What it raises becomes a problem document in :func:`answer_error`."""
    actor = authenticate()
    actor.require(operation.permission)
    check_ids(ids)
    query = read_query(operation.query)
    body = read_body(operation.body) if operation.body else None
    status, answer = operation.handler(Call(actor, ids, query, body))
    return json_response(json.dumps(to_json(answer)), status)


def answer_error(error: Exception) -> Response:
    """A problem document for whatever was raised on the way, by us or by Airflow before us."""
    return problems.respond(*problems.from_exception(error))


def json_response(text: str, status: int = 200) -> Response:
    """JSON that no cache keeps."""
    return Response(text, status, {"Cache-Control": "no-store"}, content_type="application/json")


def flask_rule(path: str) -> str:
    """``/plans/{planId}`` as Flask writes it."""
    return path.replace("{", "<").replace("}", ">")


def answer_unroutable() -> Response | None:
    """A problem document where Flask found no route, instead of Airflow's page for people."""
    error = request.routing_exception
    if error is None or not (request.path == PREFIX or request.path.startswith(f"{PREFIX}/")):
        return None
    return answer_error(error)


def release_session(_: BaseException | None) -> None:
    """Give back the thread's database session, which auth managers use and leave open."""
    from airflow import settings

    if settings.Session is not None:
        settings.Session.remove()


# Flask AppBuilder has no types.
class DagctlApi(BaseApi):  # type: ignore[misc]
    """Base of the resources: takes its routes from the table.

    :param tag: The tag of its operations.
    """

    version = "v1"
    route_base = PREFIX
    csrf_exempt = True
    class_permission_name = VIEW_NAME
    base_permissions = list(VIEW_PERMISSIONS)

    def __init_subclass__(cls, tag: str = "", **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        own = [operation for operation in OPERATIONS if operation.tag == tag]
        cls.method_permission_name = {operation.id: operation.permission for operation in own}
        for operation in own:
            setattr(cls, operation.id, _method(operation))

    def create_blueprint(self, *args: object, **kwargs: object) -> Blueprint:
        blueprint: Blueprint = super().create_blueprint(*args, **kwargs)
        blueprint.register_error_handler(Exception, answer_error)
        blueprint.teardown_request(release_session)
        return blueprint


def _method(operation: Operation) -> object:
    def method(self: DagctlApi, **ids: str) -> Response:
        return serve(operation, ids)

    method.__name__ = operation.id
    method.__doc__ = operation.summary
    return expose(flask_rule(operation.path), methods=(operation.method,))(method)


class ProjectsApi(DagctlApi, tag="Projects"):
    """Projects API."""

    resource_name = "projects"


class PlansApi(DagctlApi, tag="Plans"):
    """Plans API."""

    resource_name = "plans"


class DocumentApi(DagctlApi):
    """The OpenAPI document. It is public: it says what can be asked, and holds no data."""

    resource_name = "openapi"

    @expose(DOCUMENT_PATH.removeprefix(PREFIX), methods=("GET",))  # type: ignore[untyped-decorator]
    def get_document(self) -> Response:
        """The document, with the address it was asked at as server."""
        return Response(openapi.document_json(request.script_root), content_type="application/json")

    def create_blueprint(self, *args: object, **kwargs: object) -> Blueprint:
        blueprint = super().create_blueprint(*args, **kwargs)
        blueprint.before_app_request(answer_unroutable)
        return blueprint


RESOURCES = (ProjectsApi, PlansApi, DocumentApi)
