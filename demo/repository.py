"""The sample project as a git repository with one commit, and the second commit that changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from demo.options import DemoError
from demo.samples import FIRST_MESSAGE, SQLMESH, Sample

_HERE = Path(__file__).parent
BRANCH = "main"


class Repository:
    """A local git repository with the sample project.

    :param path: Its folder.
    :param sample: Which project.
    """

    def __init__(self, path: Path, sample: Sample = SQLMESH) -> None:
        self.path = path
        self.sample = sample

    @property
    def url(self) -> str:
        """Address for git."""
        return self.path.as_uri()

    def create(self) -> str:
        """Make the repository with its first commit.

        :return: Full id of the commit.
        """
        self.path.mkdir(parents=True)
        self._git("init", "--quiet", "--template=", f"--initial-branch={BRANCH}")
        for source, target in self.sample.first:
            self._copy(source, self.path / target)
        return self._commit(FIRST_MESSAGE)

    def change(self) -> str:
        """Make the second commit: one model changes, one is added; in dbt's, one is removed as well.

        :return: Full id of the commit.
        :raises DemoError: when it is there already.
        """
        if list(self.path.glob("models/**/city_revenue.sql")):
            raise DemoError(
                "The second commit is there already.", f"Make one of your own in {self.path}; it is found within seconds."
            )
        self._copy(self.sample.second, self.path)
        for name in self.sample.removed:
            (self.path / name).unlink()
        return self._commit(self.sample.second_message)

    def head(self) -> str:
        """Full id of the newest commit."""
        return self._git("rev-parse", "HEAD")

    def stat(self) -> list[str]:
        """What the newest commit touches, one line per file."""
        return self._git("show", "--stat=72", "--format=", "HEAD").splitlines()

    def _copy(self, source: str, target: Path) -> None:
        ignored = shutil.ignore_patterns(".cache", "logs", "target", "dbt_packages", "__pycache__")
        shutil.copytree(_HERE / source, target, dirs_exist_ok=True, ignore=ignored)

    def _commit(self, message: str) -> str:
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self.head()

    def _git(self, *arguments: str) -> str:
        # Neither the machine's settings nor the person's hooks and signing keys have a part in this.
        environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "HOME": str(self.path),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "Ada Example",
            "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada Example",
            "GIT_COMMITTER_EMAIL": "ada@example.org",
        }
        try:
            done = subprocess.run(  # noqa: S603 - no shell, words of the demo
                ["git", *arguments],  # noqa: S607 - no shell, words of the demo
                cwd=self.path,
                env=environment,
                capture_output=True,
                text=True,
                check=True,
            )
        except FileNotFoundError:
            raise DemoError("git is not installed.", "Install it, for example: apt install git") from None
        except subprocess.CalledProcessError as error:
            raise DemoError(f"git {arguments[0]} failed: {error.stderr.strip()}", "Run 'make clean' and try again.") from None
        return done.stdout.strip()
