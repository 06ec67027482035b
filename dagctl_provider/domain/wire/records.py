"""How a letter becomes a record and back: by the record's own fields, so that a new key is one line.

Keys that a record does not know are ignored, and absent ones have the field's default, so versions understand each other.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from datetime import datetime
from typing import Any, ClassVar, TypeVar

R = TypeVar("R", bound="Record")

_OPTIONAL = " | None"


class WireError(ValueError):
    """A letter is not what it has to be; the message names the record and the key."""


def canonical(letter: Record | Mapping[str, Any]) -> bytes:
    """The one form of a letter in bytes, whatever the order of its keys: what is compared, hashed or signed.

    :param letter: A record, or the letter as it was found. What came from elsewhere is judged as found, with the keys that this
        version does not know.
    """
    return json.dumps(letter.to_json() if isinstance(letter, Record) else letter, sort_keys=True).encode()


def _plain(kind: type) -> Callable[[Any], Any]:
    def read(value: object) -> Any:
        # JSON tells true from 1, and so must a reader.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise WireError
        return value

    return read


def _by_name(kind: type) -> Callable[[Any], Any]:
    item = _plain(kind)

    def read(value: object) -> Any:
        return {key: item(member) for key, member in _plain(dict)(value).items()}

    return read


def _texts(value: object) -> tuple[str, ...]:
    """The texts of a list; what is none among them was never one of ours."""
    return tuple(item for item in _plain(list)(value) if isinstance(item, str))


def _moment(value: object) -> datetime:
    try:
        return datetime.fromisoformat(_plain(str)(value))
    except ValueError as error:
        raise WireError from error


READERS: Mapping[str, Callable[[Any], Any]] = {
    "str": _plain(str),
    "bool": _plain(bool),
    "int": _plain(int),
    "datetime": _moment,
    "tuple[str, ...]": _texts,
    "list[Any]": _plain(list),
    "Mapping[str, str]": _by_name(str),
    "Mapping[str, Any]": _plain(dict),
    "Any": lambda value: value,
}
"""How a value is read, by the type of its field as it is written. A field of another type needs a row here."""


def _written(value: object) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return list(value)
    return dict(value) if isinstance(value, Mapping) else value


@dataclass(frozen=True)
class Record:
    """A letter. Fields are its keys, in the order in which they are written."""

    WHEN_KNOWN: ClassVar[frozenset[str]] = frozenset()
    """Keys that are absent rather than null when there is nothing to say."""

    def to_json(self) -> dict[str, Any]:
        """The letter."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {key: _written(value) for key, value in values.items() if value is not None or key not in self.WHEN_KNOWN}

    @classmethod
    def from_json(cls: type[R], letter: object) -> R:
        """The record of a letter that has to be one.

        :raises WireError: when it is no object, lacks what has no default, or holds a value of another type.
        """
        if not isinstance(letter, dict):
            raise WireError(f"{cls.__name__} must be an object")
        values = {}
        for field in fields(cls):
            try:
                values.update(_value(field, letter))
            except WireError:
                raise WireError(f"{cls.__name__}: {field.name!r} must be {field.type}") from None
        return cls(**values)

    @classmethod
    def read(cls: type[R], letter: object) -> R | None:
        """The record of a letter that anybody may have written: what is broken in it counts as absent.

        :return: ``None`` when it is no letter of this kind at all.
        """
        if not isinstance(letter, dict):
            return None
        values = {}
        for field in fields(cls):
            try:
                values.update(_value(field, letter))
            except WireError:
                if _required(field):
                    return None
        return cls(**values)


def _required(field: Field[Any]) -> bool:
    return field.default is MISSING and field.default_factory is MISSING


def _value(field: Field[Any], letter: dict[str, Any]) -> dict[str, Any]:
    """The value of a field, as a keyword argument; none when the letter leaves it to the default, as null also does."""
    found = letter.get(field.name)
    if found is None and not _required(field):
        return {}
    return {field.name: READERS[str(field.type).removesuffix(_OPTIONAL)](found)}
