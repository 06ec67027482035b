"""The ``version`` of a project in ``.dagctl/config.yaml``: whoever raises it asks for a plan (``version_strategy`` semantic).

The file comes from the repository and is hostile text: it is read as plain data, every scalar as text, so that ``1.10`` stays
``1.10`` and nothing is constructed or executed.
"""

from __future__ import annotations

import yaml
from packaging.version import InvalidVersion, Version

RELEASE_FILE = ".dagctl/config.yaml"
MAX_RELEASE_FILE_BYTES = 16 * 1024
_MAX_LENGTH = 64
_MAX_DEPTH = 20


class InvalidRelease(ValueError):
    """The file holds no version that could be compared; the text says why."""


def read_release(text: str) -> Version:
    """The version that a ``.dagctl/config.yaml`` gives.

    :param text: Content of the file, at most :data:`MAX_RELEASE_FILE_BYTES` long.
    :raises InvalidRelease: when it gives none.
    """
    try:
        _require_plain(text)
        document = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - makes texts, lists and objects, nothing else
    except (yaml.YAMLError, RecursionError):
        raise InvalidRelease(f"{RELEASE_FILE} is not YAML.") from None
    value = document.get("version") if isinstance(document, dict) else None
    if not isinstance(value, str) or not value:
        raise InvalidRelease(f"{RELEASE_FILE} has no 'version'.")
    try:
        if len(value) > _MAX_LENGTH:
            raise InvalidVersion
        return Version(value)
    except InvalidVersion:
        raise InvalidRelease(f"The version {value[:_MAX_LENGTH]!r} in {RELEASE_FILE} does not look like 1.2.3.") from None


def _require_plain(text: str) -> None:
    """Refuse what a version has no need of: aliases, by which a small text stands for a huge value, and deep nesting, on which
    the YAML library spends time by the square of the depth.
    """
    depth = 0
    for token in yaml.scan(text):
        depth += isinstance(token, _OPENING) - isinstance(token, _CLOSING)
        if isinstance(token, yaml.AliasToken) or depth > _MAX_DEPTH:
            raise InvalidRelease(f"{RELEASE_FILE} must be plain: no aliases, no deep nesting.")


_OPENING = (yaml.FlowSequenceStartToken, yaml.FlowMappingStartToken, yaml.BlockSequenceStartToken, yaml.BlockMappingStartToken)
_CLOSING = (yaml.FlowSequenceEndToken, yaml.FlowMappingEndToken, yaml.BlockEndToken)
