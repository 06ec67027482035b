"""Drives ``dbt build``, or what else a job does: parses, stops to think, then runs exactly the nodes that it is told to.

Names on dbt's command line are ambiguous, and what a selector means changes between versions. So the build is started without
any selection, and where dbt works out what to run, it is given unique ids instead: the place is the same in dbt 1.5 to 1.12,
it comes after parsing and before the first statement, and it is where dbt's own retry intervenes. An explain gives it nothing
to run.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagctl_common.cancelling import Cancelled
from dagctl_common.channel import StepFailed

from dagctl_dbt.hooks import hooks_alone
from dagctl_dbt.jobs import BUILD, CommandLine
from dagctl_dbt.journals import Step
from dagctl_dbt.keeping import keep_external, keep_warehouse, refuse_fleeting
from dagctl_dbt.moments import Moment
from dagctl_dbt.warehouses import close_held, hold_open, name_sessions

if TYPE_CHECKING:
    from dbt.cli.main import dbtRunnerResult
    from dbt.graph import GraphQueue
    from dbt.task.build import BuildTask

    Decide = Callable[[BuildTask], set[str] | None]

PARTIAL_PARSE = "partial_parse.msgpack"


class Build:
    """One start of ``dbt build``.

    :param step: The step.
    :param decide: Called with dbt's task when the project is parsed; answers the unique ids to run, ``None`` for dbt's choice.
    :param moment: Stands for the time until that is decided; without it, dbt's own does.
    :param line: Another subcommand than ``build``, and its options.
    """

    moment: Moment

    def __init__(
        self,
        step: Step,
        decide: Decide,
        moment: Moment | None = None,
        line: CommandLine = CommandLine(),  # noqa: B008 - it is frozen
    ) -> None:
        self._step = step
        self._decide = decide
        self._line = line
        self._pinned = moment is not None
        self.moment = moment or Moment(step.job)
        self.keeps_parsed = True
        self.runs_hooks = False
        """Whether the project's hooks run even when no node is left to run."""
        self.decided = False
        self.failure: StepFailed | None = None
        self.target = Path(step.job["scratch"]) / "target"

    def invoke(self, *, quiet: bool, partial_parse: bool, state: Path | None = None, tests: bool = True) -> dbtRunnerResult:
        """Start dbt and wait for its end.

        :param quiet: Leave out all of dbt's log but errors.
        :param partial_parse: Start from what the last explain of this project parsed.
        :param state: Folder of the deployed manifest, for ``--defer``.
        :param tests: Whether dbt's own choice has tests in it.
        :return: dbt's ``dbtRunnerResult``.
        """
        import dbt.cli.main as cli
        from dbt.parser import read_files

        # dbt 1.12 loads a file .env of the repository; the step's variables come from its secrets only.
        if hasattr(cli, "load_dotenv"):
            cli.load_dotenv = lambda *args, **kwargs: False
        # And takes a file for unchanged, in partial parsing only, when it differs in white space alone: in a text of SQL or in
        # the indentation of YAML that is a change, and an execute, which parses in full, would see it.
        if hasattr(read_files, "normalize_file_contents"):
            read_files.normalize_file_contents = str.strip
        self._prepare(partial_parse)
        with self._hooked(), hooks_alone(lambda: self.runs_hooks), self._at_moment():
            arguments = [*self._arguments(quiet, partial_parse, state), *([] if tests else self._without_tests())]
            try:
                result = cli.dbtRunner(callbacks=[self._step.journal.on_event]).invoke(arguments)
            finally:
                close_held()
        if partial_parse:
            self._keep_parsed() if self.keeps_parsed else self.forget_parsed()
        return result

    @contextlib.contextmanager
    def _at_moment(self) -> Iterator[None]:
        if self._pinned:
            self.moment.pin()
        try:
            yield
        finally:
            self.moment.release()

    def _arguments(self, quiet: bool, partial_parse: bool, state: Path | None) -> list[str]:
        job = self._step.job
        arguments = ["--quiet"] if quiet else []
        arguments += ["--partial-parse" if partial_parse else "--no-partial-parse", "--write-json", "--no-use-colors"]
        arguments += ["--no-send-anonymous-usage-stats", *self._line.before, *self._line.verb.words]
        arguments += ["--project-dir", job["project"]]
        arguments += ["--profiles-dir", str(Path(job["scratch"]) / "profiles")]
        arguments += ["--target", job["target"]] if job["target"] else []
        arguments += ["--profile", job["profile"]] if job["profile"] else []
        arguments += ["--vars", json.dumps(job["vars"])] if job.get("vars") else []
        return [*arguments, *(["--defer", "--state", str(state)] if state else []), *self._line.after]

    def _without_tests(self) -> list[str]:
        # --exclude-resource-type is younger than dbt 1.5, functions are younger still.
        minor = int(self._step.job["tool_version"].split(".")[1])
        types = ["model", "seed", "snapshot", *(["function"] if minor >= 11 else [])]
        return [argument for name in types for argument in ("--resource-type", name)]

    def _prepare(self, partial_parse: bool) -> None:
        job = self._step.job
        profiles = Path(job["scratch"]) / "profiles"
        profiles.mkdir(mode=0o700, exist_ok=True)
        shutil.copyfile(job["profile_file"], profiles / "profiles.yml")
        (profiles / "profiles.yml").chmod(0o600)
        shutil.rmtree(self.target, ignore_errors=True)
        self.target.mkdir()
        kept = Path(job["cache"]) / PARTIAL_PARSE
        if partial_parse and kept.is_file():
            shutil.copyfile(kept, self.target / PARTIAL_PARSE)

    def _keep_parsed(self) -> None:
        """dbt checks by itself that version, profile, target, variables and files are the ones of before."""
        parsed, folder = self.target / PARTIAL_PARSE, Path(self._step.job["cache"])
        with contextlib.suppress(OSError):
            temporary = folder / f"{PARTIAL_PARSE}.{self._step.job['step_id']}"
            shutil.copyfile(parsed, temporary)
            temporary.replace(folder / PARTIAL_PARSE)

    def forget_parsed(self) -> None:
        """What was kept led to another plan than a full parse: the next explain starts afresh."""
        (Path(self._step.job["cache"]) / PARTIAL_PARSE).unlink(missing_ok=True)

    @contextlib.contextmanager
    def _hooked(self) -> Iterator[None]:
        from dbt.graph.selector import NodeSelector

        kind: Any = self._line.verb.task_class()
        if kind is None:
            yield
            return
        original_queue, original_select = kind.get_graph_queue, NodeSelector.select_nodes
        inherited = "get_graph_queue" not in vars(kind)

        def get_graph_queue(task: BuildTask) -> GraphQueue:
            chosen = self._ask(task)
            if chosen is not None:
                NodeSelector.select_nodes = lambda *args, **kwargs: (set(chosen), set())
            queue = original_queue(task)
            alone = self._unit_tests_alone(task, chosen or set()) if self._line.verb is BUILD else set()
            if alone:
                task.selected_unit_tests = task.selected_unit_tests - alone
                task.build_model_to_unit_test_map(task.selected_unit_tests)
                rest = (chosen or set()) - task.selected_unit_tests
                NodeSelector.select_nodes = lambda *args, **kwargs: (rest, set())
                queue = task.get_node_selector(no_unit_tests=False).get_graph_queue(task.get_selection_spec())
            self._check(task, queue, chosen)
            return queue

        kind.get_graph_queue = get_graph_queue
        try:
            yield
        finally:
            NodeSelector.select_nodes = original_select
            if inherited:
                del kind.get_graph_queue
            else:
                kind.get_graph_queue = original_queue

    @staticmethod
    def _unit_tests_alone(task: BuildTask, chosen: set[str]) -> set[str]:
        """Unit tests whose model does not run: ``dbt build`` hangs unit tests onto their model and would pass over these."""
        known = getattr(task.manifest, "unit_tests", {})
        return {key for key in chosen if key in known and not chosen.intersection(known[key].depends_on.nodes[:1])}

    def _ask(self, task: BuildTask) -> set[str] | None:
        """Ask what to run; whatever goes wrong, nothing runs."""
        try:
            name_sessions(self._step, task.config.credentials)
            hold_open(task.config.credentials)
            if self._step.job["command"] != "sweep":
                keep_warehouse(self._step, task.config)
                refuse_fleeting(task.config, task.manifest.nodes.values())
                keep_external(self._step, task.config, task.manifest.nodes.values())
            chosen = self._decide(task)
            self.moment.release()
            self._step.canceller.check()
        except StepFailed as failure:
            self.failure, chosen = failure, set()
        except Cancelled:
            raise
        except Exception as error:
            # Ours, not dbt's: it must not look like something that is wrong with the project.
            self._step.trace(error)
            self.failure, chosen = StepFailed("internal", f"{type(error).__name__}: {error}"), set()
        self.decided = True
        return chosen

    def _check(self, task: BuildTask, queue: GraphQueue, chosen: set[str] | None) -> None:
        """dbt must have taken all that was given to it and nothing else; this is before its first statement."""
        taken = {*queue.get_selected_nodes(), *getattr(task, "selected_unit_tests", ())}
        if chosen is not None and taken != chosen and self._step.job["command"] != "run":
            self.failure = StepFailed(
                "plan_drifted", f"dbt would not run what was approved: {', '.join(sorted(taken ^ chosen)[:5])}"
            )
            raise self.failure
        ephemeral = {key for key in taken if getattr(task.manifest.nodes.get(key), "is_ephemeral_model", False)}
        if taken - ephemeral and self._line.verb.runs:
            self._step.journal.begin(taken - ephemeral)
