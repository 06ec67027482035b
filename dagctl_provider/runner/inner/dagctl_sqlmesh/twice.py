"""What of a project comes out differently each time it is loaded: found by loading the doubtful part of it twice.

Place and hash seed are the same in every step, so what is left to differ is the clock, chance and the outside. Only projects
whose Python code can see these are loaded a second time, and of them only the models that depend on Python code.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.digests import hash_of
from dagctl_common.twice import Twice

from dagctl_sqlmesh.journals import Step
from dagctl_sqlmesh.outside import model_looks_outside, project_looks_outside
from dagctl_sqlmesh.projects import load_configs, make_context
from dagctl_sqlmesh.rendering import render

if TYPE_CHECKING:
    from sqlmesh.core.context import Context
    from sqlmesh.core.model import Model

Facts = dict[str, str]
"""Of one model: hashes of what its fingerprint and its SQL are made of, by what people call it."""
RENDERED = "rendered"
_METADATA = (
    "dialect", "owner", "description", "column_descriptions", "cron", "start", "end", "retention", "tags", "grains", "audits",
    "signals", "session_properties_", "virtual_properties_", "project", "stamp",
)  # fmt: skip


def load_again(step: Step, context: Context) -> Twice | None:
    """Begin the second computation; ``None`` where nothing can differ.

    :param step: The step.
    :param context: The project is loaded in it.
    """
    project = Path(step.job["project"])
    if not hasattr(os, "fork") or not project_looks_outside(project):
        return None
    doubtful = {name for name, model in context.models.items() if _is_doubtful(model)}
    certain = [str(model._path) for name, model in context.models.items() if name not in doubtful]
    if not doubtful:
        return None
    kept = {str(context.models[name]._path) for name in doubtful}
    ignored = sorted({path for path in certain if path.endswith(".sql")} - kept)
    catalogs = _catalogs(context)
    return Twice(lambda: _load(step, ignored, catalogs))


def unstable(context: Context, again: Mapping[str, Facts]) -> list[tuple[str, list[str]]]:
    """Models whose two computations differ: full names, and what of them differs.

    :param context: The first computation.
    :param again: Facts of the second one.
    """
    rows = []
    for name, facts in sorted(again.items()):
        model = context.models.get(name)
        if model is None:
            rows.append((name, ["whether it is there"]))
            continue
        ours = facts_of(model)
        differing = sorted(key for key in {*ours, *facts} if key in facts and key in ours and ours[key] != facts[key])
        differing += sorted(key for key in {*ours} ^ {*facts} if key != RENDERED)
        if differing:
            rows.append((name, differing))
    rows += [(name, ["whether it is there"]) for name in sorted(_doubtful_names(context) - set(again))]
    return rows


def _doubtful_names(context: Context) -> set[str]:
    return {name for name, model in context.models.items() if _is_doubtful(model)}


def _is_doubtful(model: Model) -> bool:
    """Anything of Python in it; plain SQL comes out as it is written."""
    return bool(model.python_env) or type(getattr(model, "query", None)).__name__ == "JinjaQuery"


def facts_of(model: Model) -> Facts:
    """What of a model can differ, hashed.

    :param model: The model.
    """
    # SQLMesh's hash of metadata takes in columns of what the model reads, which are not loaded here.
    facts = {"the definition": hash_of([model.data_hash, *(str(getattr(model, name, None)) for name in _METADATA)])}
    for name, executable in model.python_env.items():
        kind = str(getattr(executable.kind, "value", executable.kind))
        word = "the value of" if kind == "value" else "the code of"
        facts[f"{word} {name}"] = hash_of(executable.payload)
    if model_looks_outside(model):
        try:
            facts[RENDERED] = render(model)
        except Exception:
            # One that asks the warehouse cannot be rendered without it; an execute compares it anyway.
            facts.pop(RENDERED, None)
    return facts


def _load(step: Step, ignored: list[str], catalogs: Mapping[str, Any]) -> dict[str, Facts]:
    """In the other process: load what is in doubt, as if for the first time."""
    from sqlmesh.core import constants
    from sqlmesh.core.context import Context
    from sqlmesh.core.model import cache

    constants.MAX_FORK_WORKERS = 1
    step.channel.mute()
    # What was loaded a moment ago must not be the answer.
    cache.ModelCache.get_or_load = lambda self, name, entry_id="", *, loader: loader()
    for attribute in ("get", "put"):
        if hasattr(cache.ModelCache, attribute):
            setattr(cache.ModelCache, attribute, lambda self, *args, **kwargs: [])
    _forget_modules(step.job["checkout"])
    configs = load_configs(step)
    for config in configs.values():
        config.ignore_patterns = [*config.ignore_patterns, *ignored]
    # The connections belong to the first process, and a second one is not needed for this.
    for name, value in catalogs.items():
        setattr(Context, name, property(_constant(value)))
    context = make_context(step, configs)
    context.load()
    return {name: facts_of(model) for name, model in context.models.items() if _is_doubtful(model)}


def _catalogs(context: Context) -> dict[str, Any]:
    names = ("default_catalog", "default_catalog_per_gateway")
    return {name: getattr(context, name) for name in names if isinstance(getattr(type(context), name, None), property)}


def _constant(value: Any) -> Callable[[object], Any]:
    return lambda _self: value


def _forget_modules(checkout: str) -> None:
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(checkout + os.sep):
            del sys.modules[name]
