"""Asks the pages on a real Airflow API server; part of the program that asks the API there, since starting Airflow takes long."""

from __future__ import annotations

from typing import Any

from dagctl_provider.ui import live

PAGES = ("projects", "plans", "projects/new", "nothing", "runs/some_dag/some_run")


def ask_pages(client: Any, root: str, users: dict[str, Any]) -> dict[str, Any]:
    """What pages, files and the stream of events answer, with and without a session.

    :param root: Airflow's own path.
    :param users: Of the auth manager, by name.
    """
    from airflow.api_fastapi.app import get_auth_manager

    live.MAX_STREAM_SECONDS = 0.0
    base = f"{root}/pluginsv2/dagctl"
    answers: dict[str, Any] = {}
    anonymous = client.get(f"{base}/plans?status=pending", follow_redirects=False)
    answers["anonymous"] = [anonymous.status_code, anonymous.headers.get("location")]
    login = client.get(anonymous.headers["location"], follow_redirects=True)
    answers["login"] = [login.status_code, str(login.url)]
    large = ("/pluginsv2/nothing", "/pluginsv2/dagctl/projects/new", "/dagctl/events", "/dagctl/x", "/api/v2/nothing")
    answers["large"] = {path: client.post(f"{root}{path}", content=b" " * 1_100_000).status_code for path in large}
    nul = client.get(f"{base}/runs/%00/%00")
    answers["nul"] = [nul.status_code, "/pluginsv2/dagctl/" in nul.text]
    framed = client.get(f"{base}/projects", headers={"Sec-Fetch-Dest": "iframe"}, follow_redirects=False)
    answers["framed"] = [framed.status_code, "Your session has expired" in framed.text]
    for name, user in users.items():
        token = get_auth_manager().generate_jwt(user)
        session = {"Cookie": f"_token={token}"}
        for page in PAGES:
            answers[f"{name} {page}"] = client.get(f"{base}/{page}", headers=session).status_code
        form = {"name": "x", "intent": "check"}
        own = client.post(f"{base}/projects/new", data=form, headers={**session, "Origin": "http://testserver"})
        foreign = client.post(f"{base}/projects/new", data=form, headers={**session, "Origin": "http://evil.example"})
        answers[f"{name} form"] = [own.status_code, foreign.status_code]
        events = client.get(f"{root}/dagctl/events", headers=session)
        answers[f"{name} events"] = [events.status_code, events.headers["content-type"], events.text.split("\n")[0]]
        shown = client.get(f"{base}/projects", headers=session)
        answers[f"{name} frame"] = [f'href="{base}/plans"' in shown.text, "New project" in shown.text]
        answers[f"{name} policy"] = "frame-ancestors 'self'" in shown.headers["content-security-policy"]
        plugins = client.get(
            f"{root}/api/v2/plugins", headers={"Authorization": f"Bearer {get_auth_manager().generate_jwt(user)}"}
        )
        if plugins.status_code == 200:
            views = [view for plugin in plugins.json()["plugins"] for view in plugin["external_views"]]
            answers["places"] = sorted((view["destination"], view["href"]) for view in views)
    answers["anonymous events"] = client.get(f"{root}/dagctl/events").status_code
    file = client.get(f"{base}/static/dagctl.css")
    answers["file"] = [file.status_code, file.headers["content-type"]]
    return answers
