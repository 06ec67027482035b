"""Identifiers and names: the shapes the API documents show, unguessable and sortable by age."""

from __future__ import annotations

import re
import secrets
import time
from datetime import datetime

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_MAX_JOB_PROJECT = 24


def _base32(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 32)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_id(prefix: str) -> str:
    """A fresh id: milliseconds since 1970 first, so that ids sort by age, then 50 random bits.

    :param prefix: With its separator: ``"plan_"``, ``"plangroup_"``, ``"proj_"``, ``"run_"``, ``"org-"``.
    """
    return prefix + _base32(time.time_ns() // 1_000_000, 10) + _base32(secrets.randbits(50), 10)


def slug(name: str) -> str:
    """``name`` as a DNS label part (RFC 1123), for job, pod and Dag names."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "project"


def job_name(project_name: str, kind: str, at: datetime) -> str:
    """The job name the Plans API document shows: ``analytics-plan-explain-20260428-100000``.

    :param kind: ``plan-explain``, ``plan-execute`` or ``scheduled-run-manual``.
    :param at: Creation time, UTC.

    The project part is cut so that name, dash and a five-character pod suffix fit a DNS label of 63 characters.
    """
    stem = slug(project_name)[:_MAX_JOB_PROJECT].strip("-")
    return f"{stem}-{kind}-{at:%Y%m%d-%H%M%S}"


def short_sha(sha: str) -> str:
    """A commit id as the documents show it: the first seven characters."""
    return sha[:7]
