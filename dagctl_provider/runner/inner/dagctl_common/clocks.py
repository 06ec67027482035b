"""Another clock, another machine and other chance for a forked process, so that what depends on them shows.

Only code that is loaded from now on sees the other clock: modules that are there already keep theirs, and with it everything
that the tool itself does.
"""

from __future__ import annotations

import datetime
import os
import platform
import random
import socket
import sys
import time
import types
from collections.abc import Callable
from typing import Any, TypeVar

from dagctl_common.standins import named_like

_T = TypeVar("_T")

SHIFT = datetime.timedelta(days=1, hours=1, minutes=1, seconds=1)
"""Changes the date, the hour, the minute and the second at once."""


class _Same(type):
    """Says of the real class's instances that they are its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.__mro__[1]) if cls in (_Date, _Datetime) else super().__instancecheck__(instance)


class _Datetime(datetime.datetime, metaclass=_Same):
    """``datetime`` with another now; what it makes is of the real class, unless a project derives its own from it."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return datetime.datetime(*args, **kwargs) if cls is _Datetime else super().__new__(cls, *args, **kwargs)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: Any) -> object:
        return handler.generate_schema(datetime.datetime)

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.now(tz) + SHIFT

    @classmethod
    def today(cls) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.now() + SHIFT

    @classmethod
    def utcnow(cls) -> datetime.datetime:  # type: ignore[override]
        return datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None) + SHIFT


class _Date(datetime.date, metaclass=_Same):
    """``date`` with another today."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return datetime.date(*args, **kwargs) if cls is _Date else super().__new__(cls, *args, **kwargs)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, handler: Any) -> object:
        return handler.generate_schema(datetime.date)

    @classmethod
    def today(cls) -> datetime.date:  # type: ignore[override]
        return (datetime.datetime.now() + SHIFT).date()


named_like(_Datetime, datetime.datetime)
named_like(_Date, datetime.date)


def shifted_datetime() -> types.ModuleType:
    """A stand-in for the module ``datetime`` whose clock is ahead."""
    module = types.ModuleType("datetime")
    module.__dict__.update(datetime.__dict__)
    module.__dict__.update(datetime=_Datetime, date=_Date)
    return module


def shift() -> None:
    """Let this process live later, elsewhere and with other luck; there is no way back."""
    ahead = SHIFT.total_seconds()
    real_time, real_ns = time.time, time.time_ns
    time.time = named_like(lambda: real_time() + ahead, real_time)
    time.time_ns = named_like(lambda: real_ns() + int(ahead * 1_000_000_000), real_ns)
    for name in ("localtime", "gmtime", "ctime"):
        setattr(time, name, _later(getattr(time, name)))
    real_format = time.strftime
    time.strftime = named_like(lambda form, moment=None: real_format(form, moment or time.localtime()), real_format)
    sys.modules["datetime"] = shifted_datetime()
    _move()
    random.seed()
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed()


def _move() -> None:
    """To another machine: each pod has a name of its own."""
    host, uname, cores = f"{socket.gethostname()}-2", os.uname(), (os.cpu_count() or 1) + 1
    moved = type(uname)((uname.sysname, host, uname.release, uname.version, uname.machine))
    answers: dict[tuple[types.ModuleType, str], object] = {
        (socket, "gethostname"): host, (socket, "getfqdn"): host, (platform, "node"): host, (os, "uname"): moved,
        (os, "cpu_count"): cores,
    }  # fmt: skip
    for (module, name), answer in answers.items():
        setattr(module, name, _answering(answer, getattr(module, name)))


def _answering(answer: _T, real: object) -> Callable[..., _T]:
    return named_like(lambda *_arguments: answer, real)


def _later(function: Callable[[float], object]) -> Callable[[float | None], object]:
    def later(seconds: float | None = None) -> object:
        return function(time.time() if seconds is None else seconds)

    return named_like(later, function)
