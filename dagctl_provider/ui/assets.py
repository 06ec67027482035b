"""Addresses of the scripts, styles and pictures.

An address carries the hash of its content, so browsers may keep a file for good and still never show an old one.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

STATIC = Path(__file__).parent / "static"
_HASH_LENGTH = 12


@cache
def fingerprint(name: str) -> str:
    """The hash of a file of :data:`STATIC`.

    :raises FileNotFoundError: when there is no such file.
    """
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:_HASH_LENGTH]


def asset_path(name: str) -> str:
    """Where a file is served, below the root of the pages."""
    return f"/static/{name}?v={fingerprint(name)}"
