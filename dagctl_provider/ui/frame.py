"""The files of the pages, and addresses that only lead on."""

from __future__ import annotations

from flask import Blueprint, Response, request, send_from_directory

from dagctl_provider.domain.names import PAGES_ROUTE
from dagctl_provider.ui import addresses
from dagctl_provider.ui.assets import STATIC, fingerprint
from dagctl_provider.ui.pages import Pages, add_headers, answer_error, back_to, expose

_FOR_GOOD = "public, max-age=31536000, immutable"


def answer_unroutable() -> Response | None:
    """Our page where Flask found no route below ours, instead of Airflow's."""
    error = request.routing_exception
    below = request.path == PAGES_ROUTE or request.path.startswith(f"{PAGES_ROUTE}/")
    return add_headers(answer_error(error)) if error is not None and below else None


class FramePages(Pages):
    """Start page and files."""

    @expose("/")
    def start(self) -> Response:
        """The projects are where everything begins."""
        return back_to(addresses.page_url("projects"))

    @expose("/static/<path:name>")
    def static_file(self, name: str) -> Response:
        """A script, style or picture; no secret is among them, so nobody needs to sign in."""
        response: Response = send_from_directory(STATIC, name)
        # Chunks carry the hash in their name, since scripts ask for them by name.
        current = name.startswith("chunks/") or request.args.get("v") == fingerprint(name)
        response.headers["Cache-Control"] = _FOR_GOOD if current else "no-cache"
        return response

    def create_blueprint(self, *args: object, **kwargs: object) -> Blueprint:
        blueprint = super().create_blueprint(*args, **kwargs)
        blueprint.before_app_request(answer_unroutable)
        return blueprint
