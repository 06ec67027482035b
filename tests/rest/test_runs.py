"""What became of a run can be read where it was started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagctl_provider.domain.plans import PlanStep
from dagctl_provider.services import organizations
from dagctl_provider.services.turns import recording
from dagctl_provider.store import plans as plan_rows
from dagctl_provider.store import transactions
from tests.services.world import World

Ask = Callable[..., Any]


def deployed(ask: Ask, world: World) -> Any:
    """A project with an applied plan."""
    project = world.project()
    step = world.explained(project)
    made = ask("POST", f"/plans/{step.id}/approve").get_json()
    world.finish_execute(transactions.run(lambda session: plan_rows.get_step(session, made["execution_plan_id"])))
    return project


def end(world: World, project: Any, run_id: str, state: str, **xcoms: Any) -> None:
    """What Airflow and its worker do with the run's task and the Dag run."""
    from airflow.models.dagrun import DagRun

    from dagctl_provider.store.session import utcnow

    class Place:
        dag_id = project.run_dag_id

    Place.run_id = run_id  # type: ignore[attr-defined]
    place: Any = Place
    step: PlanStep = place
    world.end_task(step, "run", state, xcoms=xcoms)

    def work(session: Any) -> None:
        run = session.query(DagRun).filter_by(dag_id=project.run_dag_id, run_id=run_id).one()
        run.start_date, run.end_date = run.start_date or utcnow(), utcnow()
        run.state = state

    transactions.run(work)


def test_runs_are_listed_with_what_became_of_them(ask: Ask, world: World) -> None:
    project = deployed(ask, world)
    path = f"/projects/{project.id}/runs"
    nothing = {"runs": [], "total": 0, "page": 1, "limit": 50, "total_pages": 0}
    assert ask("GET", f"{path}?job_type=run&include_stats=false").get_json() == nothing
    first, second, third = (ask("POST", f"/projects/{project.id}/run").get_json() for _ in range(3))
    started = [one["job_run_id"] for one in (first, second)]
    done_so = {"pod_name": "pod-1", "outcome": "succeeded", "step_id": started[0]}
    failed_so = {"outcome": "failed", "error": {"code": "model_failed", "message": "No table."}, "step_id": started[1]}
    end(world, project, started[0], "success", result=done_so)
    end(world, project, started[1], "failed", result=failed_so)
    recording.record_all()

    answer = ask("GET", f"{path}?job_type=run").get_json()
    assert (answer["total"], answer["total_pages"]) == (3, 1)
    found = {run["id"]: run for run in answer["runs"]}
    assert list(found) == [third["job_run_id"], second["job_run_id"], first["job_run_id"]], "newest first"
    done, failed, waiting = found[first["job_run_id"]], found[second["job_run_id"]], found[third["job_run_id"]]
    assert (done["status"], done["pod_name"], done["job_name"]) == ("success", "pod-1", first["job_name"])
    assert done["duration_seconds"] >= 0
    assert (failed["status"], failed["error_message"]) == ("failed", "No table.")
    assert waiting["status"] == "pending"
    assert not {"end_time", "duration_seconds", "error_message", "pod_name", "cronjob_name"} & set(waiting)
    assert all(run["triggered_by"] == "test" for run in found.values())

    assert [run["id"] for run in ask("GET", f"{path}?status=failed").get_json()["runs"]] == [second["job_run_id"]]
    page = ask("GET", f"{path}?job_type=run&page=2&limit=2").get_json()
    assert ([run["id"] for run in page["runs"]], page["total_pages"]) == ([first["job_run_id"]], 2)
    stats = answer["stats"]
    assert (stats["total_runs"], stats["successful_runs"], stats["failed_runs"], stats["error_runs"]) == (3, 1, 1, 0)
    assert ask("GET", f"{path}?job_type=run&updated_after=2099-01-01T00:00:00Z").get_json()["total"] == 0
    assert ask("GET", f"{path}?job_type=run&updated_after=2020-01-01T00:00:00Z").get_json()["total"] == 3


def test_runs_of_other_organizations_do_not_exist(ask: Ask, world: World) -> None:
    stranger = World(organizations.ensure_organization("other"))
    project = stranger.project()
    assert ask("GET", f"/projects/{project.id}/runs").status_code == 404
