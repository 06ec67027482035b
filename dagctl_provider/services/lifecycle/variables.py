"""The environment variables of a step: which it gets, encrypted beside its grant, and which its plan was explained with.

A plan remembers a keyed hash of each variable in the transaction that grants its explain. An execute is not begun with others
than these: what was reviewed depends on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dagctl_provider.domain import proofs
from dagctl_provider.domain.errors import DagctlError
from dagctl_provider.domain.names import GRANT_TASK, VARIABLES_KEY
from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.domain.variables import Variable, differing, keyed_hash
from dagctl_provider.domain.wire.variables import GivenVariable, SealedVariables, digest_of_variables, packed
from dagctl_provider.orchestration import runs
from dagctl_provider.orchestration.encryption import Undecryptable, decrypted
from dagctl_provider.orchestration.runs import TaskState
from dagctl_provider.services.lifecycle import keys
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import variables as variable_rows
from dagctl_provider.store.session import Session

CHANGED = "The environment variables are not those that the plan was explained with: {names}. Nothing was begun."
UNREADABLE = "Environment variables cannot be decrypted with Airflow's present Fernet keys: {names}."
_NAMED = 10


@dataclass(frozen=True)
class Chosen:
    """The variables that steps of a project get in an environment.

    :param given: As they are handed out, by name.
    :param hashes: What a plan says of them, by name.
    :param unreadable: Names of those that cannot be decrypted any more.
    """

    given: Mapping[str, GivenVariable] = field(default_factory=dict, repr=False)
    hashes: Mapping[str, str] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


def value_of(variable: Variable) -> str:
    """A variable's value.

    :raises Undecryptable: when it cannot be read any more.
    """
    return decrypted(variable.content.decode())


def choose(session: Session, organization_id: str, project_id: str, environment: str) -> Chosen:
    """What steps of a project get in an environment now."""
    found = [one for one in variable_rows.list_variables(session, organization_id) if one.reaches(project_id, environment)]
    if not found:
        return Chosen()
    key, given, hashes, unreadable = keys.variables_key(session), {}, {}, []
    for one in found:
        try:
            value = value_of(one)
        except Undecryptable:
            unreadable.append(one.name)
            continue
        hashes[one.name] = keyed_hash(key, one, value)
        given[one.name] = GivenVariable(
            value=value,
            is_sensitive=one.is_sensitive,
            file_mount_path=one.file_mount_path,
            file_permissions=one.file_permissions,
        )
    return Chosen(given, hashes, tuple(unreadable))


def with_own(chosen: Chosen, own: Mapping[str, str]) -> Chosen:
    """What a run of a job gets: the job is nearer than the organization, so its variables win.

    :param own: The job's; no secrets, for they are shown.
    """
    given = {name: GivenVariable(value=value, is_sensitive=False) for name, value in own.items()}
    return replace(chosen, given={**chosen.given, **given})


def hand_out(session: Session, state: TaskState, kind: str, chosen: Chosen) -> str | None:
    """Leave the variables beside the grant of a try, for nobody else to read.

    :return: What the grant says of them.
    """
    place = (state.dag_id, state.run_id, GRANT_TASK[kind], VARIABLES_KEY)
    if not chosen.given:
        runs.delete_xcom(session, *place)
        return None
    text = packed(chosen.given).encode()
    letter = SealedVariables(sealed=proofs.locked(keys.seal_key(session), state.try_id, text))
    runs.write_xcom(session, *place, letter.to_json())
    return digest_of_variables(letter)


def take_back(session: Session, dag_id: str, run_id: str, kind: str) -> None:
    """Remove what was handed out, once the step has come to its end; a retry gets its own."""
    runs.delete_xcom(session, dag_id, run_id, GRANT_TASK[kind], VARIABLES_KEY)


def refusal_for(chosen: Chosen, explained: PlanStep | None) -> tuple[str, str] | None:
    """Why a step must not begin with these variables, as a code and a sentence; ``None`` when it may.

    :param explained: Of an execute: the explain of its plan.
    """
    if chosen.unreadable:
        return "variable_undecryptable", UNREADABLE.format(names=_listed(chosen.unreadable))
    if explained is not None and (names := differing(explained.variables, chosen.hashes)):
        return "variables_changed", CHANGED.format(names=_listed(names))
    return None


def remember(session: Session, step: PlanStep, chosen: Chosen) -> None:
    """Note which variables a step was granted with."""
    plan_rows.note_step(session, step.id, variables=dict(chosen.hashes))


def have_changed(session: Session, explain: PlanStep) -> bool:
    """Whether an execute of a plan would be refused for its variables now."""
    chosen = choose(session, explain.organization_id, explain.project_id, explain.environment)
    return refusal_for(chosen, explain) is not None


def require_unchanged(session: Session, explain: PlanStep) -> None:
    """Refuse to execute a plan whose variables are not those that it was explained with.

    :raises DagctlError: ``variables_changed`` or ``variable_undecryptable``; each names the variables.
    """
    chosen = choose(session, explain.organization_id, explain.project_id, explain.environment)
    if (refusal := refusal_for(chosen, explain)) is not None:
        names = list(chosen.unreadable) or differing(explain.variables, chosen.hashes)
        raise DagctlError(*refusal, plan_id=explain.id, variables=names)


def _listed(names: tuple[str, ...] | list[str]) -> str:
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*names[:_NAMED], *more])
