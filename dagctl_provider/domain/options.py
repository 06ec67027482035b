"""What somebody may ask of one plan beside its commit, as one table: rules, the API's fields and the page's are made from it.

The options stand in the plan's settings, so its execute has the same, and in its digest. Those that last, such as variables, are
those of the next plan as well, until it names others.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.tools import Tool

NAME_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$"
MOST_NAMES = 200
MOST_VARS = 16_384
"""Characters of all variables together, as JSON: they go onto a command line."""
_VARIABLE = re.compile(r"[^\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True)
class PlanOptions:
    """The options of a plan; the fields are the rows of :data:`OPTIONS`.

    :param full_refresh: Names of dbt models and seeds that are made from scratch.
    :param vars: Values of dbt variables, as after ``--vars``; ``None``: those of the deployed plan.
    """

    full_refresh: tuple[str, ...] = ()
    vars: Mapping[str, Any] | None = None

    def given(self) -> dict[str, Any]:
        """Those that somebody named."""
        every = {"full_refresh": self.full_refresh, "vars": self.vars}
        return {name: value for name, value in every.items() if value not in ((), None)}


NO_OPTIONS = PlanOptions()


def _check_names(value: Sequence[str]) -> None:
    if len(value) > MOST_NAMES:
        raise ValueError(f"at most {MOST_NAMES} names")
    for name in value:
        if not re.fullmatch(NAME_PATTERN, name):
            raise ValueError(f"{name[:80]!r} is no name of a model or seed")


def _check_vars(value: Mapping[str, Any]) -> None:
    for name in value:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(f"{name[:80]!r} is no name of a variable")
    if len(json.dumps(value)) > MOST_VARS:
        raise ValueError(f"at most {MOST_VARS} characters")


@dataclass(frozen=True)
class Option:
    """One row.

    :param label: In the form of the page.
    :param description: For OpenAPI, the docs and the form.
    :param check: Raises :class:`ValueError` with the reason.
    :param example: For OpenAPI.
    """

    label: str
    description: str
    check: Callable[[Any], None]
    example: Any


OPTIONS: Mapping[str, Option] = {
    "full_refresh": Option(
        "Full refresh",
        "Names of dbt models and seeds that are made from scratch. The plan has to build them.",
        _check_names,
        ["fct_orders"],
    ),
    "vars": Option(
        "Variables",
        "Values of dbt variables, as after --vars. They are shown to everybody who sees the plan, and stay in force for later "
        "plans and runs until a plan names others; an empty object takes them away.",
        _check_vars,
        {"load_source_data": True},
    ),
}


def check(options: PlanOptions, tool: Tool) -> None:
    """Refuse options that the tool does not have, or whose values break a rule.

    :raises DagctlError: ``invalid_request``.
    """
    errors = {}
    for name, value in options.given().items():
        if name not in tool.plan_options:
            errors[name] = f"is no option of {tool.label} projects"
            continue
        try:
            OPTIONS[name].check(value)
        except ValueError as error:
            errors[name] = str(error)
    if errors:
        told = "; ".join(f"{name} {why}" for name, why in errors.items())
        listed = [{"field": name, "message": why} for name, why in errors.items()]
        raise DagctlError("invalid_request", f"Not accepted: {told}.", errors=listed)
