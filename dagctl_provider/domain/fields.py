"""What is known of one field of a project or a job: its type, its rules, and for whom it is there.

The rows themselves stand with those they belong to: the fields of every project in :mod:`~dagctl_provider.domain.projects`, those
of one tool in that tool's row of :mod:`~dagctl_provider.domain.tools`, those of jobs in :mod:`~dagctl_provider.domain.jobs`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from dagctl_provider.runner.requirement_lines import UnreadableRequirement, read_requirement

JsonType = Literal["string", "boolean", "integer", "strings", "texts"]

NAME_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9 ._-]{0,61}[A-Za-z0-9])?$"
ENVIRONMENT_PATTERN = r"^[A-Za-z0-9_]{1,63}$"
TARGET_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"
CPU_PATTERN = r"^(?:[1-9][0-9]{0,6}m|[0-9]{1,4}(?:\.[0-9]{1,3})?)$"
MEMORY_PATTERN = r"^[1-9][0-9]{0,12}(?:Ki|Mi|Gi|Ti|k|M|G|T)?$"
REFERENCE_PATTERN = r"^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$"
DURATION_PATTERN = r"^(?:[0-9]{1,5}h)?(?:[0-9]{1,5}m)?(?:[0-9]{1,6}s)?$"
VERSION_PATTERN = r"^[0-9]{1,4}(?:\.[0-9]{1,4}){1,3}$"
MOST_REQUIREMENTS = 100
MIN_POLLING_INTERVAL = timedelta(seconds=10)


def parse_duration(text: str) -> timedelta:
    """``5m``, ``30s``, ``1h30m`` as a time span.

    :raises ValueError: when ``text`` is not such a duration.
    """
    if not text or not re.fullmatch(DURATION_PATTERN, text):
        raise ValueError("a duration looks like 30s, 5m or 1h30m")
    units = {"h": 3600, "m": 60, "s": 1}
    return timedelta(seconds=sum(int(n) * units[u] for n, u in re.findall(r"([0-9]+)([hms])", text)))


def check_polling_interval(value: str) -> None:
    """Refuse a polling interval that would ask remotes all the time.

    :raises ValueError: when it is shorter than :data:`MIN_POLLING_INTERVAL`, or no duration.
    """
    if parse_duration(value) < MIN_POLLING_INTERVAL:
        raise ValueError("the shortest polling interval is 10s")


def check_requirements(values: Sequence[str]) -> None:
    """Refuse what a step would refuse: anything but names of packages with extras, versions and markers.

    :raises ValueError: naming the first entry that is none.
    """
    for number, text in enumerate(values, 1):
        try:
            read_requirement(text)
        except UnreadableRequirement as error:
            raise ValueError(f"entry {number} {error}") from None


@dataclass(frozen=True)
class Field:
    """One row of a table of fields.

    :param json_type: Type in JSON; ``strings`` is a list of them, ``texts`` an object whose values are strings.
    :param default: Value when create leaves the field out; ``None`` means absent.
    :param required: Must be sent on create.
    :param on_create: Accepted by POST.
    :param on_update: Accepted by PUT.
    :param project_type: Only for projects of this type, when given.
    :param choices: Closed list of values.
    :param pattern: Regular expression for strings.
    :param max_length: Longest string, in characters; most entries of a list or an object.
    :param minimum: Smallest integer.
    :param maximum: Largest integer.
    :param check: A rule beyond these; raises :class:`ValueError` with the reason.
    :param nullable: PUT may send ``null`` to take the value away, and POST where the field is required.
    :param never_empty: An empty string is refused. So it is of all that is required or has a pattern.
    :param example: For OpenAPI and the docs.
    :param description: For people.
    """

    json_type: JsonType
    description: str
    default: Any = None
    required: bool = False
    on_create: bool = True
    on_update: bool = True
    project_type: str | None = None
    choices: tuple[str, ...] | None = None
    pattern: str | None = None
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    check: Callable[[Any], None] | None = None
    nullable: bool = False
    never_empty: bool = False
    example: Any = None
