"""Tells people what of a value changed: the key that did, and before and after where both are short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

#: Characters of a value that is shown.
SHORT = 60
#: Lines for one value; more than these are counted.
MOST = 8


def told(key: str, before: object, after: object) -> list[str]:
    """Texts such as `meta.owner: ann -> bob`, `tags: +nightly -hourly`, `description`.

    :param key: What it is called.
    :param before: Its value until now; ``None`` for none.
    :param after: Its value from now on.
    """
    rows = list(_rows(key, before, after))
    return rows if len(rows) <= MOST else [*rows[:MOST], f"{key}: and {len(rows) - MOST} more"]


def _rows(key: str, before: object, after: object) -> Iterator[str]:
    if before == after:
        return
    if isinstance(before or after, Mapping) and isinstance(before or {}, Mapping) and isinstance(after or {}, Mapping):
        old, new = before or {}, after or {}
        assert isinstance(old, Mapping)
        assert isinstance(new, Mapping)
        for name in dict.fromkeys([*old, *new]):
            yield from _rows(f"{key}.{name}", old.get(name), new.get(name))
    elif _is_list(before) and _is_list(after):
        yield f"{key}: {_list_change(before, after) or 'another order'}"
    elif _is_short(before) and _is_short(after):
        yield f"{key}: {_shown(before)} -> {_shown(after)}"
    else:
        yield key


def _is_list(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, (str, int, float)) for item in value)


def _list_change(before: object, after: object) -> str:
    assert isinstance(before, list)
    assert isinstance(after, list)
    came, gone = [item for item in after if item not in before], [item for item in before if item not in after]
    return " ".join([*(f"+{_cut(item)}" for item in came), *(f"-{_cut(item)}" for item in gone)])


def _cut(item: object) -> str:
    text = " ".join(str(item).split())
    return text if len(text) <= SHORT else text[: SHORT - 1] + "…"


def _is_short(value: object) -> bool:
    return isinstance(value, (str, int, float, bool, type(None))) and len(str(value)) <= SHORT and "\n" not in str(value)


def _shown(value: object) -> str:
    return "(none)" if value in (None, "") else str(value)
