"""What each role can make dagctl do through Airflow's own REST: a table of attacks, under both auth managers.

A real Airflow with plans in every state and planted passwords is prepared once for each auth manager. Then everybody plays every
attack, the weakest role first. The verdict is made of facts: marks that code leaves where it runs, rows in warehouses, the
folders of steps, and the states of plans before and after.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
import traceback
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor

from benchmarks.attacks import airflows
from benchmarks.attacks.cells import Attack, Cell, Stopped
from benchmarks.attacks.judging import Judge, Judgement
from benchmarks.attacks.mart import DBT
from benchmarks.attacks.reporting import report
from benchmarks.attacks.runs import RUNS
from benchmarks.attacks.scene import WAITING, Scene
from benchmarks.attacks.settings import SETTINGS
from benchmarks.attacks.tasks import TASKS
from benchmarks.attacks.witnesses import Witnesses
from benchmarks.common import machine, run

ATTACKS = [*RUNS, *TASKS, *SETTINGS, *DBT]
_AT_A_TIME = 8


class Play:
    """The attacks under one auth manager.

    :param attacks: Which.
    """

    def __init__(self, manager: str, scene: Scene, judge: Judge, attacks: list[Attack]) -> None:
        self._manager, self._scene, self._judge, self._attacks = manager, scene, judge, attacks
        self._ended = threading.Event()

    def by(self, person: airflows.Person) -> list[Judgement]:
        """All attacks of one person: those about the same plan one after the other, all others at the same time."""
        lanes: dict[str, list[Cell]] = defaultdict(list)
        waiting = itertools.cycle(WAITING)
        for number, attack in enumerate(self._attacks):
            if attack.is_for(self._manager, person.role):
                name = f"{number}-{person.role.lower()}-{self._manager}"
                place = next(waiting) if attack.target == "pending" else attack.target or ""
                # Older and newer plan of one project are touched by the same attacks.
                lane = {"older": "completed", "": name}.get(place, place)
                lanes[lane].append(Cell(attack, person, self._scene, name, place))
        longest_first = sorted(lanes.values(), key=len, reverse=True)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            try:
                return [judged for done in pool.map(self._lane, longest_first) for judged in done]
            finally:
                # Whoever breaks it off need not wait for all that was still to come.
                self._ended.set()

    def _lane(self, cells: list[Cell]) -> list[Judgement]:
        return [self._play(cell) for cell in cells if not self._ended.is_set()]

    def _play(self, cell: Cell) -> Judgement:
        before = self._judge.before(cell)
        stopped = None
        try:
            cell.attack.play(cell)
        except Stopped as error:
            stopped = error
        except Exception:
            cell.findings.append(f"BROKEN: {traceback.format_exc(limit=-4)}")
        judged = self._judge.after(cell, before, stopped)
        print(f"  {judged.line()}", file=sys.stderr, flush=True)
        self._judge.put_right(cell)
        return judged


def play(manager: str, options: argparse.Namespace) -> list[Judgement]:
    """One auth manager: prepare, then everybody."""
    attacks = [attack for attack in ATTACKS if any(part in f"{attack.theme}: {attack.title}" for part in options.only)]
    started, judged = time.monotonic(), []
    with airflows.running(manager) as (stack, people):
        scene = Scene(stack, people["Admin"])
        scene.prepare()
        witnesses = Witnesses(scene, stack.tool_python())
        judge = Judge(scene, witnesses)
        print(f"{manager}: prepared after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        for role in options.roles:
            judged += Play(manager, scene, judge, attacks).by(people[role])
            print(f"{manager}: {role} after {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        judge.last_look(judged)
        witnesses.watch.stop()
    return judged


def main(options: argparse.Namespace) -> int:
    """Play, print."""
    about, judged = machine(), []
    for manager in options.managers:
        judged += play(manager, options)
    print(f"\nattacks: {about}\n")
    return report(ATTACKS, judged)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=(__doc__ or "").partition("\n")[0])
    made.add_argument("--managers", nargs="+", choices=airflows.MANAGERS, default=list(airflows.MANAGERS))
    made.add_argument("--roles", nargs="+", choices=airflows.ROLES, default=list(airflows.ROLES))
    made.add_argument("--only", nargs="+", default=[""], help="attacks whose theme and title have one of these in them")
    made.add_argument("--quick", action="store_true", help="SimpleAuthManager, and of it the User only")
    return made


if __name__ == "__main__":
    if "--quick" in sys.argv:
        sys.argv += ["--managers", "simple", "--roles", "User"]
    run(main, parser())
