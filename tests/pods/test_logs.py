"""Lines of a pod's log arrive once each and in order, however often the connection breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import ProtocolError

from dagctl_provider.pods.logs import LogFollower

LINES = [f"2026-04-28T10:00:{second:02}.{part}Z line {second}.{part}" for second in range(4) for part in ("1", "15", "150000001")]


class Logs:
    """Stands in for the cluster: each connection gives these chunks, or breaks."""

    def __init__(self, *connections: list[Any]) -> None:
        self.connections = list(connections)
        self.asked: list[tuple[int | None, bool]] = []

    def log_chunks(self, name: str, container: str, since: int | None, follow: bool) -> Iterator[bytes]:
        self.asked.append((since, follow))
        for chunk in self.connections.pop(0) if self.connections else []:
            if isinstance(chunk, Exception):
                raise chunk
            yield chunk

    def sleep(self, seconds: float) -> None:
        pass


def read(logs: Logs) -> list[str]:
    got: list[str] = []
    LogFollower(logs, "p", "base", got.append).follow(lambda: bool(logs.connections))  # type: ignore[arg-type]
    return got


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


EXPECTED = [line.split(" ", 1)[1] for line in LINES]
BROKEN = ProtocolError("Connection broken")


@pytest.mark.parametrize("cut", [0, 1, 30, 31, 200, 400])
def test_a_broken_connection_loses_and_repeats_nothing(cut: int) -> None:
    whole = text(LINES)
    logs = Logs([whole[:cut], BROKEN], [ApiException(status=503)], [whole], [whole])
    assert read(logs) == EXPECTED
    assert logs.asked[0] == (None, True)


def test_lines_of_one_moment_are_told_apart() -> None:
    lines = ["2026-04-28T10:00:00Z a", "2026-04-28T10:00:00Z b", "2026-04-28T10:00:00Z c"]
    assert read(Logs([text(lines[:2]), BROKEN], [text(lines)])) == ["a", "b", "c"]


def test_what_the_container_wrote_while_nobody_could_read_is_read_at_the_end() -> None:
    logs = Logs([text(LINES[:2]), BROKEN])
    logs_end = Logs([text(LINES)])
    got: list[str] = []
    follower = LogFollower(logs, "p", "base", got.append)  # type: ignore[arg-type]

    def ended() -> bool:
        logs.connections = logs_end.connections
        return False

    follower.follow(ended)
    assert got == EXPECTED
    assert logs.asked[-1][1] is False
    assert logs.asked[-1][0] is not None


def test_odd_lines_do_not_stop_it() -> None:
    data = b"no time at all\n2026-04-28T10:00:00Z \n2026-04-28T10:00:01.5Z caf\xe9\n2026-04-28T10:00:02Z last, without an end"
    assert read(Logs([data])) == ["no time at all", "", "caf\ufffd", "last, without an end"]
