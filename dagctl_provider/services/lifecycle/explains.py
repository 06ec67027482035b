"""How many plans one person or token may have explained at a time.

An explain takes a worker for minutes. Who asks for plan after plan would leave the workers no time for anybody else. What was
asked for is remembered by the process that was asked; whether it still runs the table says, so nothing is counted that is over.
"""

from __future__ import annotations

import threading

from dagctl_provider.config import setting
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store.session import Session

RETRY_SECONDS = 30

_lock = threading.Lock()
_asked: dict[tuple[str, str], frozenset[str]] = {}


def require_room(session: Session, actor: Actor) -> None:
    """Refuse another plan to somebody for whom as many are explained as may be.

    :raises DagctlError: ``too_many_explains``.
    """
    key = (actor.kind, actor.identifier)
    with _lock:
        known = _asked.get(key, frozenset())
    if not known:
        return
    over = known - {step_id for step_id, (status, _) in plan_rows.step_states(session, known).items() if status == "running"}
    with _lock:
        # Meanwhile others may have been added.
        left = _asked.pop(key, frozenset()) - over
        if left:
            _asked[key] = left
    most = max(1, int(setting("explains_per_actor")))
    if len(left) >= most:
        detail = f"{len(left)} plans that you asked for are being explained."
        raise DagctlError("too_many_explains", detail, retry_after=RETRY_SECONDS, running_plans=sorted(left)[:most])


def note(actor: Actor, step_id: str) -> None:
    """Remember who asked for an explain."""
    if actor.kind == "system":
        return
    key = (actor.kind, actor.identifier)
    with _lock:
        _asked[key] = _asked.get(key, frozenset()) | {step_id}
