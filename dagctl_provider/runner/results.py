"""The result file: always written, always whole, never larger than an XCom should be."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagctl_provider.runner.errors import RunnerError, one_line, os_error
from dagctl_provider.runner.masking import Masker

OUTCOME_OF_EXIT_CODE = {0: "succeeded", 3: "drifted", 130: "cancelled"}
MODELS_LIMIT = 5_000
RESERVED_BYTES = 32 * 1024


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


class ResultFile:
    """The result's place, some of which is taken before the step begins: a disk that the step fills has room for its error.

    :param path: Where the launcher looks.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reserve = path.with_name(f".{path.name}.reserve")

    def reserve(self) -> None:
        """Take the room.

        :raises OSError: there is none; the step has not begun, so nothing is lost.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(self._reserve, "wb") as stream:
                # Not zeros: some file systems keep those for nothing.
                stream.write(os.urandom(RESERVED_BYTES))
                stream.flush()
                os.fsync(stream.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                self._reserve.unlink(missing_ok=True)
            raise

    def write(self, result: Mapping[str, Any]) -> int:
        """Write the result, or at least that it could not be written.

        :return: The exit code that stands in it.
        :raises OSError: not even that could be written.
        """
        try:
            write_result(self._path, result)
        except OSError:
            with contextlib.suppress(OSError):
                self._reserve.unlink(missing_ok=True)
            return self._write_in_reserve(result)
        self._reserve.unlink(missing_ok=True)
        return int(result["exit_code"])

    def _write_in_reserve(self, result: Mapping[str, Any]) -> int:
        try:
            write_result(self._path, result)
        except OSError as error:
            # A result without its parts would be read as if they were empty, so it is an error, and says how the step ended.
            short = error_result(os_error(error, f"The step ended as '{result['outcome']}', but its result could not be written"))
            write_result(self._path, short)
            return int(short["exit_code"])
        return int(result["exit_code"])
