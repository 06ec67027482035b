"""What counts as an Airflow that is up, told from its answers alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from demo.options import DemoError
from demo.stack import COMPONENTS, Stack
from demo.terminal import Terminal

HEALTHY = {name.replace("-", "_"): {"status": "healthy"} for name in COMPONENTS}


def unhealthy(tmp_path: Path, plugin: Callable[[], httpx.Response]) -> list[str]:
    """What is missing in a stack whose components all beat, by what the plugin answers."""

    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=HEALTHY) if request.url.path.endswith("/monitor/health") else plugin()

    with httpx.Client(transport=httpx.MockTransport(answer)) as client:
        return Stack(tmp_path / "home", 8080, Terminal())._unhealthy(client)


def too_slow() -> httpx.Response:
    raise httpx.ReadTimeout("timed out")


def test_a_plugin_that_answers_is_all_it_takes(tmp_path: Path) -> None:
    assert unhealthy(tmp_path, lambda: httpx.Response(200)) == []


@pytest.mark.parametrize("plugin", [too_slow, lambda: httpx.Response(503)], ids=["slow", "not yet"])
def test_a_plugin_that_is_not_ready_yet_is_waited_for(tmp_path: Path, plugin: Callable[[], httpx.Response]) -> None:
    """Its first answer takes as long as making the web application does, on a machine that starts all else meanwhile."""
    assert unhealthy(tmp_path, plugin) == ["API server"]


def test_an_airflow_without_the_plugin_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match="without the dagctl plugin"):
        unhealthy(tmp_path, lambda: httpx.Response(404))
