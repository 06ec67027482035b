"""The demo's REST client: nothing but the documented API, as anybody would use it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from demo.options import DemoError


class Client:
    """Speaks to ``/api/v1``.

    :param base_url: Address of Airflow.
    :param token: API token.
    :param organization_id: Whose projects.
    """

    def __init__(self, base_url: str, token: str, organization_id: str) -> None:
        self.headers = {"Authorization": f"Bearer {token}", "X-Organization-ID": organization_id}
        self.api = f"{base_url}/api/v1"
        self._http = httpx.Client(base_url=self.api, headers=self.headers, timeout=60)

    def request(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One request.

        :raises DemoError: with the answer's own words when it is an error.
        """
        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise DemoError(f"{method} {self.api}{path} got no answer: {error}", "Did something stop the API server?") from None
        try:
            document = answer.json()
        except ValueError:
            document = {"detail": answer.text[:300]}
        if answer.is_error:
            raise DemoError(
                f"{method} {path} answered {answer.status_code}: {document.get('detail') or document}",
                str(document.get("hint") or "See the API server's log."),
            )
        return dict(document)

    def plan(self, plan_id: str) -> dict[str, Any]:
        """One plan step."""
        return self.request("GET", f"/plans/{plan_id}")

    def steps(self, group_id: str) -> list[dict[str, Any]]:
        """All steps of a plan group."""
        return list(self.request("GET", f"/plans/group/{group_id}/steps")["steps"])

    def plans(self, project_id: str) -> list[dict[str, Any]]:
        """The newest plan steps of a project."""
        return list(self.request("GET", f"/projects/{project_id}/plans?limit=25")["plans"])

    def logs(self, plan_id: str) -> str:
        """The log of a step so far."""
        return str(self.request("GET", f"/plans/{plan_id}/logs")["logs"])

    def follow(
        self, plan_id: str, seconds: float, on_lines: Callable[[list[str]], None], tick: Callable[[], None]
    ) -> dict[str, Any]:
        """Wait until a step runs no more, handing on its log as it grows.

        :raises DemoError: when it takes longer than ``seconds``.
        """
        deadline, seen = time.monotonic() + seconds, 0
        while True:
            plan = self.plan(plan_id)
            lines = self.logs(plan_id).splitlines()
            if len(lines) > seen:
                on_lines(lines[seen:])
                seen = len(lines)
            if plan["status"] != "running":
                return plan
            if time.monotonic() > deadline:
                raise DemoError(f"Plan {plan_id} still runs after {seconds:.0f} s.", "See its log in Airflow.")
            tick()
            time.sleep(0.5)

    def approve_command(self, plan_id: str) -> str:
        """The same approval on the command line."""
        headers = " \\\n    ".join(f"-H '{name}: {value}'" for name, value in self.headers.items())
        return f"curl -X POST {self.api}/plans/{plan_id}/approve \\\n    {headers}"
