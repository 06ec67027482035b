"""What steps leave for later ones, kept by content."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import delete, exists, insert, select
from sqlalchemy.orm import Session

from dagctl_provider.store import tables
from dagctl_provider.store.session import utcnow


def insert_artifact(session: Session, sha256: str, content: bytes) -> None:
    """Keep an artifact; one that is kept already is as good. Callers hold the lock of the artifacts."""
    c = tables.artifact.c
    if not session.execute(select(exists().where(c.sha256 == sha256))).scalar():
        session.execute(insert(tables.artifact).values(sha256=sha256, size=len(content), content=content, created_at=utcnow()))


def get_artifact(session: Session, sha256: str) -> bytes | None:
    """The content of an artifact, or ``None``."""
    c = tables.artifact.c
    return session.execute(select(c.content).where(c.sha256 == sha256)).scalar()


def drop_unused_artifacts(session: Session, candidates: Iterable[str]) -> None:
    """Remove those of the artifacts that no deployment names any more. Callers hold the lock of the artifacts."""
    c = tables.deployment.c
    named = session.execute(select(c.artifacts).where(c.artifacts.is_not(None))).scalars()
    used = {sha256 for artifacts in named for sha256 in (artifacts or {}).values()}
    unused = sorted(set(candidates) - used)
    if unused:
        session.execute(delete(tables.artifact).where(tables.artifact.c.sha256.in_(unused)))
