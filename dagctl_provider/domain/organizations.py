"""Owners of projects, members and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Organization:
    """An organization."""

    id: str
    name: str
    created_at: datetime
