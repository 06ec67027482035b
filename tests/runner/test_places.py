"""Where a step happens does not change, whoever runs it, and two steps of a project are never there at once."""

from __future__ import annotations

import io
import multiprocessing
import os
from pathlib import Path

import pytest

from dagctl_provider.runner.errors import RunnerError
from dagctl_provider.runner.places import STEPS_FOLDER, project_place
from dagctl_provider.runner.progress import Progress
from dagctl_provider.runner.stopping import Stop


def _progress() -> Progress:
    return Progress(io.StringIO())


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DAGCTL_STEPS_DIR", str(tmp_path / "steps"))
    return tmp_path / "steps"


def test_a_project_has_one_place_whatever_the_process_is_told(parent: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with project_place("proj_1", _progress(), Stop()) as first:
        assert first.folder.parent == parent
        assert first.folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("TMPDIR", "/var/tmp")
    monkeypatch.chdir("/")
    with project_place("proj_1", _progress(), Stop()) as second, project_place("proj_2", _progress(), Stop()) as other:
        assert second.folder == first.folder != other.folder
    assert not first.folder.exists()


def test_without_a_setting_it_is_the_same_on_every_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DAGCTL_STEPS_DIR", raising=False)
    with project_place(f"proj_of_a_test_{os.getpid()}", _progress(), Stop()) as place:
        assert str(place.folder.parent) == os.path.realpath(STEPS_FOLDER)


def test_what_killed_steps_left_is_removed_but_not_what_others_are_using(parent: Path) -> None:
    with project_place("busy", _progress(), Stop()) as busy:
        for name in ("left", "of_nobody"):
            (parent / name).mkdir()
            (parent / name / "profiles.yml").write_text("password: x")
        (parent / "left.lock").touch()
        with project_place("proj_1", _progress(), Stop()) as place:
            (place.folder / "kept").touch()
            assert not (parent / "left").exists()
            assert busy.folder.is_dir()
    leftover = parent / place.folder.name
    leftover.mkdir()
    (leftover / "old").touch()
    with project_place("proj_1", _progress(), Stop()) as place:
        assert list(place.folder.iterdir()) == []


def _hold(entered: multiprocessing.synchronize.Event, leave: multiprocessing.synchronize.Event) -> None:
    with project_place("proj_1", _progress(), Stop()):
        entered.set()
        leave.wait(60)


def test_a_second_step_of_a_project_waits_for_the_first_and_says_so(parent: Path) -> None:
    context = multiprocessing.get_context("spawn")
    entered, leave = context.Event(), context.Event()
    process = context.Process(target=_hold, args=(entered, leave))
    process.start()
    try:
        assert entered.wait(60)
        said = io.StringIO()
        stop = Stop(2.5)
        with pytest.raises(RunnerError), project_place("proj_1", Progress(said), stop):
            pass
        assert "waiting for another step of this project to finish" in said.getvalue()
        leave.set()
        with project_place("proj_1", _progress(), Stop()) as place:
            assert place.folder.is_dir()
    finally:
        leave.set()
        process.join(60)


def test_a_folder_of_somebody_else_is_not_used(parent: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    parent.symlink_to(elsewhere)
    with pytest.raises(RunnerError, match="set DAGCTL_STEPS_DIR"), project_place("proj_1", _progress(), Stop()):
        pass
