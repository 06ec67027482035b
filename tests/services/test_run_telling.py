"""Who hears how a run of a job ended: its channel, the webhooks, nobody else; and what a mention in a name comes to."""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from dagctl_provider.domain.notifications import EVENTS, PLAN_EVENTS, RUN_EVENTS, SLACK, parse_targets, signature
from dagctl_provider.services import jobs, runs
from dagctl_provider.services.lifecycle import run_telling
from dagctl_provider.services.results import ShownJob
from dagctl_provider.services.turns import slack
from dagctl_provider.store import executions as execution_rows
from dagctl_provider.store import projects as project_rows
from dagctl_provider.store import transactions
from tests.services.test_job_services import execution, make, start
from tests.services.test_notifications import SECRET, TOLD, Receiver, deliver_now, notify, outbox, receiver
from tests.services.test_runs import deployed
from tests.services.world import World

__all__ = ["notify", "receiver"]

HOOK = {"name": "hook", "webhook_conn_id": "hook"}
QUIET: dict[str, Any] = {}
LOUD = {"slack_channel": "#data-alerts", "slack_alerts_enabled": True, "slack_alert_on_success": True, "webhook_enabled": True}


class Slack:
    """Stands in for Slack behind its hook; ``refuse`` is a word that it refuses with."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.connections: list[str] = []
        self.refuse: str | None = None

    def hook(self, slack_conn_id: str) -> Any:
        self.connections.append(slack_conn_id)
        return self

    def call(self, method: str, json: dict[str, Any]) -> None:
        if self.refuse is not None:
            error: Any = RuntimeError("token xoxb-secret was refused")
            error.response = type("Answer", (), {"data": {"error": self.refuse}})()
            raise error
        self.got.append((method, json))


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Slack:
    """Slack, as Airflow's hook reaches it."""
    from airflow.providers.slack.hooks import slack as provider

    made = Slack()
    monkeypatch.setattr(provider, "SlackHook", made.hook)
    return made


def ended(world: World, settings: dict[str, Any], status: Any = "failed", **values: Any) -> ShownJob:
    """A job whose run has ended; that it did is written down as the controller does."""
    project = deployed(world)
    made = make(world, project, **settings)
    run = start(world, made)
    ending = {"status": status, "error_message": "model a: no such column", **values}
    transactions.run(lambda session: execution_rows.change_execution(session, run, **ending))

    def tell(session: Any) -> None:
        current = project_rows.get_project(session, project.id)
        assert current is not None
        run_telling.note(session, current, made.job, execution(run))

    transactions.run(tell)
    return made


def test_nobody_hears_of_a_job_that_says_nothing(world: World, notify: Any) -> None:
    notify(HOOK, {"name": "all", "class": "tests.services.test_notifications.Recorder", "kwargs": {"text": "x"}})
    ended(world, QUIET)
    assert outbox() == []


@pytest.mark.parametrize(
    ("settings", "status", "targets"),
    [
        ({**LOUD, "slack_alert_on_success": False}, "failed", [SLACK, "hook"]),
        ({**LOUD, "slack_alert_on_success": False}, "success", ["hook"]),
        ({**LOUD, "slack_alerts_enabled": False}, "success", [SLACK, "hook"]),
        ({**LOUD, "slack_alerts_enabled": False}, "error", ["hook"]),
        ({**LOUD, "webhook_enabled": False}, "partial", [SLACK]),
        ({"slack_channel": "#data-alerts"}, "failed", []),
    ],
)
def test_each_field_does_what_it_says(
    world: World, notify: Any, settings: dict[str, Any], status: str, targets: list[str]
) -> None:
    notify(HOOK)
    ended(world, settings, status)
    assert sorted(one.target for one in outbox()) == sorted(targets)


def test_a_webhook_gets_a_signed_letter(world: World, notify: Any, receiver: Receiver, channel: Slack) -> None:
    notify(HOOK)
    made = ended(world, LOUD, "partial", models_total=3, models_succeeded=1, models_failed=1, models_skipped=1)
    deliver_now()
    ((headers, body),) = receiver.got
    assert headers["X-Dagctl-Signature"] == signature(SECRET, headers["X-Dagctl-Timestamp"], body)
    told = json.loads(body)
    assert (told["event"], told["job_id"], told["job"], told["status"]) == ("run_failed", made.job.id, "hourly", "partial")
    assert told["subject"] == "analytics, job hourly: the run failed"
    assert told["summary"] == "1 of 3 models succeeded, 1 failed, 1 skipped."
    assert told["dag_id"] == made.job.dag_id
    assert told["url"].endswith(f"/dagctl/projects/{made.job.project_id}/runs/{told['id']}")
    assert "slack_channel" not in told
    assert len(channel.got) == 1


def test_slack_gets_plain_text(world: World, channel: Slack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__SLACK_CONN_ID", "team_slack")
    ended(world, {**LOUD, "slack_channel": "#on-call"}, error_message="<!channel> & <@U1> <https://evil.example|click>")
    deliver_now()
    ((method, sent),) = channel.got
    assert (method, sent["channel"], channel.connections) == ("chat.postMessage", "#on-call", ["team_slack"])
    assert "&lt;!channel&gt; &amp; &lt;@U1&gt; &lt;https://evil.example|click&gt;" in sent["text"]
    assert not {"<", ">"} & set(sent["text"])
    assert (sent["parse"], sent["link_names"], sent["mrkdwn"]) == ("none", False, False)


def test_a_refusal_of_slack_is_said_without_the_token(world: World, channel: Slack) -> None:
    channel.refuse = "channel_not_found"
    ended(world, LOUD)
    deliver_now()
    (waiting,) = outbox()
    assert waiting.status == "waiting"
    assert "channel_not_found" in str(waiting.error)
    assert "xoxb" not in str(waiting.error)


def test_without_slacks_provider_it_is_said_which_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "airflow.providers.slack.hooks.slack", None)
    with pytest.raises(slack.SlackError, match="apache-airflow-providers-slack is not installed"):
        slack.deliver({})


def test_a_cancelled_run_is_told_as_such(world: World, notify: Any, receiver: Receiver) -> None:
    notify(HOOK)
    project = deployed(world)
    made = make(world, project, parsed=False, webhook_enabled=True)
    runs.cancel(world.actor(name="dora"), start(world, made))
    deliver_now()
    told = json.loads(receiver.got[0][1])
    assert (told["event"], told["error_message"]) == ("run_failed", "Cancelled by dora")
    assert told["subject"].endswith("the run was cancelled")
    assert "run_id" not in told, "it never was in Airflow"


def test_a_deleted_job_has_nobody_to_tell(world: World, notify: Any) -> None:
    notify(HOOK)
    project = deployed(world)
    made = make(world, project, webhook_enabled=True)
    run = execution(start(world, made))
    transactions.run(lambda session: run_telling.note(session, project, None, replace(run, status="failed")))
    assert outbox() == []


def test_notifiers_of_airflow_hear_of_runs_where_their_target_names_them(world: World, notify: Any) -> None:
    recorder = {"class": "tests.services.test_notifications.Recorder", "kwargs": {"text": "{{ dagctl.subject }}"}}
    notify({"name": "plans", **recorder}, {"name": "runs", "events": ["run_failed"], **recorder})
    ended(world, {"webhook_enabled": True})
    deliver_now()
    assert TOLD == [{"text": "analytics, job hourly: the run failed", "event": "run_failed"}]


def test_what_targets_hear_unless_they_say() -> None:
    hook, notifier = parse_targets(json.dumps([HOOK, {"name": "n", "class": "a.B"}]))
    assert (hook.events, notifier.events) == (frozenset(EVENTS), frozenset(PLAN_EVENTS))
    assert {*PLAN_EVENTS, *RUN_EVENTS} == set(EVENTS)


def test_projects_of_targets_count(world: World, notify: Any) -> None:
    notify({**HOOK, "projects": ["shop*"]})
    ended(world, LOUD)
    assert [one.target for one in outbox()] == [SLACK]
    assert jobs.list_jobs(world.actor(), deployed(world, "shop").id)


class _SlackServer(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got.append((self.path, self.headers["Authorization"], json.loads(body)))  # type: ignore[attr-defined]
        answer = b'{"ok": true}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *arguments: Any) -> None:
        """Nothing on the terminal."""


def test_airflows_own_hook_brings_it_to_slack(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    server: Any = HTTPServer(("127.0.0.1", 0), _SlackServer)
    server.got = []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/api/"
    connection = {"conn_type": "slack", "password": "xoxb-secret", "extra": {"base_url": address}}
    monkeypatch.setenv("AIRFLOW_CONN_SLACK_API_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    ended(world, LOUD, "success")
    deliver_now()
    server.shutdown()
    server.server_close()
    assert [one.status for one in outbox()] == ["delivered"], outbox()
    ((path, authorization, sent),) = server.got
    assert (path, authorization) == ("/api/chat.postMessage", "Bearer xoxb-secret")
    assert (sent["channel"], sent["link_names"]) == ("#data-alerts", False)
