"""A model-based test of the rules of protected environments: random rules, members, approvals, plans and time.

What may be executed is judged a second time here, by a few lines that share nothing with the product: they know the rules as the
JSON that was sent, people by their names, and approvals as they were clicked.
"""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import timedelta
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from sqlalchemy import delete, select, update

from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.permissions import Actor
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services import plans, protections
from dagctl_provider.services.results import PlanApprovalRecorded, PlanApproved
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import tables, transactions
from tests.services import staff
from tests.services.world import World

pytestmark = pytest.mark.slow

NAMES = ("Ada", "Bob", "Cy", "Dee")
AUTHOR = "Ada"
ROLES = ("owner", "admin", "developer", "reader")
_MAY = ("owner", "admin", "developer")
MODELS: dict[str, dict[str, Any]] = {
    "sha256:calm": {"name": "a", "change": "directly_modified", "category": "non_breaking", "path": "core/a.sql", "tags": []},
    "sha256:breaks": {"name": "b", "change": "directly_modified", "category": "breaking", "path": "money/b.sql", "tags": []},
    "sha256:removes": {"name": "c", "change": "removed"},
}
"""What each digest stands for; of the last one the place is not known."""
_numbers = itertools.count()

some_names = st.lists(st.sampled_from(NAMES), unique=True, max_size=3)
some_roles = st.lists(st.sampled_from(ROLES), unique=True, max_size=2)
rule_sets = st.fixed_dictionaries(
    {"quorum": st.sampled_from([1, 2, 2, 3])},
    optional={
        "approver_roles": some_roles,
        "approver_user_ids": some_names,
        "forbid_author": st.booleans(),
        "forbid_creator": st.booleans(),
        "extra_when_breaking": st.integers(0, 1),
        "extra_when_removed": st.integers(0, 1),
        "expires_after_hours": st.sampled_from([10, 30]),
        "group": st.fixed_dictionaries({"quorum": st.integers(1, 2), "user_ids": some_names, "roles": some_roles}).filter(
            lambda group: bool(group["user_ids"] or group["roles"])
        ),
        "closed": st.sampled_from([False, False, False, True]),
    },
)


class Oracle:
    """What is asked for, told a second time."""

    def __init__(self) -> None:
        self.rules: dict[str, Any] = {}
        self.allowed_names: list[str] = []
        self.allowed_roles: list[str] = list(ROLES)
        self.enabled = True
        self.role: dict[str, str | None] = {}
        self.hour = 0
        self.given: dict[str, list[tuple[str, int]]] = {digest: [] for digest in MODELS}
        self.creator: str | None = None

    def listed(self, name: str) -> bool:
        role = self.role[name]
        return role is not None and (name in self.allowed_names or role in self.allowed_roles)

    def fits(self, name: str) -> bool:
        if self.role[name] not in _MAY or not self.listed(name):
            return False
        if self.rules.get("forbid_author") and name == AUTHOR:
            return False
        return not (self.rules.get("forbid_creator") and name == self.creator)

    def approver(self, name: str) -> bool:
        roles, names = self.rules.get("approver_roles", []), self.rules.get("approver_user_ids", [])
        return not (roles or names) or name in names or self.role[name] in roles

    def in_group(self, name: str, digest: str) -> bool:
        group = self.rules.get("group")
        asked = group is not None and digest != "sha256:calm"
        return asked and (name in group["user_ids"] or self.role[name] in group["roles"])

    def counting(self, digest: str) -> set[str]:
        most = self.rules.get("expires_after_hours", 10_000)
        return {
            name
            for name, at in self.given[digest]
            if self.hour - at < most and self.fits(name) and (self.approver(name) or self.in_group(name, digest))
        }

    def enough(self, digest: str, names: set[str]) -> bool:
        needed = self.rules.get("quorum", 1)
        # A model that goes breaks nothing by that, in a plan that says so of no category.
        needed += self.rules.get("extra_when_breaking", 0) if digest == "sha256:breaks" else 0
        needed += self.rules.get("extra_when_removed", 0) if digest == "sha256:removes" else 0
        if sum(self.approver(name) for name in names) < needed:
            return False
        group = self.rules.get("group")
        if group is None or digest == "sha256:calm":
            return True
        return sum(self.in_group(name, digest) for name in names) >= group["quorum"]


class RulesMachine(RuleBasedStateMachine):
    """One project, one protected environment, four people."""

    world: World
    actors: dict[str, Actor]
    reached: Counter[str] = Counter()

    @initialize()
    def start(self) -> None:
        self.oracle = Oracle()
        self.world.head = f"commit {next(_numbers)}"
        self.project = self.world.project(f"project {next(_numbers)}")
        self.owner = self.world.actor()
        transactions.run(lambda session: session.execute(delete(tables.protection)))
        for name in NAMES:
            self.becomes(name, "owner" if name == "Ada" else "developer")
        made = protections.create_protection(self.owner, {"environment_name": "prod", "excepted_roles": list(ROLES)})
        self.protection = made.protection.id
        self.plan: PlanStep | None = None
        self.execute: PlanStep | None = None
        self.drifted, self.last_digest = False, ""
        self.before: list[tuple[str, int]] = []

    def becomes(self, name: str, role: str | None) -> None:
        c, old = tables.member.c, self.actors[name]
        values = {"role": role or "reader", "removed_at": None if role else old_moment()}
        statement = update(tables.member).where(c.user_id == old.user_id).values(**values)
        transactions.run(lambda session: session.execute(statement))
        self.oracle.role[name] = role

    def actor(self, name: str) -> Actor:
        from dagctl_provider.domain.permissions import permissions_of

        role: Any = self.oracle.role[name]
        old = self.actors[name]
        permissions = permissions_of(role) if role else frozenset(("read", "approve_plan"))
        return Actor("user", old.identifier, old.name, old.organization_id, permissions, role, old.user_id, old.email)

    @rule(rules=rule_sets)
    def rules_change(self, rules: dict[str, Any]) -> None:
        self.change_rules(rules)

    def change_rules(self, rules: dict[str, Any]) -> None:
        # Who has left cannot be named any more.
        here = [name for name in NAMES if self.oracle.role[name]]
        rules = {**rules, "approver_user_ids": [name for name in rules.get("approver_user_ids", []) if name in here]}
        if "group" in rules:
            named = [name for name in rules["group"]["user_ids"] if name in here]
            rules["group"] = {**rules["group"], "user_ids": named, "roles": rules["group"]["roles"] or ["owner"]}
        self.oracle.rules = rules
        sent = {key: value for key, value in rules.items() if key not in ("group", "closed")}
        sent["approver_user_ids"] = ids(rules.get("approver_user_ids", []))
        if "group" in rules:
            group = rules["group"]
            sent["groups"] = [{**group, "name": "money", "user_ids": ids(group["user_ids"]), "paths": ["/money/"]}]
        if rules.get("closed"):
            sent["windows"] = [{"kind": "deny", "from": "2000-01-01", "time_zone": "UTC"}]
        protections.update_protection(self.owner, self.protection, {"rules": sent})

    @rule(names=some_names, roles=some_roles)
    def allowlist_changes(self, names: list[str], roles: list[str]) -> None:
        names = [name for name in names if self.oracle.role[name]]
        self.oracle.allowed_names, self.oracle.allowed_roles = names, roles
        protections.update_protection(self.owner, self.protection, {"excepted_user_ids": ids(names), "excepted_roles": roles})

    @rule()
    def everybody_is_allowed(self) -> None:
        self.allowlist_changes([], list(ROLES))

    @rule(name=st.sampled_from(NAMES), role=st.sampled_from([*ROLES, None]))
    def role_changes(self, name: str, role: str | None) -> None:
        self.becomes(name, role)

    @rule(hours=st.integers(1, 12))
    def time_passes(self, hours: int) -> None:
        self.oracle.hour += hours
        c = tables.decision.c

        def work(session: Any) -> None:
            for row in session.execute(select(c.id, c.created_at)).all():
                earlier = row.created_at - timedelta(hours=hours)
                session.execute(update(tables.decision).where(c.id == row.id).values(created_at=earlier))

        transactions.run(work)

    @precondition(lambda self: self.execute is None)
    @rule(digest=st.sampled_from(list(MODELS)), creator=st.sampled_from(NAMES), same=st.booleans())
    def planned(self, digest: str, creator: str, same: bool) -> None:
        self.planned_by(digest, creator, same)

    def planned_by(self, digest: str, creator: str, same: bool) -> None:
        """A new commit, or the drifted one once more."""
        if not (same and self.drifted):
            self.world.head = f"commit {next(_numbers)}"
        actor = self.actor(creator)
        if "create_plan" not in actor.permissions:
            actor = self.owner
        self.oracle.creator = creator if actor is not self.owner else None
        created = plans.create_plan(actor, self.project.id)
        assert created.step is not None
        self.plan = self.world.finish_explain(created.step, digest, models=[MODELS[digest]])
        self.drifted = False
        if self.plan.status == "approved":
            self.reached["kept"] += 1
            assert not self.oracle.rules.get("closed")
            assert self.oracle.enough(digest, self.oracle.counting(digest)), "nobody was asked, and it was not enough"
            self.begins(digest)
        else:
            assert self.plan.status == "pending"

    def begins(self, digest: str) -> None:
        assert self.plan is not None
        group = self.plan.group_id
        self.execute = transactions.run(lambda session: plan_rows.group_steps(session, group))[-1]
        assert self.execute.plan_type == "execute"
        self.before, self.oracle.given[digest] = self.oracle.given[digest], []
        self.plan = None

    @precondition(lambda self: self.plan is not None)
    @rule(name=st.sampled_from(NAMES))
    def approved(self, name: str) -> None:
        self.approves(name)

    @precondition(lambda self: self.execute is None)
    @rule(
        rules=st.none() | rule_sets,
        digest=st.sampled_from(list(MODELS)),
        names=st.permutations(NAMES),
        ends=st.sampled_from(["drifted", "success"]),
    )
    def usual_day(self, rules: dict[str, Any] | None, digest: str, names: list[str], ends: str) -> None:
        """What mostly happens, so that the walk gets far: a plan that all look at, one after the other, and its execution."""
        if rules is not None:
            self.change_rules(rules)
        self.planned_by(digest, names[0], same=True)
        for name in names:
            if self.plan is not None:
                self.approves(name)
        if self.execute is not None:
            self.executed_as(ends)

    def approves(self, name: str) -> None:
        assert self.plan is not None
        oracle, digest = self.oracle, str(self.plan.digest)
        counting = oracle.counting(digest)
        useful = oracle.fits(name) and (oracle.approver(name) or oracle.in_group(name, digest))
        refused = oracle.rules.get("closed") or not oracle.listed(name) or not useful
        judged = ""
        outcome: object
        try:
            outcome = plans.approve(self.actor(name), self.plan.id, "rest")
        except DagctlError as error:
            self.reached[error.code] += 1
            judged = error.code
            outcome = None
        if outcome is None:
            assert judged in ("forbidden", "environment_protected", "outside_window", "approval_refused")
            assert refused or oracle.role[name] not in _MAY
            return
        assert not refused
        if name not in counting:
            oracle.given[digest].append((name, oracle.hour))
        if oracle.enough(digest, counting | {name}):
            assert isinstance(outcome, PlanApproved), "it was enough"
            self.reached["approved"] += 1
            self.begins(digest)
        else:
            assert isinstance(outcome, PlanApprovalRecorded), "it was not enough"
            assert {one.by.name for one in outcome.evaluation.counted} == counting | {name}
            self.reached["recorded"] += 1

    @precondition(lambda self: self.drifted and self.execute is None)
    @rule(creator=st.sampled_from(NAMES))
    def drift_is_over(self, creator: str) -> None:
        """The drifted commit is planned once more and comes out as it was approved."""
        self.planned_by(self.last_digest, creator, same=True)

    @precondition(lambda self: self.plan is not None)
    @rule()
    def rejected(self) -> None:
        assert self.plan is not None
        plans.reject(self.owner, self.plan.id, "rest", "No.")
        self.oracle.given[str(self.plan.digest)] = []
        self.plan = None

    @precondition(lambda self: self.execute is not None)
    @rule(ends=st.sampled_from(["success", "failed", "drifted", "drifted"]))
    def executed(self, ends: str) -> None:
        self.executed_as(ends)

    def executed_as(self, ends: str) -> None:
        assert self.execute is not None
        state = "success" if ends == "success" else "failed"
        code = "plan_drifted" if ends == "drifted" else "model_failed"
        more = {} if ends == "success" else {"error": {"code": code, "message": "no"}}
        self.world.finish_execute(self.execute, state, **more)
        if ends == "drifted":
            self.oracle.given[str(self.execute.digest)] = self.before
            self.drifted, self.last_digest = True, str(self.execute.digest)
        self.execute = None

    @invariant()
    def what_waits_is_not_executed(self) -> None:
        if getattr(self, "plan", None) is not None:
            assert self.plan is not None
            group = self.plan.group_id
            steps = transactions.run(lambda session: plan_rows.group_steps(session, group))
            assert [step.status for step in steps] == ["pending"]


def ids(names: list[str]) -> list[str]:
    return [f"user_{name.lower()}" for name in names]


def old_moment() -> Any:
    from dagctl_provider.store.session import utcnow

    return utcnow()


def test_nothing_is_executed_without_what_the_rules_asked_for(world: World) -> None:
    RulesMachine.world = world
    RulesMachine.actors = {name: staff.member(world.organization_id, name) for name in NAMES}
    RulesMachine.reached.clear()
    run_state_machine_as_test(
        RulesMachine,
        settings=settings(
            max_examples=30,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
            database=None,
            phases=(Phase.generate,),
        ),
    )
    walked = RulesMachine.reached
    assert min(walked[each] for each in ("approved", "recorded", "kept", "approval_refused", "environment_protected")) > 0, walked
