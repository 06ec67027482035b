"""The other warehouse: the same commits, brought there with the tool alone, as a person would.

SQLMesh: ``sqlmesh plan --auto-apply`` at each commit. dbt: ``dbt build`` of everything at each commit; before that,
``dbt ls --select state:modified+`` says what dbt itself would select. A case may say otherwise in ``twin``: ``none`` for a commit
that is refused, or the arguments of another ``dbt build``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.truth.cases import CorpusError
from tests.truth.tools import Warm, plain_environment

LISTING = "ls --quiet --state {state} --select state:modified+ --output json --output-keys unique_id > {file}"
PLAN = ["--paths", ".", "plan", "--auto-apply", "--no-prompts", "--no-diff"]


class Twin:
    """A warehouse beside the product's, and the tool that works on it.

    :param warm: The tool.
    :param folder: For project and warehouse.
    :param warehouse: Its file.
    """

    def __init__(self, warm: Warm, folder: Path, warehouse: Path) -> None:
        self._warm = warm
        self.folder = folder
        self.warehouse = warehouse
        self._state = folder / "state"
        self._steps = 0
        self.listed: list[str] | None = None
        folder.mkdir()

    @property
    def project(self) -> Path:
        """The work tree."""
        return self.folder / "project"

    def apply(self, files: Mapping[str, str], variables: Mapping[str, str], command: str | None, fails: bool) -> None:
        """Bring the warehouse to a commit.

        :param files: Of the commit.
        :param variables: The project's own.
        :param command: What to do instead of the usual.
        :param fails: Whether the tool has to fail.
        """
        _write(self.project, files)
        self._steps += 1
        if command == "none":
            return
        if self._warm.tool == "sqlmesh":
            self._do("sqlmesh", [*PLAN, *(command or "").split()], variables, fails)
            return
        packages = "deps ; " if "packages.yml" in files else ""
        listing = self.folder / "listed"
        selecting = f"parse --quiet ; {LISTING.format(state=self._state, file=listing)} ; "
        after_first = self._state.is_dir()
        self._do("dbt", [packages + (selecting if after_first else "") + f"build {command or ''}".strip()], variables, fails)
        if after_first:
            self.listed = listing.read_text().splitlines()
        self._state.mkdir(exist_ok=True)
        shutil.copyfile(self.project / "target" / "manifest.json", self._state / "manifest.json")

    def _do(self, program: str, arguments: list[str], variables: Mapping[str, str], fails: bool) -> None:
        output = self.folder / f"output{self._steps}"
        environment = plain_environment(self._warm.tool, self.folder, variables)
        status = self._warm.run(program, arguments, environment, self.project, output)
        if bool(status) != fails:
            end = "failed" if status else "did not fail"
            raise CorpusError(f"{program} itself {end} at commit {self._steps}:\n{output.read_text()[-3000:]}")


def _write(folder: Path, files: Mapping[str, str]) -> None:
    """Make a folder hold exactly these files; what the tool keeps beside them stays."""
    listing = folder.with_suffix(".files")
    before: set[str] = set(listing.read_text().splitlines()) if listing.exists() else set()
    for name in before - set(files):
        (folder / name).unlink()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
    listing.write_text("\n".join(files))


def unequal(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Where two warehouses differ, each relation as a sentence.

    :param ours: Relations after an execute.
    :param theirs: Relations of the twin.
    """
    found = [f"only the twin has {name}" for name in sorted(set(theirs) - set(ours))]
    found += [f"the twin has no {name}" for name in sorted(set(ours) - set(theirs))]
    for name in sorted(set(ours) & set(theirs)):
        for key, mine in ours[name].items():
            if mine != theirs[name][key]:
                found.append(f"{name}: {key} {_some(mine)}, the twin has {_some(theirs[name][key])}")
    return found


def _some(value: object) -> str:
    text = str(value)
    return text if len(text) < 400 else text[:400] + " …"
