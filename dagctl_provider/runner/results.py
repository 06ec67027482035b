"""The result file: always written, always whole, never larger than an XCom should be."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagctl_provider.runner.errors import RunnerError, one_line
from dagctl_provider.runner.masking import Masker

OUTCOME_OF_EXIT_CODE = {0: "succeeded", 3: "drifted", 130: "cancelled"}
MODELS_LIMIT = 5_000


def error_result(error: RunnerError, exit_code: int | None = None) -> dict[str, Any]:
    """The result of a step that did not succeed.

    :param error: Why.
    :param exit_code: Overrides the table's.
    """
    code = error.row.exit_code if exit_code is None else exit_code
    return {
        "outcome": OUTCOME_OF_EXIT_CODE.get(code, "failed"),
        "exit_code": code,
        "error": {"code": error.code, "message": error.message, "hint": error.row.hint},
    }


def finish_result(result: Mapping[str, object], timings: Mapping[str, float], masker: Masker) -> dict[str, Any]:
    """Mask, bound and complete a result.

    :param result: What the step found.
    :param timings: Seconds per part, added to the step's own.
    :param masker: Hides secrets.
    """
    # Packed files were cleaned by whoever packed them; replacing a piece of base64 text would only break them.
    packed = result.get("artifacts")
    rest = {key: value for key, value in result.items() if key != "artifacts"}
    finished: dict[str, Any] = {key: value for key, value in masker.mapping(rest).items() if value is not None}
    if packed:
        finished["artifacts"] = packed
    finished["timings"] = {**timings, **finished.get("timings", {})}
    if "models" in finished:
        finished["models"] = finished["models"][:MODELS_LIMIT]
    if "error" in finished:
        finished["error"]["message"] = one_line(finished["error"]["message"])
    return finished


def write_result(path: Path, result: Mapping[str, object]) -> None:
    """Replace the result file in one step, so that a reader sees all of it or none.

    :param path: Where the launcher looks.
    :param result: JSON object.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            json.dump(result, stream, separators=(",", ":"))
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
