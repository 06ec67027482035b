"""Pages that ask whether something shall be done, with what it brings about; scripts show them over the page before."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from flask import Response

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.ui.form_fields import FormField
from dagctl_provider.ui.pages import page


@dataclass(frozen=True)
class Question:
    """What is asked.

    :param label: On the button that does it.
    :param consequences: Sentences on what it brings about.
    :param back: Where to go without doing it.
    :param fields: What can be filled in.
    """

    title: str
    label: str
    consequences: Sequence[str]
    back: str
    tone: Literal["primary", "danger"] = "primary"
    fields: Sequence[FormField] = ()


def ask(actor: Actor, question: Question, error: DagctlError | None = None) -> Response:
    """The page of a question, whose form is sent to its own address.

    :param error: Why it was not done just now.
    """
    status = error.kind.status if error is not None else 200
    return page("question.html", actor, title=question.title, nav="projects", status=status, question=question, error=error)
