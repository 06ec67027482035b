"""Ends statements that a killed step left running, over a connection of SQLMesh's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from dagctl_common.sweeping import end_leftovers

from dagctl_sqlmesh.journals import Step

if TYPE_CHECKING:
    from sqlmesh.core.context import Context


def sweep(step: Step, context: Context) -> None:
    """Cancel leftovers, where the warehouse is PostgreSQL; others are left alone.

    :param step: Names the sessions.
    :param context: Knows the warehouse.
    """
    config = context.config.get_connection(context.gateway)
    if config.type_ != "postgres":
        return

    def ask(query: str) -> int:
        with contextlib.closing(config.create_engine_adapter()) as adapter:
            return int(adapter.fetchone(query)[0])

    end_leftovers(step, ask)
