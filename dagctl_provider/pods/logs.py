"""Follows the log of a container line by line, across broken connections: no line twice, none lost.

KubernetesPodOperator shows a line when the next one has come, and repeats lines after a broken connection.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from datetime import datetime, timezone

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from dagctl_provider.pods.cluster import Cluster

_STAMPED = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(?:Z|[+-]\d\d:\d\d) ?(.*)", re.DOTALL)
_OVERLAP_SECONDS = 10
_LONGEST_PAUSE = 3.0

Moment = tuple[bytes, bytes]


class LogFollower:
    """Reads one container's log to its end.

    :param cluster: Where the pod is.
    :param name: Of the pod.
    :param container: Of the container.
    :param on_line: Gets each line, without its time.
    """

    def __init__(self, cluster: Cluster, name: str, container: str, on_line: Callable[[str], None]) -> None:
        self._cluster = cluster
        self._name = name
        self._container = container
        self._on_line = on_line
        self._last: Moment | None = None
        self._at_last: list[bytes] = []
        self._received = time.monotonic()

    def follow(self, running: Callable[[], bool]) -> None:
        """Read until the container has ended.

        :param running: Whether the container still runs; may wait for an answer.
        """
        pause = 0.2
        while True:
            before = self._received
            whole = self._read(follow=True)
            if not running():
                if not whole:
                    self._read(follow=False)
                return
            # The log of a container ends a moment before its status says so.
            self._cluster.sleep(pause)
            pause = 0.2 if self._received != before else min(pause * 1.5, _LONGEST_PAUSE)

    def _read(self, follow: bool) -> bool:
        """Read what is new.

        :return: Whether the log came to its end, as far as there is one.
        """
        rest = b""
        replay = self._last
        try:
            for chunk in self._cluster.log_chunks(self._name, self._container, self._since(), follow):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    replay = self._line(line, replay)
        except (ApiException, HTTPError, OSError):
            # What is left of a line comes again.
            return False
        if rest:
            self._line(rest, replay)
        return True

    def _since(self) -> int | None:
        """Seconds to go back. Measured twice, for the clocks of node and worker may differ."""
        if self._last is None:
            return None
        stamp = datetime.strptime(self._last[0].decode(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
        age = (datetime.now(timezone.utc) - stamp).total_seconds()
        return math.ceil(max(age, time.monotonic() - self._received, 0)) + _OVERLAP_SECONDS

    def _line(self, raw: bytes, replay: Moment | None) -> Moment | None:
        """Hand on a line unless it was handed on before.

        :param replay: Time of the last line before the connection broke, until newer ones come.
        """
        match = _STAMPED.fullmatch(raw)
        if match is None:
            if raw:
                self._on_line(raw.decode(errors="replace"))
            return replay
        moment, text = (match[1], (match[2] or b"").ljust(9, b"0")), match[3]
        if replay is not None:
            if moment < replay or (moment == replay and text in self._at_last):
                return replay
            replay = replay if moment == replay else None
        self._at_last = [*self._at_last, text] if moment == self._last else [text]
        self._last, self._received = moment, time.monotonic()
        self._on_line(text.decode(errors="replace").rstrip("\r"))
        return replay
