"""The answer that the log view of a page asks for: a part of a log, and what the script has to know of it."""

from __future__ import annotations

from typing import Protocol

from flask import Response, request


class Part(Protocol):
    """What follows a position of a log."""

    @property
    def text(self) -> str: ...

    @property
    def start(self) -> int: ...

    @property
    def length(self) -> int: ...


def log_answer(part: Part, name: str, status: str) -> Response:
    """``X-Dagctl-Log-From`` says where the answer begins, ``X-Dagctl-Log-Length`` how long the log is in characters,
    ``X-Dagctl-Step-Status`` whether more will come. ``?download=1`` makes it a file.

    :param name: Of the file, without its ending.
    """
    answer = Response(part.text, content_type="text/plain; charset=utf-8")
    answer.headers["X-Dagctl-Log-From"] = str(part.start)
    answer.headers["X-Dagctl-Log-Length"] = str(part.length)
    answer.headers["X-Dagctl-Step-Status"] = status
    if request.args.get("download"):
        answer.headers["Content-Disposition"] = f'attachment; filename="{name}.log"'
    return answer
