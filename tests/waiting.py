"""The one way in which tests wait for what another process or thread does: look again until it is there.

When it never comes, the message says what was waited for and what was last seen, which is most of what one wants to know.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
WAIT_SECONDS = 240.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 0.2
_SHOWN_CHARACTERS = 4000


def wait_for(
    what: str,
    look: Callable[[], T | None],
    until: Callable[[Any], Any] = bool,
    *,
    seconds: float = WAIT_SECONDS,
    show: Callable[[], object] | None = None,
) -> T:
    """Look again and again until what is seen is what was waited for; then return it.

    What takes long is looked at less often, five times a second in the end.

    :param what: Ends the sentence "waited 240 s for ...".
    :param look: What to look at.
    :param until: Whether that is it; by default anything that is true.
    :param show: What a person wants to see when it does not come, such as a log; by default what was last looked at.
    :raises AssertionError: when it does not come in time.
    """
    deadline, pause = time.monotonic() + seconds, _FIRST_PAUSE
    while True:
        seen: Any = look()
        if until(seen):
            return seen
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; last seen: {_shown(show() if show else seen)}")
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def equals(wanted: object) -> Callable[[Any], bool]:
    """What is seen is this."""
    return lambda seen: bool(seen == wanted)


def holds(part: str) -> Callable[[Any], bool]:
    """What is seen has this in it."""
    return lambda seen: part in seen


def nothing(seen: Any) -> bool:
    """What is seen is gone, or not there yet."""
    return not seen


def _shown(seen: object) -> str:
    """As text, of a log its end."""
    text = seen if isinstance(seen, str) else repr(seen)
    return text if len(text) <= _SHOWN_CHARACTERS else f"... {text[-_SHOWN_CHARACTERS:]}"
