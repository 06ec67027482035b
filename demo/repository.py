"""The sample project as a git repository with one commit, and the second commit that changes it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from demo.options import DemoError

_HERE = Path(__file__).parent
BRANCH = "main"
FIRST_MESSAGE = "Shop: orders, revenue, customers"
SECOND_MESSAGE = "Take discounts off revenue; add revenue per city"
CHANGED_MODEL = "marts.order_revenue"
ADDED_MODEL = "marts.city_revenue"


class Repository:
    """A local git repository with the sample project.

    :param path: Its folder.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

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
        return self._copy_and_commit(_HERE / "sample", FIRST_MESSAGE)

    def change(self) -> str:
        """Make the second commit: one model changes, one is added.

        :return: Full id of the commit.
        :raises DemoError: when it is there already.
        """
        if (self.path / "models" / "marts" / "city_revenue.sql").exists():
            raise DemoError(
                "The second commit is there already.", f"Make one of your own in {self.path}; it is found within seconds."
            )
        return self._copy_and_commit(_HERE / "sample_change", SECOND_MESSAGE)

    def head(self) -> str:
        """Full id of the newest commit."""
        return self._git("rev-parse", "HEAD")

    def stat(self) -> list[str]:
        """What the newest commit touches, one line per file."""
        return self._git("show", "--stat=72", "--format=", "HEAD").splitlines()

    def _copy_and_commit(self, source: Path, message: str) -> str:
        shutil.copytree(source, self.path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".cache", "logs", "__pycache__"))
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
            done = subprocess.run(  # noqa: S603
                ["git", *arguments],  # noqa: S607
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
