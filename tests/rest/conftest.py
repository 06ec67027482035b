"""The REST door with the real services behind it, on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from dagctl_provider.services import organizations, tokens
from tests.api import conformance
from tests.services.world import world

__all__ = ["world"]


@pytest.fixture(scope="session")
def app() -> Flask:
    """A Flask app with the product's resources."""
    from dagctl_provider.api.registry import RESOURCES

    made = Flask(__name__)
    with made.app_context():
        for resource in RESOURCES:
            made.register_blueprint(resource().create_blueprint(None))
    return made


@pytest.fixture
def headers(database: None) -> dict[str, str]:
    """Credentials of an owner of the organization that ``world`` uses."""
    organization_id = organizations.ensure_organization("acme")
    made = tokens.create_token(organization_id, "test", "owner", "test")
    return {"Authorization": f"Bearer {made.secret}", "X-Organization-ID": organization_id}


@pytest.fixture
def ask(app: Flask, headers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Ask as that owner: ``ask("GET", "/projects")``. Every answer must be as documented."""
    monkeypatch.setenv("AIRFLOW__DAGCTL__CACHE_FOLDER", str(tmp_path / "cache"))
    client = app.test_client()

    def send(method: str, path: str, **kwargs: Any) -> Any:
        answer = client.open(f"/api/v1{path}", method=method, headers={**headers, **kwargs.pop("headers", {})}, **kwargs)
        conformance.check(method, f"/api/v1{path}", answer)
        return answer

    return send
