"""Tells a Slack channel how a run ended, by the hook and a connection of Airflow.

Names, commands and errors in the text are whatever people and warehouses wrote. In Slack's own notation a mention, a link or a
command needs ``<`` and ``>``, so none can be made with these escaped; Slack is asked to look for none besides.
"""

from __future__ import annotations

from collections.abc import Mapping

from dagctl_provider.config import setting

_LONGEST = 3_000


class SlackError(Exception):
    """A message was not taken. The text is shown to administrators and holds no secret."""


def deliver(payload: Mapping[str, object]) -> None:
    """Send a message to the channel that the job names.

    :param payload: What is told of the run, with ``slack_channel``.
    :raises SlackError: when it was not taken, or Slack's provider is not installed.
    """
    try:
        from airflow.providers.slack.hooks.slack import SlackHook
    except ImportError:
        raise SlackError("apache-airflow-providers-slack is not installed where the API server runs.") from None
    conn_id = str(setting("slack_conn_id"))
    try:
        SlackHook(slack_conn_id=conn_id).call("chat.postMessage", json=message(payload))
    except Exception as error:
        # What the hook says may repeat the token; what Slack says is a word such as channel_not_found.
        said = getattr(getattr(error, "response", None), "data", None)
        word = said.get("error") if isinstance(said, dict) else None
        why = f"Slack says {str(word)[:80]!r}" if word else type(error).__name__
        raise SlackError(f"The channel was not told by the connection {conn_id!r}: {why}.") from None


def message(payload: Mapping[str, object]) -> dict[str, object]:
    """What is sent: plain text, in which nothing is a mention or a link but the address of the run."""
    parts = [payload.get("subject"), payload.get("summary"), payload.get("error_message")]
    text = "\n".join(escaped(str(part)) for part in parts if part)[:_LONGEST]
    url = payload.get("url")
    return {
        "channel": str(payload.get("slack_channel") or ""),
        "text": f"{text}\n{escaped(str(url))}" if url else text,
        "parse": "none",
        "link_names": False,
        "mrkdwn": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }


def escaped(text: str) -> str:
    """Text in which Slack finds no mention, link or command."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
