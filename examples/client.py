"""Asks the API: what the Python examples share."""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

_VARIABLES = ("DAGCTL_URL", "DAGCTL_TOKEN", "DAGCTL_ORGANIZATION")
_SECONDS = 30


def get(path: str, **query: object) -> dict[str, Any]:
    """An answer of the API.

    :param path: Behind ``/api/v1``.
    :param query: Parameters; those that are ``None`` are left out.
    :raises SystemExit: with what is wrong, where the answer is a refusal or there is none.
    """
    missing = [name for name in _VARIABLES if not os.environ.get(name)]
    if missing:
        sys.exit(f"Set {', '.join(missing)}; examples/README.md says what they are.")
    address, token, organization = (os.environ[name] for name in _VARIABLES)
    if not address.startswith(("http://", "https://")):
        sys.exit("DAGCTL_URL must begin with http:// or https://.")
    asked = urllib.parse.urlencode({name: value for name, value in query.items() if value is not None})
    request = urllib.request.Request(  # noqa: S310 - checked above
        f"{address.rstrip('/')}/api/v1{path}{'?' + asked if asked else ''}",
        headers={"Authorization": f"Bearer {token}", "X-Organization-ID": organization},
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - checked above
            found: dict[str, Any] = json.load(answer)
            return found
    except urllib.error.HTTPError as error:
        sys.exit(f"{error.code} {path}: {_said(error)}")
    except OSError as error:
        sys.exit(f"{address} does not answer: {error}")


def _said(error: urllib.error.HTTPError) -> str:
    try:
        problem = json.load(error)
        fields = [f"{one['field']} {one['message']}" for one in problem.get("errors", ())]
        return " ".join([problem.get("detail", ""), *fields])
    except ValueError:
        return error.reason


def pages(path: str, member: str, **query: object) -> Iterator[dict[str, Any]]:
    """All items of a list, page by page.

    :param member: Of the answer, which holds the items of a page.
    """
    number = 1
    while True:
        answer = get(path, **query, page=number)
        yield from answer[member]
        if number >= answer["total_pages"]:
            return
        number += 1
