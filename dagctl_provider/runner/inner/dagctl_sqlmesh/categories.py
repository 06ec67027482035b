"""One vocabulary for kinds of change, whatever the SQLMesh version calls them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlmesh.core.snapshot import Snapshot


def category_of(snapshot: Snapshot) -> str | None:
    """The change category of a snapshot.

    A forward-only change is a category of its own up to 0.200 and a flag beside ``NON_BREAKING`` later.

    :param snapshot: A SQLMesh snapshot.
    """
    category = getattr(snapshot, "change_category", None)
    name: str | None = category.name.lower() if category is not None else None
    if name in (None, "metadata"):
        return name
    if not getattr(snapshot, "is_forward_only", False) and name != "forward_only":
        return name
    return "indirect_forward_only" if str(name).startswith("indirect") else "forward_only"
