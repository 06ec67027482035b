"""What a runner reports of a plan, as data: every member of ``plan_output``, its type, what it means and who sets it.

One declaration serves three readers: :mod:`~dagctl_provider.plan_output.reading` makes these records out of stored JSON, the
OpenAPI document is drawn from them, and tests hold what the tools really produce against them. A member without a default is one
without which its object says nothing. ``None`` means that the report does not say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from dagctl_provider.plan_output.members import Says


@dataclass(frozen=True)
class Interval:
    """A span of time to load. Whole days are dates, the last one included; other spans are moments, the end excluded."""

    start: Annotated[str | None, Says("First day or moment")] = None
    end: Annotated[str | None, Says("Last day, or the moment after the span")] = None


@dataclass(frozen=True)
class RetypedColumn:
    """A column whose type changes."""

    name: Annotated[str, Says("The column")]
    before: Annotated[str | None, Says("Its type as deployed", key="from")] = None
    after: Annotated[str | None, Says("Its type in the commit", key="to")] = None


@dataclass(frozen=True)
class PlannedModel:
    """A model that the plan changes or loads; with dbt also a seed, a snapshot or a function."""

    name: Annotated[str, Says("As people say it: schema.model with SQLMesh, without the project's name with dbt")]
    change: Annotated[
        str | None,
        Says("added, removed, directly_modified, indirectly_modified or metadata; absent: it is only loaded"),
    ] = None
    category: Annotated[
        str | None, Says("breaking, non_breaking, forward_only, metadata, or indirect_ and one of the first three")
    ] = None
    kind: Annotated[str | None, Says("Kind of a SQLMesh model; materialisation of a dbt model, or seed, snapshot, function")] = (
        None
    )
    diff: Annotated[str | None, Says("Unified diff of its definition", whole=True)] = None
    diff_truncated: Annotated[bool | None, Says("Whether the diff was cut")] = None
    diff_of: Annotated[str | None, Says("What the diff is of: compiled, raw or config", "dbt")] = None
    backfill: Annotated[tuple[Interval, ...], Says("Spans that an execute loads", "SQLMesh")] = ()
    columns_added: Annotated[tuple[str, ...], Says("Columns that come")] = ()
    columns_removed: Annotated[tuple[str, ...], Says("Columns that go")] = ()
    columns_changed: Annotated[
        tuple[RetypedColumn | str, ...],
        Says("Columns of another type: objects with SQLMesh, texts such as `amount: INT -> TEXT` with dbt"),
    ] = ()
    unique_id: Annotated[str | None, Says("dbt's name of the node", "dbt")] = None
    reasons: Annotated[tuple[str, ...], Says("Why it counts as changed: body, config, relation, macro, contract, …", "dbt")] = ()
    details: Annotated[tuple[str, ...], Says("What of it changed, for people: which keys, macros, variables or metadata")] = ()
    path: Annotated[str | None, Says("Its file, from the project's folder on; absent where it is not known")] = None
    tags: Annotated[tuple[str, ...] | None, Says("Its tags; absent where they are not known")] = None


@dataclass(frozen=True)
class ReportedTests:
    """Unit tests of SQLMesh, or all tests that an execute of dbt ran."""

    run: Annotated[int | None, Says("How many ran")] = None
    passed: Annotated[int | None, Says("How many of them passed")] = None
    failed: Annotated[int | None, Says("How many of them failed")] = None
    skipped: Annotated[int | None, Says("How many did not run because of something above them", "dbt")] = None
    names: Annotated[tuple[str, ...], Says("Names of those that failed")] = ()
    output: Annotated[str | None, Says("What the tests printed", "SQLMesh")] = None


@dataclass(frozen=True)
class StateMigration:
    """Executing also migrates SQLMesh's state; there is no way back."""

    before: Annotated[str | None, Says("Version that wrote the state", key="from")] = None
    after: Annotated[str | None, Says("Version it will have", key="to")] = None


@dataclass(frozen=True)
class ResourceChange:
    """Something of a dbt project, other than a model, that is not as deployed."""

    type: Annotated[str | None, Says("test, unit_test, macro, source, exposure, group, metric, hook, package, …")] = None
    name: Annotated[str | None, Says("Its name")] = None
    change: Annotated[str | None, Says("added, modified or removed")] = None
    reasons: Annotated[tuple[str, ...], Says("Why it counts as changed")] = ()
    affects: Annotated[tuple[str, ...], Says("Models that change because of it")] = ()
    details: Annotated[tuple[str, ...], Says("The same for people: which keys, before and after where both are short")] = ()


@dataclass(frozen=True)
class Selection:
    """What an execute of dbt runs."""

    mode: Annotated[str | None, Says("none, selected or full")] = None
    reason: Annotated[str | None, Says("Why, for people")] = None
    arguments: Annotated[tuple[str, ...], Says("What a person would give `dbt build` for the same")] = ()
    nodes: Annotated[tuple[str, ...], Says("Unique ids of all that runs, tests last")] = ()
    models: Annotated[tuple[str, ...], Says("Names of the models, seeds, snapshots and functions that run")] = ()
    tests: Annotated[tuple[str, ...], Says("Names of the tests and unit tests that run")] = ()


@dataclass(frozen=True)
class ContractBreak:
    """A promise of an enforced contract that the commit takes back without a new version of the model."""

    model: Annotated[str | None, Says("The model")] = None
    problem: Annotated[str | None, Says("What it promised")] = None


@dataclass(frozen=True)
class Exposure:
    """Something outside dbt that reads a changed model."""

    name: Annotated[str | None, Says("Its name")] = None
    type: Annotated[str | None, Says("dashboard, notebook, application, …")] = None
    owner: Annotated[str | None, Says("Who answers for it")] = None
    reads: Annotated[tuple[str, ...], Says("Changed models that it reads")] = ()


@dataclass(frozen=True)
class ColumnImpact:
    """A column that goes or changes its type, and what reads it."""

    model: Annotated[str | None, Says("The column's model")] = None
    column: Annotated[str | None, Says("The column")] = None
    change: Annotated[str | None, Says("removed or changed")] = None
    read_by: Annotated[tuple[str, ...], Says("`model.column`, or `model (condition)`")] = ()


@dataclass(frozen=True)
class Compiled:
    """Whether dbt could compile what changed."""

    available: Annotated[bool | None, Says("Whether all of it was compiled")] = None
    reason: Annotated[str | None, Says("Why not")] = None


@dataclass(frozen=True)
class Drift:
    """Something that is not as it was when the plan was explained."""

    kind: Annotated[str | None, Says("model, variable, warehouse, package, macro, hook, …")] = None
    name: Annotated[str | None, Says("Its name")] = None
    change: Annotated[str | None, Says("changed, added or removed")] = None
    before: Annotated[str | None, Says("Its value when the plan was explained; absent for what may be secret")] = None
    after: Annotated[str | None, Says("Its value now")] = None


@dataclass(frozen=True)
class Unstable:
    """Something that comes out differently each time it is computed, so that no approval can cover it."""

    kind: Annotated[str | None, Says("model, rendered, macro, …")] = None
    name: Annotated[str | None, Says("Its name")] = None
    file: Annotated[str | None, Says("Where it is written, in the repository")] = None
    what: Annotated[str | None, Says("What of it differs, for people")] = None


@dataclass(frozen=True)
class Destructive:
    """A change of a table that exists and keeps its rows: columns of it go or change their type, or come."""

    name: Annotated[str, Says("The model, as in `models`")]
    columns: Annotated[tuple[str, ...], Says("The columns that it is about")] = ()
    statements: Annotated[tuple[str, ...], Says("What is sent to the warehouse")] = ()
    kind: Annotated[str | None, Says("destructive or additive")] = None
    policy: Annotated[str | None, Says("error, warn or allow, as the model says; error: an approval has to name the model")] = (
        None
    )
    remedies: Annotated[tuple[str, ...], Says("What could be done instead, for people")] = ()


@dataclass(frozen=True)
class Left:
    """A node that an execute which fails may leave otherwise than it is deployed."""

    node: Annotated[str | None, Says("The tool's name of it")] = None
    kind: Annotated[str | None, Says("As in `models`", "dbt")] = None
    relation: Annotated[str | None, Says("Where it was built", "dbt")] = None
    name: Annotated[str | None, Says("Its name for people")] = None
    identifier: Annotated[str | None, Says("Fingerprint of what the plan makes of it", "SQLMesh")] = None
    version: Annotated[str | None, Says("Version of the table that it shares with others", "SQLMesh")] = None
    own: Annotated[bool | None, Says("True: shared only with the next plan, where nothing was ever deployed", "SQLMesh")] = None
    loads: Annotated[bool | None, Says("True: the plan loads it, or began to", "SQLMesh")] = None
    kept: Annotated[tuple[str, ...], Says("Spans in milliseconds that it had loaded before the plan", "SQLMesh")] = ()


@dataclass(frozen=True)
class Refreshed:
    """A model or seed that is made from scratch."""

    name: Annotated[str, Says("As in `models`")]
    why: Annotated[str | None, Says("asked: an option of the plan; leftover: a failed plan's rows are in it")] = None


@dataclass(frozen=True)
class Leftover:
    """What a plan that failed left in the warehouse, and this plan sets right."""

    name: Annotated[str, Says("The model")]
    plan_id: Annotated[str | None, Says("The plan that failed")] = None
    commit: Annotated[str | None, Says("The commit that it was for")] = None
    what: Annotated[str | None, Says("What it left, for people")] = None


@dataclass(frozen=True)
class ExplainOutput:
    """What an explain found that the commit would change. All members are optional, and there may be more."""

    environment: Annotated[str | None, Says("SQLMesh's environment, dbt's target")] = None
    is_new_environment: Annotated[bool | None, Says("Whether nothing is deployed there yet")] = None
    explain_completed: Annotated[bool | None, Says("Whether all changes are known; false when the explain failed")] = None
    has_changes: Annotated[bool | None, Says("False: an execute would do nothing")] = None
    added: Annotated[int, Says("How many models are new", key="modelsAdded")] = 0
    modified: Annotated[int, Says("How many models change directly or indirectly", key="modelsModified")] = 0
    removed: Annotated[int, Says("How many models go", key="modelsRemoved")] = 0
    backfill: Annotated[int, Says("How many models an execute backfills; with dbt: builds", key="modelsNeedingBackfill")] = 0
    directly_modified: Annotated[tuple[str, ...], Says("Models whose own definition changes")] = ()
    indirectly_modified: Annotated[tuple[str, ...], Says("Models that change through what they read")] = ()
    metadata_modified: Annotated[tuple[str, ...], Says("Models that change in metadata alone; counted nowhere else")] = ()
    models_added: Annotated[tuple[str, ...], Says("New models")] = ()
    models_removed: Annotated[tuple[str, ...], Says("Models that go")] = ()
    models: Annotated[tuple[PlannedModel, ...], Says("All models that change or are loaded")] = ()
    lineage: Annotated[Mapping[str, tuple[str, ...]], Says("What each changed model reads")] = field(default_factory=dict)
    warnings: Annotated[tuple[str, ...], Says("What else a reviewer should know")] = ()
    digest_parts: Annotated[Mapping[str, str], Says("Hashes of what the digest is made of, by name")] = field(
        default_factory=dict
    )
    tests: Annotated[ReportedTests | None, Says("The project's unit tests", "SQLMesh")] = None
    state_migration: Annotated[StateMigration | None, Says("Present when the state has to be migrated", "SQLMesh")] = None
    requirements_diff: Annotated[str | None, Says("How the project's Python requirements change", "SQLMesh")] = None
    environment_statements_diff: Annotated[str | None, Says("How statements before and after all models change", "SQLMesh")] = (
        None
    )
    restatements: Annotated[tuple[str, ...], Says("Models that are loaded anew although they do not change", "SQLMesh")] = ()
    leaves: Annotated[tuple[Left, ...], Says("What an execute leaves that vanishes without an answer")] = ()
    resources: Annotated[tuple[ResourceChange, ...], Says("What changes beside models", "dbt")] = ()
    selection: Annotated[Selection | None, Says("What an execute runs", "dbt")] = None
    tests_to_run: Annotated[tuple[str, ...] | None, Says("Names of the tests that an execute runs", "dbt")] = None
    contracts_broken: Annotated[tuple[ContractBreak, ...], Says("Promises that the commit takes back", "dbt")] = ()
    exposures_affected: Annotated[tuple[Exposure, ...], Says("Exposures that read what changes", "dbt")] = ()
    column_impact: Annotated[tuple[ColumnImpact, ...], Says("Who reads the columns that go or change", "dbt")] = ()
    column_impact_missing: Annotated[str | None, Says("Why `column_impact` is not complete", "dbt")] = None
    compiled: Annotated[Compiled | None, Says("Whether diffs and columns come from compiled SQL", "dbt")] = None
    warehouse: Annotated[Mapping[str, str], Says("Where an execute writes: what of the connection is no secret")] = field(
        default_factory=dict
    )
    asked: Annotated[tuple[str, ...], Says("Models whose SQL was made from what the warehouse answered to a query")] = ()
    unstable: Annotated[tuple[Unstable, ...], Says("What no approval can cover, because it differs each time")] = ()
    drifts: Annotated[tuple[Drift, ...], Says("Of an execute that stopped: what is not as it was approved")] = ()
    packages_diff: Annotated[str | None, Says("How the Python packages that the tool runs with change")] = None
    destructive: Annotated[tuple[Destructive, ...], Says("Changes of tables that exist", "SQLMesh")] = ()
    previews: Annotated[tuple[str, ...], Says("Models whose backfill is only a preview of a forward-only change", "SQLMesh")] = ()
    assumed: Annotated[tuple[str, ...], Says("Models whose category was assumed to be breaking, not found out", "SQLMesh")] = ()
    metadata_followers: Annotated[tuple[str, ...], Says("Models of metadata_modified that nobody edited", "SQLMesh")] = ()
    full_refresh: Annotated[tuple[Refreshed, ...], Says("What is made from scratch", "dbt")] = ()
    vars: Annotated[Mapping[str, str], Says("Variables that the plan sets, each as JSON", "dbt")] = field(default_factory=dict)
    leftovers: Annotated[tuple[Leftover, ...], Says("What a failed plan left and this plan sets right")] = ()
    auto_discarded: Annotated[bool | None, Says("True: rejected because branch or deployed state moved on", "dagctl")] = None
    auto_discard_reason: Annotated[str | None, Says("Why it was discarded", "dagctl")] = None
    current_commit: Annotated[str | None, Says("The commit that stood in its way", "dagctl")] = None


@dataclass(frozen=True)
class ModelRow:
    """What is told of a model both while it runs and afterwards."""

    name: Annotated[str, Says("The name that the explain has for it")]
    status: Annotated[
        str | None, Says("succeeded, failed, skipped, cancelled, or not_ready: its signals, or those above, say it has to wait")
    ] = None
    duration: Annotated[float | None, Says("Seconds")] = None
    rows: Annotated[int | None, Says("Rows written, where the warehouse tells")] = None
    batches: Annotated[int | None, Says("How many batches were loaded; with dbt: of a model that is loaded in batches")] = None
    unique_id: Annotated[str | None, Says("dbt's name of the node", "dbt")] = None
    kind: Annotated[str | None, Says("model, seed, snapshot or function", "dbt")] = None


@dataclass(frozen=True)
class ModelRun(ModelRow):
    """What an execute or a run did with a model."""

    started: Annotated[str | None, Says("When it began; absent when it did not")] = None
    ended: Annotated[str | None, Says("When it was over")] = None
    interval: Annotated[tuple[str, ...], Says("Start and end of the time whose rows were loaded; the end is not part of it")] = ()
    error: Annotated[str | None, Says("Why it failed: the first 500 characters")] = None


@dataclass(frozen=True)
class Batches:
    """How far a model is that is loaded batch by batch; a batch is an interval of ISO 8601."""

    all: Annotated[tuple[str, ...], Says("All batches")] = ()
    done: Annotated[tuple[str, ...], Says("Those that are in the warehouse")] = ()


@dataclass(frozen=True)
class Resumes:
    """How far the executes of a plan have come: what the next one need not do again."""

    succeeded: Annotated[tuple[str, ...], Says("Unique ids of what is done")] = ()
    touched: Annotated[tuple[str, ...], Says("Unique ids of all that was begun")] = ()
    batches: Annotated[Mapping[str, Batches], Says("Of models that are loaded batch by batch, by unique id")] = field(
        default_factory=dict
    )
    turn: Annotated[str | None, Says("Another one once a run of the deployed state has begun since")] = None


@dataclass(frozen=True)
class ExecuteOutput:
    """What an execute did. All members are optional, and there may be more."""

    already_applied: Annotated[bool | None, Says("True: an earlier attempt had done all of it")] = None
    models: Annotated[tuple[ModelRun, ...], Says("Models that were begun or skipped, in that order")] = ()
    tests: Annotated[ReportedTests | None, Says("Tests of the build", "dbt")] = None
    timings: Annotated[Mapping[str, float], Says("Seconds for each part of the step")] = field(default_factory=dict)
    drifts: Annotated[tuple[Drift, ...], Says("Why it stopped: what is not as it was approved")] = ()
    warnings: Annotated[tuple[str, ...], Says("What went wrong without stopping it: audits that only warn")] = ()
    allow_destructive: Annotated[tuple[str, ...], Says("Models whose destructive changes the approval named", "dagctl")] = ()
    already_succeeded: Annotated[
        tuple[str, ...], Says("Unique ids of what this group's executes have finished; a retry leaves it out", "dagctl")
    ] = ()
    resumes: Annotated[Resumes | None, Says("How far this group's executes have come", "dagctl")] = None
    left: Annotated[tuple[Left, ...], Says("Of an execute that did not succeed: what it began to change")] = ()


@dataclass(frozen=True)
class Expected:
    """How much a running step has to do."""

    models: Annotated[int, Says("Models")] = 0
    tests: Annotated[int, Says("Tests", "dbt")] = 0


@dataclass(frozen=True)
class RunningModelRow(ModelRow):
    """The same as its task tells it while it runs."""

    started: Annotated[float | None, Says("When it began, in seconds since 1970")] = None
    batch: Annotated[int | None, Says("The last batch that is done", "SQLMesh")] = None


@dataclass(frozen=True)
class Told:
    """What the task of a running step has told so far, without its models."""

    stage: Annotated[str | None, Says("The part of the step that it is at")] = None
    expected: Annotated[Expected | None, Says("How much there is to do")] = None
