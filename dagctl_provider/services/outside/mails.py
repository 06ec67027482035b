"""Mail by way of Airflow's SMTP connection, where there is one."""

from __future__ import annotations

import html
import logging

from dagctl_provider.orchestration.connections import read_connection
from dagctl_provider.services.outside import waiting

log = logging.getLogger(__name__)

CONNECTION = "smtp_default"
NO_CONNECTION = f"Airflow has no connection {CONNECTION!r}, so no mail was sent."
_MISSING = "The package apache-airflow-providers-smtp is not installed, so no mail was sent."


def send(to: str, subject: str, paragraphs: list[str]) -> str | None:
    """Send a mail. Never while a transaction is open: a mail server may take its time.

    :param paragraphs: Its text; everything is escaped.
    :return: Why it was not sent, in a sentence without secrets; ``None`` when the mail server took it.
    """
    if read_connection(CONNECTION) is None:
        return NO_CONNECTION
    try:
        from airflow.providers.smtp.hooks.smtp import SmtpHook
    except ImportError:
        return _MISSING
    body = "".join(f"<p>{html.escape(one)}</p>" for one in paragraphs)
    try:
        with waiting.outside(), SmtpHook(smtp_conn_id=CONNECTION) as hook:
            hook.send_email_smtp(to=to, subject=subject, html_content=body)
    except Exception as error:
        # What a mail server says may repeat what it was told, a password for one; what kind of error it was does not.
        log.warning("No mail could be sent by way of connection %s: %s", CONNECTION, type(error).__name__)
        return f"The mail server of connection {CONNECTION!r} did not take the mail ({type(error).__name__})."
    return None
