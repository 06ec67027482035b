"""Asks the product as people, programs and Airflow ask it, and writes down each answer as a file."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.compare.varying import Varying

_NOT_ANSWERED = ("content-length", "date")


class Answers:
    """The folder of answers.

    :param folder: Made here.
    :param varying: Replaces what two runs of the same code write differently.
    """

    def __init__(self, folder: Path, varying: Varying) -> None:
        self._folder = folder
        self._varying = varying

    def write(self, name: str, text: str) -> None:
        """Write down an answer.

        :param name: Kind of answer and what was asked, with a slash between them. Of two of one name, the second gets a number.
        """
        kind, _, asked = name.partition("/")
        stem = re.sub(r"[^\w.=-]+", "_", self._varying.replaced(asked)).strip("_")[:150]
        number, path = 1, self._folder / kind / f"{stem}.txt"
        while path.exists():
            number += 1
            path = self._folder / kind / f"{stem}.{number}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self._varying.replaced(text).encode("utf-8", "surrogatepass"))

    def write_json(self, name: str, value: Any) -> None:
        """Write down data, in the order its keys have."""
        self.write(name, json.dumps(value, indent=1, ensure_ascii=False, default=str))

    def digest(self, text: str) -> str:
        """What tells a text, with the replacements, from any that differs in one byte."""
        return hashlib.sha256(self._varying.replaced(text).encode("utf-8", "surrogatepass")).hexdigest()[:16]


class Door:
    """Airflow's API server with the plugin in it, asked as somebody.

    :param client: Over HTTP.
    :param answers: Where answers go.
    :param people: Headers with the credentials of each.
    """

    def __init__(self, client: Any, answers: Answers, people: Mapping[str, dict[str, str]]) -> None:
        self._client = client
        self._answers = answers
        self._people = people

    def ask(self, kind: str, method: str, path: str, who: str = "admin", headers: Mapping[str, str] = {}, **body: Any) -> Any:
        """Ask, and write down what was answered: status, headers, body.

        :param kind: Of the answer, a folder of its own.
        """
        sent = {**self._people[who], **headers}
        response = self._client.request(method, path, headers=sent, follow_redirects=False, **body)
        told = [(name, value) for name, value in sorted(response.headers.multi_items()) if name not in _NOT_ANSWERED]
        lines = [f"{method} {path} as {who} {json.dumps(body) if body else ''}".rstrip(), str(response.status_code)]
        lines += [f"{name}: {value}" for name, value in told]
        self._answers.write(
            f"{kind}/{method} {path.removeprefix('/pluginsv2')} {who}", "\n".join(lines) + "\n\n" + self._body(response)
        )
        return response

    def _body(self, response: Any) -> str:
        kind = response.headers.get("content-type", "")
        if "json" not in kind or not response.content:
            return str(response.text)
        # To read differences in; the digest tells of those that only the bytes have.
        readable = json.dumps(response.json(), indent=1, ensure_ascii=False)
        return f"{self._answers.digest(response.text)}\n{readable}"


def run_command(*words: str) -> str:
    """What ``airflow`` with these words prints, and how it ends."""
    from airflow.cli import cli_parser

    said, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complained):
        ended = _ending(lambda: _run(cli_parser.get_parser(), words))
    return f"airflow {' '.join(words)}\n{said.getvalue()}{complained.getvalue()}{ended}\n"


def _run(parser: Any, words: tuple[str, ...]) -> None:
    arguments = parser.parse_args(words)
    arguments.func(arguments)


def _ending(work: Callable[[], None]) -> str:
    try:
        work()
    except SystemExit as end:
        return f"exit {end.code}"
    return "done"
