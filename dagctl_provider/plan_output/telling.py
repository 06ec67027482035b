"""All that is said of a plan in words and numbers, worked out once: the pages, the notifications and the API tell the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagctl_provider.domain.plans import PlanStep, newest
from dagctl_provider.domain.projects import Project
from dagctl_provider.plan_output.figures import Figures, figures_of
from dagctl_provider.plan_output.models import Models, models_of, results_of
from dagctl_provider.plan_output.outcomes import Ended, mood_of, outcome
from dagctl_provider.plan_output.parts import Count, Mood
from dagctl_provider.plan_output.reading import executed, explained
from dagctl_provider.plan_output.shape import ExplainOutput, ModelRow
from dagctl_provider.plan_output.summaries import counts, sentence


@dataclass(frozen=True)
class Told:
    """What is said of a plan.

    :param outcome: What production is now; empty while the plan is not over.
    :param sentence: What the plan does, would have done or did.
    :param figures: The numbers by name.
    :param counts: The same as they are shown, without those that are zero.
    """

    mood: Mood
    output: ExplainOutput
    models: Models
    outcome: str
    sentence: str
    figures: Figures
    counts: tuple[Count, ...]

    @property
    def summary(self) -> str:
        """Both sentences."""
        return f"{self.outcome} {self.sentence}".strip()


def tell(steps: Sequence[PlanStep], project: Project, deployed: str | None, rows: Sequence[ModelRow] | None = None) -> Told:
    """Work out what is said of a plan.

    :param steps: Of its group, explain first.
    :param deployed: The commit that is on record for its environment now.
    :param rows: What its newest execution did, where that is known from elsewhere than its result.
    """
    explain, last = steps[0], newest(steps)
    output, tool, mood = explained(explain.plan_output), project.tool, mood_of(steps)
    if rows is None:
        rows = executed(last.plan_output).models if last.plan_type == "execute" else ()
    models = models_of(output, tool, results_of(rows))
    place = output.environment or project.environment or tool.unnamed_environment.decision
    known = output.explain_completed is True
    return Told(
        mood=mood,
        output=output,
        models=models,
        outcome=outcome(Ended(steps, output, tool, place, deployed, rows)),
        sentence=sentence(explain, output, models, tool, mood),
        figures=figures_of(output) if known else Figures(),
        counts=counts(output, tool, mood) if known else (),
    )
