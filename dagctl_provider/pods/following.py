"""Follows a step that runs: lines of its log for people, lines that are events for the one who tells how far it is."""

from __future__ import annotations

from typing import TextIO

from dagctl_provider.pods.logs import LogFollower
from dagctl_provider.pods.specs import BASE
from dagctl_provider.pods.states import began, over, runs
from dagctl_provider.pods.step_pod import StepPod
from dagctl_provider.runner.progress import EVENT_MARK


def follow(pod: StepPod, events: TextIO) -> None:
    """Hand the log on until the step has ended.

    :param events: Gets the lines that are events.
    """

    def line(text: str) -> None:
        if not text.startswith(EVENT_MARK):
            pod.log.info("%s", text)
            return
        events.write(text.removeprefix(EVENT_MARK) + "\n")
        events.flush()

    def running() -> bool:
        pod.check()
        now = pod.read()
        return now is not None and runs(now) and not over(now)

    if pod.seen is not None and began(pod.seen):
        LogFollower(pod.cluster, pod.name, BASE, line).follow(running)
