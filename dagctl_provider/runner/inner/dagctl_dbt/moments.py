"""The plan's one moment: what dbt's ``run_started_at`` and ``invocation_id`` are while a plan is worked out.

Both may stand in a configuration, an alias for example, and would make every parse another plan. An execute takes the moment of
the plan that was approved until it has compared the two; while nodes run, both are dbt's own again.
"""

from __future__ import annotations

import contextlib
import datetime
import types
import uuid
from collections.abc import Iterator
from typing import Any

from dagctl_common.clocks import shifted_datetime
from dagctl_common.digests import MOMENT
from dagctl_common.jobs import Job


class Moment:
    """The moment of one plan.

    :param job: Has the approved plan's moment when there is one.
    """

    def __init__(self, job: Job) -> None:
        given = (job.get("expected_digest_parts") or {}).get(MOMENT)
        self.started = _read(given) or datetime.datetime.now(datetime.timezone.utc)
        self.text = self.started.isoformat()
        self.invocation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"dagctl:{job['commit_sha']}:{self.text}"))
        self._undo: list[tuple[str, object]] = []

    def pin(self) -> None:
        """Let dbt have this moment from now on."""
        from dbt.context import base

        module: Any = base
        self._undo = [(name, getattr(base, name)) for name in ("tracking", "get_invocation_id")]
        user = types.SimpleNamespace(run_started_at=self.started.astimezone(module.pytz.utc), invocation_id=self.invocation)
        module.tracking = types.SimpleNamespace(active_user=user)
        module.get_invocation_id = lambda: self.invocation

    def release(self) -> None:
        """Let dbt have its own again."""
        from dbt.context import base

        for name, value in self._undo:
            setattr(base, name, value)
        self._undo = []


def _read(text: str | None) -> datetime.datetime | None:
    try:
        found = datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else None


@contextlib.contextmanager
def shifted_clock() -> Iterator[None]:
    """Let what a project can ask for the time, ``modules.datetime``, go ahead, see :mod:`dagctl_common.clocks`."""
    from dbt.context import base

    module: Any = base
    original = module.datetime
    module.datetime = shifted_datetime()
    try:
        yield
    finally:
        module.datetime = original
