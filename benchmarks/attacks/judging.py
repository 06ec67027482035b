"""Whether an attack got through, from the facts before and after it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from benchmarks.attacks.cells import REFUSED, Cell, Stopped
from benchmarks.attacks.scene import Genuine, Scene
from benchmarks.attacks.witnesses import Witnesses

RAN, SHOWN, AGAIN, NOTHING, BROKEN = "RAN", "SHOWN", "again", "nothing", "BROKEN"


@dataclass(frozen=True)
class Before:
    """Facts from before an attack."""

    statuses: dict[str, str]
    applied: Counter[str]
    started: int
    handed: set[tuple[str, str]]
    steps: set[str] = field(default_factory=set)


@dataclass
class Judgement:
    """What became of an attack.

    :param verdict: :data:`RAN` for code or a commit that dagctl did not decide on, and for a password in another's step;
        :data:`SHOWN` for a plan that says what was not explained; :data:`AGAIN` for a step that dagctl asked for and that was
        started once more, changing nothing; Airflow's status when it did not take a part of the attack; :data:`NOTHING` when it
        took all of it and nothing ran; :data:`BROKEN` when the attack could not be played.
    """

    cell: Cell
    verdict: str
    reasons: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        """Whether the product is to blame."""
        return self.verdict in (RAN, SHOWN)

    def line(self) -> str:
        """For people who watch."""
        attack, reasons = self.cell.attack, "; ".join(self.reasons)
        return f"{self.cell.name} {attack.theme}: {attack.title}: {self.verdict}{f' ({reasons})' if reasons else ''}"


class Judge:
    """Knows the facts of one stack."""

    def __init__(self, scene: Scene, witnesses: Witnesses) -> None:
        self._scene, self._witnesses = scene, witnesses

    def before(self, cell: Cell) -> Before:
        """The facts now."""
        plan = self._plan(cell)
        if plan is None:
            return Before({}, Counter(), 0, self._witnesses.handed())
        return Before(
            self._scene.statuses(plan),
            self._witnesses.applied(plan.project),
            len(self._witnesses.started(plan.commit)),
            self._witnesses.handed(),
            set(self._witnesses.watch.steps),
        )

    def _plan(self, cell: Cell) -> Genuine | None:
        return self._scene.genuine.get(cell.place)

    def after(self, cell: Cell, before: Before, stopped: Stopped | None) -> Judgement:
        """Wait until everything is over that the attack has begun, then judge."""
        for one in cell.runs:
            cell.settle(one)
        reasons = [f"RAN: {reason}" for reason in self._ran(cell, before)] + list(cell.findings)
        found = {reason.partition(":")[0] for reason in reasons}
        verdict = next((kind for kind in (RAN, SHOWN, "UNSETTLED", BROKEN, AGAIN) if kind in found), NOTHING)
        if verdict in (NOTHING, AGAIN) and stopped is not None:
            verdict = str(stopped.status) if stopped.status in REFUSED else f"stopped {stopped.status}"
            reasons += [] if stopped.status in REFUSED else [str(stopped)]
        return Judgement(cell, {"UNSETTLED": BROKEN}.get(verdict, verdict), [self._short(reason) for reason in reasons])

    @staticmethod
    def _short(reason: str) -> str:
        return " ".join(reason.split())[-600:]

    def _ran(self, cell: Cell, before: Before) -> list[str]:
        found = []
        if self._witnesses.ran(cell.label):
            found.append("the attacker's code ran")
        elif cell.was_made and self._witnesses.started(cell.commit):
            found.append("a step was started for the attacker's commit")
        found += [f"the password of {name} was handed to {self._whose(place)}" for name, place in self._handed(cell, before)]
        plan = self._plan(cell)
        return found + (self._of_plan(cell, plan, before) if plan is not None else [])

    def _handed(self, cell: Cell, before: Before) -> list[tuple[str, str]]:
        steps = dict(self._witnesses.watch.steps)
        mine = set(self._witnesses.started(cell.commit)) if cell.was_made else set()
        if cell.attack.theme == "connections":
            mine |= {name for name, step in steps.items() if step.request.get("project_name") == cell.place}
        mine |= set(self._witnesses.ran(cell.label))
        return sorted((name, place) for name, place in self._witnesses.handed() - before.handed if place.split()[1] in mine)

    @staticmethod
    def _whose(place: str) -> str:
        kind, _, name = place.partition(" ")
        return "the attacker's code" if kind == "mark" and name.startswith("evil") else f"a {kind}"

    def _of_plan(self, cell: Cell, plan: Genuine, before: Before) -> list[str]:
        found, applied = [], self._witnesses.applied(plan.project)
        for label, number in (applied - before.applied).items():
            # The run Dag runs the deployed commit as it is deployed, for whoever may start it: that is what it is for.
            if not (plan.kind == "clock" and label == plan.label):
                found.append(f"{label} was applied {number} times more")
        for step, status in self._scene.statuses(plan).items():
            old = before.statuses.get(step)
            if status != old and status in ("approved", "completed", "running"):
                found.append(f"dagctl's step was {old} and is {status}")
            elif status != old:
                cell.findings.append(f"disturbed: dagctl's step was {old} and is {status}")
        now = self._scene.shown(plan)
        cell.findings += [
            f"SHOWN: {'Required Actions' if name == 'asked' else 'the plan'} says something else than before"
            for name in plan.shown
            if name in now and now[name] != plan.shown[name]
        ]
        if plan.kind == "clock":
            found += self._other_commits(plan, before)
        again = len(self._witnesses.started(plan.commit)) - before.started
        if again > 0 and plan.kind != "clock":
            if cell.attack.makes_runs:
                found.append(f"the commit's code ran in {again} steps of a run that dagctl did not start")
            else:
                cell.findings.append(f"{AGAIN}: {again} steps that dagctl had asked for")
        return found

    def _other_commits(self, plan: Genuine, before: Before) -> list[str]:
        """Steps of a project, and of commits that are not deployed in it."""
        steps = [step.request for name, step in list(self._witnesses.watch.steps.items()) if name not in before.steps]
        others = [one for one in steps if one.get("project_name") == plan.project and one.get("commit_sha") != plan.commit]
        known = {one.commit: one.label for one in self._scene.genuine.values()}
        names = {known.get(str(one.get("commit_sha")), "another commit") for one in others}
        return [f"{name} ran instead of what is deployed" for name in sorted(names)]

    def put_right(self, cell: Cell) -> None:
        """Remove the attack's own runs, and make its plan again where it is not what it was."""
        genuine = {(plan.dag_id, plan.run_id) for plan in self._scene.genuine.values()}
        for dag_id, run_id in set(cell.runs) - genuine:
            address = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}"
            # Airflow deletes no run that goes on, such as one that waits for its approval.
            self._scene.admin.ask("PATCH", address, {"state": "failed"})
            self._scene.admin.ask("DELETE", address)
        plan = self._plan(cell) if cell.changed_something else None
        if plan is not None and plan.kind != "clock" and not self._scene.is_intact(plan):
            self._scene.renew(plan.kind)

    def last_look(self, judged: list[Judgement]) -> None:
        """Passwords that no attack was blamed for."""
        blamed = sum("password" in reason for one in judged for reason in one.reasons)
        every = self._witnesses.handed()
        steps = {place for _, place in every}
        print(f"Planted passwords: handed to {len(steps)} places that were not their own, {blamed} of them found with an attack")
