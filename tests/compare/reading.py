"""What is looked at without changing anything: documents, pages, REST answers, errors, help texts."""

from __future__ import annotations

from urllib.parse import quote

from tests.compare.doors import Answers, Door, run_command
from tests.compare.rows import GROUPS, PROJECTS, steps

API = "/api/v1"
PAGES = "/pluginsv2/dagctl"
_ACTIONS = ("approve", "reject", "delete", "cancel", "withdraw", "retry", "plan")
_VERBS = ("plan", "run", "deploy", "undeploy", "suspend", "resume", "delete")
_STATUSES = ("pending", "running", "approved", "completed", "failed", "rejected", "cancelled")
_MODELS = ("marts.fct_orders", "staging.stg_orders", "legacy.codes", "marts.daily_revenue", "stg_orders", "no.such")
_COMMANDS = (
    "dagctl --help",
    "dagctl tokens --help",
    "dagctl tokens create --help",
    "dagctl tokens list --help",
    "dagctl tokens revoke --help",
    "dagctl organizations --help",
    "dagctl organizations create --help",
    "dagctl organizations list --help",
    "dagctl decisions --help",
    "dagctl organizations list --output json",
    "dagctl organizations list --output table",
    "dagctl tokens list --output json",
    "dagctl tokens list --organization nobody",
    "dagctl tokens revoke tok_nobody",
    "dagctl tokens create --name ci --expires-in never",
    "dagctl decisions plangroup_retried --output json",
    "dagctl decisions plangroup_hostile --output plain",
    "dagctl decisions plangroup_nobody",
)


def ask_documents(door: Door) -> None:
    """The OpenAPI document at both its addresses, and what Airflow knows of the plugin."""
    for root in ("", "/pluginsv2"):
        door.ask("documents", "GET", f"{root}{API}/openapi.json", "nobody")
        door.ask("documents", "GET", f"{root}{API}/openapi.yaml", "nobody")
    door.ask("documents", "GET", "/api/v2/plugins", "airflow")


def ask_pages(door: Door) -> None:
    """Every page, for somebody who may do everything and for somebody who may only read."""
    for who in ("admin", "reader"):
        for path in _page_paths():
            door.ask("pages", "GET", f"{PAGES}{path}", who)
    for path in ("/projects", "/plans?status=pending", "/plans/plangroup_waiting", "/version", "/static/nothing.js"):
        door.ask("pages", "GET", f"{PAGES}{path}", "nobody")
        door.ask("pages", "GET", f"{PAGES}{path}", "nobody", {"Sec-Fetch-Dest": "iframe"})
        door.ask("pages", "GET", f"{PAGES}{path}", "nobody", {"Accept": "application/json"})
    for name in ("app.js", "plan.js", "plan-layout.js", "theme.js", "dagctl.css", "plan.css", "nav.svg", "LICENSES.txt"):
        door.ask("pages", "GET", f"{PAGES}/static/{name}", "nobody")


def _page_paths() -> list[str]:
    projects, groups = [row["id"] for row in PROJECTS], [group[0] for group in GROUPS]
    paths = ["/", "/nothing", "/version", "/projects", "/projects/new", "/projects/proj_nobody", "/plans", "/plans/no such"]
    paths += [f"/projects?show={word}" for word in ("waiting", "behind", "failing", "suspended", "undeployed")]
    paths += [f"/projects?sort={word}&search=a" for word in ("name", "waiting", "behind", "changed")]
    paths += [f"/projects/{identifier}" for identifier in projects]
    paths += [f"/projects/{identifier}/edit" for identifier in projects]
    paths += [f"/projects/{identifier}/{verb}" for identifier in ("proj_analytics", "proj_suspended") for verb in _VERBS]
    paths += [f"/plans?status={status}" for status in _STATUSES]
    paths += ["/plans?search=shop", "/plans?page=2", "/plans?page=nonsense", "/plans?search=%3Cscript%3E"]
    paths += ["/runs/dagctl__analytics/plangroup_waiting", "/runs/dagctl__analytics__run/run_1", "/runs/else/where"]
    for name in groups:
        plan = f"/plans/plangroup_{name}"
        paths += [plan, f"{plan}/progress", f"{plan}/graph", f"{plan}/graph?as=list", f"{plan}?action=approve"]
    paths += [f"/plans/plangroup_{name}?action={verb}" for name in ("waiting", "applying", "retried") for verb in _ACTIONS]
    paths += [f"/plans/plangroup_{name}/diff?model={quote(model)}" for name in ("waiting", "dbt") for model in _MODELS]
    paths += [f"/plans/plan_retried_1/{what}" for what in ("diff", "log", "log?from=5", "progress", "graph")]
    paths += ["/plans/plangroup_waiting?said=approved", "/plans/plangroup_large?models=2", "/plans/plan_applying_1"]
    return paths


def ask_rest(door: Door) -> None:
    """Every operation that reads, over both addresses' first, and what is asked wrongly."""
    for path in _rest_paths():
        door.ask("rest", "GET", f"{API}{path}", "program")
    door.ask("rest", "GET", f"/pluginsv2{API}/plans/plan_waiting_0", "program")
    for who in ("nobody", "forged", "reader", "elsewhere", "token"):
        door.ask("errors", "GET", f"{API}/projects", who)
        door.ask("errors", "GET", f"{API}/plans/plan_waiting_0", who)
    for method, path, body in _WRONG:
        door.ask("errors", method, f"{API}{path}", "program", **body)
    door.ask("errors", "POST", f"{API}/plans/plan_waiting_0/approve", "reader")
    door.ask("errors", "POST", f"{API}/plans/plan_waiting_0/approve", "cookie", {"Origin": "http://evil.example"})
    door.ask("errors", "POST", f"{PAGES}/plans/plangroup_waiting/approve", "admin", {"Origin": "http://evil.example"})


def _rest_paths() -> list[str]:
    paths = ["/projects"]
    for row in PROJECTS:
        base = f"/projects/{row['id']}"
        paths += [base, f"{base}/runs", f"{base}/sync-status", f"{base}/plans", f"{base}/plans/pending"]
    paths += [f"/projects/proj_analytics/plans?status={status}" for status in _STATUSES]
    paths += ["/projects/proj_analytics/plans?page=2&limit=3", "/projects/proj_analytics/runs?status=completed&limit=1"]
    paths += ["/projects/proj_analytics/runs?updated_after=2026-04-27T00:00:00Z"]
    for step in steps():
        paths += [f"/plans/{step['id']}", f"/plans/{step['id']}/logs"]
    return [*paths, *(f"/plans/group/plangroup_{group[0]}/steps" for group in GROUPS)]


_JSON = {"Content-Type": "application/json"}
_WRONG = (
    ("GET", "/nothing", {}),
    ("GET", "/", {}),
    ("PATCH", "/projects", {}),
    ("GET", "/projects/proj_nobody", {}),
    ("GET", "/projects/..%2F", {}),
    ("GET", "/plans/plan_nobody", {}),
    ("GET", "/plans/group/plangroup_nobody/steps", {}),
    ("GET", "/projects?page=1", {}),
    ("GET", "/projects/proj_analytics/plans?limit=0&status=odd", {}),
    ("GET", "/projects/proj_analytics/runs?updated_after=yesterday", {}),
    ("POST", "/projects", {"content": "{"}),
    ("POST", "/projects", {"content": "name=x"}),
    ("POST", "/projects", {"json": {}}),
    ("POST", "/projects", {"json": {"name": "!", "project_type": "make", "repository_url": "ext::sh", "odd": 1, "branch": "-x"}}),
    (
        "POST",
        "/projects",
        {"json": {"name": "Analytics", "project_type": "dbt", "repository_url": "file:///etc", "cpu_limit": "x"}},
    ),
    ("POST", "/plans/plan_refused_0/approve", {"json": {}}),
    ("POST", "/plans/plan_waiting_0/approve", {"json": {"comment": 5}}),
    ("POST", "/plans/plan_waiting_0/retry", {}),
    ("POST", "/plans/plan_applied_1/cancel", {}),
    ("POST", "/plans/plan_stopped_0/reject", {"json": {"comment": "no"}}),
    ("DELETE", "/plans/plan_applied_0", {}),
    ("POST", "/projects/proj_withdrawn/plans", {}),
    ("POST", "/projects/proj_withdrawn/run", {}),
    ("POST", "/projects/proj_suspended/run", {}),
    ("PUT", "/projects/proj_analytics", {"json": {"project_type": "dbt"}}),
    ("PUT", "/projects/proj_analytics", {"json": {"name": "shop"}}),
    ("DELETE", "/projects/proj_analytics", {}),
)


def ask_commands(answers: Answers) -> None:
    """Help texts, and commands that read."""
    for words in _COMMANDS:
        answers.write(f"commands/{words}", run_command(*words.split()))
