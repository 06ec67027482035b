"""The pages over the real services and tables; git and Airflow's processes are those of the services' world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from tests.services.world import World, world

__all__ = ["world"]

ROOT = "/pluginsv2"
VOID = frozenset(("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"))


class Reader(HTMLParser):
    """Collects what a test asks about, and complains about tags that do not close."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID and not (tag == "option" and self._open and self._open[-1] == "datalist"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open, f"</{tag}> closes nothing"
        opened = self._open.pop()
        assert opened == tag, f"</{tag}> closes <{opened}>"

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@dataclass
class Shown:
    """A page as it came.

    :param elements: Tag and attributes of every element, in order.
    :param text: All text, blanks folded.
    """

    status: int
    headers: Any
    html: str
    elements: list[tuple[str, dict[str, str | None]]] = field(repr=False)
    text: str

    def all(self, tag: str, **attributes: str | None) -> list[dict[str, str | None]]:
        """Attributes of the elements of a kind that have all the given ones."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        return [own for kind, own in self.elements if kind == tag and wanted.items() <= own.items()]

    def links(self) -> list[str]:
        """Where the links of the page lead."""
        return [str(own["href"]) for own in self.all("a")]

    def fields(self) -> dict[str, Any]:
        """Attributes of the form's fields, by name."""
        return {str(own["name"]): own for kind, own in self.elements if kind in ("input", "select", "textarea") and "name" in own}


def read(response: Any) -> Shown:
    """A response as a page; its tags must be balanced."""
    html = response.get_data(as_text=True)
    reader = Reader()
    reader.feed(html)
    assert reader._open == []
    return Shown(response.status_code, response.headers, html, reader.elements, " ".join(" ".join(reader.texts).split()))


class Browser:
    """A browser of somebody who is signed in to Airflow.

    :param actor: Who; ``None`` when nobody is.
    """

    def __init__(self, client: FlaskClient) -> None:
        self._client = client
        self.actor: Actor | None = None

    def get(self, path: str, **headers: str) -> Shown:
        """A page."""
        return read(self._send("GET", path, None, headers))

    def json(self, path: str) -> Any:
        """What a script gets."""
        return self._send("GET", path, None, {"Accept": "application/json"}).get_json()

    def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> Any:
        """Send a form as a page of this Airflow does."""
        return self._send("POST", path, form or {}, {"Sec-Fetch-Site": "same-origin", **headers})

    def _send(self, method: str, path: str, form: dict[str, str] | None, headers: dict[str, str]) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._client.open(path, method=method, data=form, headers=named, base_url=f"http://airflow.example{ROOT}")


@pytest.fixture(scope="session")
def pages_app() -> Flask:
    """A Flask app with all pages."""
    from dagctl_provider.ui.views import VIEWS

    app = Flask("pages")
    with app.app_context():
        for view in VIEWS:
            app.register_blueprint(view().create_blueprint(None))
    return app


@pytest.fixture
def nobody(pages_app: Flask) -> Iterator[Browser]:
    """A browser without a session; nothing is faked."""
    with pages_app.test_client(use_cookies=False) as client:
        yield Browser(client)


@pytest.fixture
def browser(nobody: Browser, world: World, monkeypatch: pytest.MonkeyPatch) -> Browser:
    """A browser of an admin of the world's organization. Set ``actor`` to look as somebody else."""
    from dagctl_provider.api import authentication
    from dagctl_provider.services.outside import airflow_users

    nobody.actor = world.actor("admin", "ada")

    def user_from_token(token: str) -> Actor:
        if nobody.actor is None:
            raise DagctlError("unauthenticated", "The credential is not valid or has expired.")
        return nobody.actor

    send = nobody._send
    monkeypatch.setattr(
        nobody, "_send", lambda method, path, form, headers: send(method, path, form, {"Cookie": "_token=a.b.c", **headers})
    )
    monkeypatch.setattr(airflow_users, "user_from_token", user_from_token)
    monkeypatch.setattr(airflow_users, "public_host", lambda: "airflow.example")
    monkeypatch.setattr(authentication.members, "actor_for", lambda user, *named: user)
    monkeypatch.setattr(authentication.members, "person_for", lambda user, visit: user)
    return nobody
