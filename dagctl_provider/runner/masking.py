"""Keeps secret values out of everything that leaves the step: log lines, events, result."""

from __future__ import annotations

import json
import re
import urllib.parse
from collections.abc import Iterable, Mapping

MASK = "***"
_SENSITIVE_NAME = re.compile(r"PASS|PWD|PW$|SECRET|TOKEN|KEY|PRIVATE|CREDENTIAL|AUTH|DSN|SIGNATURE|SALT|CERT", re.IGNORECASE)
_PLAIN_WORD = re.compile(r"[A-Za-z_./-]*")
_URL_PASSWORD = re.compile(r"://[^:@/\s]*:([^@/\s]+)@")


def has_telling_name(name: str) -> bool:
    """Whether a variable's name says that its value is a secret.

    :param name: Name of the variable.
    """
    return bool(_SENSITIVE_NAME.search(name))


def secret_parts(name: str, value: str) -> set[str]:
    """The pieces of a value that must not be seen.

    Values under telling names are secret from four characters on. Others are when they are long and more than a plain word,
    so that ``SCHEMA=analytics`` does not blank out half of a plan.

    :param name: Name of the variable.
    :param value: Its value.
    """
    parts = {match for match in _URL_PASSWORD.findall(value) if len(match) >= 4}
    sensitive = has_telling_name(name)
    for line in {value, *value.splitlines()}:
        text = line.strip()
        if text.startswith("-----"):
            continue
        if (sensitive and len(text) >= 4) or (len(text) >= 8 and not _PLAIN_WORD.fullmatch(text)):
            parts.add(text)
    return parts


def sensitive_parts(value: str) -> set[str]:
    """The pieces of a value that somebody called sensitive: all of it, its lines, and what telling names hold in a JSON object.

    What is shorter than four characters would blank out half of a log, and stays.

    :param value: A variable's value, or the content of a file.
    """
    parts = {text for line in {value, *value.splitlines()} if _is_own(text := line.strip())}
    try:
        found = json.loads(value) if value.lstrip().startswith("{") else None
    except ValueError:
        found = None
    for key, text in found.items() if isinstance(found, dict) else ():
        if isinstance(text, str) and has_telling_name(str(key)):
            parts |= {line.strip() for line in {text, *text.splitlines()} if _is_own(line.strip())}
    return parts


def _is_own(text: str) -> bool:
    return len(text) >= 4 and not (text.startswith("-----") and "\n" not in text)


class Masker:
    """Replaces secrets by ``***``.

    :param secrets: Values to hide.
    :param known: Values that are public, such as the environment's name; they are never hidden.
    """

    def __init__(self, secrets: Iterable[str] = (), known: Iterable[str] = ()) -> None:
        public = set(known)
        wanted = {secret for secret in secrets if secret and secret not in public}
        wanted |= {urllib.parse.quote(secret, safe="") for secret in wanted}
        wanted |= {secret.encode("unicode_escape").decode("ascii") for secret in wanted}
        longest_first = sorted(wanted, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def text(self, text: str) -> str:
        """Mask one text.

        :param text: Any text.
        """
        return self._pattern.sub(MASK, text) if self._pattern else text

    def tree(self, value: object) -> object:
        """Mask every string in a JSON value, keys included.

        :param value: JSON value.
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.tree(item) for item in value]
        return self.mapping(value) if isinstance(value, dict) else value

    def mapping(self, value: Mapping[str, object]) -> dict[str, object]:
        """Mask every string in a JSON object, keys included.

        :param value: JSON object.
        """
        return {self.text(key): self.tree(item) for key, item in value.items()}
