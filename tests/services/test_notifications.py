"""News of plans: written with the change, told at least once, in order, signed, to nobody it must not go to."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from datetime import timedelta
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from sqlalchemy import select, update

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.notifications import RETRY_SECONDS, Notification, signature
from dagctl_provider.services import plans
from dagctl_provider.services.turns import deliveries, reconcile, webhooks
from dagctl_provider.services.turns.deliveries import Deliverer
from dagctl_provider.store import notifications as notification_rows
from dagctl_provider.store import tables, transactions
from dagctl_provider.store.session import utcnow
from tests.services.world import World

SECRET = "only the receiver knows"
TOLD: list[dict[str, Any]] = []


class Recorder:
    """Stands in for a notifier of a provider; its text is a template, as those have it."""

    def __new__(cls, **kwargs: Any) -> Any:
        from airflow.sdk import BaseNotifier

        class _Recorder(BaseNotifier):
            template_fields = ("text",)

            def __init__(self, text: str) -> None:
                super().__init__()
                self.text = text

            def notify(self, context: Any) -> None:
                TOLD.append({"text": self.text, "event": context["dagctl"]["event"]})

        return _Recorder(**kwargs)


class Failing:
    """A notifier that cannot reach what it talks to."""

    def __init__(self) -> None:
        self.called = True

    def __call__(self, context: Any) -> None:
        raise ConnectionError("password hunter2 was refused")


class Receiver(HTTPServer):
    """A webhook on this machine that keeps what it gets.

    :ivar answer: Status of its answers.
    """

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], bytes]] = []
        self.answer = 200
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks"


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        server.got.append((dict(self.headers), body))
        self.send_response(server.answer)
        if server.answer == 302:
            self.send_header("Location", f"{server.url}/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments: Any) -> None:
        """Nothing on the terminal."""


class Mailbox(socketserver.ThreadingTCPServer):
    """A mail server that takes everything; ``got`` holds the messages."""

    daemon_threads = True

    def __init__(self) -> None:
        self.got: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Smtp)


class _Smtp(socketserver.StreamRequestHandler):
    """As much of SMTP as one message needs."""

    def handle(self) -> None:
        self.wfile.write(b"220 here\r\n")
        for line in iter(self.rfile.readline, b""):
            verb = line.split(maxsplit=1)[0].upper() if line.strip() else b""
            self.wfile.write(b"354 go on\r\n" if verb == b"DATA" else b"221 bye\r\n" if verb == b"QUIT" else b"250 ok\r\n")
            if verb == b"DATA":
                mail = b"".join(iter(self.rfile.readline, b".\r\n"))
                assert isinstance(self.server, Mailbox)
                self.server.got.append(mail)
                self.wfile.write(b"250 taken\r\n")


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    """A mail server on this machine."""
    with Mailbox() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield made
        made.shutdown()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A webhook that may be told, behind the connection ``hook``."""
    made = Receiver()
    monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": made.url, "password": SECRET}))
    monkeypatch.setenv("AIRFLOW__DAGCTL__ALLOW_PRIVATE_HOSTS", "True")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def notify(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets ``[dagctl] notifiers``."""
    TOLD.clear()

    def set_to(*entries: dict[str, Any]) -> None:
        monkeypatch.setenv("AIRFLOW__DAGCTL__NOTIFIERS", json.dumps(entries))

    return set_to


def outbox() -> list[Notification]:
    """All notifications, oldest first."""
    c = tables.notification.c
    return transactions.run(lambda session: [Notification(**row._mapping) for row in session.execute(select(*c).order_by(c.id))])


def deliver_now() -> None:
    """A turn of the leader, to its end, whatever the pauses."""
    transactions.run(lambda session: session.execute(update(tables.notification).values(due_at=utcnow())))
    deliverer = Deliverer()
    deliverer.turn()
    deliverer.join(60)


WEBHOOK = {"name": "hook", "webhook_conn_id": "hook"}
CALL = f"{__name__}.Recorder"


def test_the_whole_life_of_a_plan_is_told_in_order(world: World, notify: Any, receiver: Receiver) -> None:
    notify(WEBHOOK)
    project = world.project()
    explained = world.explained(project, models=[{"name": "shop.orders", "change": "directly_modified", "category": "breaking"}])
    approved = plans.approve(world.actor(), explained.id, door="rest", comment="Looks right")
    world.finish_execute(approved.execute)  # type: ignore[union-attr]
    deliver_now()

    told = [json.loads(body) for _, body in receiver.got]
    assert [news["event"] for news in told] == ["pending", "approved", "completed"]
    assert told[0]["summary"].startswith("1 model changes; nothing is backfilled")
    assert told[0]["url"].endswith(f"/pluginsv2/dagctl/plans/{explained.group_id}")
    assert told[0]["counts"]["changed"] == 1
    assert told[2]["summary"].startswith("prod shows ")
    assert (told[1]["decided_by"], told[1]["comment"]) == ("ada", "Looks right")
    assert told[2]["id"] == approved.execute.id  # type: ignore[union-attr]
    headers, body = receiver.got[0]
    assert headers["X-Dagctl-Signature"] == signature(SECRET, headers["X-Dagctl-Timestamp"], body)
    assert headers["X-Dagctl-Event-Id"] == told[0]["event_id"]
    assert {row.status for row in outbox()} == {"delivered"}
    deliver_now()
    assert len(receiver.got) == 3, "what was told is not told again"


def test_a_notifier_of_airflow_gets_its_templates_filled_with_text_that_stays_text(world: World, notify: Any) -> None:
    notify({"name": "chat", "class": CALL, "kwargs": {"text": "{{ dagctl.event }} {{ dagctl.comment }}"}, "events": ["rejected"]})
    plan = world.explained(world.project())
    plans.reject(world.actor(), plan.id, door="rest", comment="{{ 7 * 7 }} is no reason")
    deliver_now()
    assert TOLD == [{"text": "rejected {{ 7 * 7 }} is no reason", "event": "rejected"}]


def test_what_ends_without_a_decision_is_told_apart_from_a_rejection(world: World, notify: Any, receiver: Receiver) -> None:
    notify(WEBHOOK)
    project = world.project()
    first = world.explained(project)
    world.head = "second"
    second = plans.create_plan(world.actor(), project.id).step
    assert second is not None
    plans.cancel(world.actor(), second.id, door="rest")
    world.head = "third"
    third = plans.approve(world.actor(), world.explained(project).id, door="rest").execute  # type: ignore[union-attr]
    plans.cancel(world.actor(), third.id, door="rest")
    deliver_now()
    told = [
        (news["event"], news["id"], news["subject"].partition(": ")[2]) for _, body in receiver.got if (news := json.loads(body))
    ]
    assert ("discarded", first.id, "the plan was discarded") in told
    assert ("cancelled", second.id, "the plan was cancelled") in told
    assert told[-1] == ("cancelled", third.id, "the execution was stopped")
    assert "rejected" not in {event for event, *_ in told}


def test_slack_is_told(world: World, notify: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("airflow.providers.slack")
    monkeypatch.setenv("AIRFLOW_CONN_SLACK", json.dumps({"conn_type": "slackwebhook", "password": receiver.url}))
    notifier = "airflow.providers.slack.notifications.slack_webhook.SlackWebhookNotifier"
    text = "{{ dagctl.subject }}: {{ exception }} ({{ ti.task_id }} of {{ dag_run.run_id }}, try {{ ti.try_number }})"
    notify({"name": "slack", "class": notifier, "events": ["failed"], "kwargs": {"slack_webhook_conn_id": "slack", "text": text}})
    step = plans.create_plan(world.actor(), world.project().id).step
    assert step is not None
    error = {"code": "project_load_failed", "message": "orders.sql: no such column"}
    world.end_task(step, "explain", "failed", {"outcome": "failed", "step_id": step.id, "error": error})
    reconcile.settle(step)
    deliver_now()
    ((_, body),) = receiver.got
    said = json.loads(body)["text"]
    assert said.endswith(f"could not be explained: orders.sql: no such column (explain of {step.run_id}, try 1)")


def test_mail_is_sent_with_airflows_own_texts_and_with_ours(
    world: World, notify: Any, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifier = "airflow.providers.smtp.notifications.smtp.SmtpNotifier"
    host, port = mailbox.server_address[:2]
    extra = {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"}
    connection = {"conn_type": "smtp", "host": host, "port": port, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_MAIL", json.dumps(connection))
    common = {"smtp_conn_id": "mail", "to": "ada@example.com"}
    texts = {"subject": "{{ dagctl.subject }}", "html_content": "<p>{{ dagctl.comment | e }}</p>"}
    notify(
        {"name": "bare", "class": notifier, "events": ["rejected"], "kwargs": common},
        {"name": "ours", "class": notifier, "events": ["rejected"], "kwargs": {**common, **texts}},
    )
    plan = world.explained(world.project())
    plans.reject(world.actor(), plan.id, door="rest", comment="<b>Ask finance</b>")
    deliver_now()
    assert [row.status for row in outbox()] == ["delivered"] * 2, [row.error for row in outbox()]
    mails = [message_from_bytes(mail, policy=policy.default) for mail in mailbox.got]
    bare, ours = sorted(mails, key=lambda mail: str(mail["Subject"]).startswith("analytics"))
    assert bare["Subject"] == f"DAG {plan.dag_id} - Task explain - Run ID {plan.run_id} in State success"
    assert f"/dags/{plan.dag_id}/runs/{plan.run_id}/tasks/explain" in bare.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert str(ours["Subject"]).endswith(": the plan was rejected")
    assert "&lt;b&gt;Ask finance&lt;/b&gt;" in ours.get_body(("html",)).get_content()  # type: ignore[union-attr]


def test_a_change_that_is_rolled_back_is_not_told(world: World, notify: Any) -> None:
    notify(WEBHOOK)
    plan = world.explained(world.project())
    before = len(outbox())
    plans.reject(world.actor(), plan.id, door="rest")
    with pytest.raises(DagctlError):
        plans.reject(world.actor(), plan.id, door="rest")
    assert len(outbox()) == before + 1


def test_a_receiver_that_is_away_hears_later_with_the_same_id(world: World, notify: Any, receiver: Receiver) -> None:
    notify(WEBHOOK)
    receiver.answer = 503
    world.explained(world.project())
    asked_at = utcnow()
    deliver_now()
    (row,) = outbox()
    assert (row.status, row.attempts, row.error) == ("waiting", 1, "The receiver answered 503.")
    assert row.due_at >= asked_at + timedelta(seconds=RETRY_SECONDS[0])
    receiver.answer = 204
    deliver_now()
    assert outbox()[0].status == "delivered"
    ids = {headers["X-Dagctl-Event-Id"] for headers, _ in receiver.got}
    assert (len(receiver.got), len(ids)) == (2, 1)


def test_it_is_given_up_in_the_end(world: World, notify: Any) -> None:
    notify({"name": "broken", "class": f"{__name__}.Failing"})
    world.explained(world.project())
    for _ in range(len(RETRY_SECONDS) + 3):
        deliver_now()
    (row,) = outbox()
    assert (row.status, row.attempts) == ("failed", len(RETRY_SECONDS) + 1)
    assert "hunter2" not in row.error, "what a notifier says may hold a secret"


def test_redirects_are_not_followed(world: World, notify: Any, receiver: Receiver) -> None:
    notify(WEBHOOK)
    receiver.answer = 302
    world.explained(world.project())
    deliver_now()
    assert len(receiver.got) == 1
    assert outbox()[0].error == "The receiver answered 302."


def test_two_leaders_tell_once(world: World, notify: Any, receiver: Receiver) -> None:
    notify(WEBHOOK)
    world.explained(world.project())
    (row,) = outbox()
    deliveries.deliver(row)
    deliveries.deliver(row)
    assert len(receiver.got) == 1


def test_a_leader_that_died_while_telling_is_replaced(world: World, notify: Any, receiver: Receiver) -> None:
    notify(WEBHOOK)
    world.explained(world.project())
    (row,) = outbox()
    assert transactions.run(lambda session: notification_rows.claim_notification(session, row, utcnow() + timedelta(seconds=90)))
    deliverer = Deliverer()
    deliverer.turn()
    deliverer.join(60)
    assert receiver.got == [], "it may still be at it"
    deliver_now()
    assert len(receiver.got) == 1


def test_a_wrong_setting_and_a_removed_target_stop_nothing(
    world: World, notify: Any, monkeypatch: pytest.MonkeyPatch, receiver: Receiver
) -> None:
    monkeypatch.setenv("AIRFLOW__DAGCTL__NOTIFIERS", "[{]")
    first = world.explained(world.project())
    assert first.status == "pending"
    assert outbox() == []
    notify(WEBHOOK)
    plans.reject(world.actor(), first.id, door="rest")
    notify({**WEBHOOK, "name": "another"})
    deliver_now()
    assert [row.status for row in outbox()] == ["dropped"]


REFUSED = {
    "no connection": None,
    "no secret": {"host": "https://hooks.example.com/x"},
    "no https": {"host": "http://hooks.example.com/x", "password": SECRET},
    "loopback": {"host": "https://127.0.0.1/x", "password": SECRET},
    "private name": {"host": "https://vault.internal/x", "password": SECRET},
    "metadata": {"host": "https://[::ffff:169.254.169.254]/x", "password": SECRET},
    "credentials in it": {"host": "https://a:b@hooks.example.com/x", "password": SECRET},
    "no host": {"host": "https:///x", "password": SECRET},
}


@pytest.mark.parametrize("kind", REFUSED)
def test_addresses_that_must_not_be_told_are_not(kind: str, monkeypatch: pytest.MonkeyPatch, database: None) -> None:
    if REFUSED[kind] is not None:
        monkeypatch.setenv("AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", **REFUSED[kind]}))  # type: ignore[dict-item]
    monkeypatch.setattr(webhooks.httpx, "Client", lambda **_: pytest.fail("a request was made"))
    with pytest.raises(webhooks.WebhookError) as refused:
        webhooks.deliver("hook", "evt_1", {})
    assert SECRET not in str(refused.value)


def test_a_public_name_with_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch, database: None) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_HOOK", json.dumps({"conn_type": "http", "host": "https://h.example.com", "password": SECRET})
    )
    monkeypatch.setattr("dagctl_provider.runner.addresses._resolve", lambda host, soon: ("10.0.0.7",))
    monkeypatch.setattr(webhooks.httpx, "Client", lambda **_: pytest.fail("a request was made"))
    with pytest.raises(webhooks.WebhookError, match="HostNotAllowed"):
        webhooks.deliver("hook", "evt_1", {})


def test_old_news_is_forgotten(world: World, notify: Any) -> None:
    notify({"name": "chat", "class": CALL, "kwargs": {"text": "x"}})
    world.explained(world.project())
    deliver_now()
    long_ago = utcnow() - timedelta(days=8)
    transactions.run(lambda session: session.execute(update(tables.notification).values(created_at=long_ago)))
    Deliverer().turn()
    assert outbox() == []
